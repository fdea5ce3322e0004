//! What one rule makes of a request.

use super::facts::Facts;
use crate::pattern::Pattern;
use crate::resources::{Action, Attribute, Rule, Test};
use crate::verdict::{Outcome, Reason};

/// What came of a part of a rule, and where in it.
enum Held {
    /// It holds.
    Yes(Vec<Reason>),
    /// It does not: the first test that failed, of each alternative.
    No(Vec<Reason>),
    /// Nothing in it failed, and this is open.
    Unknown(Vec<Reason>),
}

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
        let sides = [&rule.from, &rule.to].into_iter().map(|side| self.one_of(side));
        let when = core::iter::once_with(|| self.all_of(&rule.when));
        match together(sides.chain(when)) {
            Held::Yes(reasons) => Outcome::Matched(reasons),
            Held::No(reasons) => Outcome::Missed(reasons),
            Held::Unknown(reasons) => Outcome::Unknown(reasons),
        }
    }

    fn one_of(&self, alternatives: &[Vec<Test>]) -> Held {
        let (mut missed, mut unknown) = (Vec::new(), Vec::new());
        for tests in alternatives {
            match self.all_of(tests) {
                Held::Yes(reasons) => return Held::Yes(reasons),
                Held::No(reasons) => missed.extend(reasons),
                Held::Unknown(reasons) => unknown.extend(reasons),
            }
        }
        if alternatives.is_empty() {
            Held::Yes(Vec::new())
        } else if unknown.is_empty() {
            Held::No(missed)
        } else {
            Held::Unknown(unknown)
        }
    }

    fn all_of(&self, tests: &[Test]) -> Held {
        let counts = |test: &&Test| self.is_http() || !test.attribute.is_http();
        together(tests.iter().filter(counts).map(|test| self.test(test)))
    }

    fn test(&self, test: &Test) -> Held {
        if !self.knows(&test.attribute) {
            return Held::Unknown(vec![asked(test)]);
        }
        let found = |patterns: &[Pattern], attribute: &Attribute| {
            self.first(attribute, patterns).map(|pattern| pattern.as_str().to_owned())
        };
        if let Some(value) = found(&test.not_values, &test.attribute) {
            return Held::No(vec![Reason { place: test.not_place(), value: Some(value) }]);
        }
        if test.values.is_empty() {
            return Held::Yes(vec![Reason { place: test.not_place(), value: None }]);
        }
        let value = found(&test.values, &test.attribute);
        let (place, holds) = (test.place(), value.is_some());
        let reason = vec![Reason { place, value }];
        if holds { Held::Yes(reason) } else { Held::No(reason) }
    }

    /// Whether a rule matches; none where nobody can tell. The same as [`Self::rule`] says, without
    /// a word of why.
    pub(super) fn takes(&self, action: &Action, rule: &Rule) -> Option<bool> {
        self.count(1);
        let leaves_out = !self.is_http() && *action == Action::Allow;
        if leaves_out && rule.tests().any(|test| test.attribute.is_http()) {
            return Some(false);
        }
        let sides = [&rule.from, &rule.to].into_iter().map(|side| self.takes_one(side));
        all_hold(sides.chain(core::iter::once_with(|| self.takes_all(&rule.when))))
    }

    fn takes_one(&self, alternatives: &[Vec<Test>]) -> Option<bool> {
        let mut is_open = false;
        for tests in alternatives {
            match self.takes_all(tests) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => is_open = true,
            }
        }
        (!is_open).then_some(alternatives.is_empty())
    }

    fn takes_all(&self, tests: &[Test]) -> Option<bool> {
        let counts = |test: &&Test| self.is_http() || !test.attribute.is_http();
        all_hold(tests.iter().filter(counts).map(|test| self.holds(test)))
    }

    /// Whether a test holds; none where nobody can tell.
    pub(super) fn holds(&self, test: &Test) -> Option<bool> {
        self.knows(&test.attribute).then(|| {
            let has = |patterns: &[Pattern]| self.first(&test.attribute, patterns).is_some();
            !has(&test.not_values) && (test.values.is_empty() || has(&test.values))
        })
    }
}

/// Whether all parts hold. One that does not settles it, whatever is open.
fn all_hold(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut is_open = false;
    for part in parts {
        match part {
            Some(true) => {}
            Some(false) => return Some(false),
            None => is_open = true,
        }
    }
    (!is_open).then_some(true)
}

/// What comes of parts that must all hold. One that does not settles it, whatever is open.
fn together(parts: impl Iterator<Item = Held>) -> Held {
    let (mut held, mut unknown) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Held::Yes(reasons) => held.extend(reasons),
            Held::Unknown(reasons) => unknown.extend(reasons),
            Held::No(reasons) => return Held::No(reasons),
        }
    }
    if unknown.is_empty() { Held::Yes(held) } else { Held::Unknown(unknown) }
}

/// Where a test stands.
fn asked(test: &Test) -> Reason {
    let place = if test.values.is_empty() { test.not_place() } else { test.place() };
    Reason { place, value: None }
}
