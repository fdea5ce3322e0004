//! Filter chains, and who answers their call-outs.

use crate::database::Revoked;
use crate::documents::Guard;

/// A filter chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// No filter.
    Empty,
    /// No filter, and an upstream instead of an answer by Envoy.
    Proxy,
    /// No filter but one that answers, on routes that lead to an upstream.
    Routed,
    /// Envoy's `jwt_authn`.
    JwtAuthn {
        /// With its cache.
        cached: bool,
    },
    /// What Istio makes of a RequestAuthentication, and a policy that reads what it found.
    RequestAuthentication,
    /// Envoy's `local_ratelimit`.
    LocalRateLimit,
    /// The module without any logic.
    Trivial,
    /// Our bundle, with a document.
    Bundle(Guard),
    /// Our bundle, with a document that asks for the feed, and who is revoked.
    Fed(Guard, Revoked),
    /// Our bundle, and a server that lends it slices of a limit.
    Leased,
    /// Envoy's `ext_authz` alone, as we configure it, and who answers it.
    ExtAuthz(Answerer),
    /// Envoy's `ext_proc` alone, as we configure it, and who answers it.
    ExtProc(Answerer),
    /// Envoy's `ratelimit`, and the rate limit service that it asks. Otherwise as
    /// [`Chain::Routed`].
    RateLimit(Answerer),
}

/// Who answers a call-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answerer {
    /// A server that does nothing.
    Noop,
    /// `postern serve`, with its state in memory.
    Memory,
    /// `postern serve`, with its state in Redis.
    Redis,
}

impl Chain {
    /// The document whose routes, and perhaps filters, the entry runs.
    pub const fn guard(self) -> Guard {
        match self {
            Self::Bundle(guard) | Self::Fed(guard, _) => guard,
            Self::Leased => Guard::LeasedLimit,
            // The cluster of the server stands where the server is asked.
            Self::ExtAuthz(_) | Self::RateLimit(_) => Guard::TokenAndExactLimits,
            Self::ExtProc(_) => Guard::HeaderRules,
            // Only its routes are used, and those are the same in all of them.
            _ => Guard::Token,
        }
    }

    /// Whether our bundle runs in it.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Bundle(_) | Self::Fed(..) | Self::Leased)
    }

    /// Who is revoked, as the feed tells it; none where nobody asks the feed.
    pub const fn revoked(self) -> Option<Revoked> {
        match self {
            Self::Fed(_, revoked) => Some(revoked),
            _ => None,
        }
    }

    /// Who answers the call-out of this chain.
    pub const fn answerer(self) -> Option<Answerer> {
        match self {
            Self::ExtAuthz(answerer) | Self::ExtProc(answerer) | Self::RateLimit(answerer) => {
                Some(answerer)
            }
            Self::Leased => Some(Answerer::Redis),
            _ => None,
        }
    }

    /// The server of this program that says yes to what this chain asks.
    pub const fn noop(self) -> &'static str {
        match self {
            Self::ExtProc(_) => "noop-proc",
            Self::RateLimit(_) => "noop-rls",
            _ => "noop-authz",
        }
    }

    /// The entry whose server this chain's server is compared with.
    pub const fn server_base(self) -> Option<&'static str> {
        match self {
            Self::ExtAuthz(_) => Some("ext_authz.noop"),
            Self::ExtProc(_) => Some("ext_proc.noop"),
            _ => None,
        }
    }
}
