//! Tokens are signed by `jsonwebtoken` and checked in plain Rust, so that nothing here is
//! verified by the code that made it.

use super::*;
use jsonwebtoken::{EncodingKey, Header};
use postern_jose::soft::SoftVerifier;
use postern_jose::{ClaimsRules, Key, VerifyError};
use serde_json::{Value, json};

const PRIVATE_KEY: &str = include_str!("../../../core/jose/tests/keys/ec-private.pem");
const JWKS: &str = include_str!("../../../core/jose/tests/keys/jwks.json");

struct Counting(usize);

impl SignatureVerifier for Counting {
    fn verify(&mut self, key: &Key, input: &[u8], signature: &[u8]) -> Result<bool, VerifyError> {
        self.0 += 1;
        SoftVerifier.verify(key, input, signature)
    }
}

fn stage() -> JwtAuth {
    let issuer = Issuer {
        issuer: "https://issuer.test".to_owned(),
        audiences: vec!["gateway".to_owned()],
        leeway_secs: 5,
        rules: ClaimsRules::default(),
    };
    let mut stage = JwtAuth::new(vec![issuer], vec![IdentityHeader::Subject], 7);
    stage.set_keys(0, KeySet::parse(JWKS.as_bytes()).unwrap());
    stage
}

fn token(subject: &str, exp: u64, scope: &str) -> String {
    let mut header = Header::new(jsonwebtoken::Algorithm::ES256);
    header.kid = Some("ec".to_owned());
    let claims: Value = json!({
        "iss": "https://issuer.test", "aud": "gateway", "sub": subject, "exp": exp, "scope": scope,
    });
    let key = EncodingKey::from_ec_pem(PRIVATE_KEY.as_bytes()).unwrap();
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

fn at(secs: u64) -> UnixMillis {
    UnixMillis(secs * 1000)
}

#[test]
fn a_token_is_verified_once_and_judged_every_time() {
    let (mut stage, mut verifier) = (stage(), Counting(0));
    let token = token("alice", 100, "");
    let (caller, source) = stage.authenticate(token.as_bytes(), &mut verifier, at(50)).unwrap();
    assert_eq!((caller.principal().subject.as_str(), source), ("alice", Source::Signature));
    assert_eq!(caller.headers().collect::<Vec<_>>(), [("x-postern-subject", "alice")]);
    let again = stage.authenticate(token.as_bytes(), &mut verifier, at(104)).unwrap();
    assert_eq!((again.1, verifier.0), (Source::Cache, 1));
    let denial = stage.authenticate(token.as_bytes(), &mut verifier, at(105)).unwrap_err();
    assert_eq!(denial.reason, "token_expired", "remembered, and still over");
}

#[test]
fn a_remembered_token_falls_with_its_key() {
    let (mut stage, mut verifier) = (stage(), Counting(0));
    let token = token("alice", 100, "");
    stage.authenticate(token.as_bytes(), &mut verifier, at(50)).unwrap();
    let other = JWKS.replace("\"ec\"", "\"other\"");
    stage.set_keys(0, KeySet::parse(other.as_bytes()).unwrap());
    assert_eq!(
        stage.authenticate(token.as_bytes(), &mut verifier, at(50)).unwrap_err().reason,
        "token_key"
    );
}

#[test]
fn an_altered_token_is_another_token() {
    let (mut stage, mut verifier) = (stage(), Counting(0));
    let good = token("alice", 100, "");
    stage.authenticate(good.as_bytes(), &mut verifier, at(50)).unwrap();
    let at_signature = good.rfind('.').unwrap() + 5;
    let flipped = if good.as_bytes()[at_signature] == b'A' { "B" } else { "A" };
    let mut bad = good.clone();
    bad.replace_range(at_signature..=at_signature, flipped);
    let denial = stage.authenticate(bad.as_bytes(), &mut verifier, at(50)).unwrap_err();
    assert_eq!(denial.reason, "token_signature");
}

#[test]
fn without_keys_it_is_our_fault_and_not_the_tokens() {
    let issuer = stage().issuers;
    let mut stage = JwtAuth::new(issuer, Vec::new(), 7);
    let denial =
        stage.authenticate(token("a", 100, "").as_bytes(), &mut Counting(0), at(50)).unwrap_err();
    assert_eq!((denial.code.status(), denial.retry_after_secs), (503, Some(1)));
}

#[test]
fn a_spent_budget_is_503_with_retry_after() {
    struct Spent;
    impl SignatureVerifier for Spent {
        fn verify(&mut self, _: &Key, _: &[u8], _: &[u8]) -> Result<bool, VerifyError> {
            Err(VerifyError::Budget)
        }
    }
    let denial =
        stage().authenticate(token("a", 100, "").as_bytes(), &mut Spent, at(50)).unwrap_err();
    assert_eq!((denial.code.status(), denial.retry_after_secs), (503, Some(1)));
}

#[test]
fn a_million_tokens_take_no_more_memory_than_four_thousand() {
    let mut cache = TokenCache::new(3, Limits::default());
    let mut stage = stage();
    let text = token("alice", 100, "");
    let (caller, _) = stage.authenticate(text.as_bytes(), &mut SoftVerifier, at(50)).unwrap();
    for i in 0_u32..1_000_000 {
        let hash = cache.hash(&i.to_le_bytes());
        cache.insert(hash, &caller, 0, at(50));
    }
    assert!(cache.len() <= 4096, "{}", cache.len());
}

#[test]
fn a_half_full_cache_forgets_nothing() {
    let mut cache = TokenCache::new(3, Limits::default());
    let mut stage = stage();
    let text = token("alice", 100, "");
    let (caller, _) = stage.authenticate(text.as_bytes(), &mut SoftVerifier, at(50)).unwrap();
    let hashes: Vec<u128> = (0_u32..2000).map(|i| cache.hash(&i.to_le_bytes())).collect();
    let mut missed = 0;
    for _ in 0..3 {
        for hash in &hashes {
            if cache.get(*hash).is_none() {
                missed += 1;
                cache.insert(*hash, &caller, 0, at(50));
            }
        }
    }
    assert_eq!((missed, cache.len()), (2000, 2000));
}
