//! What the gateway did in the last 60 seconds: the numbers of `/health`'s `metrics`.
//!
//! Components feed it as requests end; reading it looks at 60 slots of one second each. What
//! needs labels or history is in the Prometheus metrics, not here.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Seconds that count.
const WINDOW_SECS: u64 = 60;
/// One for each of them.
const SLOTS: usize = 60;
/// Users that are told apart. Some 1.5 MB at most; past it new ones are not counted until
/// others have been quiet for a window, so the number is a floor.
const MAX_USERS: usize = 65_536;

/// One finished request.
#[derive(Debug, Clone, Copy)]
pub struct RequestSeen<'a> {
    /// From its first byte to the answer's last.
    pub latency: Duration,
    /// Whether it counts for the error rate: answered with a 5xx, or not at all.
    pub failed: bool,
    /// Who asked, if known. Only a keyed hash of it is kept, for a window.
    pub user: Option<&'a str>,
}

/// The window's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activity {
    /// Finished requests each second.
    pub requests_per_second: f64,
    /// Their mean, in milliseconds; 0 without requests.
    pub average_latency_ms: f64,
    /// Failed ones of all, from 0 to 1; 0 without requests.
    pub error_rate: f64,
    /// Open now.
    pub active_connections: u64,
    /// Different users in the window.
    pub active_users: u64,
}

/// Counters over a window that moves by the second.
#[derive(Debug)]
pub struct Rolling {
    origin: Instant,
    hasher: RandomState,
    connections: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    slots: [Slot; SLOTS],
    /// Hash → the second of the last request.
    users: HashMap<u64, u64>,
    /// The second when `users` was last tidied.
    tidied: u64,
}

/// One second; `second` tells which, as slots are used in turn.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    second: u64,
    requests: u64,
    failed: u64,
    latency_micros: u64,
}

/// A connection that counts as open until this is dropped.
#[derive(Debug)]
pub struct OpenConnection(Arc<Rolling>);

impl Rolling {
    /// Nothing seen yet; `now` is when counting begins.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            origin: now,
            hasher: RandomState::new(),
            connections: AtomicU64::new(0),
            seen: Mutex::new(Seen {
                slots: [Slot::default(); SLOTS],
                users: HashMap::new(),
                tidied: 0,
            }),
        }
    }

    /// Counts a request that ended at `now`.
    pub fn record(&self, now: Instant, request: RequestSeen<'_>) {
        let second = self.elapsed(now).as_secs();
        let user = request.user.map(|user| self.hasher.hash_one(user));
        let mut seen = self.seen();
        seen.count(second, request.latency, request.failed);
        if let Some(user) = user {
            seen.note_user(second, user);
        }
    }

    /// Counts a connection as open for as long as the guard lives.
    #[must_use = "dropping it says that the connection was closed"]
    pub fn open_connection(self: &Arc<Self>) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(self))
    }

    /// The window that ends at `now`.
    #[must_use]
    pub fn activity(&self, now: Instant) -> Activity {
        let elapsed = self.elapsed(now);
        let second = elapsed.as_secs();
        let (mut requests, mut failed, mut micros) = (0u64, 0u64, 0u64);
        let seen = self.seen();
        for slot in seen.slots.iter().filter(|slot| in_window(slot.second, second)) {
            requests = requests.saturating_add(slot.requests);
            failed = failed.saturating_add(slot.failed);
            micros = micros.saturating_add(slot.latency_micros);
        }
        let users = seen.users.values().filter(|last| in_window(**last, second)).count();
        drop(seen);
        let share = |part: u64| if requests == 0 { 0.0 } else { part as f64 / requests as f64 };
        Activity {
            requests_per_second: requests as f64 / covered(elapsed).as_secs_f64(),
            average_latency_ms: share(micros) / 1000.0,
            error_rate: share(failed),
            active_connections: self.connections.load(Ordering::Relaxed),
            active_users: u64::try_from(users).unwrap_or(u64::MAX),
        }
    }

    fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }

    /// Counters stay usable when a thread died over them.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn count(&mut self, second: u64, latency: Duration, failed: bool) {
        let at = usize::try_from(second % WINDOW_SECS).unwrap_or(0);
        let Some(slot) = self.slots.get_mut(at) else { return };
        if slot.second < second {
            *slot = Slot { second, ..Slot::default() };
        }
        // A thread that was held up for a minute between clock and lock is left out.
        if slot.second == second {
            let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            slot.requests = slot.requests.saturating_add(1);
            slot.failed = slot.failed.saturating_add(u64::from(failed));
            slot.latency_micros = slot.latency_micros.saturating_add(micros);
        }
    }

    fn note_user(&mut self, second: u64, user: u64) {
        if self.users.len() >= MAX_USERS && !self.users.contains_key(&user) {
            // Tidying walks the whole map, so at most once a second.
            if self.tidied == second {
                return;
            }
            self.tidied = second;
            self.users.retain(|_, last| in_window(*last, second));
            if self.users.len() >= MAX_USERS {
                return;
            }
        }
        self.users.insert(user, second);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether something of the second `then` still counts in the second `now`.
const fn in_window(then: u64, now: u64) -> bool {
    now.saturating_sub(then) < WINDOW_SECS
}

/// How much time the slots stand for: 59 whole seconds and what has passed of this one, less
/// shortly after the start; at least a second, so that one request is not a thousand a second.
fn covered(elapsed: Duration) -> Duration {
    let full = Duration::from_secs(WINDOW_SECS - 1)
        .saturating_add(Duration::from_nanos(u64::from(elapsed.subsec_nanos())));
    elapsed.min(full).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(millis: u64, failed: bool, user: Option<&str>) -> RequestSeen<'_> {
        RequestSeen { latency: Duration::from_millis(millis), failed, user }
    }

    #[test]
    fn an_idle_window_is_all_zero() {
        let start = Instant::now();
        let activity = Rolling::new(start).activity(start);
        assert_eq!(activity.requests_per_second, 0.0);
        assert_eq!(activity.average_latency_ms, 0.0);
        assert_eq!(activity.error_rate, 0.0);
        assert_eq!(activity.active_users, 0);
    }

    #[test]
    fn only_the_last_sixty_seconds_count() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let rolling = Rolling::new(start);
        rolling.record(at(0), request(10, true, Some("alice")));
        for _ in 0..118 {
            rolling.record(at(30_000), request(20, false, Some("bob")));
        }
        rolling.record(at(30_500), request(140, true, None));

        let early = rolling.activity(at(40_000));
        assert_eq!(early.requests_per_second, 3.0);
        assert_eq!(early.active_users, 2);

        let later = rolling.activity(at(60_000));
        assert!((later.requests_per_second - 119.0 / 59.0).abs() < 1e-9, "{later:?}");
        assert!((later.average_latency_ms - 2500.0 / 119.0).abs() < 1e-9, "{later:?}");
        assert!((later.error_rate - 1.0 / 119.0).abs() < 1e-9, "{later:?}");
        assert_eq!(later.active_users, 1);

        assert_eq!(rolling.activity(at(90_000)).requests_per_second, 0.0);
    }

    #[test]
    fn a_slot_begins_anew_a_window_later() {
        let start = Instant::now();
        let rolling = Rolling::new(start);
        rolling.record(start + Duration::from_secs(5), request(1, true, None));
        rolling.record(start + Duration::from_secs(65), request(3, false, None));
        rolling.record(start + Duration::from_secs(5), request(9, true, None));
        let activity = rolling.activity(start + Duration::from_secs(65));
        assert_eq!(activity.error_rate, 0.0);
        assert_eq!(activity.average_latency_ms, 3.0);
    }

    #[test]
    fn users_are_bounded_and_make_room() {
        let mut seen = Rolling::new(Instant::now()).seen.into_inner().unwrap();
        for user in 0..MAX_USERS as u64 + 10 {
            seen.note_user(1, user);
        }
        assert_eq!(seen.users.len(), MAX_USERS);
        seen.note_user(100, u64::MAX);
        assert_eq!(seen.users.len(), 1);
    }

    #[test]
    fn a_connection_counts_until_it_is_dropped() {
        let start = Instant::now();
        let rolling = Arc::new(Rolling::new(start));
        let connection = rolling.open_connection();
        assert_eq!(rolling.activity(start).active_connections, 1);
        drop(connection);
        assert_eq!(rolling.activity(start).active_connections, 0);
    }
}
