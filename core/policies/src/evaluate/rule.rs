//! What one rule makes of a request.

use super::facts::Facts;
use crate::pattern::Pattern;
use crate::resources::{Action, Attribute, Rule, Test};
use crate::verdict::{Outcome, Reason};

impl Facts<'_> {
    /// On TCP, what asks for HTTP is left out: of an ALLOW policy the whole rule, so that less is
    /// allowed; of the others the question alone, so that more is refused
    /// (`pilot/pkg/security/authz/model/model.go`, `checkError`).
    pub(super) fn rule(&self, action: &Action, rule: &Rule) -> Outcome {
        let leaves_out = !self.is_http() && *action == Action::Allow;
        let mut of_http = rule.tests().filter(|test| leaves_out && test.attribute.is_http());
        if let Some(test) = of_http.next() {
            return Outcome::HttpOnly(asked(test));
        }
        let mut reasons = Vec::new();
        for alternatives in [&rule.from, &rule.to] {
            match self.one_of(alternatives) {
                Ok(held) => reasons.extend(held),
                Err(missed) => return Outcome::Missed(missed),
            }
        }
        match self.all_of(&rule.when) {
            Ok(held) => reasons.extend(held),
            Err(missed) => return Outcome::Missed(vec![missed]),
        }
        Outcome::Matched(reasons)
    }

    fn one_of(&self, alternatives: &[Vec<Test>]) -> Result<Vec<Reason>, Vec<Reason>> {
        let mut missed = Vec::new();
        for tests in alternatives {
            match self.all_of(tests) {
                Ok(held) => return Ok(held),
                Err(reason) => missed.push(reason),
            }
        }
        if alternatives.is_empty() { Ok(Vec::new()) } else { Err(missed) }
    }

    /// What held of each test, or the first that did not.
    fn all_of(&self, tests: &[Test]) -> Result<Vec<Reason>, Reason> {
        let counts = |test: &&Test| self.is_http() || !test.attribute.is_http();
        tests.iter().filter(counts).map(|test| self.test(test)).collect()
    }

    fn test(&self, test: &Test) -> Result<Reason, Reason> {
        let found = |patterns: &[Pattern], attribute: &Attribute| {
            let pattern = patterns.iter().find(|pattern| self.matches(attribute, pattern));
            pattern.map(|pattern| pattern.as_str().to_owned())
        };
        if let Some(value) = found(&test.not_values, &test.attribute) {
            return Err(Reason { place: test.not_place(), value: Some(value) });
        }
        if test.values.is_empty() {
            return Ok(Reason { place: test.not_place(), value: None });
        }
        match found(&test.values, &test.attribute) {
            Some(value) => Ok(Reason { place: test.place(), value: Some(value) }),
            None => Err(Reason { place: test.place(), value: None }),
        }
    }
}

/// Where a test stands.
fn asked(test: &Test) -> Reason {
    let place = if test.values.is_empty() { test.not_place() } else { test.place() };
    Reason { place, value: None }
}
