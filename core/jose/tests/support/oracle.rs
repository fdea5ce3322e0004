//! `jsonwebtoken` as an oracle: it signs random tokens, some of them spoiled, and what it then
//! accepts the verifier on trial accepts, and nothing else.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use postern_jose::{Algorithm, ClaimsRules, Issuer, KeySet, SignatureVerifier, base64url, verify};
use postern_request::UnixMillis;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::set_of;

const ISSUER: &str = "https://i.test";
const LEEWAY_SECS: u64 = 30;

/// A key pair for one algorithm, as both sides want it.
struct Signer {
    algorithm: jsonwebtoken::Algorithm,
    encoding: EncodingKey,
    decoding: DecodingKey,
    keys: KeySet,
}

/// How a token is spoiled after it was signed, or while.
#[derive(Debug, Clone)]
enum Spoil {
    Not,
    Payload(usize),
    Signature(usize),
    Truncated,
    OtherAlgorithm,
    OtherKey,
}

/// Tries every algorithm that both know and the verifier supports.
pub fn check<V: SignatureVerifier>(verifier: impl Fn() -> V, supports: impl Fn(Algorithm) -> bool) {
    for (signer, stranger) in signers().iter().zip(&signers()) {
        if supports(signer.keys.keys[0].algorithm) {
            check_one(signer, stranger, &verifier);
        }
    }
}

fn check_one<V: SignatureVerifier>(signer: &Signer, stranger: &Signer, verifier: impl Fn() -> V) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let accepted = Cell::new(0);
    let config = Config { cases: 128, failure_persistence: None, ..Config::default() };
    let cases = (claims(now), any::<bool>(), spoil());
    let outcome = TestRunner::new(config).run(&cases, |(claims, has_kid, spoil)| {
        let token = sign(signer, stranger, &claims, has_kid, &spoil);
        let theirs = jsonwebtoken::decode::<Value>(&token, &signer.decoding, &validation(signer));
        let issuer = Issuer {
            issuer: ISSUER.to_owned(),
            audiences: vec!["g".to_owned(), "h".to_owned()],
            leeway_secs: LEEWAY_SECS,
            access_token_type_only: false,
            rules: ClaimsRules::default(),
        };
        let now = UnixMillis(now * 1000);
        let ours = verify(&token, &[issuer], |_| Some(&signer.keys), &mut verifier(), now);
        let errors = (ours.as_ref().err(), theirs.as_ref().err());
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?}", errors);
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            prop_assert_eq!(theirs.claims["sub"].as_str(), Some(ours.principal().subject.as_str()));
            accepted.set(accepted.get() + 1);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{:?}: {error}", signer.algorithm);
    }
    assert!(accepted.get() > 3, "{:?}: nothing is accepted", signer.algorithm);
}

fn validation(signer: &Signer) -> Validation {
    let mut validation = Validation::new(signer.algorithm);
    validation.leeway = LEEWAY_SECS;
    validation.validate_nbf = true;
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&["g", "h"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation
}

/// Mostly good ones: a token has five things that may be wrong with it.
fn claims(now: u64) -> impl Strategy<Value = Value> {
    let iss = prop_oneof![8 => Just(json!(ISSUER)), 1 => Just(json!("https://i.test/")), 1 => Just(Value::Null)];
    let aud = prop_oneof![
        4 => Just(json!("g")),
        4 => Just(json!(["x", "h"])),
        1 => Just(json!(["x", "y"])),
        1 => Just(json!("gh")),
        1 => Just(json!([])),
        1 => Just(Value::Null)
    ];
    let far = 1000..100_000_u64;
    let exp = (prop_oneof![6 => Just(0), 2 => Just(1), 1 => Just(2), 1 => Just(3)], far.clone());
    let exp = exp.prop_map(move |(kind, far)| match kind {
        0 => json!(now + far),
        1 => json!((now + far) as f64 + 0.5),
        2 => json!(now - far),
        _ => Value::Null,
    });
    let nbf = (prop_oneof![4 => Just(0), 4 => Just(1), 1 => Just(2)], far);
    let nbf = nbf.prop_map(move |(kind, far)| match kind {
        0 => Value::Null,
        1 => json!(now - far),
        _ => json!(now + far),
    });
    let sub = prop_oneof![8 => "[a-zé]{1,20}".prop_map(Value::String), 1 => Just(Value::Null)];
    let more = (".{0,30}", any::<i64>()).prop_map(|(text, number)| json!({"t": text, "n": number}));
    (iss, aud, exp, nbf, sub, more).prop_map(|(iss, aud, exp, nbf, sub, more)| {
        let mut claims = json!({"more": more, "scope": "a b"});
        for (name, value) in [("iss", iss), ("aud", aud), ("exp", exp), ("nbf", nbf), ("sub", sub)]
        {
            if !value.is_null() {
                claims[name] = value;
            }
        }
        claims
    })
}

fn spoil() -> impl Strategy<Value = Spoil> {
    prop_oneof![
        6 => Just(Spoil::Not),
        1 => any::<usize>().prop_map(Spoil::Payload),
        1 => any::<usize>().prop_map(Spoil::Signature),
        1 => Just(Spoil::Truncated),
        1 => Just(Spoil::OtherAlgorithm),
        1 => Just(Spoil::OtherKey)
    ]
}

fn sign(
    signer: &Signer,
    stranger: &Signer,
    claims: &Value,
    has_kid: bool,
    spoil: &Spoil,
) -> String {
    let mut header = Header::new(signer.algorithm);
    header.kid = has_kid.then(|| "k".to_owned());
    let key = if matches!(spoil, Spoil::OtherKey) { &stranger.encoding } else { &signer.encoding };
    let token = jsonwebtoken::encode(&header, claims, key).unwrap();
    let [h, p, s]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    match spoil {
        Spoil::Not | Spoil::OtherKey => token,
        Spoil::Payload(at) => format!("{h}.{}.{s}", altered(p, *at)),
        Spoil::Signature(at) => format!("{h}.{p}.{}", altered(s, *at)),
        Spoil::Truncated => format!("{h}.{p}.{}", &s[..s.len() - 4]),
        Spoil::OtherAlgorithm => {
            let name = format!("{:?}", signer.algorithm);
            let other = if name == "RS256" { "RS384" } else { "RS256" };
            let header = String::from_utf8(base64url::decode(h).unwrap()).unwrap();
            let header = header.replace(&name, other);
            format!("{}.{p}.{s}", base64url::encode(header.as_bytes()))
        }
    }
}

fn altered(part: &str, at: usize) -> String {
    let at = at % part.len();
    let other = if part[at..].starts_with('A') { "B" } else { "A" };
    format!("{}{other}{}", &part[..at], &part[at + 1..])
}

/// One for each algorithm, EC and Ed25519 keys fresh ones.
fn signers() -> Vec<Signer> {
    use jsonwebtoken::Algorithm as Theirs;
    let rsa =
        [Theirs::RS256, Theirs::RS384, Theirs::RS512, Theirs::PS256, Theirs::PS384, Theirs::PS512];
    let mut signers: Vec<Signer> = rsa.into_iter().map(rsa_signer).collect();
    signers.push(ec_signer(Theirs::ES256, "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING));
    signers.push(ec_signer(Theirs::ES384, "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING));
    signers.push(ed25519_signer());
    signers
}

fn rsa_signer(algorithm: jsonwebtoken::Algorithm) -> Signer {
    let public: Value = serde_json::from_str(include_str!("../keys/jwks.json")).unwrap();
    let mut jwk = public["keys"][0].clone();
    jwk["alg"] = json!(format!("{algorithm:?}"));
    jwk["kid"] = json!("k");
    let text = |name: &str| jwk[name].as_str().unwrap();
    Signer {
        algorithm,
        encoding: EncodingKey::from_rsa_pem(include_bytes!("../keys/rsa-private.pem")).unwrap(),
        decoding: DecodingKey::from_rsa_components(text("n"), text("e")).unwrap(),
        keys: set_of(&jwk.to_string()),
    }
}

fn ec_signer(
    algorithm: jsonwebtoken::Algorithm,
    crv: &str,
    signing: &'static EcdsaSigningAlgorithm,
) -> Signer {
    let pair = EcdsaKeyPair::generate(signing).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let (x, y) = (base64url::encode(x), base64url::encode(y));
    Signer {
        algorithm,
        encoding: EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()),
        decoding: DecodingKey::from_ec_components(&x, &y).unwrap(),
        keys: set_of(&json!({"kty": "EC", "crv": crv, "x": x, "y": y, "kid": "k"}).to_string()),
    }
}

fn ed25519_signer() -> Signer {
    let pair = Ed25519KeyPair::generate().unwrap();
    let x = base64url::encode(pair.public_key().as_ref());
    Signer {
        algorithm: jsonwebtoken::Algorithm::EdDSA,
        encoding: EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()),
        decoding: DecodingKey::from_ed_components(&x).unwrap(),
        keys: set_of(&json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k"}).to_string()),
    }
}
