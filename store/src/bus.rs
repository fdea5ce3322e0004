//! The bus between replicas: a bell that rings when something was revoked.
//!
//! It carries no truth. Whoever hears it reads the durable store, and reads it from time to time
//! without hearing anything, because a bell can be missed.

#[cfg(any(test, feature = "contract"))]
pub mod contract;

use std::future::ready;

use postern_request::UnixMillis;
use postern_revocation::Revocation;
use tokio::sync::watch;

use crate::{BoxFuture, StoreError};

/// Tells all replicas of a deployment that there are new revocations.
pub trait RevocationBus: Send + Sync {
    /// Says that the durable store has revocations up to `seq`, these among them. Call it when
    /// they are committed. Whoever listens here is woken even when the others cannot be told.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the others cannot be told; they find out by themselves,
    /// later.
    fn publish<'a>(
        &'a self,
        seq: u64,
        revoked: &'a [Revocation],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Listens from now on. Where the bus hears the other replicas, the first word is
    /// [`Wakeup::Connected`], at once.
    fn subscribe(&self) -> Wakeups;
}

/// What a listener is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wakeup {
    /// The bus hears the other replicas from now on. What came before may have been missed.
    Connected,
    /// There is something new; the number that was said last, which is a hint.
    News(u64),
    /// The bus hears nobody else any more. It goes on to tell of this replica's own.
    Lost,
}

/// The state of a bell. Counts go up, so that nothing that happened twice looks like nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bell {
    connections: u64,
    is_connected: bool,
    rings: u64,
    seq: u64,
}

/// One listener's ear. What comes faster than it is asked for is told once.
#[derive(Debug)]
pub struct Wakeups {
    bell: watch::Receiver<Bell>,
    told: Bell,
}

impl Wakeups {
    /// The next word; none when the bus is gone. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Option<Wakeup> {
        loop {
            let bell = *self.bell.borrow_and_update();
            if let Some(wakeup) = self.tell(bell) {
                return Some(wakeup);
            }
            self.bell.changed().await.ok()?;
        }
    }

    /// What has happened since the listener was told last, the state of the connection first.
    fn tell(&mut self, bell: Bell) -> Option<Wakeup> {
        if bell.is_connected && bell.connections != self.told.connections {
            // Whoever hears this reads everything, so it stands for the news, too.
            self.told = bell;
            return Some(Wakeup::Connected);
        }
        if bell.is_connected != self.told.is_connected {
            let Bell { connections, is_connected, .. } = bell;
            self.told = Bell { connections, is_connected, ..self.told };
            return Some(Wakeup::Lost);
        }
        if bell.rings != self.told.rings {
            self.told = bell;
            return Some(Wakeup::News(bell.seq));
        }
        None
    }
}

/// The bus of a single replica, which hears everybody there is, and the last stretch of any
/// other bus.
#[derive(Debug)]
pub struct LocalBus(watch::Sender<Bell>);

impl Default for LocalBus {
    fn default() -> Self {
        let bus = Self::unconnected();
        bus.connected();
        bus
    }
}

impl LocalBus {
    /// One that does not hear the other replicas yet.
    #[must_use]
    pub fn unconnected() -> Self {
        Self(watch::Sender::new(Bell::default()))
    }

    /// Says that there is something new.
    pub fn ring(&self, seq: u64) {
        self.0.send_modify(|bell| {
            bell.rings += 1;
            bell.seq = seq;
        });
    }

    /// Says that the other replicas are heard from now on, or that some of them may have been
    /// missed.
    pub fn connected(&self) {
        self.0.send_modify(|bell| {
            bell.connections += 1;
            bell.is_connected = true;
        });
    }

    /// Says that the other replicas are not heard any more.
    pub fn lost(&self) {
        self.0.send_modify(|bell| bell.is_connected = false);
    }
}

impl RevocationBus for LocalBus {
    fn publish<'a>(
        &'a self,
        seq: u64,
        _: &'a [Revocation],
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.ring(seq);
        Box::pin(ready(Ok(())))
    }

    fn subscribe(&self) -> Wakeups {
        let bell = self.0.subscribe();
        // What was said before is not told again; whether anybody is heard always is.
        let told = Bell { connections: 0, is_connected: false, ..*bell.borrow() };
        Wakeups { bell, told }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_local_bus_keeps_the_contract() {
        let bus = LocalBus::default();
        contract::run(&bus, &bus).await;
    }

    #[tokio::test]
    async fn a_listener_learns_whether_the_others_are_heard() {
        let bus = LocalBus::unconnected();
        let mut wakeups = bus.subscribe();
        bus.ring(1);
        assert_eq!(wakeups.next().await, Some(Wakeup::News(1)), "its own replica's is told");
        bus.connected();
        bus.ring(2);
        assert_eq!(wakeups.next().await, Some(Wakeup::Connected), "and the news with it");
        bus.ring(3);
        bus.lost();
        assert_eq!(wakeups.next().await, Some(Wakeup::Lost));
        assert_eq!(wakeups.next().await, Some(Wakeup::News(3)));
        bus.lost();
        bus.ring(3);
        assert_eq!(wakeups.next().await, Some(Wakeup::News(3)), "twice the same number");
        bus.connected();
        bus.lost();
        bus.connected();
        assert_eq!(wakeups.next().await, Some(Wakeup::Connected));
        bus.lost();
        bus.connected();
        assert_eq!(wakeups.next().await, Some(Wakeup::Connected), "a gap is told");

        let mut late = bus.subscribe();
        drop(bus);
        assert_eq!(late.next().await, Some(Wakeup::Connected));
        assert_eq!(late.next().await, None);
        assert_eq!(wakeups.next().await, None);
    }
}
