//! The document as it is written, before its names and numbers are checked against each other.

mod auth;
mod circuits;
mod credentials;
mod discovery;
mod limits;
mod login;
mod oauth;
mod traffic;
mod upstreams;
mod workloads;

pub use crate::decode::{
    Allowed, Amount, At, AtOnce, Duration, Elsewhere, Entries, OrOff, Percent, Positive, RateText,
    Share, Size, Text, Whole,
};
use crate::decode::{Named, choice, record};
pub use auth::{RawAuth, RawAuthRules, RawCredential, RawLoginAt, RawProof};
pub use circuits::{
    RawCircuit, RawCounts, RawFallback, RawFixedAnswer, RawGrpcStatus, RawProbes, RawSlowCalls,
    RawStale,
};
pub use credentials::{
    RawApiKey, RawApiKeys, RawBound, RawCertificateSource, RawCredentials, RawDpop, RawFetchedBy,
    RawIssuer, RawJwks, RawJwt, RawSession, RawTokenPlace,
};
pub use discovery::{RawConsul, RawDiscover, RawDiscovery, RawServiceRegistry};
pub use limits::{
    RawAlgorithm, RawLease, RawLimit, RawLimitUse, RawMode, RawSkip, RawStart, RawStoreFailure,
    RawWeighedLimit, RawWindows,
};
pub use login::{
    RawBreached, RawFingerprintPart, RawLanguage, RawLogin, RawLoginLimits, RawLoginSession,
    RawOnChange, RawOutside, RawOutsideUsers, RawPages, RawPasskeys, RawPasswords, RawRole,
    RawRoleClaim,
};
pub use oauth::{
    Grace, RawAccessToken, RawCode, RawDevice, RawKeySchedule, RawOAuth, RawOAuthGrant,
    RawRefreshToken, RawRegistration, RawRegistrationMode, RawResource, RawSigningAlgorithm,
};
pub use traffic::{
    RawCanary, RawDescriptorEntry, RawEndpoint, RawFault, RawFaultAbort, RawFaultDelay, RawHash,
    RawHashAlgorithm, RawHashCookie, RawHeaderPrefix, RawHeaderValue, RawKeepalive, RawOutliers,
    RawPool, RawRateLimitFilter, RawRetryBudget, RawVersion,
};
pub use upstreams::{RawBulkhead, RawHealth, RawPreferredZone, RawZones};
pub use workloads::{RawGuard, RawMesh, RawWorkload};

record! {
    /// The gateway document: services, who may call them, how much, and what happens when something fails.
    pub struct RawDocument {
        /// Version of the document's form: 1.
        version = "version": Whole,
        /// The issuer of the tokens that this suite makes: an https URL (http on loopback).
        issuer = "issuer": Option<Text>,
        /// How many proxies in front of Envoy are trusted to name the client's address; 0 by default.
        trusted_proxies = "trusted_proxies": Option<Whole>,
        /// Whether `;` may stand in paths; refuse by default.
        matrix_parameters = "matrix_parameters": Option<RefuseAllow>,
        /// Security headers on answers: api by default.
        security_headers = "security_headers": Option<RawSecurityHeaders>,
        /// How limit headers are written: integers by default, or structured fields.
        limit_headers = "limit_headers": Option<RawLimitHeaders>,
        /// Which identity headers upstreams get; all by default.
        identity_headers = "identity_headers": Option<Vec<RawIdentityHeader>>,
        /// Where state is kept; in memory by default.
        stores = "stores": Option<RawStores>,
        /// What happens when a part of the suite fails.
        failures = "failures": Option<RawFailures>,
        /// Revoked tokens are known to every Envoy; without this only to the server.
        revocation = "revocation": Option<RawRevocation>,
        /// How Envoys ask the server for revoked tokens and keys.
        feed = "feed": Option<RawFeed>,
        /// How callers prove who they are.
        credentials = "credentials": Option<RawCredentials>,
        /// The authorization server; nothing of it is served without this.
        oauth = "oauth": Elsewhere<RawOAuth>,
        /// How people log in; nobody can without this.
        login = "login": Elsewhere<RawLogin>,
        /// Pods and machines that run an Envoy of ours, by name.
        workloads = "workloads": Elsewhere<Named<RawWorkload>>,
        /// The mesh that they are part of.
        mesh = "mesh": Elsewhere<RawMesh>,
        /// Envoy's own rate limit filter, which asks the suite's rate limit service.
        rate_limit_filter = "rate_limit_filter": Elsewhere<RawRateLimitFilter>,
        /// Who knows where services are that `discover` finds.
        discovery = "discovery": Elsewhere<RawDiscovery>,
        /// Upstream services, by name. The name `postern` stands for the suite's own public HTTP.
        services = "services": Named<RawService>,
        /// Limits, by name; routes say which of them apply.
        limits = "limits": Named<RawLimit>,
        /// Header rules, by name; routes say which of them apply.
        transforms = "transforms": Named<RawTransform>,
        /// Owners of fragments, by name, and what each may speak for.
        owners = "owners": Named<RawOwner>,
        /// The routes. The most specific one wins, wherever it stands.
        routes = "routes": Vec<RawRoute>,
    }

    /// A part of a document, in a file of its own, that belongs to one owner.
    pub struct RawFragment {
        /// The owner; the main file says what this owner may speak for.
        owner = "owner": Text,
        /// Upstream services, by name.
        services = "services": Named<RawService>,
        /// Limits, by name.
        limits = "limits": Named<RawLimit>,
        /// Header rules, by name.
        transforms = "transforms": Named<RawTransform>,
        /// Routes within what the owner may speak for.
        routes = "routes": Vec<RawRoute>,
    }

    /// What an owner may speak for.
    pub struct RawOwner {
        /// Path prefixes that end in a slash, for example /payments/.
        paths = "paths": Vec<Text>,
        /// Hosts, exact or *.example.test.
        hosts = "hosts": Vec<Text>,
        /// Workloads that its services may name, and whose guarded services its routes may go to.
        workloads = "workloads": Vec<Text>,
    }

    /// Where state is kept.
    pub struct RawStores {
        /// memory, redis://… or env:NAME.
        volatile = "volatile": Option<Text>,
        /// sqlite:PATH, postgres://… or env:NAME.
        durable = "durable": Option<Text>,
        /// Fewest server replicas that share a limit when the store fails; 1 by default.
        replicas = "replicas": Option<Positive>,
    }

    /// What happens when a part of the suite fails; deny by default.
    pub struct RawFailures {
        /// The server's authorization does not answer.
        ext_authz = "ext_authz": Option<RawOnFailure>,
        /// The server's processing does not answer.
        ext_proc = "ext_proc": Option<RawOnFailure>,
    }

    /// How fresh an Envoy's knowledge of revoked tokens must be.
    pub struct RawRevocation {
        /// How old it may be: 2s to 1h.
        max_staleness = "max_staleness": Duration,
        /// What happens to tokens past that, and before anything is known.
        when_stale = "when_stale": RawOnFailure,
    }

    /// How Envoys ask the server for what they decide from: revoked tokens and keys.
    pub struct RawFeed {
        /// Whose word on an asking Envoy's certificate counts, where a proxy ends its TLS; nobody's by default.
        forwarded_client_cert = "forwarded_client_cert": Option<RawForwardedCert>,
        /// Ask so often, 200ms to 1m, instead of waiting for an answer.
        poll = "poll": Option<Duration>,
        /// Who may ask; as long as nobody is named, the server's own machine may.
        peers = "peers": Vec<RawFeedPeer>,
    }

    /// Envoys that may ask: by SPIFFE id, or by a credential.
    pub struct RawFeedPeer {
        /// The SPIFFE id of their certificate.
        spiffe = "spiffe": Option<Text>,
        /// A name for the credential that they show.
        name = "name": Option<Text>,
        /// SHA-256 of that credential, in hexadecimal.
        credential_sha256 = "credential_sha256": Option<Text>,
        /// The workloads that they may ask for.
        workloads = "workloads": Vec<Text>,
    }

    /// An upstream service.
    pub struct RawService {
        /// HOST:PORT; a name is resolved by DNS.
        upstream = "upstream": Option<Text>,
        /// Instead of an upstream: machines by their addresses.
        endpoints = "endpoints": Elsewhere<Vec<RawEndpoint>>,
        /// Instead of both: a registry says where it is, while Envoys run.
        discover = "discover": Elsewhere<RawDiscover>,
        /// Parts of it that routes tell apart, by name.
        versions = "versions": Elsewhere<Named<RawVersion>>,
        /// How one caller's requests are kept on one endpoint; not at all by default.
        hash = "hash": Elsewhere<RawHash>,
        /// When an endpoint is left out for a while; never by default.
        outlier_detection = "outlier_detection": Elsewhere<RawOutliers>,
        /// How endpoints are asked whether they are well; not at all by default.
        health = "health": Elsewhere<RawHealth>,
        /// Which endpoints come first, by where they are.
        zones = "zones": Elsewhere<RawZones>,
        /// Bounds on connections.
        pool = "pool": Elsewhere<RawPool>,
        /// Connections of their own for some routes, by name.
        bulkheads = "bulkheads": Elsewhere<Named<RawBulkhead>>,
        /// Which pods run it: the name of a workload.
        workload = "workload": Elsewhere<Text>,
        /// Where its routes are enforced; at the edge by default.
        guard = "guard": Elsewhere<RawGuard>,
        /// Speak TLS to it, verifying its name.
        tls = "tls": Option<bool>,
        /// Speak HTTP/2 to it.
        http2 = "http2": Option<bool>,
        /// Longest time for an answer; 30s by default.
        timeout = "timeout": Option<Duration>,
        /// Most connections to each of its hosts; 50 by default.
        max_connections = "max_connections": Option<Positive>,
        /// Most requests that wait for a connection; 100 by default.
        max_pending = "max_pending": Option<Positive>,
        /// When a failed request is tried again; 3 attempts on connect-failure and refused-stream by default.
        retries = "retries": Option<RawRetries>,
        /// When calls are cut off; never by default.
        circuit = "circuit": Option<RawCircuit>,
    }

    /// When a failed request is tried again.
    pub struct RawRetries {
        /// How often in all, the first time included; 1 means never again.
        attempts = "attempts": Positive,
        /// On what.
        on = "on": Vec<RawRetryOn>,
        /// How long one attempt may take; only the whole has a bound by default.
        per_try_timeout = "per_try_timeout": Elsewhere<Duration>,
        /// The least time between two attempts: 1ms to 10s; 25ms by default.
        backoff = "backoff": Elsewhere<Duration>,
    }

    /// Header rules.
    pub struct RawTransform {
        /// On the way to the upstream.
        request = "request": Option<RawHeaderRules>,
        /// On the way back.
        response = "response": Option<RawHeaderRules>,
    }

    /// Header rules of one direction.
    pub struct RawHeaderRules {
        /// Headers that get this value and no other.
        set = "set": Option<Entries<Text>>,
        /// Headers that are taken away.
        remove = "remove": Vec<Text>,
    }

    /// A route.
    pub struct RawRoute {
        /// Its name, for logs, metrics and other tools.
        name = "name": Text,
        /// Which requests it is for.
        matches = "match": RawMatch,
        /// The service that answers.
        service = "service": Text,
        /// Who may call it; `none` must be written out.
        auth = "auth": RawAuth,
        /// Whose connections it takes requests from: SPIFFE ids, also with * as the last segment, or names of workloads; anybody's by default.
        peers = "peers": Option<Vec<Text>>,
        /// Limits that apply, by name, or with a weight of their own here.
        limits = "limits": Vec<RawLimitUse>,
        /// Header rules that apply, by name.
        transform = "transform": Vec<Text>,
        /// Security headers on its answers; the document's by default.
        security_headers = "security_headers": Elsewhere<RawSecurityHeaders>,
        /// How much of the traffic is held to auth and limits: 100% by default, shadow for none, or a share such as 25%.
        enforce = "enforce": Option<Text>,
        /// Ask the server's authorization even where no other field needs it.
        ext_authz = "ext_authz": Option<bool>,
        /// Longest time for an answer; the service's by default.
        timeout = "timeout": Option<Duration>,
        /// When a failed request is tried again; as the service says by default.
        retries = "retries": Elsewhere<RawRetries>,
        /// Which versions of the service requests go to: percent by the version's name, 100 in all.
        split = "split": Elsewhere<Entries<Whole>>,
        /// Versions for requests with a header; tried in order, before `split`.
        canary = "canary": Elsewhere<Vec<RawCanary>>,
        /// What callers get while the service's circuit is open; 503 by default.
        fallback = "fallback": Option<RawFallback>,
        /// The bulkhead of the service whose connections its requests use; the service's own by default.
        bulkhead = "bulkhead": Elsewhere<Text>,
        /// What is made to go wrong.
        fault = "fault": Elsewhere<RawFault>,
        /// What the rate limit service is told: lists of members, each a descriptor.
        descriptors = "descriptors": Elsewhere<Vec<Vec<RawDescriptorEntry>>>,
    }

    /// Which requests a route is for.
    pub struct RawMatch {
        /// A path template: /a/{id}/b, /a/{rest=**}.
        path = "path": Text,
        /// Methods; all of them by default.
        methods = "methods": Vec<Text>,
        /// Hosts, exact or *.example.test; all of them by default.
        hosts = "hosts": Vec<Text>,
    }
}

choice! {
    /// Refuse or allow.
    pub enum RefuseAllow {
        /// Refuse.
        Refuse = "refuse",
        /// Allow.
        Allow = "allow",
    }

    /// Security headers.
    pub enum RawSecurityHeaders {
        /// For answers that no browser shows as a page.
        Api = "api",
        /// For pages: their own scripts, styles and pictures.
        Web = "web",
        /// None: the services set their own.
        None = "none",
    }

    /// How limit headers are written.
    pub enum RawLimitHeaders {
        /// ratelimit-limit, -remaining, -reset and -policy, as whole numbers.
        Integers = "integers",
        /// ratelimit and ratelimit-policy, as structured fields.
        Structured = "structured",
    }

    /// Identity headers.
    pub enum RawIdentityHeader {
        /// x-postern-subject
        Subject = "subject",
        /// x-postern-client
        Client = "client",
        /// x-postern-scopes
        Scopes = "scopes",
        /// x-postern-scope-NAME
        ScopeNames = "scope_names",
        /// x-postern-tier
        Tier = "tier",
        /// x-postern-session
        Session = "session",
        /// x-postern-device
        Device = "device",
        /// x-postern-country
        Country = "country",
    }

    /// What happens when a part of the suite fails.
    pub enum RawOnFailure {
        /// Requests that need it are turned away with 503.
        Deny = "deny",
        /// Requests go on without it.
        Allow = "allow",
    }

    /// Whose `x-forwarded-client-cert` counts.
    pub enum RawForwardedCert {
        /// That of a proxy on the server's own machine.
        LocalProxy = "local_proxy",
        /// Anybody's: only where nobody but a proxy reaches the server.
        Anyone = "anyone",
    }

    /// What a retry is for, in Envoy's words.
    pub enum RawRetryOn {
        /// No connection: nothing was sent.
        ConnectFailure = "connect-failure",
        /// The upstream refused the stream: nothing was done.
        RefusedStream = "refused-stream",
        /// The connection broke, or never answered.
        Reset = "reset",
        /// 502, 503 and 504.
        GatewayError = "gateway-error",
        /// Any 5xx.
        ServerError = "5xx",
    }
}
