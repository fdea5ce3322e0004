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
    Exchanges,
    Snapshots,
    Leases,
    Reports,
}

impl Counted {
    pub(crate) const ALL: [Self; 4] =
        [Self::Exchanges, Self::Snapshots, Self::Leases, Self::Reports];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Exchanges => "exchanges",
            Self::Snapshots => "snapshots",
            Self::Leases => "leases",
            Self::Reports => "reports",
        }
    }
}

/// What all peers have asked for of one kind.
pub(crate) struct Accounts {
    what: Counted,
    spec: Spec,
    max_peers: usize,
    started: Instant,
    peers: Mutex<Peers>,
}

struct Peers {
    by_identity: HashMap<PeerIdentity, State>,
    /// Of all those for whom there is no room.
    others: State,
}

impl Accounts {
    pub(crate) fn new(
        what: Counted,
        quotas: &Quotas,
        started: Instant,
    ) -> Result<Self, SettingsError> {
        let spec = quotas.spec(what)?;
        let others = spec.fresh(UnixMillis(0));
        let peers = Mutex::new(Peers { by_identity: HashMap::new(), others });
        Ok(Self { what, spec, max_peers: quotas.max_peers, started, peers })
    }

    pub(crate) const fn what(&self) -> Counted {
        self.what
    }

    /// Takes so many, or says how long to wait for them.
    pub(crate) fn take(
        &self,
        peer: &PeerIdentity,
        times: u64,
        now: Instant,
    ) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.started);
        let now = UnixMillis(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX));
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.spec.take(self.account(&mut peers, peer, now), times, now);
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
    ) -> &'p mut State {
        if !peers.by_identity.contains_key(peer) {
            if peers.by_identity.len() >= self.max_peers {
                // Whoever's bucket is full again has asked for nothing lately.
                peers.by_identity.retain(|_, bucket| self.spec.forgettable_at(bucket) > now);
            }
            if peers.by_identity.len() >= self.max_peers {
                return &mut peers.others;
            }
        }
        peers.by_identity.entry(peer.clone()).or_insert_with(|| self.spec.fresh(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Quota;

    fn accounts(what: Counted, started: Instant) -> Accounts {
        let second = Duration::from_secs(1);
        let quotas = Quotas {
            exchanges: Quota { times: 10, period: second, burst: 2 },
            snapshots: Quota { times: 1, period: second * 60, burst: 1 },
            leases: Quota { times: 10, period: second, burst: 20 },
            max_peers: 2,
            ..Quotas::default()
        };
        Accounts::new(what, &quotas, started).unwrap()
    }

    fn peer(name: &str) -> PeerIdentity {
        PeerIdentity::Credential(name.to_owned())
    }

    #[test]
    fn each_peer_has_its_own() {
        let now = Instant::now();
        let exchanges = accounts(Counted::Exchanges, now);
        let take = |name| exchanges.take(&peer(name), 1, now).is_ok();
        assert!(take("a") && take("a"));
        assert!(!take("a"));
        assert!(take("b"));
        let later = now + Duration::from_millis(100);
        assert_eq!(exchanges.take(&peer("a"), 1, later), Ok(()));
        let snapshots = accounts(Counted::Snapshots, now);
        assert_eq!(snapshots.take(&peer("a"), 1, now), Ok(()));
        let wait = snapshots.take(&peer("a"), 1, now).unwrap_err();
        assert_eq!(wait, Duration::from_secs(60));
    }

    #[test]
    fn much_at_once_is_taken_whole_or_not_at_all() {
        let now = Instant::now();
        let leases = accounts(Counted::Leases, now);
        assert_eq!(leases.take(&peer("a"), 15, now), Ok(()));
        assert_eq!(leases.take(&peer("a"), 15, now), Err(Duration::from_secs(1)));
        assert_eq!(leases.take(&peer("a"), 5, now), Ok(()), "nothing was taken");
    }

    #[test]
    fn accounts_are_bounded() {
        let now = Instant::now();
        let accounts = accounts(Counted::Exchanges, now);
        let take = |name, now| accounts.take(&peer(name), 1, now).is_ok();
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
