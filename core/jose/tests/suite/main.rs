//! `SoftVerifier` and the readers before it, tried with the vectors of the RFCs and of
//! Wycheproof and against another library.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

mod dpop;
mod rsa;
#[path = "../support/mod.rs"]
mod support;

use postern_jose::soft::SoftVerifier;
use postern_jose::{Algorithm, Key, KeyMaterial, SignatureVerifier as _, VerifyError};

#[test]
fn the_examples_of_the_rfcs_hold() {
    support::rfc::check(&mut SoftVerifier, SoftVerifier::supports);
}

#[test]
fn wycheproof_signatures_are_told_apart() {
    let cases = support::primitives::check(&mut SoftVerifier, SoftVerifier::supports);
    assert!(cases > 4000, "{cases}");
}

#[test]
fn wycheproof_tokens_are_told_apart() {
    let cases = support::jose::check(&mut SoftVerifier, SoftVerifier::supports);
    assert!(cases > 1000, "{cases}");
}

#[test]
fn another_library_accepts_and_refuses_the_same_tokens() {
    support::oracle::check(|| SoftVerifier, SoftVerifier::supports);
}

#[test]
fn what_is_no_key_and_what_is_not_supported_verifies_nothing() {
    let ec = |curve: postern_jose::Curve, algorithm| {
        let (x, y) = (vec![1; curve.coordinate_bytes()], vec![2; curve.coordinate_bytes()]);
        Key::new(None, algorithm, KeyMaterial::Ec { curve, x, y })
    };
    let verify = |key: &Key| SoftVerifier.verify(key, b"text", &[1; 64]);
    // A point that is not on its curve.
    assert_eq!(verify(&ec(postern_jose::Curve::P256, Algorithm::Es256)), Ok(false));
    for (curve, algorithm) in [
        (postern_jose::Curve::P384, Algorithm::Es384),
        (postern_jose::Curve::P521, Algorithm::Es512),
    ] {
        assert_eq!(verify(&ec(curve, algorithm)), Err(VerifyError::Unsupported));
    }
    let point = KeyMaterial::Ed25519 { point: vec![2; 32] };
    assert_eq!(verify(&Key::new(None, Algorithm::EdDsa, point)), Ok(false));
    let even = KeyMaterial::Rsa { modulus: vec![0xfe; 256], exponent: vec![1, 0, 1] };
    assert_eq!(verify(&Key::new(None, Algorithm::Ps256, even)), Ok(false));
}
