//! Deleting what nobody needs any more: families of refresh tokens past their last end, and clients
//! that have registered themselves and are not used.
//!
//! A family that was ended early stays until it would have ended by itself: the row is what keeps
//! its tokens from coming back. Consents go with their client, by the database's own rule; what was
//! revoked has a task of its own, in the feed.
//!
//! One task a server; those of several replicas do each other no harm: what one has deleted, the
//! others do not find.

use std::sync::Arc;
use std::time::Duration;

use postern_feed::Jitter;
use postern_identity::{Clock, audit_entry};
use postern_request::UnixMillis;
use postern_store::{IdentityStore, StoreError};
use postern_telemetry::{MetricsRegistry, TelemetryError};
use prometheus::{IntCounterVec, Opts};
use tokio::time::{sleep, timeout};

/// From one time to the next.
const INTERVAL: Duration = Duration::from_secs(3_600);
/// The first time: not while everybody starts.
const FIRST: Duration = Duration::from_secs(180);
/// How long a row stays after its end: clocks differ, and somebody may want to see it.
const GRACE_MS: u64 = 86_400_000;
/// Rows a call: whoever writes waits no longer than deleting them takes.
const BATCH: u32 = 500;
/// Between two calls, so that others have their turn.
const PAUSE: Duration = Duration::from_millis(50);
/// What one call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Families,
    Clients,
}

impl What {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Families => "families",
            Self::Clients => "clients",
        }
    }
}

/// Deletes, every hour or so.
pub struct Retention {
    store: Arc<dyn IdentityStore>,
    clock: Clock,
    jitter: Jitter,
    deleted: IntCounterVec,
}

impl Retention {
    /// Deletes from this store.
    ///
    /// # Errors
    /// When the metric cannot be registered.
    pub fn new(
        store: Arc<dyn IdentityStore>,
        clock: Clock,
        registry: &MetricsRegistry,
    ) -> Result<Self, TelemetryError> {
        let deleted = registry.register(IntCounterVec::new(
            Opts::new(
                "postern_identity_records_deleted_total",
                "Families of refresh tokens and unused clients that were deleted after their time.",
            ),
            &["what"],
        ))?;
        Ok(Self { store, clock, jitter: Jitter::random(), deleted })
    }

    /// For as long as it is polled.
    pub async fn run(self) {
        let mut pause = self.jitter.around(FIRST);
        loop {
            sleep(pause).await;
            if let Err(error) = self.delete().await {
                // The next time will do: nobody takes what has ended.
                tracing::warn!(%error, "what has ended cannot be deleted");
            }
            pause = self.jitter.around(INTERVAL);
        }
    }

    async fn delete(&self) -> Result<(), StoreError> {
        let before = UnixMillis(self.past_for_sure().await?.0.saturating_sub(GRACE_MS));
        let families = self.all(What::Families, before).await?;
        let clients = self.all(What::Clients, before).await?;
        if clients > 0 {
            let count = clients.to_string();
            let detail = [("count", count.as_str()), ("why", "unused")];
            let now = (self.clock)();
            let entry = audit_entry(now, "system", "client.deleted", "unused", &detail);
            self.store.append_audit(&entry).await?;
        }
        tracing::debug!(families, clients, "what has ended is deleted");
        Ok(())
    }

    /// A moment that is over whatever this server's clock says: what is deleted does not come back,
    /// so that a clock which is ahead must not do it. Nothing is later than the last thing that was
    /// written down, by the clock of whichever server wrote it; where nothing ever was, there is
    /// nothing to delete.
    async fn past_for_sure(&self) -> Result<UnixMillis, StoreError> {
        let Some(head) = self.store.audit_head().await? else { return Ok(UnixMillis(0)) };
        let last = self.store.audit_since(head.seq.saturating_sub(1), 1).await?;
        let written = last.first().map_or(UnixMillis(0), |record| record.entry.at);
        Ok(written.min((self.clock)()))
    }

    /// How many that were, in batches.
    async fn all(&self, what: What, before: UnixMillis) -> Result<u64, StoreError> {
        let mut deleted = 0_u64;
        loop {
            let call = match what {
                What::Families => self.store.delete_ended_families(before, BATCH),
                What::Clients => self.store.delete_unused_clients(before, BATCH),
            };
            let Ok(some) = timeout(PATIENCE, call).await else {
                return Err(StoreError::Unavailable("no answer in time".to_owned()));
            };
            let some = some?;
            self.deleted.with_label_values(&[what.as_str()]).inc_by(some);
            deleted = deleted.saturating_add(some);
            if some < u64::from(BATCH) {
                return Ok(deleted);
            }
            sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use postern_store::durable::memory::MemoryDurableStore;
    use postern_store::durable::{
        AuditStore as _, ClientKind, ClientOrigin, ClientRecord, DurableStore as _, FamilyRecord,
        GrantStore as _,
    };

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const DAY_MS: u64 = 86_400_000;

    fn ago(days: u64) -> UnixMillis {
        UnixMillis(NOW.0 - days * DAY_MS)
    }

    async fn family(store: &MemoryDurableStore, id: u16, ends_at: UnixMillis, ended: bool) {
        let mut record = FamilyRecord {
            id: [0; 32],
            user_id: "u".to_owned(),
            client_id: "c".to_owned(),
            session_id: "s".to_owned(),
            scopes: Vec::new(),
            created_at: ago(90),
            ends_at,
            ended_at: ended.then(|| ago(80)),
            end_reason: ended.then(|| "reused".to_owned()),
        };
        record.id[..2].copy_from_slice(&id.to_be_bytes());
        store.insert_family(record).await.unwrap();
    }

    async fn client(store: &MemoryDurableStore, id: &str, origin: ClientOrigin) {
        let record = ClientRecord::new(id.to_owned(), id.to_owned(), ClientKind::Public, ago(200));
        store.insert_client(ClientRecord { origin, ..record }).await.unwrap();
    }

    fn retention(store: &Arc<MemoryDurableStore>, now: UnixMillis) -> Retention {
        let registry = MetricsRegistry::new("test", std::time::Instant::now()).unwrap();
        let store = Arc::<MemoryDurableStore>::clone(store);
        Retention::new(store, Arc::new(move || now), &registry).unwrap()
    }

    async fn says(store: &MemoryDurableStore, at: UnixMillis) {
        store.append_audit(&audit_entry(at, "u", "login.succeeded", "u", &[])).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_ended_a_day_ago_goes_and_what_was_ended_early_stays() {
        let store = Arc::new(MemoryDurableStore::new());
        says(&store, NOW).await;
        for id in 0..1_100 {
            family(&store, id, ago(2), id % 2 == 0).await;
        }
        family(&store, 2_000, UnixMillis(NOW.0 - DAY_MS + 1), false).await;
        family(&store, 2_001, UnixMillis(NOW.0 + DAY_MS), true).await;
        let unused = ClientOrigin::Registered { expires_unused_at: ago(2) };
        let used = ClientOrigin::Registered { expires_unused_at: NOW };
        for (id, origin) in [("gone", unused), ("used", used), ("ours", ClientOrigin::Operator)] {
            client(&store, id, origin).await;
        }
        let retention = retention(&store, NOW);
        retention.delete().await.unwrap();
        let left = store.families_of("u", None, 100).await.unwrap();
        assert_eq!(left.len(), 2, "{left:?}");
        let clients = store.list_clients(None, 10).await.unwrap();
        let ids: Vec<_> = clients.iter().map(|client| client.client_id.as_str()).collect();
        assert_eq!(ids, ["ours", "used"]);
        let written = store.audit_since(1, 10).await.unwrap();
        assert_eq!(written.len(), 1);
        assert_eq!(written[0].entry.action, "client.deleted");
        assert_eq!(retention.deleted.with_label_values(&["families"]).get(), 1_100);
        // Another replica finds nothing, and says nothing.
        self::retention(&store, NOW).delete().await.unwrap();
        assert_eq!(store.audit_since(1, 10).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_clock_that_is_ahead_deletes_nothing_that_lives() {
        let store = Arc::new(MemoryDurableStore::new());
        family(&store, 1, UnixMillis(NOW.0 + DAY_MS), false).await;
        let ahead = UnixMillis(NOW.0 + 400 * DAY_MS);
        let retention = retention(&store, ahead);
        retention.delete().await.unwrap();
        says(&store, NOW).await;
        retention.delete().await.unwrap();
        assert_eq!(store.families_of("u", None, 10).await.unwrap().len(), 1);
    }
}
