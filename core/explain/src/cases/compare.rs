//! What was expected, against what was found.

use std::collections::BTreeSet;

use super::Expected;
use super::run::Mismatch;
use crate::outcome::{Explanation, Forwarded, Outcome, Refusal};
use crate::step::By;

/// What an explanation says otherwise than it was expected. Where it has two sides, both must
/// say what was.
pub(super) fn compare(expect: &Expected, explanation: &Explanation) -> Vec<Mismatch> {
    let mut found = outcome(expect, &explanation.outcome);
    if let Some(share) = &explanation.otherwise {
        let others = outcome(expect, &share.explanation.outcome);
        let of_share = others.into_iter().map(|other| Mismatch {
            what: format!("{} of {} % of the requests", other.what, share.percent),
            ..other
        });
        found.extend(of_share);
    }
    found
}

fn outcome(expect: &Expected, outcome: &Outcome) -> Vec<Mismatch> {
    let mut notes = Notes(Vec::new());
    match (outcome, expect.allowed) {
        (Outcome::Forwarded(forwarded), true) => notes.forwarded(expect, forwarded),
        (Outcome::Refused(refusal), false) => notes.refused(expect, refusal),
        (Outcome::Forwarded(forwarded), false) => {
            let status = expect.status.map_or_else(|| "a refusal".to_owned(), |s| s.to_string());
            notes.note("status", &status, &format!("forwarded to {}", forwarded.service));
        }
        (Outcome::Refused(refusal), true) => {
            notes.note("allow", "forwarded", &in_words(refusal));
        }
    }
    notes.0
}

/// A refusal in a line: `401 INVALID_TOKEN (token_expired) by ext_authz`.
pub(super) fn in_words(refusal: &Refusal) -> String {
    let Refusal { by, status, denial, grpc_status, .. } = refusal;
    let reason = match denial.reason {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    let grpc = grpc_status.map(|status| format!(", as grpc-status {status}")).unwrap_or_default();
    format!("{status} {}{reason} by {}{grpc}", error_of(refusal), by.as_str())
}

/// What a refusal tells as `error`.
const fn error_of(refusal: &Refusal) -> &'static str {
    if refusal.is_plain || refusal.sent.is_some() {
        "without an error"
    } else {
        refusal.denial.code.as_str()
    }
}

struct Notes(Vec<Mismatch>);

impl Notes {
    fn note(&mut self, what: &str, expected: &str, found: &str) {
        let (what, expected, found) = (what.to_owned(), expected.to_owned(), found.to_owned());
        self.0.push(Mismatch { what, expected, found });
    }

    /// Where something else than what was expected is there.
    fn same(&mut self, what: &str, expected: Option<&str>, found: &str) {
        match expected {
            Some(expected) if expected != found => self.note(what, expected, found),
            _ => {}
        }
    }

    fn refused(&mut self, expect: &Expected, refusal: &Refusal) {
        let status = expect.status.map(|status| status.to_string());
        self.same("status", status.as_deref(), &refusal.status.to_string());
        self.same("error", expect.error.as_deref(), error_of(refusal));
        self.same("reason", expect.reason.as_deref(), or_none(refusal.denial.reason));
        self.same("by", expect.by.map(By::as_str), refusal.by.as_str());
        self.same("at", expect.at.as_deref(), &refusal.at);
        if let Some(route) = &expect.route {
            let found = refusal.route.as_deref().unwrap_or("none");
            self.same("route", Some(route.as_deref().unwrap_or("none")), found);
        }
    }

    fn forwarded(&mut self, expect: &Expected, forwarded: &Forwarded) {
        if let Some(route) = &expect.route {
            self.same("route", Some(route.as_deref().unwrap_or("none")), &forwarded.route);
        }
        self.same("at", expect.at.as_deref(), &forwarded.at);
        self.same("service", expect.service.as_deref(), &forwarded.service);
        self.same("path", expect.target.as_deref(), &forwarded.target);
        if let Some(version) = &expect.version {
            let versions: Vec<&str> =
                forwarded.versions.iter().map(|(name, _)| name.as_str()).collect();
            if !versions.contains(&version.as_str()) {
                self.note("version", version, or_none(&versions.join(", ")));
            }
        }
        for (name, expected) in &expect.headers {
            let found = forwarded.header(name);
            if found != *expected {
                let in_words = |value: Option<&String>| match value {
                    Some(value) => format!("{value:?}"),
                    None => "none".to_owned(),
                };
                let what = format!("header {name}");
                self.note(&what, &in_words(expected.as_ref()), &in_words(found.as_ref()));
            }
        }
        if let Some(limits) = &expect.limits {
            let found: BTreeSet<String> =
                forwarded.limits.iter().map(|limit| limit.name.clone()).collect();
            if found != *limits {
                self.note("limits", or_none(&list(limits)), or_none(&list(&found)));
            }
        }
    }
}

fn list(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.join(", ")
}

const fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}
