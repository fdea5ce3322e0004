//! Readiness as guards: whoever is not ready yet holds a [`Blocker`], and drops it when it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// Who still holds the process back: name → how many blockers of that name.
type Pending = BTreeMap<&'static str, usize>;

/// Whether every part of the process that asked for time has come up. Clones share one state.
///
/// Without any blocker it is ready: take the first before the port is opened.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    pending: Arc<watch::Sender<Pending>>,
}

/// Holds the process back from being ready until it is dropped. A task that dies drops its
/// blocker as well: what must not count as "up" has to end the process.
#[derive(Debug)]
#[must_use = "dropping a blocker is what says ready"]
pub struct Blocker {
    name: &'static str,
    pending: Arc<watch::Sender<Pending>>,
}

impl Readiness {
    /// Ready, as nothing blocks it yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Not ready until the blocker is dropped. A name may be taken several times.
    pub fn block_on(&self, name: &'static str) -> Blocker {
        self.pending.send_modify(|pending| *pending.entry(name).or_default() += 1);
        Blocker { name, pending: Arc::clone(&self.pending) }
    }

    /// Whether nothing blocks.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.pending.borrow().is_empty()
    }

    /// The names that block, in alphabetical order; for logs.
    #[must_use]
    pub fn pending(&self) -> Vec<&'static str> {
        self.pending.borrow().keys().copied().collect()
    }

    /// Waits until nothing blocks.
    pub async fn ready(&self) {
        let mut pending = self.pending.subscribe();
        // It cannot fail: `self` keeps the sending side alive.
        let _ = pending.wait_for(BTreeMap::is_empty).await;
    }
}

impl Drop for Blocker {
    fn drop(&mut self) {
        self.pending.send_modify(|pending| {
            if let Some(count) = pending.get_mut(self.name) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    pending.remove(self.name);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_the_last_blocker_is_gone() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let store = readiness.block_on("store");
        let first = readiness.block_on("listener");
        let second = readiness.block_on("listener");
        assert_eq!(readiness.pending(), ["listener", "store"]);
        drop(first);
        drop(store);
        assert_eq!(readiness.pending(), ["listener"]);
        assert!(!readiness.is_ready());
        drop(second);
        assert!(readiness.is_ready());
    }

    #[tokio::test]
    async fn waiting_ends_with_the_last_blocker() {
        let readiness = Readiness::new();
        let blocker = readiness.block_on("store");
        let waiting = {
            let readiness = readiness.clone();
            tokio::spawn(async move { readiness.ready().await })
        };
        drop(blocker);
        waiting.await.unwrap();
    }
}
