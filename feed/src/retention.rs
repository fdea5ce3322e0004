//! Deleting what has expired from the durable list, so that it stays as long as what is revoked
//! within one lifetime of a token.

use std::sync::Arc;
use std::time::Duration;

use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::durable::RevocationStore;

use crate::Clock;
use crate::expiry::ExpiryClock;
use crate::metrics::Metrics;
use crate::pace::Jitter;

/// From one time to the next.
const INTERVAL: Duration = Duration::from_secs(3_600);
/// The first time: not while everybody starts, and soon enough for a server that never runs for
/// an hour.
const FIRST: Duration = Duration::from_secs(300);
/// How long an entry stays after its end. What is deleted does not come back, so a clock that is
/// wrong by less than this, here or where a token is judged, un-revokes nothing. Against one that
/// is wrong by more the store has bounds of its own
/// ([`RevocationStore::delete_expired_revocations`]).
const GRACE_SECS: u64 = 86_400;
/// Entries a call: whoever revokes waits no longer than deleting them takes.
const BATCH: u32 = 1_000;
/// Between two calls, so that others have their turn.
const PAUSE: Duration = Duration::from_millis(50);
/// What one call may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The task that deletes what has expired. One a process; those of several replicas do each
/// other no harm.
pub struct Retention {
    store: Arc<dyn RevocationStore>,
    metrics: Metrics,
    clock: Clock,
    expiry: ExpiryClock,
    jitter: Jitter,
}

impl Retention {
    /// Deletes from this store; `jitter` keeps replicas apart.
    #[must_use]
    pub fn new(
        store: Arc<dyn RevocationStore>,
        metrics: Metrics,
        clock: Clock,
        jitter: Jitter,
    ) -> Self {
        let expiry = ExpiryClock::new(clock());
        Self { store, metrics, clock, expiry, jitter }
    }

    /// Deletes every hour or so, for as long as it is polled.
    pub async fn run(mut self) {
        let mut pause = self.jitter.between(FIRST / 5, FIRST);
        loop {
            tokio::time::sleep(pause).await;
            let (deleted, outcome) = self.delete().await;
            self.metrics.records_deleted(deleted);
            match outcome {
                Ok(()) => tracing::info!(deleted, "expired revocations are deleted"),
                // The next time will do: nobody reads what has expired.
                Err(error) => {
                    tracing::warn!(deleted, %error, "expired revocations cannot be deleted");
                }
            }
            pause = self.jitter.around(INTERVAL);
        }
    }

    /// Deletes all of it; how much that was, whatever came of the rest.
    async fn delete(&mut self) -> (u64, Result<(), StoreError>) {
        let (now, _) = self.expiry.read((self.clock)());
        let before = UnixMillis(now.saturating_sub(GRACE_SECS).saturating_mul(1_000));
        let mut deleted = 0_u64;
        loop {
            match self.delete_some(before).await {
                Ok(some) => {
                    deleted = deleted.saturating_add(some);
                    if some < u64::from(BATCH) {
                        return (deleted, Ok(()));
                    }
                }
                Err(error) => return (deleted, Err(error)),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn delete_some(&self, before: UnixMillis) -> Result<u64, StoreError> {
        let call = self.store.delete_expired_revocations(before, BATCH);
        match tokio::time::timeout(TIMEOUT, call).await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ISSUER, START, TestClock};
    use postern_revocation::{Revocation, RevocationKind};
    use postern_store::durable::NewRevocation;
    use postern_store::durable::memory::MemoryDurableStore;
    use postern_telemetry::MetricsRegistry;

    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY_SECS: u64 = 86_400;

    struct Rig {
        store: Arc<MemoryDurableStore>,
        clock: TestClock,
        registry: MetricsRegistry,
    }

    impl Rig {
        fn start() -> Self {
            Self::with_clock(TestClock::new())
        }

        fn with_clock(clock: TestClock) -> Self {
            let store = Arc::new(MemoryDurableStore::new());
            let registry = MetricsRegistry::new("test", std::time::Instant::now()).unwrap();
            let read = {
                let clock = clock.clone();
                Arc::new(move || clock.now()) as Clock
            };
            let shared = Arc::clone(&store) as Arc<dyn RevocationStore>;
            let metrics = Metrics::new(&registry).unwrap();
            let retention = Retention::new(shared, metrics, read, Jitter::seeded(1));
            tokio::spawn(retention.run());
            Self { store, clock, registry }
        }

        /// Revokes, so many seconds after the start, as many that end so many after it.
        async fn revoke(&self, made: u64, count: u64, ends: u64) {
            let new = |number: u64| {
                let (kind, value) = (RevocationKind::Token, format!("{ends} {number}"));
                let revocation = Revocation::at(START + made, kind, ISSUER, value, START + ends);
                let created_at = UnixMillis((START + made) * 1_000);
                NewRevocation { revocation: revocation.unwrap(), created_at, reason: None }
            };
            self.store.revoke((0..count).map(new).collect()).await.unwrap();
        }

        /// Entries, expired ones included.
        async fn kept(&self) -> u64 {
            self.store.count_revocations(UnixMillis(0)).await.unwrap()
        }

        fn deleted(&self) -> bool {
            let text = self.registry.encode(std::time::Instant::now()).unwrap();
            text.lines().any(|line| {
                line.starts_with("postern_feed_records_deleted_total{") && line.ends_with(" 2500")
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_ended_a_day_ago_is_deleted_in_batches() {
        let rig = Rig::start();
        for (count, ends) in [(1_000, 60), (1_000, 61), (500, 62), (3, 7 * DAY_SECS)] {
            rig.revoke(0, count, ends).await;
        }
        tokio::time::sleep(HOUR * 23).await;
        assert_eq!(rig.kept().await, 2_503, "not before its time");
        rig.revoke(DAY_SECS, 1, 7 * DAY_SECS + 1).await;
        tokio::time::sleep(HOUR * 3).await;
        assert_eq!(rig.kept().await, 4);
        assert!(rig.deleted());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_jumps_ahead_deletes_nothing() {
        let rig = Rig::start();
        rig.revoke(0, 1, 3_600).await;
        rig.clock.step(i64::from(u32::MAX));
        tokio::time::sleep(HOUR * 3).await;
        assert_eq!(rig.kept().await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_ahead_from_the_start_deletes_nothing_that_lives() {
        let clock = TestClock::new();
        clock.step(i64::from(u32::MAX));
        let rig = Rig::with_clock(clock);
        for (made, ends) in [(0, 60), (30, 3_600), (90, 7_200)] {
            rig.revoke(made, 1, ends).await;
        }
        tokio::time::sleep(HOUR * 3).await;
        assert_eq!(rig.kept().await, 2, "by the others' clocks one alone has ended");
    }
}
