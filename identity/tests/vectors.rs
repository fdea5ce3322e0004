//! `AwsLcVerifier`, tried with the vectors of the RFCs and of Wycheproof and against another
//! library: the cases of `core/jose`, for every algorithm.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

#[path = "../../core/jose/tests/support/mod.rs"]
mod support;

use postern_identity::AwsLcVerifier;

#[test]
fn the_examples_of_the_rfcs_hold() {
    support::rfc::check(&mut AwsLcVerifier::new(), |_| true);
}

#[test]
fn wycheproof_signatures_are_told_apart() {
    let cases = support::primitives::check(&mut AwsLcVerifier::new(), |_| true);
    assert!(cases > 4500, "{cases}");
}

#[test]
fn wycheproof_tokens_are_told_apart() {
    let cases = support::jose::check(&mut AwsLcVerifier::new(), |_| true);
    assert!(cases > 1000, "{cases}");
}

#[test]
fn another_library_accepts_and_refuses_the_same_tokens() {
    support::oracle::check(AwsLcVerifier::without_memory, |_| true);
}
