//! How much is asked: what others write must not decide how long a review takes.
//!
//! Work is counted as [`postern_policies::Judge::work`] does, in values that are compared, which
//! takes some hundred nanoseconds each, unoptimised. What is not asked for want of it is said.

use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::super::catalogue::Check;

/// For asking workloads of one state of a mesh what their policies are about.
const ASKING: u64 = 6_000_000;
/// For asking one state of a mesh what another one has a reason to ask.
const CROSSING: u64 = 4_000_000;
/// For asking who may come with the requests of each route.
const NAMING: u64 = 8_000_000;
/// For looking at single rules.
const CHECKS: u64 = 2_000_000;
/// For comparing rules with each other, in pairs.
const PAIRS: u64 = 300_000;
/// Whatever others take, a workload has so much of its own.
const LEAST: u64 = 5_000;
/// One workload takes at most one part in so many of what is left, while others wait.
const PARTS: u64 = 4;

/// Work that may be done.
#[derive(Debug)]
pub(in crate::review) struct Allowance {
    most: u64,
    left: Cell<u64>,
}

impl Allowance {
    pub(super) const fn new(most: u64) -> Self {
        Self { most, left: Cell::new(most) }
    }

    /// Takes some of it; false where that is not there, and nothing is left then.
    pub(in crate::review) fn spend(&self, work: u64) -> bool {
        let left = self.left.get().checked_sub(work);
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }

    /// The same of a number of things.
    pub(super) fn spend_on(&self, things: usize) -> bool {
        self.spend(u64::try_from(things).unwrap_or(u64::MAX))
    }

    pub(in crate::review) fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    /// Half of what is left, for something after which more has to be done.
    pub(super) fn half(&self) -> Self {
        Self::new(self.left.get() / 2)
    }

    /// The same for one workload of several, which has something of its own in any case.
    fn part(&self) -> Self {
        Self::new((self.left.get() / 2).max(LEAST))
    }

    /// Takes what was used of another one.
    pub(super) fn settle(&self, other: &Self) {
        self.spend(other.used());
    }

    fn used(&self) -> u64 {
        self.most - self.left.get()
    }
}

/// What one look at a mesh may take.
#[derive(Debug)]
pub(in crate::review) struct Budget {
    asking: Allowance,
    crossing: Allowance,
    naming: Allowance,
    pub(super) checks: Allowance,
    pairs: Allowance,
    /// Kinds of workloads that are still to be asked.
    waiting: Cell<u64>,
    /// By check, what was not looked at first, and how much was not.
    cut: RefCell<BTreeMap<&'static str, (String, usize)>>,
}

impl Budget {
    pub(super) fn new(waiting: usize) -> Self {
        Self {
            asking: Allowance::new(ASKING),
            crossing: Allowance::new(CROSSING),
            naming: Allowance::new(NAMING),
            checks: Allowance::new(CHECKS),
            pairs: Allowance::new(PAIRS),
            waiting: Cell::new(u64::try_from(waiting).unwrap_or(u64::MAX)),
            cut: RefCell::default(),
        }
    }

    /// What the next workload may take, for making up requests and for asking about them.
    pub(super) fn share(&self) -> [Allowance; 2] {
        let waiting = self.waiting.get();
        self.waiting.set(waiting.saturating_sub(1));
        let part = self.asking.left.get() / waiting.clamp(1, PARTS);
        [(); 2].map(|()| Allowance::new((part / 2).max(LEAST)))
    }

    /// What the next workload may take, for asking both states of a mesh.
    pub(in crate::review) fn crossing(&self) -> Allowance {
        self.crossing.part()
    }

    /// Takes back what was not needed of that.
    pub(in crate::review) fn settle_crossing(&self, share: &Allowance) {
        self.crossing.settle(share);
    }

    /// What the next workload may take, for asking who may come with the requests of its routes.
    pub(super) fn naming(&self) -> Allowance {
        self.naming.part()
    }

    /// Takes back what was not needed of that.
    pub(super) fn settle_naming(&self, share: &Allowance) {
        self.naming.settle(share);
    }

    /// Takes back what was not needed.
    pub(super) fn settle(&self, shares: &[Allowance; 2]) {
        for share in shares {
            self.asking.settle(share);
        }
    }

    /// Whether a check may look at something. What it may not, is told.
    pub(super) fn may(&self, check: &Check, what: impl FnOnce() -> String) -> bool {
        !self.checks.is_spent() || self.leave_out(check, what)
    }

    /// The same of comparing two rules that have so many values.
    pub(super) fn may_compare(
        &self,
        check: &Check,
        values: [usize; 2],
        what: impl FnOnce() -> String,
    ) -> bool {
        let [one, other] = values;
        let work = u64::try_from(1 + one.saturating_mul(other) / 8).unwrap_or(u64::MAX);
        // A pair that is too much leaves the others what there is.
        let is_there = self.pairs.left.get() >= work;
        is_there && self.pairs.spend(work) || self.leave_out(check, what)
    }

    /// Tells that something is not looked at, which it is not.
    fn leave_out(&self, check: &Check, what: impl FnOnce() -> String) -> bool {
        let mut cut = self.cut.borrow_mut();
        let (_, count) = cut.entry(check.id).or_insert_with(|| (what(), 0));
        *count += 1;
        false
    }

    /// What checks have not looked at.
    pub(super) fn unknown(&self) -> Vec<String> {
        let told = |(id, (what, count)): (&&str, &(String, usize))| match count {
            1 => format!("{id}: {what} was not looked at"),
            _ => format!("{id}: {what} and {} more were not looked at", count - 1),
        };
        self.cut.borrow().iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_gone() {
        let some = Allowance::new(10);
        assert!(some.spend(4) && !some.is_spent());
        assert!(!some.spend(7) && some.is_spent() && some.used() == 10);
    }

    #[test]
    fn one_workload_leaves_something_to_others() {
        let budget = Budget::new(10);
        for _ in 0..10 {
            let shares = budget.share();
            for share in &shares {
                assert!(share.most >= LEAST);
                share.spend(u64::MAX);
            }
            budget.settle(&shares);
        }
        // The last one may take all that there is.
        let alone = Budget::new(1).share();
        assert_eq!(alone.map(|share| share.most), [ASKING / 2; 2]);
    }

    #[test]
    fn routes_of_one_workload_leave_something_to_those_of_others() {
        let budget = Budget::new(1);
        for _ in 0..100 {
            let share = budget.naming();
            assert!(share.most >= LEAST && share.most <= NAMING / 2);
            share.spend(u64::MAX);
            budget.settle_naming(&share);
        }
        assert!(!budget.checks.is_spent() && budget.crossing().most > LEAST);
    }

    #[test]
    fn two_rules_with_too_many_values_leave_others_their_turn() {
        let (budget, check) = (Budget::new(1), &crate::review::catalogue::SHADOWED_RULE);
        let may = |values: [usize; 2]| budget.may_compare(check, values, || "a".to_owned());
        assert!(!may([10_000, 10_000]) && may([1, 1]) && may([100, 100]));
        assert_eq!(budget.unknown(), ["PR208: a was not looked at"]);
    }

    #[test]
    fn what_is_not_looked_at_is_told() {
        let (budget, check) = (Budget::new(1), &crate::review::catalogue::SHADOWED_RULE);
        assert!(budget.may(check, || "a".to_owned()) && budget.unknown().is_empty());
        budget.checks.spend(u64::MAX);
        assert!(!budget.may(check, || "b".to_owned()) && !budget.may(check, || "c".to_owned()));
        assert_eq!(budget.unknown(), ["PR208: b and 1 more were not looked at"]);
    }
}
