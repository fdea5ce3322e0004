//! When sessions and API keys were used last: noted on the way of a request, and written in batches
//! beside it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postern_request::{Principal, UnixMillis};
use postern_store::FlowStore;
use postern_store::durable::DurableStore;
use postern_store::flows::UsedApiKey;
use postern_telemetry::Moment;

use crate::metrics::Metrics;

/// How often the volatile store is told, and after how many times the durable one is, too.
const EVERY: Duration = Duration::from_secs(10);
const DURABLE_EVERY: u32 = 6;
/// The longest that one batch may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most sessions and keys that are noted at a time, and how many locks share them.
const MOST: usize = 20_000;
const SHARDS: usize = 16;
/// Most that one call to a store tells.
const BATCH: usize = 1_000;

/// What a request has used, to be noted once it may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Used {
    /// A session, by its id.
    Session(String),
    /// An API key, by its id; the principal says whose it is.
    ApiKey(String),
}

/// What was used since it was written last.
pub struct Touched {
    flows: Arc<dyn FlowStore>,
    durable: Option<Arc<dyn DurableStore>>,
    metrics: Metrics,
    noted: [Mutex<Noted>; SHARDS],
    /// What the durable store was not told yet: when last, and how often.
    owed: Mutex<HashMap<String, (UnixMillis, u64)>>,
}

#[derive(Default)]
struct Noted {
    sessions: HashMap<String, UnixMillis>,
    api_keys: HashMap<String, UsedApiKey>,
}

impl Noted {
    fn has_room(&self) -> bool {
        self.sessions.len() + self.api_keys.len() < MOST / SHARDS
    }
}

impl Touched {
    /// Tells a volatile store, and of API keys a durable one.
    #[must_use]
    pub fn new(
        flows: Arc<dyn FlowStore>,
        durable: Option<Arc<dyn DurableStore>>,
        metrics: Metrics,
    ) -> Self {
        let (noted, owed) = (std::array::from_fn(|_| Mutex::default()), Mutex::default());
        Self { flows, durable, metrics, noted, owed }
    }

    /// Writes every now and then, for as long as it runs.
    pub async fn keep_writing(self: Arc<Self>) {
        let mut turns = 0_u32;
        loop {
            tokio::time::sleep(EVERY).await;
            self.write(Moment::now().wall).await;
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(DURABLE_EVERY) {
                self.write_durably().await;
            }
        }
    }

    /// Writes all that was noted: before the end.
    pub async fn finish(&self) {
        self.write(Moment::now().wall).await;
        self.write_durably().await;
    }

    /// Notes that something was used. No call to anybody.
    pub(crate) fn note(&self, used: Used, principal: Option<&Principal>, now: UnixMillis) {
        let (Used::Session(id) | Used::ApiKey(id)) = &used;
        let mut noted = self.shard(id);
        let has_room = noted.has_room();
        let is_kept = match used {
            Used::Session(id) => match noted.sessions.entry(id) {
                Entry::Occupied(mut known) => {
                    let last = known.get_mut();
                    *last = now.max(*last);
                    true
                }
                Entry::Vacant(place) if has_room => {
                    place.insert(now);
                    true
                }
                Entry::Vacant(_) => false,
            },
            Used::ApiKey(id) => match noted.api_keys.entry(id) {
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    known.last_used = now.max(known.last_used);
                    known.requests = known.requests.saturating_add(1);
                    true
                }
                Entry::Vacant(place) if has_room => {
                    let id = place.key().clone();
                    let nobody = Principal::default();
                    place.insert(first_use(id, principal.unwrap_or(&nobody), now));
                    true
                }
                Entry::Vacant(_) => false,
            },
        };
        drop(noted);
        if !is_kept {
            self.metrics.touches("lost", 1);
        }
    }

    /// Tells the volatile store. What it does not take is lost: the next use of the same says more
    /// than the last one did.
    pub(crate) async fn write(&self, now: UnixMillis) {
        let (mut sessions, mut api_keys) = (Vec::new(), Vec::new());
        for shard in &self.noted {
            let Noted { sessions: some, api_keys: more } = std::mem::take(&mut *lock(shard));
            sessions.extend(some);
            api_keys.extend(more.into_values());
        }
        self.owe(&api_keys);
        for batch in sessions.chunks(BATCH) {
            let told = tokio::time::timeout(PATIENCE, self.flows.touch_sessions(batch, now)).await;
            self.count(batch.len(), matches!(told, Ok(Ok(()))));
        }
        for batch in api_keys.chunks(BATCH) {
            let told = tokio::time::timeout(PATIENCE, self.flows.touch_api_keys(batch, now)).await;
            self.count(batch.len(), matches!(told, Ok(Ok(()))));
        }
    }

    fn owe(&self, api_keys: &[UsedApiKey]) {
        if self.durable.is_none() {
            return;
        }
        let mut owed = lock(&self.owed);
        for used in api_keys {
            if owed.len() >= MOST && !owed.contains_key(&used.id) {
                continue;
            }
            let (last, requests) = owed.entry(used.id.clone()).or_insert((used.last_used, 0));
            *last = used.last_used.max(*last);
            *requests = requests.saturating_add(used.requests);
        }
    }

    /// Tells the durable store, which counts how often keys were used: what it does not take is
    /// told again.
    async fn write_durably(&self) {
        let Some(durable) = &self.durable else { return };
        let owed = std::mem::take(&mut *lock(&self.owed));
        let owed: Vec<(String, UnixMillis, u64)> =
            owed.into_iter().map(|(id, (last, requests))| (id, last, requests)).collect();
        for batch in owed.chunks(BATCH) {
            let told = tokio::time::timeout(PATIENCE, durable.touch_api_keys(batch)).await;
            if matches!(told, Ok(Ok(()))) {
                continue;
            }
            tracing::debug!(?told, "uses of API keys are not written");
            let mut owed = lock(&self.owed);
            for (id, at, requests) in batch {
                let (last, counted) = owed.entry(id.clone()).or_insert((*at, 0));
                *last = (*at).max(*last);
                *counted = counted.saturating_add(*requests);
            }
        }
    }

    fn count(&self, items: usize, is_written: bool) {
        let outcome = if is_written { "written" } else { "lost" };
        self.metrics.touches(outcome, u64::try_from(items).unwrap_or(u64::MAX));
    }

    /// Where an id is noted. Ids of ours are random; nobody chooses one.
    fn shard(&self, id: &str) -> MutexGuard<'_, Noted> {
        let sum = id.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        let at = usize::from(sum) % SHARDS;
        let [first, ..] = &self.noted;
        lock(self.noted.get(at).unwrap_or(first))
    }
}

fn first_use(id: String, principal: &Principal, now: UnixMillis) -> UsedApiKey {
    UsedApiKey {
        id,
        user_id: principal.subject.clone(),
        client_id: principal.client_id.clone(),
        scopes: principal.scopes.clone(),
        last_used: now,
        requests: 1,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use postern_store::MemoryFlowStore;
    use postern_store::durable::memory::MemoryDurableStore;
    use postern_store::durable::{ApiKeyRecord, SecretHash};
    use postern_telemetry::MetricsRegistry;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn touched(durable: Option<Arc<dyn DurableStore>>) -> (Touched, MetricsRegistry) {
        let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
        let flows = Arc::new(MemoryFlowStore::default());
        (Touched::new(flows, durable, Metrics::new(&registry).unwrap()), registry)
    }

    fn count(registry: &MetricsRegistry, outcome: &str) -> u64 {
        let text = registry.encode(Instant::now()).unwrap();
        let name = "postern_ext_authz_touches_total{";
        let label = format!("outcome=\"{outcome}\"");
        let line = text.lines().find(|line| line.starts_with(name) && line.contains(&label));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    fn key(id: &str) -> Used {
        Used::ApiKey(id.to_owned())
    }

    #[tokio::test]
    async fn uses_of_a_key_add_up_until_they_are_written() {
        let store = Arc::new(MemoryDurableStore::new());
        let record = ApiKeyRecord::new("k1".to_owned(), SecretHash([1; 32]), "a".to_owned(), NOW);
        store.insert_api_key(record).await.unwrap();
        let durable: Arc<dyn DurableStore> = Arc::<MemoryDurableStore>::clone(&store);
        let (touched, registry) = touched(Some(durable));
        for after in [5, 9, 2] {
            touched.note(key("k1"), None, UnixMillis(NOW.0 + after));
        }
        touched.write(NOW).await;
        touched.note(key("k1"), None, NOW);
        touched.write(NOW).await;
        assert_eq!(count(&registry, "written"), 2, "one for each batch that named it");
        let kept = store.find_api_key("k1").await.unwrap().unwrap();
        assert_eq!((kept.request_count, kept.last_used_at), (0, None), "not yet");
        touched.write_durably().await;
        touched.write_durably().await;
        let kept = store.find_api_key("k1").await.unwrap().unwrap();
        let last = Some(UnixMillis(NOW.0 + 9));
        assert_eq!((kept.request_count, kept.last_used_at), (4, last), "each is told once");
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_and_the_rest_is_counted() {
        let (touched, registry) = touched(None);
        for at in 0..MOST + 100 {
            touched.note(Used::Session(format!("{at:036}")), None, NOW);
        }
        let noted: usize = touched.noted.iter().map(|shard| lock(shard).sessions.len()).sum();
        assert!(noted <= MOST, "{noted}");
        let lost = usize::try_from(count(&registry, "lost")).unwrap();
        assert_eq!(lost, MOST + 100 - noted);
        // What is noted already costs no room.
        touched.note(Used::Session(format!("{:036}", 0)), None, UnixMillis(NOW.0 + 1));
        assert_eq!(usize::try_from(count(&registry, "lost")).unwrap(), lost);
        touched.write(NOW).await;
        assert!(touched.noted.iter().all(|shard| lock(shard).sessions.is_empty()));
    }
}
