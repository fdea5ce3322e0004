//! How often log-in may be tried: for one e-mail from one address, for one e-mail, and from one
//! address. Whoever succeeds has not tried.

use std::net::IpAddr;

use postern_document::LoginLimits;
use postern_limits::key::KeyBuilder;
use postern_limits::{Algorithm, Anchor, Rate, Spec};
use postern_request::{RateLimitStatus, UnixMillis, address};
use postern_store::{Asked, GiveBack, LimitAsk, LimitKey, Limiter, Take, WhenStoreFails};

use super::LoginError;

/// Names of the limits, under which operators find them.
pub const PAIR: &str = "auth:pair";
/// For one e-mail.
pub const EMAIL: &str = "auth:email";
/// From one address.
pub const IP: &str = "auth:ip";
/// For the codes of one user.
pub const MFA: &str = "auth:mfa";
/// For the tickets of one user.
pub const TICKET: &str = "auth:ticket";
/// For what one user sets up.
pub const ENROL: &str = "auth:enrol";

/// For the codes of devices, from one address.
pub const DEVICE_IP: &str = "device:ip";
/// For the codes of devices, in one session.
pub const DEVICE_SESSION: &str = "device:session";

/// Bits of an IPv6 address that count: a household has a /64.
pub const IPV6_PREFIX: u8 = 64;
/// Tries of second factors.
const MFA_TRIES: u64 = 5;
const MFA_PERIOD_MS: u64 = 15 * 60 * 1000;
/// Factors that somebody begins to set up: far more than anybody needs, far less than could fill a
/// store.
const ENROLMENTS: u64 = 30;

/// Counts tries.
#[derive(Clone)]
pub struct LoginLimiter {
    limiter: Limiter,
}

/// What was taken, to be given back when it was no try after all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken(Vec<Part>);

impl Taken {
    /// Both together.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }
}

/// What one call has taken: keys of one owner, which stand in one place of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    taken: Vec<GiveBack>,
    without_store: bool,
    replicas: u64,
}

/// A limit, and what it counts by.
struct Counted<'a> {
    limit: &'static str,
    rate: Rate,
    by: &'a [Option<&'a str>],
}

impl LoginLimiter {
    /// Counts where the limiter does. While its store is away, each replica counts its share.
    #[must_use]
    pub const fn new(limiter: Limiter) -> Self {
        Self { limiter }
    }

    /// Takes one try of a log-in, from all limits or from none.
    ///
    /// # Errors
    /// [`LoginError::Limited`].
    pub async fn take(
        &self,
        limits: &LoginLimits,
        replicas: u64,
        email: &str,
        ip: Option<IpAddr>,
        now: UnixMillis,
    ) -> Result<Taken, LoginError> {
        let email = email.to_lowercase();
        let ip = ip.map(|ip| address::limit_key(ip, IPV6_PREFIX).to_string());
        let mut taken = Taken::default();
        // The address first: who has tried too many of others' is stopped before they are counted.
        if let Some(ip) = &ip {
            let by = [Some(ip.as_str())];
            let counted = [Counted { limit: IP, rate: limits.ip, by: &by }];
            taken.0.push(self.ask(ip, &counted, replicas, now).await?);
        }
        let pair = [Some(email.as_str()), ip.as_deref()];
        let counted = [
            Counted { limit: PAIR, rate: limits.pair, by: &pair },
            Counted { limit: EMAIL, rate: limits.email, by: &[Some(email.as_str())] },
        ];
        match self.ask(&email, &counted, replicas, now).await {
            Ok(part) => taken.0.push(part),
            Err(error) => {
                self.give_back(taken, now).await;
                return Err(error);
            }
        }
        Ok(taken)
    }

    /// Takes one try of somebody who shows no e-mail: from one address alone.
    ///
    /// # Errors
    /// [`LoginError::Limited`].
    pub async fn take_address(
        &self,
        limits: &LoginLimits,
        replicas: u64,
        ip: Option<IpAddr>,
        now: UnixMillis,
    ) -> Result<Taken, LoginError> {
        let Some(ip) = ip else { return Ok(Taken::default()) };
        let ip = address::limit_key(ip, IPV6_PREFIX).to_string();
        let by = [Some(ip.as_str())];
        let counted = [Counted { limit: IP, rate: limits.ip, by: &by }];
        Ok(Taken(vec![self.ask(&ip, &counted, replicas, now).await?]))
    }

    /// Takes one of what a user may begin to set up.
    ///
    /// # Errors
    /// [`LoginError::Limited`].
    pub async fn take_enrolment(
        &self,
        replicas: u64,
        user_id: &str,
        now: UnixMillis,
    ) -> Result<(), LoginError> {
        let rate = Rate::new(ENROLMENTS, MFA_PERIOD_MS).map_err(|_| LoginError::Internal)?;
        let by = [Some(user_id)];
        let counted = [Counted { limit: ENROL, rate, by: &by }];
        self.ask(user_id, &counted, replicas, now).await.map(drop)
    }

    /// Takes one try of a second factor.
    ///
    /// # Errors
    /// [`LoginError::Limited`].
    pub async fn take_code(
        &self,
        replicas: u64,
        user_id: &str,
        now: UnixMillis,
    ) -> Result<Taken, LoginError> {
        let rate = Rate::new(MFA_TRIES, MFA_PERIOD_MS).map_err(|_| LoginError::Internal)?;
        let by = [Some(user_id)];
        let counted = [Counted { limit: MFA, rate, by: &by }];
        Ok(Taken(vec![self.ask(user_id, &counted, replicas, now).await?]))
    }

    /// Takes one of `rate` from a limit by user.
    ///
    /// # Errors
    /// [`LoginError::Limited`].
    pub async fn take_ticket(
        &self,
        rate: Rate,
        replicas: u64,
        user_id: &str,
        now: UnixMillis,
    ) -> Result<(), LoginError> {
        let by = [Some(user_id)];
        let counted = [Counted { limit: TICKET, rate, by: &by }];
        self.ask(user_id, &counted, replicas, now).await.map(drop)
    }

    /// Takes one of `rate` from a limit of which everybody has a part of their own.
    ///
    /// # Errors
    /// [`LoginError::Limited`].
    pub async fn take_one(
        &self,
        limit: &'static str,
        rate: Rate,
        replicas: u64,
        by: &str,
        now: UnixMillis,
    ) -> Result<Taken, LoginError> {
        let counted = [Counted { limit, rate, by: &[Some(by)] }];
        Ok(Taken(vec![self.ask(by, &counted, replicas, now).await?]))
    }

    /// Gives back what was taken. Where the store does not answer, it stays taken until its time
    /// is over.
    pub async fn give_back(&self, taken: Taken, now: UnixMillis) {
        for part in taken.0 {
            let Part { taken, without_store, replicas } = part;
            let given = self.limiter.give_back(&taken, without_store, replicas, now).await;
            if let Err(error) = given {
                tracing::warn!(%error, "a log-in that succeeded counts as one that failed");
            }
        }
    }

    /// One call: all limits have the same owner, by whom stores in several parts keep keys
    /// together.
    async fn ask(
        &self,
        owner: &str,
        counted: &[Counted<'_>],
        replicas: u64,
        now: UnixMillis,
    ) -> Result<Part, LoginError> {
        let mut asked = Vec::with_capacity(counted.len());
        for Counted { limit, rate, by } in counted {
            let spec = Spec::new(Algorithm::SlidingWindow, *rate, None, Anchor::Clock)
                .map_err(|_| LoginError::Internal)?;
            let mut key = KeyBuilder::new(limit);
            by.iter().for_each(|part| key.push(*part));
            let ask = LimitAsk {
                key: LimitKey::of(owner, &key.finish()),
                take: Take::Rate { spec, cost: 1 },
                shadow: false,
            };
            asked.push(Asked { ask, when_store_fails: WhenStoreFails::LocalShare });
        }
        let decided = self.limiter.decide(&asked, None, replicas, now).await;
        if let Some(error) = &decided.error {
            tracing::warn!(%error, "log-ins are counted without the store");
        }
        if !decided.decision.allowed {
            let refused = decided.decision.limits.iter().filter(|outcome| !outcome.allowed);
            let status = refused.map(|outcome| outcome.status).reduce(RateLimitStatus::tighter);
            let retry_after_secs = status.map_or(1, |status| status.reset_secs.max(1));
            return Err(LoginError::Limited { retry_after_secs, status });
        }
        let taken = asked.iter().map(|asked| GiveBack { key: asked.ask.key, take: asked.ask.take });
        let without_store = decided.without_store;
        Ok(Part { taken: taken.collect(), without_store, replicas })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use postern_store::MemoryStore;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn limiter() -> LoginLimiter {
        let store = Arc::new(MemoryStore::default());
        LoginLimiter::new(Limiter::new(Arc::<MemoryStore>::clone(&store), store))
    }

    fn limits() -> LoginLimits {
        let rate = |requests| Rate::new(requests, MFA_PERIOD_MS).unwrap();
        LoginLimits { pair: rate(2), email: rate(3), ip: rate(4) }
    }

    fn ip(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    async fn tries(limiter: &LoginLimiter, email: &str, from: Option<IpAddr>) -> bool {
        match limiter.take(&limits(), 1, email, from, NOW).await {
            Ok(_) => true,
            Err(LoginError::Limited { retry_after_secs, status }) => {
                assert!(retry_after_secs >= 1 && status.is_some());
                false
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_pair_an_email_and_an_address_are_counted_each() {
        let limiter = limiter();
        assert!(tries(&limiter, "a@x.test", ip(1)).await);
        assert!(tries(&limiter, "A@X.test", ip(1)).await, "the case of letters is no way round");
        assert!(!tries(&limiter, "a@x.test", ip(1)).await, "the pair");
        assert!(tries(&limiter, "a@x.test", ip(2)).await, "from elsewhere");
        assert!(!tries(&limiter, "a@x.test", ip(3)).await, "the e-mail");
        assert!(tries(&limiter, "b@x.test", ip(1)).await);
        assert!(tries(&limiter, "c@x.test", ip(1)).await);
        assert!(!tries(&limiter, "d@x.test", ip(1)).await, "the address");
        assert!(tries(&limiter, "d@x.test", ip(4)).await);
    }

    #[tokio::test]
    async fn who_is_refused_takes_nothing() {
        let limiter = limiter();
        for _ in 0..20 {
            tries(&limiter, "a@x.test", ip(1)).await;
        }
        assert!(tries(&limiter, "b@x.test", ip(1)).await, "two of four were taken");
    }

    #[tokio::test]
    async fn what_is_given_back_was_never_taken() {
        let limiter = limiter();
        for _ in 0..20 {
            let taken = limiter.take(&limits(), 1, "a@x.test", ip(1), NOW).await.unwrap();
            limiter.give_back(taken, NOW).await;
        }
    }

    #[tokio::test]
    async fn a_household_is_one_address() {
        let limiter = limiter();
        for last in 0..4_u16 {
            let from = IpAddr::from([0x2001, 0xdb8, 0, 0, last, 0, 0, 1]);
            assert!(tries(&limiter, &format!("{last}@x.test"), Some(from)).await);
        }
        let from = IpAddr::from([0x2001, 0xdb8, 0, 0, 9, 0, 0, 1]);
        assert!(!tries(&limiter, "9@x.test", Some(from)).await);
    }

    #[tokio::test]
    async fn an_unknown_address_is_none_that_others_share() {
        let limiter = limiter();
        for count in 0..10 {
            assert!(tries(&limiter, &format!("{count}@x.test"), None).await);
        }
        assert!(tries(&limiter, "a@x.test", None).await);
        assert!(tries(&limiter, "a@x.test", None).await);
        assert!(!tries(&limiter, "a@x.test", None).await, "the e-mail counts all the same");
    }

    #[tokio::test]
    async fn codes_of_a_user_are_few() {
        let limiter = limiter();
        for _ in 0..MFA_TRIES {
            limiter.take_code(1, "u1", NOW).await.unwrap();
        }
        let refused = limiter.take_code(1, "u1", NOW).await;
        assert!(matches!(refused, Err(LoginError::Limited { .. })), "{refused:?}");
        assert!(limiter.take_code(1, "u2", NOW).await.is_ok());
    }
}
