//! The looks that an explanation is made of.

use postern_document::Place;
use postern_request::Denial;

use crate::rule::Rule;

/// What is looked at, in the order in which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The client's address.
    Address,
    /// The path as Envoy reads it.
    Normalize,
    /// What becomes of headers before anybody decides.
    Headers,
    /// The mesh's policies that say whether `ext_authz` is asked.
    MeshCustom,
    /// Whether `ext_authz` is asked, and why.
    ExtAuthzAsked,
    /// Whether the path reads one way only.
    Path,
    /// The route.
    Route,
    /// The workload at the other end of the connection.
    Peer,
    /// What `ext_authz` has said, as the bundle finds it.
    Evidence,
    /// The token or API key.
    Credential,
    /// The cookie of a browser's session.
    Session,
    /// Whether its holder shows what it is bound to.
    Possession,
    /// Whether it was revoked.
    Revocation,
    /// What the route asks of tokens.
    TokenRules,
    /// The route's `auth`.
    Auth,
    /// How the caller has authenticated.
    StepUp,
    /// Limits that the server counts.
    LimitsExact,
    /// Limits that each Envoy counts.
    LimitsLocal,
    /// Limits of which Envoys borrow slices.
    LimitsLeased,
    /// The service's circuit.
    Circuit,
    /// The mesh's policies behind the bundle.
    MeshRbac,
    /// Envoy's own rate limit filter.
    RateLimitFilter,
    /// Faults that the route plants.
    Fault,
    /// Headers that only the server can compute.
    ExtProc,
    /// Which version of the service.
    Version,
    /// The service, or the Envoy in front of it.
    Upstream,
    /// What the client gets.
    Answer,
}

impl Stage {
    /// As it is written, also in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Normalize => "normalize",
            Self::Headers => "headers",
            Self::MeshCustom => "mesh_custom",
            Self::ExtAuthzAsked => "ext_authz_asked",
            Self::Path => "path",
            Self::Route => "route",
            Self::Peer => "peer",
            Self::Evidence => "evidence",
            Self::Credential => "credential",
            Self::Session => "session",
            Self::Possession => "possession",
            Self::Revocation => "revocation",
            Self::TokenRules => "token_rules",
            Self::Auth => "auth",
            Self::StepUp => "step_up",
            Self::LimitsExact => "limits_exact",
            Self::LimitsLocal => "limits_local",
            Self::LimitsLeased => "limits_leased",
            Self::Circuit => "circuit",
            Self::MeshRbac => "mesh_rbac",
            Self::RateLimitFilter => "rate_limit_filter",
            Self::Fault => "fault",
            Self::ExtProc => "ext_proc",
            Self::Version => "version",
            Self::Upstream => "upstream",
            Self::Answer => "answer",
        }
    }
}

/// Who looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// Envoy itself.
    Envoy,
    /// A policy of the mesh.
    Istio,
    /// The server, before the bundle.
    ExtAuthz,
    /// The module inside Envoy.
    Bundle,
    /// The rate limit service, asked by Envoy's own filter.
    RateLimit,
    /// The server, behind the bundle.
    ExtProc,
    /// Envoy, on the way to the service.
    Router,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Envoy,
        Self::Istio,
        Self::ExtAuthz,
        Self::Bundle,
        Self::RateLimit,
        Self::ExtProc,
        Self::Router,
    ];

    /// As it is written, also in JSON and in case files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Envoy => "envoy",
            Self::Istio => "istio",
            Self::ExtAuthz => "ext_authz",
            Self::Bundle => "bundle",
            Self::RateLimit => "rate_limit",
            Self::ExtProc => "ext_proc",
            Self::Router => "router",
        }
    }

    /// Reads what [`By::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == text)
    }
}

/// What came of looking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    Passed,
    /// It is turned away.
    Refused(Denial),
    /// It would be turned away, and the request is not of the share that is held to the rules.
    Shadowed(Denial),
    /// Nothing was looked at; why not.
    Skipped(&'static str),
    /// It may go on, because that is assumed; what is.
    Assumed(&'static str),
    /// A remark: nothing is decided by it.
    Noted,
}

impl Verdict {
    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused(_) => "refused",
            Self::Shadowed(_) => "shadowed",
            Self::Skipped(_) => "skipped",
            Self::Assumed(_) => "assumed",
            Self::Noted => "noted",
        }
    }
}

/// One look at the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Whose Envoy it was: the name of a workload; `edge` where the document names no gateway.
    pub at: String,
    /// What was looked at.
    pub stage: Stage,
    /// By whom.
    pub by: By,
    /// What came of it.
    pub verdict: Verdict,
    /// The document's rules that decided.
    pub rules: Vec<Rule>,
    /// For people, in a line; never holds a secret.
    pub text: String,
    /// Where the first of the rules stands in the document's texts.
    pub place: Option<Place>,
}
