//! Signing keys on schedule: once a key has signed for long enough, the next one is made.
//!
//! Every replica looks, once a minute and never all at the same moment; the store decides whose
//! key it is, because a key is kept only while the one that was found to be old is still the
//! newest. A key is published before it signs, and until the last token is over that it has
//! signed, exactly as where an operator rotates.
//!
//! Deliberately absent: the first key of an algorithm. Whether tokens are signed by it is an
//! operator's to say; the schedule follows up.

use std::sync::Arc;
use std::time::Duration;

use postern_jose::Algorithm;
use postern_request::UnixMillis;
use postern_store::IdentityStore;
use postern_store::durable::{PublicSigningKey, SigningKeyRecord};

use super::is_published;
use crate::admin::{self, KeySummary, Rotation};
use crate::metrics::RotationOutcome;
use crate::{Clock, IdentityError, KeyEncryptionKey, KeyMetrics, audit, random};

/// From one look to the next, give or take a fifth.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The first look: within this time, so that replicas that start together do not look together.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// When keys are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySchedule {
    /// How old a key becomes before the next one is made.
    pub rotate_every_ms: u64,
    /// How long the next one is published before it signs; no less than
    /// [`admin::ACTIVATION_DELAY_MS`], whatever stands here.
    pub lead_ms: u64,
}

/// What the schedule works with.
pub struct Rotations {
    /// Keys and the audit log.
    pub store: Arc<dyn IdentityStore>,
    /// Seals new keys.
    pub kek: KeyEncryptionKey,
    /// The schedule of the moment; none where operators rotate.
    pub schedule: Arc<dyn Fn() -> Option<KeySchedule> + Send + Sync>,
    /// Where the time comes from.
    pub clock: Clock,
    /// What is counted.
    pub metrics: KeyMetrics,
}

/// Makes keys when they are due, for as long as it is polled.
pub async fn rotate_on_schedule(rotations: Rotations) {
    let mut pause = FIRST_LOOK.mul_f64(chance());
    loop {
        tokio::time::sleep(pause).await;
        if let Some(schedule) = (rotations.schedule)() {
            let looked = rotations.look(schedule, (rotations.clock)()).await;
            if let Err(error) = looked {
                rotations.metrics.rotation(RotationOutcome::Failed);
                tracing::error!(%error, "signing keys cannot be rotated on schedule");
            }
        }
        pause = LOOK_EVERY.mul_f64(0.8 + 0.4 * chance());
    }
}

impl Rotations {
    /// Makes what is due now; what was made.
    ///
    /// # Errors
    /// Those of the store, of the key-encryption key, and [`IdentityError::TooManyKeys`].
    pub(crate) async fn look(
        &self,
        schedule: KeySchedule,
        now: UnixMillis,
    ) -> Result<Vec<KeySummary>, IdentityError> {
        let records = self.store.list_signing_keys().await?;
        let public: Vec<PublicSigningKey> = records.iter().map(SigningKeyRecord::public).collect();
        // What a rotation could not do that was broken off.
        admin::retire_superseded(&*self.store, &public).await?;
        let mut made = Vec::new();
        for algorithm in due(&public, schedule.rotate_every_ms, now) {
            let activate_after_ms = schedule.lead_ms.max(admin::ACTIVATION_DELAY_MS);
            let rotation = Rotation { algorithm, activate_after_ms };
            let rotated = admin::rotate_from(&*self.store, &self.kek, &records, rotation, now);
            match rotated.await {
                Ok(key) => {
                    self.tell(&key, now).await;
                    made.push(key);
                }
                Err(IdentityError::RotatedMeanwhile(_)) => {
                    self.metrics.rotation(RotationOutcome::Overtaken);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(made)
    }

    /// The key is there, and is published first: that it could not be written down undoes nothing.
    async fn tell(&self, key: &KeySummary, now: UnixMillis) {
        self.metrics.rotation(RotationOutcome::Rotated);
        let signs_from = key.activates_at.to_rfc3339();
        tracing::info!(kid = key.kid, algorithm = key.algorithm, signs_from, "a new signing key");
        let detail = [
            ("algorithm", key.algorithm.as_str()),
            ("signsFrom", signs_from.as_str()),
            ("why", "schedule"),
        ];
        let entry = audit::entry(now, audit::SYSTEM, "key.rotated", &key.kid, &detail);
        if let Err(error) = self.store.append_audit(&entry).await {
            tracing::error!(%error, action = entry.action, "what happened was not written down");
        }
    }
}

/// The algorithms whose next key is due: something signs by them, and what was made last is old, or
/// was withdrawn, so that nothing would sign once the one before it ends.
fn due(keys: &[PublicSigningKey], rotate_every_ms: u64, now: UnixMillis) -> Vec<Algorithm> {
    let signs = |key: &&PublicSigningKey| is_published(key, now) && key.activates_at <= now;
    let mut names: Vec<&str> =
        keys.iter().filter(signs).map(|key| key.algorithm.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let is_due = |name: &&str| {
        let stays = keys.iter().filter(|key| key.algorithm == *name && key.retires_at.is_none());
        let newest = stays.map(|key| key.created_at.0).max();
        newest.is_none_or(|made| made.saturating_add(rotate_every_ms) <= now.0)
    };
    names.into_iter().filter(is_due).filter_map(Algorithm::parse).collect()
}

/// A number from 0 up to 1; 0.5 where the system has none.
fn chance() -> f64 {
    random::bytes::<2>().map_or(0.5, |bytes| f64::from(u16::from_be_bytes(*bytes)) / 65_536.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{KeyState, list_keys, retire_key, rotate_keys};
    use postern_store::durable::memory::MemoryDurableStore;
    use postern_store::durable::{AuditStore as _, DurableStore as _};

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const DAY_MS: u64 = 86_400_000;
    const SCHEDULE: KeySchedule = KeySchedule { rotate_every_ms: 30 * DAY_MS, lead_ms: 0 };

    fn kek() -> KeyEncryptionKey {
        KeyEncryptionKey::from_text(&"0f1e".repeat(16)).unwrap()
    }

    fn later(days: u64) -> UnixMillis {
        UnixMillis(NOW.0 + days * DAY_MS)
    }

    fn replica(store: &Arc<MemoryDurableStore>) -> Rotations {
        Rotations {
            store: Arc::<MemoryDurableStore>::clone(store),
            kek: kek(),
            schedule: Arc::new(|| Some(SCHEDULE)),
            clock: Arc::new(|| NOW),
            metrics: KeyMetrics::register(&prometheus::Registry::new()).unwrap(),
        }
    }

    async fn operator_rotates(store: &MemoryDurableStore, algorithm: Algorithm, now: UnixMillis) {
        let rotation = Rotation { algorithm, ..Rotation::default() };
        rotate_keys(store, &kek(), rotation, now).await.unwrap();
    }

    async fn states(store: &MemoryDurableStore, now: UnixMillis) -> Vec<(String, KeyState)> {
        let keys = list_keys(store, now).await.unwrap();
        keys.into_iter().map(|key| (key.algorithm, key.state)).collect()
    }

    fn es(state: KeyState) -> (String, KeyState) {
        ("ES256".to_owned(), state)
    }

    #[tokio::test]
    async fn a_key_that_is_old_enough_gets_a_successor_that_is_published_first() {
        let store = Arc::new(MemoryDurableStore::new());
        let replica = replica(&store);
        assert!(replica.look(SCHEDULE, NOW).await.unwrap().is_empty(), "no first key by itself");
        operator_rotates(&store, Algorithm::Es256, NOW).await;
        let before = UnixMillis(later(30).0 - 1);
        assert!(replica.look(SCHEDULE, before).await.unwrap().is_empty());
        let made = replica.look(SCHEDULE, later(30)).await.unwrap();
        assert_eq!(made.len(), 1);
        assert_eq!(made[0].activates_at.0, later(30).0 + admin::ACTIVATION_DELAY_MS);
        assert!(replica.look(SCHEDULE, later(30)).await.unwrap().is_empty(), "it is done");

        use KeyState::{Active, Pending, Retired, Superseded};
        assert_eq!(states(&store, later(30)).await, [es(Active), es(Pending)]);
        assert_eq!(states(&store, later(31)).await, [es(Superseded), es(Active)]);
        assert_eq!(states(&store, later(32)).await, [es(Retired), es(Active)]);
        let written = store.audit_since(0, 10).await.unwrap();
        assert_eq!(written.len(), 1);
        assert_eq!(
            (written[0].entry.action.as_str(), &written[0].entry.target),
            ("key.rotated", &made[0].kid)
        );
        assert_eq!(replica.metrics.count(RotationOutcome::Rotated), 1);
    }

    #[tokio::test]
    async fn a_longer_lead_is_kept_and_a_shorter_one_is_not() {
        for (lead_ms, expected) in [(0, admin::ACTIVATION_DELAY_MS), (7_200_000, 7_200_000)] {
            let store = Arc::new(MemoryDurableStore::new());
            operator_rotates(&store, Algorithm::Es256, NOW).await;
            let schedule = KeySchedule { lead_ms, ..SCHEDULE };
            let made = replica(&store).look(schedule, later(40)).await.unwrap();
            assert_eq!(made[0].activates_at.0, later(40).0 + expected);
        }
    }

    #[tokio::test]
    async fn each_algorithm_has_its_own_time() {
        let store = Arc::new(MemoryDurableStore::new());
        operator_rotates(&store, Algorithm::Es256, NOW).await;
        operator_rotates(&store, Algorithm::EdDsa, later(20)).await;
        let replica = replica(&store);
        let made = replica.look(SCHEDULE, later(35)).await.unwrap();
        assert_eq!(made.iter().map(|key| key.algorithm.as_str()).collect::<Vec<_>>(), ["ES256"]);
        let made = replica.look(SCHEDULE, later(50)).await.unwrap();
        assert_eq!(made.iter().map(|key| key.algorithm.as_str()).collect::<Vec<_>>(), ["EdDSA"]);
    }

    #[tokio::test]
    async fn of_many_replicas_one_makes_the_key() {
        let store = Arc::new(MemoryDurableStore::new());
        operator_rotates(&store, Algorithm::Es256, NOW).await;
        let replicas: Vec<_> = (0..8).map(|_| replica(&store)).collect();
        // All have read the same keys before any of them makes one.
        let records = store.list_signing_keys().await.unwrap();
        let rotation = Rotation { algorithm: Algorithm::Es256, ..Rotation::default() };
        let mut made = 0;
        for one in &replicas {
            let done = admin::rotate_from(&*one.store, &one.kek, &records, rotation, later(30));
            match done.await {
                Ok(_) => made += 1,
                Err(IdentityError::RotatedMeanwhile(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(made, 1);
        for one in &replicas {
            assert!(one.look(SCHEDULE, later(30)).await.unwrap().is_empty());
        }
        assert_eq!(store.list_signing_keys().await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn what_an_operator_withdrew_does_not_come_back_and_leaves_no_gap() {
        let store = Arc::new(MemoryDurableStore::new());
        operator_rotates(&store, Algorithm::Es256, NOW).await;
        let replica = replica(&store);
        let next = replica.look(SCHEDULE, later(30)).await.unwrap().remove(0);
        // The next one leaks before it signs; the one before it has an end already.
        retire_key(&*store, &next.kid, later(30)).await.unwrap();
        let another = replica.look(SCHEDULE, later(30)).await.unwrap();
        assert_eq!(another.len(), 1, "somebody has to take over");
        use KeyState::{Active, Retired};
        assert_eq!(states(&store, later(35)).await, [es(Retired), es(Retired), es(Active)]);
        // An algorithm without any key left is one that nobody wants.
        retire_key(&*store, &another[0].kid, later(40)).await.unwrap();
        assert!(replica.look(SCHEDULE, later(90)).await.unwrap().is_empty());
        assert!(states(&store, later(90)).await.iter().all(|(_, state)| *state == Retired));
    }

    #[tokio::test]
    async fn a_rotation_that_was_broken_off_is_finished() {
        let store = Arc::new(MemoryDurableStore::new());
        operator_rotates(&store, Algorithm::Es256, NOW).await;
        // As if whoever has made this one had died before retiring the one before it.
        let mut record = store.list_signing_keys().await.unwrap().remove(0);
        record.kid = "next".to_owned();
        (record.created_at, record.activates_at) = (later(1), later(2));
        store.insert_signing_key(record).await.unwrap();
        assert!(replica(&store).look(SCHEDULE, later(3)).await.unwrap().is_empty());
        let keys = store.list_public_signing_keys().await.unwrap();
        assert!(keys[0].retires_at.is_some_and(|end| end > later(3)), "{keys:?}");
        assert_eq!(keys[1].retires_at, None);
    }
}
