//! A report for people.

use super::coverage::Coverage;
use super::run::{CaseReport, Report};
use crate::outcome::Explanation;
use crate::step::Verdict;
use crate::text::word;

impl Report {
    /// What failed and why, what was not covered where that is asked for, and a summary.
    #[must_use]
    pub fn to_text(&self, with_coverage: bool) -> String {
        let mut lines = Vec::new();
        for file in &self.files {
            for case in file.cases.iter().filter(|case| !case.has_passed()) {
                failed(&file.name, case, &mut lines);
            }
        }
        if with_coverage {
            uncovered(&self.coverage, &mut lines);
        }
        lines.push(self.summary());
        let mut text = lines.join("\n");
        text.push('\n');
        text
    }

    fn summary(&self) -> String {
        let (cases, failed) = (self.cases(), self.failed());
        let failures = if failed == 0 { String::new() } else { format!(", {failed} failed") };
        let Coverage { rules, routes, reached, .. } = self.coverage;
        let noun = if cases == 1 { "case" } else { "cases" };
        format!(
            "{cases} {noun}, {} passed{failures}; routes {reached} of {routes}, rules {} of \
             {rules}",
            cases - failed,
            self.coverage.covered()
        )
    }
}

fn failed(file: &str, case: &CaseReport, lines: &mut Vec<String>) {
    lines.push(format!("FAILED {file}:{}: {}", case.line, case.name));
    let request = &case.request;
    lines.push(format!("  {} {}{}", request.method, request.authority, without_query(case)));
    let width = case.mismatches.iter().map(|one| one.what.chars().count()).max().unwrap_or(0);
    for one in &case.mismatches {
        let what = &one.what;
        lines.push(format!("  {what:<width$}  expected {}, found {}", one.expected, one.found));
    }
    trace(&case.explanation, lines);
    lines.push(String::new());
}

/// A query may hold a token.
fn without_query(case: &CaseReport) -> &str {
    case.request.target.split('?').next().unwrap_or_default()
}

/// What was looked at, a line each; also where, in more than one place.
fn trace(explanation: &Explanation, lines: &mut Vec<String>) {
    let first = explanation.steps.first().map(|step| &step.at);
    let has_places = explanation.steps.iter().any(|step| Some(&step.at) != first);
    let mut told_at = None;
    for step in &explanation.steps {
        if has_places && told_at != Some(&step.at) {
            lines.push(format!("    at {}", step.at));
            told_at = Some(&step.at);
        }
        let mark = match step.verdict {
            Verdict::Refused(_) => "✗",
            Verdict::Passed => "✓",
            _ => "·",
        };
        let place = step.place.as_ref();
        let place = place.map(|place| format!("  {}:{}", place.file, place.line));
        lines.push(format!(
            "    {mark} {:<10} {:<10} {}{}",
            step.by.as_str(),
            word(step.stage),
            step.text,
            place.unwrap_or_default()
        ));
    }
    for assumed in &explanation.uncertain {
        lines.push(format!("    assumed: {assumed}"));
    }
    if let Some(share) = &explanation.otherwise {
        lines.push(format!("    of {} % of the requests:", share.percent));
        trace(&share.explanation, lines);
    }
}

fn uncovered(coverage: &Coverage, lines: &mut Vec<String>) {
    if coverage.uncovered.is_empty() {
        return;
    }
    lines.push("no case has seen:".to_owned());
    for one in &coverage.uncovered {
        let place = one.place.as_ref();
        let place = place.map(|place| format!("{}:{}: ", place.file, place.line));
        lines.push(format!("  {}{}", place.unwrap_or_default(), one.rule));
    }
    lines.push(String::new());
}
