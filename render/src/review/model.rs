//! What a review says: the matrix, the mesh, and findings.

use core::fmt;

use serde_json::{Value, json};

use super::catalogue::Check;
use super::diff::Kept;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The name of the text.
    pub file: String,
    /// Line, from 1; 0 where there are no lines.
    pub line: usize,
}

/// `file:line`
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            f.write_str(&self.file)
        } else {
            write!(f, "{}:{}", self.file, self.line)
        }
    }
}

/// How grave a finding is, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Somebody gets in who must not, whatever else holds.
    Critical,
    /// A way in, or a wall that is none.
    High,
    /// Worth a decision that somebody writes down.
    Medium,
    /// Worth a look.
    Low,
    /// Good to know.
    Info,
}

impl Severity {
    /// All of them, the gravest first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    /// In lower case, as options and reports spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }
}

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it, such as `PR101`. Stable.
    pub id: &'static str,
    /// The check's name, such as `unprotected-route`.
    pub name: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// What it is about, such as `routes.payments`. Stable as long as nobody renames that.
    pub subject: String,
    /// Where that stands.
    pub place: Option<Place>,
    /// What is the matter.
    pub text: String,
    /// What shows it: a request and its answer, a line each.
    pub evidence: Vec<String>,
    /// What to do.
    pub fix: &'static str,
}

impl Finding {
    /// A finding of a check, as grave as the check usually is.
    pub(super) fn new(check: &Check, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            id: check.id,
            name: check.name,
            severity: check.severity,
            subject: subject.into(),
            place: None,
            text: text.into(),
            evidence: Vec::new(),
            fix: check.fix,
        }
    }

    pub(super) fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    pub(super) fn graded(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(super) fn shown_by(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// With something else to do than the check usually says.
    pub(super) fn advising(mut self, fix: &'static str) -> Self {
        self.fix = fix;
        self
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "severity": self.severity.as_str(),
            "subject": self.subject,
            "place": self.place.as_ref().map(|place| json!({"file": place.file, "line": place.line})),
            "text": self.text,
            "evidence": self.evidence,
            "fix": self.fix,
        })
    }
}

/// Sorts findings, the gravest first, and takes out what is there twice.
pub(super) fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| key(a).cmp(&key(b)));
    findings.dedup();
}

fn key(finding: &Finding) -> (Severity, &str, &str, &str) {
    (finding.severity, finding.id, &finding.subject, &finding.text)
}

/// One row of the matrix: who reaches what, with which guarantees. Texts are ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The route.
    pub route: String,
    /// Where it stands.
    pub place: Option<Place>,
    /// Methods; none are all.
    pub methods: Vec<String>,
    /// Hosts; none are all.
    pub hosts: Vec<String>,
    /// The path template.
    pub path: String,
    /// Where its requests go.
    pub service: String,
    /// Where its rules are held: workloads, or the edge.
    pub guarded_by: String,
    /// What a caller shows, one of these.
    pub credentials: Vec<String>,
    /// What must hold besides: scopes, issuers, audiences, claims, proofs.
    pub rules: Vec<String>,
    /// Workloads that may call it.
    pub peers: Vec<String>,
    /// Whom the mesh lets come with its requests to its service, by its policies; none where no
    /// policies were given.
    pub principals: Vec<String>,
    /// Its limits.
    pub limits: Vec<String>,
    /// When its service is cut off.
    pub circuit: Option<String>,
    /// What callers see when a part is away: the part, and the answer.
    pub failures: Vec<(String, String)>,
    /// What else a reviewer should know: enforcement, timeout, attempts, versions, faults.
    pub notes: Vec<String>,
    /// What becomes of one request of each caller.
    pub answers: Vec<Answered>,
}

/// A request that was tried, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answered {
    /// Who called, such as `nobody`.
    pub caller: String,
    /// The request, as `METHOD URL`.
    pub request: String,
    /// Whether it is forwarded.
    pub allowed: bool,
    /// What becomes of it, such as `403 scope_missing` or `forwarded to payments`.
    pub answer: String,
}

impl Answered {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "caller": self.caller,
            "request": self.request,
            "allowed": self.allowed,
            "answer": self.answer,
        })
    }
}

/// What a workload's port takes from whom, by the mesh's policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshRow {
    /// `namespace/name` of the workload.
    pub workload: String,
    /// Its port; none where none is known.
    pub port: Option<u16>,
    /// `http`, `tcp`, or `http or tcp` where Istio goes by what comes.
    pub protocol: &'static str,
    /// `STRICT`, `PERMISSIVE` or `DISABLE`, and who says so.
    pub mtls: String,
    /// Policies for it, as `ACTION namespace/name`.
    pub policies: Vec<String>,
    /// Who gets through: a caller, and what becomes of it.
    pub reach: Vec<(String, String)>,
}

/// What a change opens or closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which way.
    pub kind: ChangeKind,
    /// What it is about: `routes.NAME`, or a field.
    pub subject: String,
    /// Who calls; empty where it is about no request.
    pub caller: String,
    /// The request; empty where it is about none.
    pub request: String,
    /// Before.
    pub before: String,
    /// After.
    pub after: String,
}

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// What was refused is forwarded now, or a guarantee got weaker.
    Opened,
    /// What was forwarded is refused now, or a guarantee got stronger.
    Closed,
    /// Neither: it goes elsewhere, or is refused otherwise.
    Changed,
}

impl ChangeKind {
    /// As reports spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opens",
            Self::Closed => "closes",
            Self::Changed => "changes",
        }
    }
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Review {
    /// The document's digest.
    pub digest: String,
    /// The matrix, in the document's order.
    pub rows: Vec<Row>,
    /// The mesh, where policies were given.
    pub mesh: Vec<MeshRow>,
    /// What to look at, the gravest first.
    pub findings: Vec<Finding>,
    /// What somebody has accepted, with the reason.
    pub accepted: Vec<(Finding, String)>,
    /// What could not be told.
    pub unknown: Vec<String>,
    /// What differs from the older document, where one was given.
    pub changes: Option<Vec<Change>>,
    /// What a later review compares with.
    pub(super) kept: Kept,
}

impl Review {
    /// How many findings there are of each severity, the gravest first.
    #[must_use]
    pub fn counts(&self) -> [(Severity, usize); 5] {
        Severity::ALL.map(|severity| {
            let of_it = self.findings.iter().filter(|finding| finding.severity == severity);
            (severity, of_it.count())
        })
    }

    /// Whether anything is as grave as this, or graver.
    #[must_use]
    pub fn has_at_least(&self, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity <= severity)
    }

    /// Whether the change opens something.
    #[must_use]
    pub fn opens(&self) -> bool {
        let mut changes = self.changes.iter().flatten();
        changes.any(|change| change.kind == ChangeKind::Opened)
    }
}
