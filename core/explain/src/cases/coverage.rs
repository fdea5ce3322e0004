//! Which of a document's rules the cases have seen decide.

use std::collections::BTreeSet;

use postern_document::{Document, Place};

use crate::rule::{Effect, Rule, rules_of};

/// What cases that passed have seen of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// All rules.
    pub rules: usize,
    /// All routes.
    pub routes: usize,
    /// Routes that were reached.
    pub reached: usize,
    /// Rules that no case has seen decide, in the document's order.
    pub uncovered: Vec<Uncovered>,
}

/// A rule that no case has seen decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncovered {
    /// The rule.
    pub rule: Rule,
    /// Where it stands.
    pub place: Option<Place>,
}

impl Coverage {
    pub(super) fn of(document: &Document, seen: &BTreeSet<Rule>) -> Self {
        let rules = rules_of(document);
        let all = rules.len();
        let is_route = |rule: &&Rule| rule.effect == Effect::Reached;
        let routes = rules.iter().filter(is_route).count();
        let reached = rules.iter().filter(is_route).filter(|rule| seen.contains(*rule)).count();
        let uncovered = rules.into_iter().filter(|rule| !seen.contains(rule));
        let uncovered = uncovered
            .map(|rule| Uncovered { place: document.place_of(&rule.path), rule })
            .collect();
        Self { rules: all, routes, reached, uncovered }
    }

    /// How many rules were seen to decide.
    #[must_use]
    pub fn covered(&self) -> usize {
        self.rules - self.uncovered.len()
    }

    /// The same in percent, rounded down: 100 means all of them.
    #[must_use]
    pub fn percent(&self) -> usize {
        (self.covered() * 100).checked_div(self.rules).unwrap_or(100)
    }
}
