//! What Envoys under istiod made of policies, and what `postern-policies` makes of them: the same.
//!
//! The mesh tests ask the Envoys and keep what they answered; this takes no mesh.

use postern_e2e::policies::{LEAST, LEAST_CASES, Recorded};

#[test]
fn what_envoys_answered_is_what_the_policies_say() {
    let recorded = Recorded::load();
    let differences = recorded.differences();
    let (cases, requests) = (recorded.cases.len(), recorded.requests());
    println!(
        "{cases} cases, {requests} requests, answered by Envoy {} under istiod {}: {} differ",
        recorded.envoy,
        recorded.istiod,
        differences.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn enough_of_everything_was_asked() {
    let recorded = Recorded::load();
    let few = recorded.too_few();
    assert!(few.is_empty(), "fewer than {LEAST}, or {LEAST_CASES} cases: {few:#?}");
}
