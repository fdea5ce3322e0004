//! How often a peer may ask: a token bucket each, so that one that has gone wild costs the
//! others nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use postern_limits::{Spec, State};
use postern_request::UnixMillis;

use crate::peer::PeerIdentity;
use crate::settings::{Quotas, SettingsError};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Exchange,
    Snapshot,
}

impl Counted {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Exchange => "exchanges",
            Self::Snapshot => "snapshots",
        }
    }
}

/// One peer's buckets.
struct Account {
    exchanges: State,
    snapshots: State,
}

/// The accounts of all peers.
pub(crate) struct Accounts {
    exchanges: Spec,
    snapshots: Spec,
    max_peers: usize,
    started: Instant,
    peers: Mutex<Peers>,
}

struct Peers {
    by_identity: HashMap<PeerIdentity, Account>,
    /// Of all those for whom there is no room.
    others: Account,
}

impl Accounts {
    pub(crate) fn new(quotas: &Quotas, started: Instant) -> Result<Self, SettingsError> {
        let exchanges = quotas.exchanges.spec("quotas.exchanges")?;
        let snapshots = quotas.snapshots.spec("quotas.snapshots")?;
        let others = full(exchanges, snapshots, UnixMillis(0));
        let peers = Mutex::new(Peers { by_identity: HashMap::new(), others });
        Ok(Self { exchanges, snapshots, max_peers: quotas.max_peers, started, peers })
    }

    /// Takes one, or says how long to wait for it.
    pub(crate) fn take(
        &self,
        what: Counted,
        peer: &PeerIdentity,
        now: Instant,
    ) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.started);
        let now = UnixMillis(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX));
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let account = self.account(&mut peers, peer, now);
        let (spec, state) = match what {
            Counted::Exchange => (self.exchanges, &mut account.exchanges),
            Counted::Snapshot => (self.snapshots, &mut account.snapshots),
        };
        let outcome = spec.take(state, 1, now);
        if outcome.allowed {
            return Ok(());
        }
        Err(Duration::from_secs(outcome.status.reset_secs.max(1)))
    }

    fn account<'p>(
        &self,
        peers: &'p mut Peers,
        peer: &PeerIdentity,
        now: UnixMillis,
    ) -> &'p mut Account {
        if !peers.by_identity.contains_key(peer) {
            if peers.by_identity.len() >= self.max_peers {
                // Whoever's buckets are full again has asked for nothing lately.
                peers.by_identity.retain(|_, account| !self.is_full(account, now));
            }
            if peers.by_identity.len() >= self.max_peers {
                return &mut peers.others;
            }
        }
        let new = || full(self.exchanges, self.snapshots, now);
        peers.by_identity.entry(peer.clone()).or_insert_with(new)
    }

    fn is_full(&self, account: &Account, now: UnixMillis) -> bool {
        self.exchanges.forgettable_at(&account.exchanges) <= now
            && self.snapshots.forgettable_at(&account.snapshots) <= now
    }
}

fn full(exchanges: Spec, snapshots: Spec, now: UnixMillis) -> Account {
    Account { exchanges: exchanges.fresh(now), snapshots: snapshots.fresh(now) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Quota;

    fn accounts(started: Instant) -> Accounts {
        let second = Duration::from_secs(1);
        let quotas = Quotas {
            exchanges: Quota { times: 10, period: second, burst: 2 },
            snapshots: Quota { times: 1, period: second * 60, burst: 1 },
            max_peers: 2,
        };
        Accounts::new(&quotas, started).unwrap()
    }

    fn peer(name: &str) -> PeerIdentity {
        PeerIdentity::Credential(name.to_owned())
    }

    #[test]
    fn each_peer_has_its_own() {
        let now = Instant::now();
        let accounts = accounts(now);
        let take = |what, name| accounts.take(what, &peer(name), now).is_ok();
        assert!(take(Counted::Exchange, "a") && take(Counted::Exchange, "a"));
        assert!(!take(Counted::Exchange, "a"));
        assert!(take(Counted::Exchange, "b"));
        assert!(take(Counted::Snapshot, "a"));
        let wait = accounts.take(Counted::Snapshot, &peer("a"), now).unwrap_err();
        assert_eq!(wait, Duration::from_secs(60));
        let later = now + Duration::from_millis(100);
        assert_eq!(accounts.take(Counted::Exchange, &peer("a"), later), Ok(()));
    }

    #[test]
    fn accounts_are_bounded() {
        let now = Instant::now();
        let accounts = accounts(now);
        let take = |name, now| accounts.take(Counted::Exchange, &peer(name), now).is_ok();
        assert!(take("a", now) && take("b", now));
        // The account for all others has a burst of two.
        assert!(take("c", now) && take("d", now));
        assert!(!take("e", now));
        assert!(take("a", now), "who has an account keeps it");
        // After a second nobody owes anything, and there is room for others.
        let later = now + Duration::from_secs(1);
        for name in ["e", "f"] {
            assert!(take(name, later) && take(name, later), "{name}");
        }
        assert_eq!(accounts.peers.lock().unwrap().by_identity.len(), 2);
    }
}
