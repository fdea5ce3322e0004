//! What becomes of a request, and why.

use core::fmt;

use crate::resources::{AuthorizationPolicy, JwtRule, PeerAuthentication};

/// What a workload's proxy makes of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict<'r> {
    /// What becomes of it.
    pub decision: Decision<'r>,
    /// Every rule of every policy that is for the workload, and what it made of the request. It
    /// goes on after the decision: Envoy itself stops there.
    pub trace: Vec<Step<'r>>,
    /// The AUDIT rules that match for certain.
    pub audit: Vec<RuleOf<'r>>,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision<'r> {
    /// It reaches the workload.
    Allowed(AllowedBy<'r>),
    /// It reaches the workload if all these say yes, who are asked first of all.
    AskProvider(Vec<Asked<'r>>),
    /// It is refused, whatever a provider says.
    Denied(DeniedBy<'r>),
    /// Rules ask for an address that the request does not have, and what becomes of it depends on
    /// whether they match. Whoever asks gives an address, of each block that they name one inside
    /// and one outside, or takes it that the worse may happen.
    Unknown(Vec<RuleOf<'r>>),
}

impl Decision<'_> {
    /// Whether it can reach the workload at all; what is not known can.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        !matches!(self, Self::Denied(_))
    }
}

/// A provider that is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked<'r> {
    /// Its name in the mesh's configuration.
    pub provider: &'r str,
    /// The CUSTOM rule that matches.
    pub by: RuleOf<'r>,
}

/// Why a request may pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AllowedBy<'r> {
    /// No ALLOW policy is for the workload, so everything may.
    NoPolicy,
    /// An ALLOW rule matches.
    Rule(RuleOf<'r>),
}

/// Why a request may not pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DeniedBy<'r> {
    /// It came in plain text, and mutual TLS is STRICT. The connection is closed.
    PlainText(Option<&'r PeerAuthentication>),
    /// It came over mutual TLS to a port for HTTP that takes none.
    TlsNotEnded(Option<&'r PeerAuthentication>),
    /// Its certificate is of a trust domain that is none of the mesh's. The handshake fails.
    TrustDomain,
    /// Its token does not hold.
    Token(BadToken<'r>),
    /// A CUSTOM rule matches whose provider cannot be asked.
    NoProvider(RuleOf<'r>, NoProvider),
    /// A DENY rule matches.
    Rule(RuleOf<'r>),
    /// There are ALLOW policies for the workload, and none of their rules matches.
    NoRule,
}

impl DeniedBy<'_> {
    /// The status that the client sees over HTTP; none where it sees a closed connection.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::PlainText(_) | Self::TlsNotEnded(_) | Self::TrustDomain => None,
            Self::Token(bad) => Some(match bad.why {
                TokenProblem::Audience => 403,
                TokenProblem::Issuer | TokenProblem::Invalid => 401,
            }),
            Self::NoProvider(..) | Self::Rule(_) | Self::NoRule => Some(403),
        }
    }
}

/// Why a CUSTOM rule's provider cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoProvider {
    /// The mesh's configuration has none of this name.
    Unknown,
    /// It has one, which istiod does not take: see [`crate::Mesh::problem_of_provider`].
    Invalid,
    /// CUSTOM policies for the workload name different ones, which Istio does not allow unless it
    /// is told to.
    Several,
}

/// A token that does not hold, and whom it was tried with last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BadToken<'r> {
    /// The issuer's rule.
    pub rule: &'r JwtRule,
    /// What is wrong.
    pub why: TokenProblem,
}

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenProblem {
    /// It stands where tokens of known issuers do, and is of none of these.
    Issuer,
    /// It is not for any of the rule's audiences. The one problem that is answered with 403.
    Audience,
    /// It is no token, too old, too new, or signed by somebody else.
    Invalid,
}

/// One rule of a policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RuleOf<'r> {
    /// The policy.
    pub policy: &'r AuthorizationPolicy,
    /// Which of its rules, from 0.
    pub rule: usize,
}

/// `namespace/name rule 0`
impl fmt::Display for RuleOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rule {}", self.policy.meta, self.rule)
    }
}

/// What one rule made of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<'r> {
    /// The policy.
    pub policy: &'r AuthorizationPolicy,
    /// Which of its rules; none where it has none.
    pub rule: Option<usize>,
    /// What came of it. Of a dry run it is only told.
    pub outcome: Outcome,
}

/// Whether a rule matches, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All that it asks for holds; nothing is what an empty rule asks for.
    Matched(Vec<Reason>),
    /// One of these would have had to hold: of each alternative what failed first.
    Missed(Vec<Reason>),
    /// These ask for an address that the request does not have. All else that the rule asks for
    /// holds.
    Unknown(Vec<Reason>),
    /// An ALLOW rule that asks for what there is in HTTP alone is left out on TCP.
    HttpOnly(Reason),
    /// The policy has no rules: nothing matches.
    NoRules,
}

impl Outcome {
    /// Whether the rule matches.
    #[must_use]
    pub const fn matched(&self) -> bool {
        matches!(self, Self::Matched(_))
    }
}

/// Where in a rule something held or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Such as `from[0].source.principals`.
    pub place: String,
    /// The value that the request matches; none where it matches none.
    pub value: Option<String>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}: `{}`", self.place, value.escape_debug()),
            None => f.write_str(&self.place),
        }
    }
}
