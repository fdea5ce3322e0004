//! The checked document: every name resolved, every number within its bounds.

mod auth;
#[cfg(feature = "messages")]
mod discovery;
mod enforce;
mod fallback;
mod feed;
#[cfg(feature = "messages")]
mod fingerprint;
mod limits;
#[cfg(feature = "messages")]
mod login;
mod mfa;
#[cfg(feature = "messages")]
mod oauth;
#[cfg(feature = "messages")]
mod sent;
mod service;
mod tokens;
#[cfg(feature = "messages")]
mod traffic;
#[cfg(feature = "messages")]
mod upstreams;
#[cfg(feature = "messages")]
mod workloads;

#[cfg(feature = "messages")]
use std::collections::BTreeSet;
use std::sync::Arc;

use postern_circuit as circuit;
use postern_limits::key::KeyPart;
use postern_request::path::PathProblem;
use postern_request::peers::PeerPattern;
use postern_request::principal::{Credential, IdentityHeader, Principal};
use postern_request::{Denial, ErrorCode, LimitHeaders, session_cookie};

use crate::host::HostPattern;
#[cfg(feature = "messages")]
use crate::lookup::Lookup;
use crate::matcher::{Matcher, VirtualHost};
#[cfg(feature = "messages")]
use crate::raw::{RawDocument, RawOwner};
use crate::template::PathTemplate;
use crate::value::HeaderRules;

pub use auth::{Auth, ClaimRule, Proof, TokenRules};
#[cfg(feature = "messages")]
pub use discovery::{Discover, ServiceRegistry};
pub use enforce::Enforce;
pub use fallback::{Fallback, FixedAnswer, Stale};
pub use feed::{Feed, FeedIdentity, FeedPeer, ForwardedCert};
#[cfg(feature = "messages")]
pub use fingerprint::Browser;
pub(crate) use limits::ClaimSource;
pub use limits::{Allowance, AppliedLimit, Limit, LimitMode, Skip};
#[cfg(feature = "messages")]
pub use login::{
    ADMIN_SCOPE, Breached, BreachedSource, Colours, Fingerprint, FingerprintPart, Login, LoginAt,
    LoginLimits, OnChange, OutsideProvider, OutsideUsers, Pages, PasskeyRules, PasswordRules, Role,
    RoleClaim, SessionRules,
};
pub use mfa::Mfa;
#[cfg(feature = "messages")]
pub use mfa::MfaProblem;
#[cfg(feature = "messages")]
pub use oauth::{
    DeviceRules, OAuth, OAuthGrant, ProtectedResource, RefreshRules, Registration,
    RegistrationMode, SigningAlgorithm,
};
#[cfg(feature = "messages")]
pub use sent::Visit;
pub use service::{Retries, Service};
#[cfg(feature = "messages")]
pub(crate) use tokens::is_credential_header;
pub use tokens::{
    BoundTokens, CertificateSource, Dpop, JwksSource, JwtIssuer, KeysBy, SessionCookie, TokenPlace,
};
#[cfg(feature = "messages")]
pub use traffic::{
    CanaryPick, DescriptorEntry, Endpoint, Fault, FaultAbort, FaultDelay, Hash, HashAlgorithm,
    HashBy, HeaderValue, Keepalive, Outliers, Pool, RateLimitFilter, RetryBudget, Upstream,
    Version,
};
#[cfg(feature = "messages")]
pub use upstreams::{Bulkhead, Health, HealthBy, PreferredZone};
#[cfg(feature = "messages")]
pub use workloads::{Guard, Mesh, Workload};

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
    /// The cookie of browsers' sessions; none where no route takes one.
    pub session: Option<SessionCookie>,
    /// Whether refusals name the authorization server (RFC 9728).
    pub advertise: bool,
    /// The authorization server; none where nothing of it is served.
    #[cfg(feature = "messages")]
    pub oauth: Option<OAuth>,
    /// How people log in; none where nobody can.
    #[cfg(feature = "messages")]
    pub login: Option<Login>,
    /// Who knows where services are that are found by a registry.
    #[cfg(feature = "messages")]
    pub registry: ServiceRegistry,
    /// Upstream services.
    pub services: Vec<Arc<Service>>,
    /// Limits.
    pub limits: Vec<Arc<Limit>>,
    /// Routes, in the order of the document.
    pub routes: Vec<Arc<Route>>,
    /// Pods and machines that run an Envoy of ours. At most one is the gateway.
    #[cfg(feature = "messages")]
    pub workloads: Vec<Arc<Workload>>,
    /// The mesh that they are part of.
    #[cfg(feature = "messages")]
    pub mesh: Mesh,
    /// Envoy's own rate limit filter; none where it is not in the chain.
    #[cfg(feature = "messages")]
    pub rate_limit_filter: Option<RateLimitFilter>,
    /// The names of the texts that it was read from.
    #[cfg(feature = "messages")]
    pub files: Vec<String>,
    pub(crate) matcher: Matcher,
    #[cfg(feature = "messages")]
    pub(crate) lookup: Lookup,
    #[cfg(feature = "messages")]
    pub(crate) raw: RawDocument,
    /// Owners without a fragment among the files.
    #[cfg(feature = "messages")]
    pub(crate) silent_owners: Vec<String>,
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

    /// Whether callers' credentials stand in a request header of this name.
    #[must_use]
    pub fn is_credential_header(&self, name: &str) -> bool {
        tokens::is_credential_header(name, &self.token_places)
    }

    /// The issuer that challenges name (RFC 9728 §5.1); none where they name nobody.
    #[must_use]
    pub fn advertised(&self) -> Option<&str> {
        self.issuer.as_deref().filter(|_| self.advertise)
    }

    /// The cookies that the suite itself sets: of sessions, of a log-in that is under way, of
    /// devices. They are taken out of whatever goes to another service. Where no route takes a
    /// session the pages begin some all the same, and filters are not told which of its two names
    /// the cookie has then.
    #[must_use]
    pub fn own_cookies(&self) -> Vec<String> {
        let is_https = self.issuer.as_ref().map(|issuer| issuer.starts_with("https://"));
        let of_pages = is_https.map(session_cookie::of_pages);
        let default_name = session_cookie::default_name;
        let session: Vec<&str> = match (&self.session, is_https) {
            (Some(session), _) => vec![session.name.as_str()],
            (None, Some(is_https)) => {
                [false, true].map(|is_shared| default_name(is_https, is_shared)).to_vec()
            }
            (None, None) => Vec::new(),
        };
        session.into_iter().chain(of_pages.into_iter().flatten()).map(str::to_owned).collect()
    }

    /// The headers that claims become, which the bundle alone writes, as it does the identity
    /// headers; as often as issuers name them.
    pub fn claim_headers(&self) -> impl Iterator<Item = &str> {
        let rules = self.issuers.iter().flat_map(|issuer| &issuer.issuer.rules.claim_headers);
        rules.map(|(header, _)| header.as_str())
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

    /// Whether Envoys have to ask the server by the feed: for what [`Document::relies_on_feed`]
    /// says, or for what other Envoys have seen of services with a circuit.
    #[must_use]
    pub fn needs_feed(&self) -> bool {
        self.relies_on_feed() || self.has_circuits()
    }

    /// Whether requests would be refused without the feed, or let in that should not be: it brings
    /// revoked tokens, keys, or slices of limits. Circuits go on without.
    #[must_use]
    pub fn relies_on_feed(&self) -> bool {
        let by_feed = |issuer: &JwtIssuer| issuer.keys_by == KeysBy::Feed;
        self.revocation.is_some() || self.issuers.iter().any(by_feed) || self.needs_leases()
    }

    /// Whether the service of a route has a circuit.
    #[must_use]
    pub fn has_circuits(&self) -> bool {
        self.routes.iter().any(|route| route.circuit().is_some())
    }

    /// Whether a route has a limit that is leased.
    #[must_use]
    pub fn needs_leases(&self) -> bool {
        self.routes.iter().any(|route| !route.leased_limits.is_empty())
    }
}

#[cfg(feature = "messages")]
impl Document {
    /// A workload by its name.
    #[must_use]
    pub fn workload(&self, name: &str) -> Option<&Arc<Workload>> {
        self.workloads.iter().find(|workload| workload.name == name)
    }

    /// What the registry calls the services that are found by it, each once.
    pub fn discovered(&self) -> impl Iterator<Item = &str> {
        let found = self.services.iter().filter_map(|service| service.discover.as_ref());
        let names: BTreeSet<&str> = found.map(|discover| discover.registry.as_str()).collect();
        names.into_iter()
    }

    /// Owners of fragments by name, with what each may speak for.
    pub fn owners(&self) -> impl Iterator<Item = (&str, &RawOwner)> {
        self.raw.owners.0.iter().map(|(name, _, owner)| (name.as_str(), owner))
    }

    /// Whether it speaks of a mesh: it travels as rendered resources there, with those of the
    /// platform, and nothing else may change it.
    #[must_use]
    pub fn is_of_mesh(&self) -> bool {
        self.raw.mesh.get().is_some()
    }

    /// The workload that is the gateway; none where the document does not name it.
    #[must_use]
    pub fn gateway(&self) -> Option<&Arc<Workload>> {
        self.workloads.iter().find(|workload| workload.gateway)
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

/// Header rules of both directions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transform {
    /// On the way to the upstream.
    pub request: HeaderRules,
    /// On the way back.
    pub response: HeaderRules,
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
    /// Whose connections it takes requests from, beside what `auth` asks; anybody's where it is
    /// empty.
    pub peers: Vec<PeerPattern>,
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
    /// What callers get while its service's circuit is open; 503 where it says nothing.
    pub fallback: Option<Fallback>,
    /// When a failed request is tried again: its own, else the service's.
    #[cfg(feature = "messages")]
    pub retries: Retries,
    /// Which versions of its service requests go to, in percent, 100 in all, in the order of the
    /// document; empty where the service has none.
    #[cfg(feature = "messages")]
    pub split: Vec<(Arc<Version>, u8)>,
    /// Versions for requests with a header; tried in order, before `split`.
    #[cfg(feature = "messages")]
    pub canary: Vec<CanaryPick>,
    /// Whose connections its requests use, of its service; the service's own where it is none.
    #[cfg(feature = "messages")]
    pub bulkhead: Option<Arc<Bulkhead>>,
    /// What is made to go wrong.
    #[cfg(feature = "messages")]
    pub fault: Option<Fault>,
    /// What the rate limit service is told, a list of members each; it is not asked where this is
    /// empty.
    #[cfg(feature = "messages")]
    pub descriptors: Vec<Vec<DescriptorEntry>>,
    /// Security headers on its answers; the document's where it is none.
    #[cfg(feature = "messages")]
    pub security_headers: Option<SecurityHeaders>,
    #[cfg(feature = "messages")]
    pub(crate) login: Option<LoginAt>,
    pub(crate) asks_ext_authz: bool,
}

impl Route {
    /// The service's name.
    #[must_use]
    pub fn service_name(&self) -> &str {
        self.service.as_ref().map_or(OWN_SERVICE, |service| &service.name)
    }

    /// The workload that enforces it; none where the edge does.
    #[cfg(feature = "messages")]
    #[must_use]
    pub fn guarded_by(&self) -> Option<&Arc<Workload>> {
        self.service.as_ref().and_then(|service| service.guarded_by())
    }

    /// Where browsers are sent that have no session, instead of being refused.
    #[cfg(feature = "messages")]
    #[must_use]
    pub const fn login(&self) -> Option<&LoginAt> {
        self.login.as_ref()
    }

    /// Whether it takes requests from the other end of a connection, by the first URI in the
    /// certificate that was shown there; empty where there is none.
    ///
    /// # Errors
    /// The refusal.
    pub fn check_peer(&self, id: &str) -> Result<(), Denial> {
        if self.peers.is_empty() || self.peers.iter().any(|peer| peer.matches(id)) {
            Ok(())
        } else {
            Err(Denial::new(ErrorCode::Forbidden, "peer_unknown"))
        }
    }

    /// The circuit that guards its service.
    #[must_use]
    pub fn circuit(&self) -> Option<&circuit::Settings> {
        self.service.as_ref().and_then(|service| service.circuit.as_ref())
    }

    /// Whether a local or leased limit needs the client's address, which costs a filter a call to
    /// ask.
    #[must_use]
    pub fn counts_addresses(&self) -> bool {
        let mut counted_here = self.local_limits.iter().chain(&self.leased_limits);
        counted_here.any(|applied| applied.limit.key.contains(&KeyPart::Ip))
    }

    /// Whether the filter must see evidence of `ext_authz`: for API keys, sessions, how callers
    /// have authenticated, exact limits, proofs whose replay only the server notices, or because
    /// the route says so. Circuits are the filter's own.
    #[must_use]
    pub fn needs_ext_authz(&self) -> bool {
        self.asks_ext_authz
            || self.auth.accepts(Credential::ApiKey)
            || self.auth.accepts(Credential::Session)
            || self.auth.mfa().is_some()
            || self.auth.token().is_some_and(|token| token.proof == Some(Proof::Dpop))
            || !self.exact_limits.is_empty()
    }

    /// Whether `ext_proc` has something to do: values that depend on the request.
    #[must_use]
    pub fn needs_ext_proc(&self) -> bool {
        self.transform.request.needs_server() || self.transform.response.needs_server()
    }
}
