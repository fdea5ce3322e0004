//! How often a client may fail to prove who it is, from one address (RFC 6749 §2.3.1: whoever
//! tries secrets must not go on for ever).
//!
//! Only failures are counted, so clients that can prove themselves cost the store nothing. Whoever
//! has failed too often is turned away for a while whatever they show: else the right secret would
//! still be found out. That is remembered here, and counted where all replicas do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use postern_limits::key::KeyBuilder;
use postern_limits::{Algorithm, Anchor, Rate, Spec};
use postern_oauth::OAuthError;
use postern_request::{UnixMillis, address};
use postern_store::{Asked, LimitAsk, LimitKey, Limiter, Take, WhenStoreFails};

/// Under which operators find it.
const LIMIT: &str = "oauth:client";
/// Failures of one client from one address.
const MOST: u64 = 10;
const PERIOD_MS: u64 = 60_000;
/// Bits of an IPv6 address that count: a household has a /64.
const IPV6_PREFIX: u8 = 64;
/// Most pairs that are turned away at once.
const MOST_BLOCKED: usize = 10_000;

/// Counts failures.
pub(crate) struct Attempts {
    limiter: Limiter,
    blocked: Mutex<HashMap<LimitKey, UnixMillis>>,
    /// How many there are, so that nobody waits for the lock while there are none.
    count: AtomicUsize,
}

impl Attempts {
    /// Counts where the limiter does.
    pub(crate) fn new(limiter: Limiter) -> Self {
        Self { limiter, blocked: Mutex::default(), count: AtomicUsize::new(0) }
    }

    /// Whether this client may try from there.
    ///
    /// # Errors
    /// [`OAuthError::too_many_attempts`].
    pub(crate) fn check(
        &self,
        client_id: &str,
        from: Option<IpAddr>,
        now: UnixMillis,
    ) -> Result<(), OAuthError> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let Some(key) = key(client_id, from) else { return Ok(()) };
        let blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        match blocked.get(&key) {
            Some(until) if now < *until => Err(OAuthError::too_many_attempts()),
            _ => Ok(()),
        }
    }

    /// Counts a failure. Nobody is counted whose address is not known: anybody could keep a client
    /// out by its name alone. While the store is away, each of so many replicas counts its share.
    pub(crate) async fn failed(
        &self,
        client_id: &str,
        from: Option<IpAddr>,
        replicas: u64,
        now: UnixMillis,
    ) {
        let Some(key) = key(client_id, from) else { return };
        let Ok(rate) = Rate::new(MOST, PERIOD_MS) else { return };
        let Ok(spec) = Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock) else {
            return;
        };
        let ask = LimitAsk { key, take: Take::Rate { spec, cost: 1 }, shadow: false };
        let asked = [Asked { ask, when_store_fails: WhenStoreFails::LocalShare }];
        let decided = self.limiter.decide(&asked, None, replicas, now).await;
        if let Some(error) = &decided.error {
            tracing::warn!(%error, "failures of clients are counted without the store");
        }
        if !decided.decision.allowed {
            tracing::warn!("a client has failed to authenticate too often from one address");
            self.block(key, now);
        }
    }

    fn block(&self, key: LimitKey, now: UnixMillis) {
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        blocked.retain(|_, until| now < *until);
        if blocked.len() < MOST_BLOCKED {
            blocked.insert(key, UnixMillis(now.0.saturating_add(PERIOD_MS)));
        }
        self.count.store(blocked.len(), Ordering::Relaxed);
    }
}

fn key(client_id: &str, from: Option<IpAddr>) -> Option<LimitKey> {
    let from = address::limit_key(from?, IPV6_PREFIX).to_string();
    let mut key = KeyBuilder::new(LIMIT);
    key.push(Some(client_id));
    key.push(Some(&from));
    Some(LimitKey::of(client_id, &key.finish()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use postern_store::MemoryStore;

    use super::*;
    use crate::oauth::fixture::{NOW, later};

    fn attempts() -> Attempts {
        let store = Arc::new(MemoryStore::default());
        Attempts::new(Limiter::new(Arc::<MemoryStore>::clone(&store), store))
    }

    fn from(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[tokio::test]
    async fn who_fails_too_often_is_turned_away_for_a_while_and_nobody_else() {
        let attempts = attempts();
        let here = from("192.0.2.1");
        for _ in 0..MOST {
            assert_eq!(attempts.check("web", here, NOW), Ok(()));
            attempts.failed("web", here, 1, NOW).await;
        }
        assert_eq!(attempts.check("web", here, NOW), Ok(()), "so many are no reason");
        attempts.failed("web", here, 1, NOW).await;
        let refused = Err(OAuthError::too_many_attempts());
        assert_eq!(attempts.check("web", here, NOW), refused);
        assert_eq!(attempts.check("web", here, later(PERIOD_MS - 1)), refused);
        assert_eq!(attempts.check("web", here, later(PERIOD_MS)), Ok(()));
        for (client, from) in [("web", from("192.0.2.2")), ("app", here), ("web", None)] {
            assert_eq!(attempts.check(client, from, NOW), Ok(()), "{client} {from:?}");
        }
    }

    #[tokio::test]
    async fn a_household_is_one_address_and_no_address_is_nobodys() {
        let attempts = attempts();
        for at in 0..=MOST {
            attempts.failed("web", from(&format!("2001:db8::{at:x}")), 1, NOW).await;
            attempts.failed("app", None, 1, NOW).await;
        }
        assert!(attempts.check("web", from("2001:db8::ffff"), NOW).is_err());
        assert!(attempts.check("web", from("2001:db8:0:1::1"), NOW).is_ok());
        assert!(attempts.check("app", None, NOW).is_ok());
    }

    #[test]
    fn no_more_are_turned_away_than_there_is_room_for() {
        let attempts = attempts();
        for at in 0..=MOST_BLOCKED {
            attempts.block(key(&at.to_string(), from("192.0.2.1")).unwrap(), NOW);
        }
        assert_eq!(attempts.count.load(Ordering::Relaxed), MOST_BLOCKED);
        attempts.block(key("later", from("192.0.2.1")).unwrap(), later(PERIOD_MS));
        assert_eq!(attempts.count.load(Ordering::Relaxed), 1);
    }
}
