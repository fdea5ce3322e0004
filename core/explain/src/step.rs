//! What an explanation is made of.

use postern_request::{Denial, Principal};

use crate::rule::Rule;

/// A line in one of a document's texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The text's name.
    pub file: String,
    /// From 1.
    pub line: usize,
}

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
    /// Whether its holder shows what it is bound to.
    Possession,
    /// Whether it was revoked.
    Revocation,
    /// What the route asks of tokens.
    TokenRules,
    /// The route's `auth`.
    Auth,
    /// Limits that the server counts.
    LimitsExact,
    /// The service's circuit.
    Circuit,
    /// Limits that each Envoy counts.
    LimitsLocal,
    /// Limits of which Envoys borrow slices.
    LimitsLeased,
    /// The mesh's policies behind the bundle.
    MeshRbac,
    /// Envoy's own rate limit filter.
    RateLimitFilter,
    /// Faults that the route plants.
    Fault,
    /// Headers that only the server can compute.
    ExtProc,
    /// The service.
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
            Self::Possession => "possession",
            Self::Revocation => "revocation",
            Self::TokenRules => "token_rules",
            Self::Auth => "auth",
            Self::LimitsExact => "limits_exact",
            Self::Circuit => "circuit",
            Self::LimitsLocal => "limits_local",
            Self::LimitsLeased => "limits_leased",
            Self::MeshRbac => "mesh_rbac",
            Self::RateLimitFilter => "rate_limit_filter",
            Self::Fault => "fault",
            Self::ExtProc => "ext_proc",
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
    /// Where the first of the rules stands.
    pub place: Option<Place>,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// All that was looked at, in order.
    pub steps: Vec<Step>,
    /// What came of it.
    pub outcome: Outcome,
    /// What was assumed and not looked at, each once.
    pub uncertain: Vec<String>,
    /// What becomes of the share of requests that the route does not hold to its rules, where
    /// that is something else; always none where `enforced` was assumed.
    pub otherwise: Option<Share>,
}

/// A share of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// In percent.
    pub percent: u8,
    /// What becomes of it.
    pub explanation: Box<Explanation>,
}

impl Explanation {
    /// Every rule that decided something, each once. Of the share that is not held to the rules,
    /// too.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        let other = self.otherwise.iter().flat_map(|share| &share.explanation.steps);
        self.steps.iter().chain(other).flat_map(|step| &step.rules)
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The service gets it.
    Forwarded(Box<Forwarded>),
    /// It is answered on the way.
    Refused(Box<Refusal>),
}

/// An answer on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// By whom.
    pub by: By,
    /// The HTTP status; of Envoy's own answers it may be another than that of the code.
    pub status: u16,
    /// What the client is told. The reason is empty where Envoy answers by itself.
    pub denial: Denial,
    /// The route, where one was found.
    pub route: Option<String>,
}

/// What the service gets, and what may still come in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// The route.
    pub route: String,
    /// The service; `postern` for the suite itself.
    pub service: String,
    /// Versions of the service with their shares in percent; empty where it has none.
    pub versions: Vec<(String, u8)>,
    /// Who calls; nobody where it is none.
    pub principal: Option<Principal>,
    /// Path and query as the service sees them.
    pub target: String,
    /// Headers that are written on the way, no name twice.
    pub headers: Vec<(String, String)>,
    /// Headers of the client that get through.
    pub left: Vec<(String, Vec<u8>)>,
    /// Names of headers of the client that do not get through, each once.
    pub removed: Vec<String>,
    /// Limits that count it.
    pub limits: Vec<LimitNote>,
    /// Longest time for an answer.
    pub timeout_ms: u64,
    /// How often it is tried, the first time included.
    pub attempts: u32,
    /// What it may still be answered with, e.g. `429 per-user`.
    pub may: Vec<String>,
}

impl Forwarded {
    /// A header as the service sees it; none where it does not, or where it is there twice.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        if let Some((_, value)) = self.headers.iter().find(|(written, _)| written == name) {
            return Some(value.clone());
        }
        let mut left = self.left.iter().filter(|(sent, _)| sent == name);
        match (left.next(), left.next()) {
            (Some((_, value)), None) => Some(String::from_utf8_lossy(value).into_owned()),
            _ => None,
        }
    }
}

/// A limit that counts a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitNote {
    /// Its name.
    pub name: String,
    /// `local`, `exact` or `leased`.
    pub mode: &'static str,
    /// What it allows this caller, e.g. `2000/1m, sliding_window`; `unlimited` where it allows
    /// everything.
    pub allows: String,
    /// What it counts this request by: part of the key and value, none where the request has none.
    pub by: Vec<(String, Option<String>)>,
    /// How much this request counts.
    pub weight: u64,
    /// Whether it refuses nobody.
    pub shadow: bool,
}
