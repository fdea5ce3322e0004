//! Revoking, for the authorization server: what it ends, everybody hears of.

use std::sync::Arc;
use std::time::Duration;

use postern_identity::ports::Announce;
use postern_request::UnixMillis;
use postern_revocation::Revocation;
use postern_store::durable::DurableStore;
use postern_store::{BoxFuture, RevocationBus, StoreError};
use tokio::time::timeout;

use crate::revoking;

/// How long the store may take.
const STORE_PATIENCE: Duration = Duration::from_secs(10);
/// How long the bus may take: what was revoked is committed by then, and found without it.
const BUS_PATIENCE: Duration = Duration::from_secs(2);

/// Keeps revocations in the durable store and rings the bell.
#[derive(Clone)]
pub struct Announcer {
    store: Arc<dyn DurableStore>,
    bus: Arc<dyn RevocationBus>,
}

impl Announcer {
    /// Where revocations are kept, and who is told of them.
    pub fn new(store: Arc<dyn DurableStore>, bus: Arc<dyn RevocationBus>) -> Self {
        Self { store, bus }
    }

    /// The store first, which is the truth; then the bell, which wakes this server, too.
    async fn commit(
        &self,
        what: &[Revocation],
        reason: &str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let committed = revoking::commit_all(self.store.as_ref(), what, Some(reason), now);
        let Ok(committed) = timeout(STORE_PATIENCE, committed).await else {
            return Err(StoreError::Unavailable("no answer in time".to_owned()));
        };
        let told = timeout(BUS_PATIENCE, self.bus.publish(committed?, what, now)).await;
        if !matches!(told, Ok(Ok(()))) {
            tracing::warn!(
                ?told,
                "revoked, but the other servers cannot be told: they find out later"
            );
        }
        Ok(())
    }
}

impl Announce for Announcer {
    fn revoke<'a>(
        &'a self,
        what: Vec<Revocation>,
        reason: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if what.is_empty() {
                return Ok(());
            }
            // In a task of its own: a caller that goes away does not stop it between store and bus.
            let (working, reason) = (self.clone(), reason.to_owned());
            let done = tokio::spawn(async move { working.commit(&what, &reason, now).await });
            done.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
        })
    }
}

#[cfg(test)]
mod tests {
    use postern_revocation::RevocationKind;
    use postern_store::durable::RevocationStore as _;
    use postern_store::durable::memory::MemoryDurableStore;
    use postern_store::{LocalBus, Wakeup};

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn session(id: &str) -> Revocation {
        let until = NOW.as_secs() + 60;
        Revocation::at(NOW.as_secs(), RevocationKind::Session, "i", id, until).unwrap()
    }

    #[tokio::test]
    async fn what_ends_is_committed_whole_and_then_the_bell_rings() {
        let store = Arc::new(MemoryDurableStore::new());
        let bus = Arc::new(LocalBus::unconnected());
        let mut wakeups = bus.subscribe();
        let announcer = Announcer::new(Arc::<MemoryDurableStore>::clone(&store), bus);
        announcer.revoke(Vec::new(), "ended", NOW).await.unwrap();
        assert!(store.revocations_since(0, 10, NOW).await.unwrap().is_empty());

        announcer.revoke(vec![session("a"), session("b")], "ended", NOW).await.unwrap();
        let kept = store.revocations_since(0, 10, NOW).await.unwrap();
        let reasons: Vec<_> = kept.iter().map(|record| record.reason.as_deref()).collect();
        assert_eq!(reasons, [Some("ended"), Some("ended")]);
        let last = kept.last().unwrap().seq;
        assert_eq!(wakeups.next().await, Some(Wakeup::News(last)));
    }
}
