//! The store's ports as the loader wants them.

use std::sync::Arc;

use postern_request::UnixMillis;
use postern_store::bus::{Wakeup, Wakeups};
use postern_store::durable::{FeedIdentity, RevocationRecord, RevocationStore};
use postern_store::{BoxFuture, StoreError};

use crate::source::{RevocationSource, SourceError, SourceIdentity, SourceRecord};
use crate::source::{WakeUp, WakeUps};

/// A durable store's revocations.
pub struct StoredRevocations {
    store: Arc<dyn RevocationStore>,
}

impl StoredRevocations {
    /// Those of this store.
    #[must_use]
    pub fn new(store: Arc<dyn RevocationStore>) -> Self {
        Self { store }
    }
}

impl RevocationSource for StoredRevocations {
    fn feed_identity(&self) -> BoxFuture<'_, Result<SourceIdentity, SourceError>> {
        Box::pin(async move {
            let FeedIdentity { epoch, fingerprint_key } =
                self.store.feed_identity().await.map_err(read_error)?;
            Ok(SourceIdentity { epoch, key: fingerprint_key })
        })
    }

    fn revocations_since(
        &self,
        after_seq: u64,
        limit: u32,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Vec<SourceRecord>, SourceError>> {
        Box::pin(async move {
            let page = self.store.revocations_since(after_seq, limit, now).await;
            // None is left out: whoever reads goes by the numbers, and by how many there are.
            Ok(page.map_err(read_error)?.into_iter().map(read).collect())
        })
    }
}

fn read(record: RevocationRecord) -> SourceRecord {
    SourceRecord { seq: record.seq, entry: record.revocation.into() }
}

fn read_error(error: StoreError) -> SourceError {
    match error {
        StoreError::Unavailable(text) => SourceError::Unavailable(text),
        // Nothing is inserted here, so nothing can be there already.
        StoreError::Corrupt(_) | StoreError::Conflict => SourceError::Corrupt(error.to_string()),
    }
}

/// The bus between replicas.
pub struct BusWakeUps(Wakeups);

impl BusWakeUps {
    /// What is heard on a bus.
    #[must_use]
    pub const fn new(wakeups: Wakeups) -> Self {
        Self(wakeups)
    }
}

impl WakeUps for BusWakeUps {
    fn next(&mut self) -> BoxFuture<'_, WakeUp> {
        Box::pin(async move {
            match self.0.next().await {
                Some(Wakeup::Connected) => WakeUp::Connected,
                Some(Wakeup::News(_)) => WakeUp::News,
                Some(Wakeup::Lost) => WakeUp::Lost,
                // The bus itself is gone, and with it whoever could say so again.
                None => std::future::pending().await,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Entry;
    use postern_revocation::{Revocation, RevocationKind};
    use postern_store::durable::NewRevocation;
    use postern_store::durable::memory::MemoryDurableStore;
    use postern_store::{LocalBus, RevocationBus as _};

    fn new(issuer: &str, value: &str) -> NewRevocation {
        NewRevocation {
            revocation: Revocation::at(100, RevocationKind::Token, issuer, value, 500).unwrap(),
            created_at: UnixMillis(100_000),
            reason: None,
        }
    }

    #[tokio::test]
    async fn a_stores_revocations_are_read() {
        let store = Arc::new(MemoryDurableStore::new());
        let all = ["a", "b", "c"].map(|value| new("issuer", value));
        let seqs = store.revoke(all.to_vec()).await.unwrap();
        let source = StoredRevocations::new(store);
        let identity = source.feed_identity().await.unwrap();
        assert_ne!(identity.epoch, 0);
        let page = source.revocations_since(0, 2, UnixMillis(200_000)).await.unwrap();
        assert_eq!(page.iter().map(|record| record.seq).collect::<Vec<_>>(), seqs[..2]);
        let rest = source.revocations_since(seqs[1], 2, UnixMillis(200_000)).await.unwrap();
        let rest: Vec<Entry> = rest.into_iter().map(|record| record.entry).collect();
        assert_eq!(rest, [Entry::Revoked(new("issuer", "c").revocation)]);
        let late = source.revocations_since(0, 2, UnixMillis(500_000)).await.unwrap();
        assert!(late.is_empty(), "what has expired is left out");
    }

    #[tokio::test]
    async fn a_bus_says_when_it_listens_when_there_is_news_and_when_it_is_lost() {
        let bus = LocalBus::unconnected();
        let mut words = BusWakeUps::new(bus.subscribe());
        bus.connected();
        assert_eq!(words.next().await, WakeUp::Connected);
        bus.ring(5);
        bus.ring(6);
        assert_eq!(words.next().await, WakeUp::News);
        bus.lost();
        assert_eq!(words.next().await, WakeUp::Lost);
        bus.connected();
        assert_eq!(words.next().await, WakeUp::Connected);
    }
}
