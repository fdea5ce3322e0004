//! A report for programs.

use postern_request::json::Value;

use super::coverage::Coverage;
use super::run::{CaseReport, Report};

/// The form's version: members are added to it, and none is taken away or changed.
const VERSION: i64 = 1;

impl Report {
    /// One JSON object, in a line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let files = self.files.iter().map(|file| {
            object([
                ("file", text(&file.name)),
                ("cases", Value::Array(file.cases.iter().map(case).collect())),
            ])
        });
        object([
            ("version", Value::Integer(VERSION)),
            ("document", text(&self.document)),
            ("cases", number(self.cases())),
            ("failed", number(self.failed())),
            ("files", Value::Array(files.collect())),
            ("coverage", coverage(&self.coverage)),
        ])
        .to_string()
    }
}

fn case(case: &CaseReport) -> Value {
    let mismatches = case.mismatches.iter().map(|one| {
        object([
            ("what", text(&one.what)),
            ("expected", text(&one.expected)),
            ("found", text(&one.found)),
        ])
    });
    let assumed = case.explanation.uncertain.iter().map(|one| text(one));
    object([
        ("name", text(&case.name)),
        ("line", number(case.line)),
        ("passed", Value::Bool(case.has_passed())),
        ("mismatches", Value::Array(mismatches.collect())),
        ("uncertain", Value::Array(assumed.collect())),
    ])
}

fn coverage(coverage: &Coverage) -> Value {
    let uncovered = coverage.uncovered.iter().map(|one| {
        let mut members = vec![("rule".to_owned(), text(&one.rule.to_string()))];
        if let Some(place) = &one.place {
            members.push(("file".to_owned(), text(&place.file)));
            members.push(("line".to_owned(), number(place.line)));
        }
        Value::Object(members)
    });
    let of = |covered, all| object([("covered", number(covered)), ("all", number(all))]);
    object([
        ("routes", of(coverage.reached, coverage.routes)),
        ("rules", of(coverage.covered(), coverage.rules)),
        ("uncovered", Value::Array(uncovered.collect())),
    ])
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn number(number: usize) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}
