//! Which rules can match at all, by one thing that is known of a request.
//!
//! Most rules name callers, or paths, and most requests are none of theirs. Who asks about many
//! requests meets few callers and few paths, and with each the same rules stay out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::super::facts::Facts;
use crate::resources::{Attribute, Rule, Test};
use crate::verdict::RuleOf;

/// Numbers of rules, as bits.
type Bits = Rc<[u64]>;

/// Rules that are not ruled out, by what is known.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// By the caller's name; none is plain text.
    callers: RefCell<HashMap<Option<String>, Bits>>,
    /// By the path of a request.
    paths: RefCell<HashMap<String, Bits>>,
}

impl Candidates {
    /// The numbers of the rules that a request may match, in their order.
    pub(super) fn of(&self, rules: &[RuleOf<'_>], facts: &Facts<'_>) -> Vec<usize> {
        let caller = facts.principal.map(str::to_owned);
        let known = self.callers.borrow().get(&caller).cloned();
        let mut bits = known.unwrap_or_else(|| {
            let bits = not_ruled_out(rules, facts, Attribute::is_from_certificate);
            self.callers.borrow_mut().insert(caller, Rc::clone(&bits));
            bits
        });
        if let Some(http) = facts.request.http {
            let known = self.paths.borrow().get(&http.path).cloned();
            let by_path = known.unwrap_or_else(|| {
                let bits = not_ruled_out(rules, facts, |it| *it == Attribute::Path);
                self.paths.borrow_mut().insert(http.path.clone(), Rc::clone(&bits));
                bits
            });
            bits = bits.iter().zip(by_path.iter()).map(|(one, other)| one & other).collect();
        }
        facts.count(1 + bits.len() / 4);
        numbers(&bits)
    }
}

/// Rules that have nothing of some kind against a request, whatever else they ask.
fn not_ruled_out(
    rules: &[RuleOf<'_>],
    facts: &Facts<'_>,
    is_of_kind: impl Fn(&Attribute) -> bool,
) -> Bits {
    let may_match = |rule: &Rule| {
        let fails = |test: &Test| is_of_kind(&test.attribute) && facts.holds(test) == Some(false);
        let one_holds = |side: &[Vec<Test>]| {
            side.is_empty() || side.iter().any(|tests| !tests.iter().any(fails))
        };
        one_holds(&rule.from) && one_holds(&rule.to) && !rule.when.iter().any(fails)
    };
    facts.count(rules.len() / 4);
    let word = |some: &[RuleOf<'_>]| {
        some.iter().enumerate().fold(0_u64, |word, (bit, rule)| {
            let is_one = rule.policy.rules.get(rule.rule).is_some_and(may_match);
            word | (u64::from(is_one) << bit)
        })
    };
    rules.chunks(64).map(word).collect()
}

fn numbers(bits: &[u64]) -> Vec<usize> {
    let mut all = Vec::new();
    for (at, word) in bits.iter().enumerate() {
        let mut left = *word;
        while left != 0 {
            let bit = usize::try_from(left.trailing_zeros()).unwrap_or_default();
            all.push(at * 64 + bit);
            left &= left - 1;
        }
    }
    all
}
