//! The checked document: every name resolved, every number within its bounds.

mod auth;
mod feed;
mod limits;
mod tokens;

use std::sync::Arc;

use postern_circuit as circuit;
use postern_limits::key::KeyPart;
use postern_request::LimitHeaders;
use postern_request::path::PathProblem;
use postern_request::principal::{Credential, IdentityHeader, Principal};

use crate::host::HostPattern;
use crate::matcher::{Matcher, VirtualHost};
#[cfg(feature = "messages")]
use crate::raw::RawDocument;
use crate::template::PathTemplate;
use crate::value::HeaderRules;

pub use auth::{Auth, ClaimRule, Proof, TokenRules};
pub use feed::{Feed, FeedIdentity, FeedPeer, ForwardedCert};
pub(crate) use limits::ClaimSource;
pub use limits::{Allowance, AppliedLimit, Limit, LimitMode, Skip};
pub use tokens::{BoundTokens, CertificateSource, Dpop, JwksSource, JwtIssuer, KeysBy, TokenPlace};

pub use crate::raw::{
    RawOnFailure as OnFailure, RawSecurityHeaders as SecurityHeaders,
    RawStoreFailure as StoreFailure,
};

/// The name that stands for the suite's own public HTTP wherever a service is named.
pub const OWN_SERVICE: &str = "postern";

/// A document without problems.
#[derive(Debug, Clone)]
pub struct Document {
    /// SHA-256 over the canonical form, the first 16 bytes in hexadecimal.
    pub digest: String,
    /// `iss` of the tokens that the suite makes.
    pub issuer: Option<String>,
    /// Trusted proxies in front of Envoy.
    pub trusted_proxies: u8,
    /// Whether `;` may stand in paths.
    pub allow_matrix_parameters: bool,
    /// Security headers on answers.
    pub security_headers: SecurityHeaders,
    /// How limit headers are written.
    pub limit_headers: LimitHeaders,
    /// Identity headers for upstreams.
    pub identity_headers: Vec<IdentityHeader>,
    /// Where state is kept.
    pub stores: Stores,
    /// What happens when a part of the suite fails.
    pub failures: Failures,
    /// How fresh an Envoy's knowledge of revoked tokens must be; none where it needs none.
    pub revocation: Option<Revocation>,
    /// How Envoys ask the server.
    pub feed: Feed,
    /// Where tokens may stand, in order: the first place that holds one decides.
    pub token_places: Vec<TokenPlace>,
    /// Which tokens that are bound to something are taken.
    pub bound: BoundTokens,
    /// Whose tokens are accepted.
    pub issuers: Vec<JwtIssuer>,
    /// API keys that the document names.
    pub api_keys: Vec<ApiKey>,
    /// Upstream services.
    pub services: Vec<Arc<Service>>,
    /// Limits.
    pub limits: Vec<Arc<Limit>>,
    /// Routes, in the order of the document.
    pub routes: Vec<Arc<Route>>,
    pub(crate) matcher: Matcher,
    #[cfg(feature = "messages")]
    pub(crate) raw: RawDocument,
}

impl Document {
    /// The route of a request; `path` without query, checked by
    /// [`postern_request::path::check`].
    ///
    /// # Errors
    /// When the path is another spelling of a route's; see [`Matcher::find`].
    pub fn find_route(
        &self,
        authority: &str,
        method: &str,
        path: &str,
    ) -> Result<Option<&Arc<Route>>, PathProblem> {
        let found = self.matcher.find(authority, method, path)?;
        Ok(found.and_then(|index| self.routes.get(index)))
    }

    /// Hosts with their routes in the order of [`Document::find_route`].
    #[must_use]
    pub fn virtual_hosts(&self) -> Vec<VirtualHost> {
        self.matcher.virtual_hosts()
    }

    /// Whether any route needs `ext_authz`.
    #[must_use]
    pub fn needs_ext_authz(&self) -> bool {
        self.routes.iter().any(|route| route.needs_ext_authz())
    }

    /// Whether any route needs `ext_proc`.
    #[must_use]
    pub fn needs_ext_proc(&self) -> bool {
        self.routes.iter().any(|route| route.needs_ext_proc())
    }

    /// Whether Envoys have to ask the server by the feed: for revoked tokens, for keys, or for
    /// slices of limits.
    #[must_use]
    pub fn needs_feed(&self) -> bool {
        let by_feed = |issuer: &JwtIssuer| issuer.keys_by == KeysBy::Feed;
        self.revocation.is_some() || self.issuers.iter().any(by_feed) || self.needs_leases()
    }

    /// Whether a route has a limit that is leased.
    #[must_use]
    pub fn needs_leases(&self) -> bool {
        self.routes.iter().any(|route| !route.leased_limits.is_empty())
    }
}

/// Where state is kept; none means in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stores {
    /// `memory`, `redis://…` or `env:NAME`.
    pub volatile: Option<String>,
    /// `sqlite:PATH` or `env:NAME`.
    pub durable: Option<String>,
    /// Fewest replicas that share a limit when the store fails.
    pub replicas: u64,
}

/// What happens when a part of the suite fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// `ext_authz` does not answer.
    pub ext_authz: OnFailure,
    /// `ext_proc` does not answer.
    pub ext_proc: OnFailure,
}

/// How fresh the knowledge of revoked tokens must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// How old it may be, in milliseconds.
    pub max_staleness_ms: u64,
    /// What happens to tokens past that.
    pub when_stale: OnFailure,
}

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The id within the key.
    pub id: String,
    /// SHA-256 of the whole key.
    pub sha256: [u8; 32],
    /// Who it stands for.
    pub principal: Principal,
}

/// An upstream service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Speak TLS.
    pub tls: bool,
    /// Speak HTTP/2.
    pub http2: bool,
    /// Longest time for an answer, in milliseconds.
    pub timeout_ms: u64,
    /// Most connections to each host.
    pub max_connections: u32,
    /// Most waiting requests.
    pub max_pending: u32,
    /// When to try again.
    pub retries: Retries,
    /// When to cut off.
    pub circuit: Option<circuit::Settings>,
}

/// When a failed request is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// The first time included.
    pub attempts: u32,
    /// On what, in Envoy's words.
    pub on: Vec<&'static str>,
}

/// Header rules of both directions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transform {
    /// On the way to the upstream.
    pub request: HeaderRules,
    /// On the way back.
    pub response: HeaderRules,
}

/// How much of the traffic is held to auth and limits, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enforce {
    percent: u8,
}

impl Enforce {
    /// Every request.
    pub const FULL: Self = Self { percent: 100 };

    /// Reads `100%`, `25%` or `shadow`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "shadow" {
            return Some(Self { percent: 0 });
        }
        let percent: u8 = text.strip_suffix('%')?.parse().ok()?;
        (1..=100).contains(&percent).then_some(Self { percent })
    }

    /// Whether a request is held to the rules. The id decides, so that every stage and a retry
    /// come to the same answer; it must be one that the client cannot choose.
    #[must_use]
    pub fn applies(self, request_id: &[u8]) -> bool {
        if self.percent == 100 {
            return true;
        }
        // FNV-1a: spreads, and needs nothing more.
        let hash = request_id.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (hash >> 16) % 100 < u64::from(self.percent)
    }

    /// In percent; 0 is shadow.
    #[must_use]
    pub const fn percent(self) -> u8 {
        self.percent
    }
}

/// A route.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Hosts; none means all.
    pub hosts: Vec<HostPattern>,
    /// Path.
    pub path: PathTemplate,
    /// Methods; none means all.
    pub methods: Vec<String>,
    /// The service that answers; none stands for the suite itself.
    pub service: Option<Arc<Service>>,
    /// Who may call it.
    pub auth: Auth,
    /// Limits that every Envoy counts for itself.
    pub local_limits: Vec<AppliedLimit>,
    /// Limits that the server counts.
    pub exact_limits: Vec<AppliedLimit>,
    /// Limits that the server counts and every Envoy spends slices of.
    pub leased_limits: Vec<AppliedLimit>,
    /// Header rules, all that apply joined.
    pub transform: Transform,
    /// How much of the traffic is held to the rules.
    pub enforce: Enforce,
    /// Longest time for an answer, in milliseconds.
    pub timeout_ms: u64,
    pub(crate) asks_ext_authz: bool,
}

impl Route {
    /// The service's name.
    #[must_use]
    pub fn service_name(&self) -> &str {
        self.service.as_ref().map_or(OWN_SERVICE, |service| &service.name)
    }

    /// The circuit that guards its service.
    #[must_use]
    pub fn circuit(&self) -> Option<circuit::Settings> {
        self.service.as_ref().and_then(|service| service.circuit)
    }

    /// Whether a local or leased limit needs the client's address, which costs a filter a call to
    /// ask.
    #[must_use]
    pub fn counts_addresses(&self) -> bool {
        let mut counted_here = self.local_limits.iter().chain(&self.leased_limits);
        counted_here.any(|applied| applied.limit.key.contains(&KeyPart::Ip))
    }

    /// Whether the filter must see evidence of `ext_authz`: for API keys, exact limits,
    /// circuits, proofs whose replay only the server notices, or because the route says so.
    #[must_use]
    pub fn needs_ext_authz(&self) -> bool {
        self.asks_ext_authz
            || self.auth.accepts(Credential::ApiKey)
            || self.auth.token().is_some_and(|token| token.proof == Some(Proof::Dpop))
            || !self.exact_limits.is_empty()
            || self.circuit().is_some()
    }

    /// Whether `ext_proc` has something to do: values that depend on the request, or outcomes
    /// for a circuit.
    #[must_use]
    pub fn needs_ext_proc(&self) -> bool {
        self.transform.request.needs_server()
            || self.transform.response.needs_server()
            || self.circuit().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_enforced_for_about_that_share() {
        assert_eq!(Enforce::parse("100%"), Some(Enforce::FULL));
        for bad in ["0%", "101%", "50", "all", "-1%"] {
            assert_eq!(Enforce::parse(bad), None, "{bad}");
        }
        let quarter = Enforce::parse("25%").unwrap();
        let enforced =
            (0..10_000).filter(|i| quarter.applies(format!("id-{i}").as_bytes())).count();
        assert!((2300..2700).contains(&enforced), "{enforced}");
        assert!(!Enforce::parse("shadow").unwrap().applies(b"any"));
    }
}
