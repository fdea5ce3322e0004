//! Clients that have registered themselves and are used: that is written down in batches, off the
//! way of requests, and keeps them from being deleted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postern_request::UnixMillis;
use postern_store::durable::{ClientOrigin, ClientRecord, DurableStore};
use tokio::time::MissedTickBehavior;

use super::OAuthService;

/// How often it is written down.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// Most clients that wait for it; one more is seen again with its next token.
const MAX_WAITING: usize = 10_000;
/// A client's end moves by so much at least, and by a tenth of its time where that is less: one
/// that is used all day is written down a few times in it.
const LEAST_MS: u64 = 86_400_000;

/// Until when clients are kept, of those for whom that was not written down yet.
#[derive(Debug, Default)]
pub(super) struct UsedClients(Mutex<HashMap<String, UnixMillis>>);

impl UsedClients {
    /// A client has got a token.
    pub(super) fn saw(&self, client: &ClientRecord, unused_for_ms: u64, now: UnixMillis) {
        let ClientOrigin::Registered { expires_unused_at } = client.origin else { return };
        let until = UnixMillis(now.0.saturating_add(unused_for_ms));
        if until.millis_since(expires_unused_at) < LEAST_MS.min(unused_for_ms / 10) {
            return;
        }
        let mut waiting = self.waiting();
        if waiting.len() < MAX_WAITING || waiting.contains_key(&client.client_id) {
            waiting.insert(client.client_id.clone(), until);
        }
    }

    /// Writes down what was seen. What the store does not take waits for the next time.
    async fn write_down(&self, store: &dyn DurableStore) {
        let seen = std::mem::take(&mut *self.waiting());
        for (client_id, until) in seen {
            if let Err(error) = store.keep_client(&client_id, until).await {
                tracing::warn!(%error, "that a client is used was not written down");
                self.waiting().entry(client_id).or_insert(until);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, UnixMillis>> {
        // Nothing panics under this lock, so what a poisoned one guards is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OAuthService {
    /// Writes down which clients of those that have registered themselves were used.
    pub async fn keep_used_clients(&self) {
        self.used.write_down(&*self.store).await;
    }
}

/// Calls [`OAuthService::keep_used_clients`] for as long as it is polled: spawn it, and abort it
/// at the end.
pub async fn keep_used_clients(oauth: Arc<OAuthService>) {
    let mut ticks = tokio::time::interval(WRITE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        oauth.keep_used_clients().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_store::durable::ClientKind;
    use postern_store::durable::memory::MemoryDurableStore;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const DAY_MS: u64 = 86_400_000;

    fn client(id: &str, origin: ClientOrigin) -> ClientRecord {
        let (id, name) = (id.to_owned(), "Agent".to_owned());
        ClientRecord { origin, ..ClientRecord::new(id, name, ClientKind::Public, NOW) }
    }

    fn registered(id: &str, days: u64) -> ClientRecord {
        let expires_unused_at = UnixMillis(NOW.0 + days * DAY_MS);
        client(id, ClientOrigin::Registered { expires_unused_at })
    }

    async fn end_of(store: &MemoryDurableStore, id: &str) -> Option<UnixMillis> {
        store.find_client(id).await.unwrap().unwrap().origin.expires_unused_at()
    }

    #[tokio::test]
    async fn a_client_that_is_used_is_kept_for_longer() {
        let (store, used) = (MemoryDurableStore::new(), UsedClients::default());
        let all = [
            registered("old", 3),
            registered("new", 90),
            client("operators", ClientOrigin::Operator),
        ];
        for client in &all {
            store.insert_client(client.clone()).await.unwrap();
            used.saw(client, 90 * DAY_MS, UnixMillis(NOW.0 + DAY_MS - 1));
        }
        assert_eq!(used.waiting().len(), 1, "what was written down a moment ago is not again");
        assert_eq!(end_of(&store, "old").await, Some(UnixMillis(NOW.0 + 3 * DAY_MS)));
        used.write_down(&store).await;
        assert_eq!(end_of(&store, "old").await, Some(UnixMillis(NOW.0 + 91 * DAY_MS - 1)));
        assert_eq!(end_of(&store, "operators").await, None);
        assert!(used.waiting().is_empty());
    }

    #[tokio::test]
    async fn a_short_time_is_moved_more_often() {
        let used = UsedClients::default();
        for (after_hours, expected) in [(2, 0), (3, 1)] {
            used.saw(&registered("a", 1), DAY_MS, UnixMillis(NOW.0 + after_hours * DAY_MS / 24));
            assert_eq!(used.waiting().len(), expected, "{after_hours}");
        }
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let used = UsedClients::default();
        for at in 0..=MAX_WAITING {
            used.saw(&registered(&at.to_string(), 1), 90 * DAY_MS, NOW);
        }
        assert_eq!(used.waiting().len(), MAX_WAITING);
    }
}
