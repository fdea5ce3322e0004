//! Explaining every case, and comparing.

use std::collections::BTreeSet;

use postern_document::Document;
use postern_jose::SignatureVerifier;

use super::compare::compare;
use super::coverage::Coverage;
use super::key::ApiKey;
use super::made::{self, GivenSignatures, Maker};
use super::{Case, CaseFile};
use crate::assume::Assumptions;
use crate::outcome::Explanation;
use crate::request::{Request, Shown};
use crate::walk::explain;

/// What a run needs beside document and cases.
pub struct Context<'a> {
    /// Checks signatures that do not come from a case file.
    pub verifier: &'a mut dyn SignatureVerifier,
    /// Only cases whose names hold this are run.
    pub filter: Option<&'a str>,
}

/// What came of cases.
#[derive(Debug, Clone)]
pub struct Report {
    /// The document's digest.
    pub document: String,
    /// By file.
    pub files: Vec<FileReport>,
    /// What the cases that passed have seen.
    pub coverage: Coverage,
}

/// What came of the cases of one file.
#[derive(Debug, Clone)]
pub struct FileReport {
    /// The file.
    pub name: String,
    /// Its cases, in its order.
    pub cases: Vec<CaseReport>,
}

/// What came of one case.
#[derive(Debug, Clone)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub line: usize,
    /// What is otherwise than expected; nothing where the case has passed.
    pub mismatches: Vec<Mismatch>,
    /// The request that was explained.
    pub request: Request,
    /// What was found.
    pub explanation: Explanation,
}

/// Something that is otherwise than expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl CaseReport {
    /// Whether all is as expected.
    #[must_use]
    pub const fn has_passed(&self) -> bool {
        self.mismatches.is_empty()
    }
}

impl FileReport {
    /// How many of its cases failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.cases.iter().filter(|case| !case.has_passed()).count()
    }
}

impl Report {
    /// How many cases were run.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.files.iter().map(|file| file.cases.len()).sum()
    }

    /// How many of them failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.files.iter().map(FileReport::failed).sum()
    }
}

/// Explains every case and compares.
pub fn run(document: &Document, files: &[CaseFile], context: Context<'_>) -> Report {
    let Context { verifier, filter } = context;
    let keys = made::keys(document);
    let mut verifier = GivenSignatures { others: verifier };
    let mut seen = BTreeSet::new();
    let is_wanted = |case: &&Case| filter.is_none_or(|text| case.name.contains(text));
    let mut one = |case: &Case| {
        let mut assume = assumptions(case);
        assume.keys = &keys;
        let report = judge(document, case, &assume, &mut verifier);
        if report.has_passed() {
            seen.extend(report.explanation.rules().cloned());
        }
        report
    };
    let files = files
        .iter()
        .map(|file| FileReport {
            name: file.name.clone(),
            cases: file.cases.iter().filter(is_wanted).map(&mut one).collect(),
        })
        .collect();
    let coverage = Coverage::of(document, &seen);
    Report { document: document.digest.clone(), files, coverage }
}

fn assumptions(case: &Case) -> Assumptions<'_> {
    let given = &case.given;
    Assumptions {
        workload: case.request.workload.as_deref(),
        failed: given.failed.clone(),
        open_circuits: given.open.clone(),
        used_up: given.used_up.clone(),
        revoked: given.revoked,
        enforced: given.enforced,
        faulted: given.faulted,
        ..Assumptions::at(given.now)
    }
}

fn judge(
    document: &Document,
    case: &Case,
    assume: &Assumptions<'_>,
    verifier: &mut dyn SignatureVerifier,
) -> CaseReport {
    let mut request = Maker { document, case }.request();
    match case.request.api_key.as_deref() {
        None => {}
        Some(ApiKey::Text(text)) => {
            request.headers.push(("x-api-key".to_owned(), text.clone().into_bytes()));
        }
        Some(ApiKey::OfDocument { principal, .. } | ApiKey::Stored(principal)) => {
            request.shown = Shown::Key(principal.clone());
        }
    }
    if let Some(session) = &case.request.session {
        request.shown = Shown::Session(Box::new(session.clone()));
    }
    let explanation = explain(document, &request, assume, verifier);
    let mismatches = compare(&case.expect, &explanation);
    CaseReport { name: case.name.clone(), line: case.line, mismatches, request, explanation }
}
