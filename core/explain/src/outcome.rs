//! What becomes of a request.

use postern_document::Document;
use postern_request::denial::name_metadata;
use postern_request::{Denial, Principal};

use crate::rule::Rule;
use crate::step::{By, Step};

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
    /// Whose Envoy answers, as steps name it.
    pub at: String,
    /// The HTTP status; of Envoy's own answers it may be another than that of the code. Callers
    /// who speak gRPC see 200 instead, and `grpc_status`.
    pub status: u16,
    /// What callers see who speak gRPC; none where this one does not.
    pub grpc_status: Option<u8>,
    /// What the client is told. The reason is empty where Envoy answers by itself.
    pub denial: Denial,
    /// Nothing of the denial is told: the gateway has no words of its own for the status, and the
    /// body is Envoy's, or that of the route's own answer.
    pub is_plain: bool,
    /// The route, where one was found.
    pub route: Option<String>,
    /// Where a browser is sent instead, and nothing of the denial is told; none where it is.
    pub sent: Option<SentToLogIn>,
}

impl Refusal {
    /// `www-authenticate`, as whoever refuses writes it; none where nothing of the denial is told.
    pub(crate) fn challenge(&self, document: &Document) -> Option<String> {
        let challenge = self.denial.challenge.as_ref()?;
        if self.is_plain || self.sent.is_some() {
            return None;
        }
        let mut challenge = challenge.to_header();
        if let Some(issuer) = document.advertised() {
            name_metadata(&mut challenge, issuer);
        }
        Some(challenge)
    }
}

/// A browser's way to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentToLogIn {
    /// `location`, as the browser gets it.
    pub location: String,
    /// The same for people, without what may be a credential in the address that it comes from.
    pub told: String,
}

/// What the service gets, and what may still come in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// Whose Envoy sends it, as steps name it.
    pub at: String,
    /// The route.
    pub route: String,
    /// The service; `postern` for the suite itself.
    pub service: String,
    /// Versions of the service that may get it, with their shares in percent; empty where it has
    /// none, and where a caller inside the mesh has chosen.
    pub versions: Vec<(String, u8)>,
    /// Who calls; nobody where it is none.
    pub principal: Option<Principal>,
    /// Path and query as the service sees them, a credential included that nobody has taken out.
    pub target: String,
    /// Headers that are written on the way, no name twice.
    pub headers: Vec<(String, String)>,
    /// Headers of the client that get through.
    pub left: Vec<(String, Vec<u8>)>,
    /// Names of headers of the client that do not get through, each once.
    pub removed: Vec<String>,
    /// Limits that count it.
    pub limits: Vec<LimitNote>,
    /// What the rate limit service is told: descriptors, each of keys and values.
    pub descriptors: Vec<Vec<(String, String)>>,
    /// How long a planted fault makes it wait first; none where none does.
    pub delay_ms: Option<u64>,
    /// Longest time for an answer.
    pub timeout_ms: u64,
    /// How often it is tried, the first time included.
    pub attempts: u32,
    /// On what it is tried again, in Envoy's words.
    pub retry_on: Vec<&'static str>,
    /// Longest time for one attempt; none where only the whole has a bound.
    pub per_try_timeout_ms: Option<u64>,
    /// Least time between two attempts; none for Envoy's own.
    pub backoff_ms: Option<u64>,
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
