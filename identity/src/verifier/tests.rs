//! Vectors are in `tests/vectors.rs`; here is what keys of our own do.

use super::*;
use crate::signing_key::{self, encoding_key};
use postern_jose::{Curve, KeyMaterial, base64url};

const SIGNING: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

fn sign(algorithm: Algorithm, private: &[u8], message: &[u8]) -> Vec<u8> {
    let theirs = algorithm.as_str().parse().unwrap();
    let key = encoding_key(algorithm, private).unwrap();
    base64url::decode(&jsonwebtoken::crypto::sign(message, &key, theirs).unwrap()).unwrap()
}

fn parsed(verifier: &AwsLcVerifier) -> usize {
    let known = verifier.parsed.as_ref().unwrap().read().unwrap();
    known.values().map(HashMap::len).sum()
}

#[test]
fn signatures_hold_for_their_key_and_message_alone() {
    let mut verifier = AwsLcVerifier::new();
    let mut forgetful = AwsLcVerifier::without_memory();
    for algorithm in SIGNING {
        let new = signing_key::generate(algorithm).unwrap();
        let key = signing_key::public_key(&new.public_jwk).unwrap();
        let other = signing_key::generate(algorithm).unwrap();
        let other = signing_key::public_key(&other.public_jwk).unwrap();
        let signature = sign(algorithm, &new.private, b"message");
        for _ in 0..2 {
            assert_eq!(verifier.verify(&key, b"message", &signature), Ok(true));
            assert_eq!(verifier.verify(&key, b"massage", &signature), Ok(false));
            assert_eq!(verifier.verify(&other, b"message", &signature), Ok(false));
            assert_eq!(forgetful.verify(&key, b"message", &signature), Ok(true));
            assert_eq!(forgetful.verify(&other, b"message", &signature), Ok(false));
        }
        let mut tampered = signature.clone();
        tampered[10] ^= 1;
        assert_eq!(verifier.verify(&key, b"message", &tampered), Ok(false));
        for bad in [&signature[1..], &[], &[0; 64], &[0xff; 256]] {
            assert_eq!(verifier.verify(&key, b"message", bad), Ok(false));
        }
    }
    assert_eq!(parsed(&verifier), 4, "each key is parsed once");
}

#[test]
fn one_rsa_key_may_be_bound_to_several_algorithms() {
    let new = signing_key::generate(Algorithm::Rs256).unwrap();
    let key = signing_key::public_key(&new.public_jwk).unwrap();
    let signature = sign(Algorithm::Rs256, &new.private, b"message");
    let mut verifier = AwsLcVerifier::new();
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Rs512, Algorithm::Rs256] {
        let key = Key { algorithm, ..key.clone() };
        let holds = verifier.verify(&key, b"message", &signature);
        assert_eq!(holds, Ok(algorithm == Algorithm::Rs256), "{algorithm:?}");
    }
    assert_eq!(parsed(&verifier), 3);
}

#[test]
fn a_point_that_is_not_on_the_curve_verifies_nothing() {
    let mut verifier = AwsLcVerifier::new();
    for (curve, algorithm) in [
        (Curve::P256, Algorithm::Es256),
        (Curve::P384, Algorithm::Es384),
        (Curve::P521, Algorithm::Es512),
    ] {
        let (x, y) = (vec![1; curve.coordinate_bytes()], vec![2; curve.coordinate_bytes()]);
        let key = Key::new(None, algorithm, KeyMaterial::Ec { curve, x, y });
        let signature = vec![1; key.signature_bytes()];
        for _ in 0..2 {
            assert_eq!(verifier.verify(&key, b"message", &signature), Ok(false));
        }
    }
}
