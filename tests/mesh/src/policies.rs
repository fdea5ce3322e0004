//! Cases about Istio's policies (`postern_e2e::policies`), put to Envoys under istiod.
//!
//! Some are written by hand, because each is a trap (`fixtures/policies.yaml`); the others are
//! made of everything that policies can say ([`generator`]), always the same ones. A [`range`]
//! answers them: Envoys in namespaces of their own, so that each push of configuration holds as
//! many cases as there are Envoys.

use std::collections::BTreeSet;

use postern_e2e::policies::Case;

use crate::manifests;

pub mod generator;
mod random;
pub mod range;
mod vocabulary;

/// What somebody has thought of.
const BY_HAND: &str = include_str!("../fixtures/policies.yaml");

/// All cases, without answers.
///
/// # Panics
/// When two have one name.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = by_hand();
    cases.extend(generator::cases());
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    cases
}

fn by_hand() -> Vec<Case> {
    let list = manifests::parse(BY_HAND).pop().expect("a list of cases");
    list.as_array().expect("a list of cases").iter().map(Case::read).collect()
}

#[cfg(test)]
mod tests {
    use postern_e2e::policies::{LEAST, LEAST_CASES, REQUIRED, of_case};

    use super::*;

    #[test]
    fn the_cases_are_always_the_same() {
        assert_eq!(cases(), cases());
    }

    #[test]
    fn everything_that_policies_can_say_is_in_enough_of_them() {
        let cases = cases();
        assert!(cases.len() >= LEAST_CASES, "{}", cases.len());
        let count = |kind: &str| cases.iter().filter(|case| of_case(case).contains(kind)).count();
        // What is answered, Envoys say.
        for kind in REQUIRED.iter().filter(|kind| !kind.starts_with("answered")) {
            assert!(count(kind) >= LEAST, "{kind}: {}", count(kind));
        }
    }
}
