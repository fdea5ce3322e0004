//! Findings of which there may be as many as there are workloads and rules: a few of a kind are told
//! one by one.

use std::collections::{BTreeMap, BTreeSet};

use super::super::model::{Finding, Severity};

/// So many findings of one check about one subject are told one by one.
const MANY: usize = 512;
/// From so many findings in all on, fewer.
const TOO_MANY: usize = 4096;
const FEW: usize = 32;

/// How often the same was told, by what it is.
pub(super) struct Few<K>(BTreeMap<K, usize>);

impl<K> Default for Few<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Few<K> {
    /// Whether to tell it once more. It is, once more than often enough: [`fold`] says then that
    /// there is more.
    pub(super) fn may_tell(&mut self, what: K) -> bool {
        let count = self.0.entry(what).or_default();
        *count += 1;
        *count <= MANY + 1
    }
}

/// Tells of more findings than a few of one check about one subject that there are more.
pub(super) fn fold(found: Vec<Finding>) -> Vec<Finding> {
    let most = if found.len() > TOO_MANY { FEW } else { MANY };
    let mut few: Few<(&'static str, String)> = Few::default();
    let mut more: BTreeMap<(&'static str, String), Severity> = BTreeMap::new();
    let mut folded = Vec::with_capacity(found.len());
    for finding in found {
        let key = (finding.id, finding.subject.clone());
        if few.0.get(&key).is_some_and(|count| *count == most) {
            // The gravest comes first.
            let severity = more.entry(key).or_insert(finding.severity);
            *severity = finding.severity.min(*severity);
            continue;
        }
        few.may_tell(key);
        folded.push(finding);
    }
    let mut told = BTreeSet::new();
    let last = |finding: &Finding| {
        let key = (finding.id, finding.subject.clone());
        let severity = *more.get(&key).filter(|_| told.insert(key))?;
        let text = format!("there are more like the {most} that are told of it");
        Some(Finding { text, severity, evidence: Vec::new(), ..finding.clone() })
    };
    let all: Vec<Finding> = folded.iter().filter_map(last).collect();
    folded.extend(all);
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::catalogue::SHADOWED_RULE;

    #[test]
    fn many_of_one_subject_are_told_by_a_few() {
        let one = |subject: &str, at: usize| {
            Finding::new(&SHADOWED_RULE, subject, format!("on workload {at}"))
        };
        let few: Vec<Finding> = (0..MANY).map(|at| one("a", at)).collect();
        assert_eq!(fold(few.clone()), few);
        let mut many = few;
        many.push(one("a", MANY).graded(Severity::Low));
        many.push(one("a", MANY + 1).graded(Severity::High));
        many.push(one("b", 0));
        let folded = fold(many);
        let of_a: Vec<&Finding> = folded.iter().filter(|one| one.subject == "a").collect();
        assert_eq!((of_a.len(), folded.len()), (MANY + 1, MANY + 2));
        assert!(of_a[MANY].text.contains("more") && of_a[MANY].severity == Severity::High);
    }

    #[test]
    fn the_more_there_are_in_all_the_fewer_are_told_of_each() {
        let of = |subject: usize| {
            (0..TOO_MANY / 8).map(move |at| {
                Finding::new(&SHADOWED_RULE, subject.to_string(), format!("on workload {at}"))
            })
        };
        let found: Vec<Finding> = (0..9).flat_map(of).collect();
        assert_eq!(fold(found).len(), 9 * (FEW + 1));
    }

    #[test]
    fn what_is_not_made_at_all_is_told_all_the_same() {
        let mut few = Few::default();
        let made = (0..1_000).filter(|_| few.may_tell("a")).count();
        let found = (0..made).map(|at| Finding::new(&SHADOWED_RULE, "a", at.to_string()));
        assert_eq!(fold(found.collect()).len(), MANY + 1);
        assert!(few.may_tell("b"));
    }
}
