use super::*;
use crate::foreign::VerifySignatureArguments;
use aws_lc_rs::signature::{self as aws, ParsedPublicKey, VerificationAlgorithm};
use postern_jose::KeySet;
use std::cell::Cell;

/// A host that checks by the text alone.
enum Fake {
    Honest,
    Absent,
    Gullible,
    /// Knows one hash only.
    Sha256,
}

impl ForeignFunctions for Fake {
    fn call(&self, name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
        assert_eq!(name, VERIFY);
        let arguments = VerifySignatureArguments::decode(arguments).unwrap();
        let result = match self {
            Self::Absent => return None,
            Self::Sha256 if arguments.hash_function != "sha256" => return None,
            Self::Gullible => true,
            Self::Honest | Self::Sha256 => !arguments.text.ends_with(b"!"),
        };
        Some(VerifySignatureResult { result, error: String::new() }.encode_to_vec())
    }
}

fn known(host: &Fake) -> Vec<Algorithm> {
    let support = VerifierSupport::probe(host);
    Algorithm::ALL.into_iter().filter(|algorithm| support.includes(*algorithm)).collect()
}

#[test]
fn only_a_host_that_tells_good_from_bad_is_used() {
    use Algorithm::{Es256, Es384, Es512, Rs256, Rs384, Rs512};
    assert_eq!(known(&Fake::Honest), [Rs256, Rs384, Rs512, Es256, Es384, Es512]);
    assert_eq!(known(&Fake::Sha256), [Rs256, Es256]);
    assert!(known(&Fake::Absent).is_empty());
    assert!(known(&Fake::Gullible).is_empty());
    assert_eq!(VerifierSupport::probe(&Fake::Absent), VerifierSupport::default());
}

/// A host that checks as Envoy does: by public key and signature in DER.
struct Native;

impl ForeignFunctions for Native {
    fn call(&self, _: &str, arguments: &[u8]) -> Option<Vec<u8>> {
        let arguments = VerifySignatureArguments::decode(arguments).unwrap();
        let algorithms: [&'static dyn VerificationAlgorithm; 2] =
            match arguments.hash_function.as_str() {
                "sha256" => [&aws::RSA_PKCS1_2048_8192_SHA256, &aws::ECDSA_P256_SHA256_ASN1],
                "sha384" => [&aws::RSA_PKCS1_2048_8192_SHA384, &aws::ECDSA_P384_SHA384_ASN1],
                "sha512" => [&aws::RSA_PKCS1_2048_8192_SHA512, &aws::ECDSA_P521_SHA512_ASN1],
                _ => return None,
            };
        let key = algorithms
            .into_iter()
            .find_map(|algorithm| ParsedPublicKey::new(algorithm, &arguments.public_key).ok())?;
        let result = key.verify_sig(&arguments.text, &arguments.signature).is_ok();
        Some(VerifySignatureResult { result, error: String::new() }.encode_to_vec())
    }
}

#[test]
fn the_probes_hold_where_keys_are_really_read() {
    let support = VerifierSupport::probe(&Native);
    for probe in PROBES {
        assert!(support.includes(probe.algorithm), "{:?}", probe.algorithm);
    }
}

/// RFC 8037 A.2, A.4.
const ED25519: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const ED25519_INPUT: &[u8] = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
const ED25519_SIGNATURE: &str =
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn key(jwk: &str) -> Key {
    KeySet::parse(format!("{{\"keys\":[{jwk}]}}").as_bytes()).unwrap().keys.remove(0)
}

/// The P-521 probe's key, whose coordinates end its SubjectPublicKeyInfo.
fn p521() -> Key {
    let spki = base64url::decode(PROBES[5].public_key).unwrap();
    let (x, y) = spki[spki.len() - 132..].split_at(66);
    let (x, y) = (base64url::encode(x), base64url::encode(y));
    let key = key(&format!(r#"{{"kty":"EC","crv":"P-521","x":"{x}","y":"{y}"}}"#));
    assert_eq!(key.spki, spki);
    key
}

#[test]
fn the_host_is_asked_where_it_can_and_the_budget_spent_where_it_cannot() {
    let (p521, ed25519) = (p521(), key(ED25519));
    let signature = |text: &str| base64url::decode(text).unwrap();
    let (by_p521, by_ed) = (signature(PROBES[5].signature), signature(ED25519_SIGNATURE));
    let mut budget = SoftBudget::new(2);
    let mut verify = |support, key: &Key, text: &[u8], signature: &[u8]| {
        let (host, now) = (&Native, UnixMillis(0));
        HostVerifier { host, support, budget: &mut budget, now }.verify(key, text, signature)
    };
    let (all, none) = (VerifierSupport::probe(&Native), VerifierSupport::default());
    assert_eq!(verify(all, &p521, TEXT, &by_p521), Ok(true));
    assert_eq!(verify(all, &p521, b"other", &by_p521), Ok(false));
    assert_eq!(verify(none, &p521, TEXT, &by_p521), Err(VerifyError::Unsupported));
    assert_eq!(verify(all, &ed25519, ED25519_INPUT, &by_ed[1..]), Ok(false), "and costs nothing");
    assert_eq!(verify(all, &ed25519, ED25519_INPUT, &by_ed), Ok(true));
    assert_eq!(verify(all, &ed25519, b"other", &by_ed), Ok(false));
    assert_eq!(verify(all, &ed25519, ED25519_INPUT, &by_ed), Err(VerifyError::Budget));
    assert_eq!(verify(all, &p521, TEXT, &by_p521), Ok(true), "which needs none");
}

#[test]
fn a_key_that_the_host_cannot_read_is_not_the_tokens_fault() {
    struct Fickle(Cell<bool>);
    impl ForeignFunctions for Fickle {
        fn call(&self, name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
            if self.0.get() { Native.call(name, arguments) } else { None }
        }
    }
    let host = Fickle(Cell::new(true));
    let support = VerifierSupport::probe(&host);
    host.0.set(false);
    let mut budget = SoftBudget::new(1);
    let mut verifier =
        HostVerifier { host: &host, support, budget: &mut budget, now: UnixMillis(0) };
    let judged = verifier.verify(&p521(), TEXT, &[1; 132]);
    assert_eq!(judged, Err(VerifyError::Unsupported));
}

#[test]
fn checks_in_rust_are_bounded_by_the_second() {
    let mut budget = SoftBudget::new(2);
    let mut take = |ms| budget.take(UnixMillis(ms));
    assert_eq!([take(0), take(1), take(999), take(1000)], [true, true, false, true]);
}
