//! How often strangers may call what keeps something for everybody who does.

use axum::http::HeaderMap;
use postern_limits::Rate;
use postern_request::{UnixMillis, address};

use super::caller;
use crate::login::{IPV6_PREFIX, LoginLimiter};
use crate::{LoginError, OAuthRules};

/// Names of the limits, under which operators find them.
const DEVICE: &str = "oauth:device";
const REGISTER: &str = "oauth:register";
const REQUEST: &str = "oauth:request";

/// Calls from one address.
const CALLS: u64 = 10;
/// The same of requests: each person who logs in may make one, and an address may be a company's.
/// Of the longest ones, those of ten minutes are 10 MB.
const REQUESTS: u64 = 60;
const PERIOD_MS: u64 = 60_000;

/// A limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limited {
    /// Codes for devices.
    Device,
    /// Clients that register themselves.
    Register,
    /// Authorization requests that are kept for a browser, from whoever need not say who they are.
    Request,
}

impl Limited {
    /// Its name, and how many calls it takes.
    const fn parts(self) -> (&'static str, u64) {
        match self {
            Self::Device => (DEVICE, CALLS),
            Self::Register => (REGISTER, CALLS),
            Self::Request => (REQUEST, REQUESTS),
        }
    }
}

/// Counts calls by the address that they come from.
#[derive(Clone)]
pub struct RequestLimits {
    limiter: LoginLimiter,
}

impl RequestLimits {
    /// Counts where the limiter does.
    #[must_use]
    pub const fn new(limiter: LoginLimiter) -> Self {
        Self { limiter }
    }

    /// Takes one call. While the store is away, each replica of the rules counts its share.
    ///
    /// # Errors
    /// [`LoginError::Limited`].
    pub(crate) async fn take(
        &self,
        limit: Limited,
        rules: &OAuthRules,
        headers: &HeaderMap,
        now: UnixMillis,
    ) -> Result<(), LoginError> {
        let (name, calls) = limit.parts();
        let rate = Rate::new(calls, PERIOD_MS).map_err(|_| LoginError::Internal)?;
        // Whoever comes past Envoy has no address: all of them have one share.
        let ip = caller::of(headers, rules.trusted_proxies, None).ip;
        let by = ip.map_or_else(String::new, |ip| address::limit_key(ip, IPV6_PREFIX).to_string());
        self.limiter.take_one(name, rate, rules.replicas, &by, now).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_store::{Limiter, MemoryStore};
    use std::sync::Arc;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn limits() -> RequestLimits {
        let store = Arc::new(MemoryStore::default());
        let limiter = Limiter::new(Arc::<MemoryStore>::clone(&store), store);
        RequestLimits::new(LoginLimiter::new(limiter))
    }

    fn rules() -> OAuthRules {
        OAuthRules::of("https://a.test", None)
    }

    fn from(ip: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !ip.is_empty() {
            headers.insert("x-forwarded-for", ip.parse().unwrap());
        }
        headers
    }

    #[tokio::test]
    async fn each_address_has_its_own_calls_of_each_kind() {
        for ip in ["192.0.2.1", "2001:db8::1", ""] {
            let limits = limits();
            for _ in 0..CALLS {
                limits.take(Limited::Register, &rules(), &from(ip), NOW).await.unwrap();
            }
            let refused = limits.take(Limited::Register, &rules(), &from(ip), NOW).await;
            assert!(matches!(refused, Err(LoginError::Limited { .. })), "{ip}");
            limits.take(Limited::Device, &rules(), &from(ip), NOW).await.unwrap();
            limits.take(Limited::Register, &rules(), &from("192.0.2.9"), NOW).await.unwrap();
            let later = UnixMillis(NOW.0 + 2 * PERIOD_MS);
            limits.take(Limited::Register, &rules(), &from(ip), later).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_household_is_one_address_and_a_forged_one_is_none() {
        let limits = limits();
        for last in 0..CALLS {
            let ip = format!("192.0.2.{last}, 2001:db8::{last}");
            limits.take(Limited::Device, &rules(), &from(&ip), NOW).await.unwrap();
        }
        let refused =
            limits.take(Limited::Device, &rules(), &from("10.0.0.1, 2001:db8::ffff"), NOW).await;
        assert!(matches!(refused, Err(LoginError::Limited { .. })));
    }
}
