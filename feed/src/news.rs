//! Word to those who wait that something may be new for them.

use tokio::sync::watch;

/// Tells everybody who waits. What it is that is new, they find out themselves.
pub(crate) struct News(watch::Sender<u64>);

impl News {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(crate) fn publish(&self) {
        self.0.send_modify(|number| *number = number.wrapping_add(1));
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
