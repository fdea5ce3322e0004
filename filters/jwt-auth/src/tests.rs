//! Tokens are signed by `jsonwebtoken` and checked in plain Rust, so that nothing here is
//! verified by the code that made it.

use super::*;
use jsonwebtoken::{EncodingKey, Header};
use postern_jose::soft::SoftVerifier;
use postern_jose::{ClaimsRules, Key, Possession, VerifyError};
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

fn issuer(name: &str) -> TrustedIssuer {
    let kept = ["tenant", "org.id", "groups"].map(str::to_owned).to_vec();
    TrustedIssuer {
        issuer: Issuer {
            issuer: name.to_owned(),
            audiences: vec!["gateway".to_owned()],
            leeway_secs: 5,
            access_token_type_only: false,
            rules: ClaimsRules { kept, ..ClaimsRules::default() },
        },
        claim_state: vec![("org".to_owned(), 1), ("groups".to_owned(), 2), ("no".to_owned(), 9)],
    }
}

fn stage() -> JwtAuth {
    stage_that(false)
}

fn stage_that(accepts_bound: bool) -> JwtAuth {
    let issuers = vec![issuer("https://other.test"), issuer("https://issuer.test")];
    let mut stage = JwtAuth::new(issuers, vec![IdentityHeader::Subject], accepts_bound, 7);
    stage.set_keys(1, KeySet::parse(JWKS.as_bytes()).unwrap());
    stage
}

fn token(subject: &str, exp: u64, scope: &str) -> String {
    signed("ec", json!({"sub": subject, "exp": exp, "scope": scope}))
}

/// A token with a key's id and more claims.
fn signed(kid: &str, more: Value) -> String {
    let mut header = Header::new(jsonwebtoken::Algorithm::ES256);
    header.kid = Some(kid.to_owned());
    let mut claims =
        json!({"iss": "https://issuer.test", "aud": "gateway", "sub": "a", "exp": 100});
    let (Value::Object(all), Value::Object(more)) = (&mut claims, more) else { panic!() };
    all.extend(more);
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
    let refused = stage.authenticate(token.as_bytes(), &mut verifier, at(105)).unwrap_err();
    assert_eq!(refused.denial.reason, "token_expired", "remembered, and still over");
    assert_eq!(refused.lacks_key_of, None);
}

#[test]
fn a_remembered_token_falls_with_its_key() {
    let (mut stage, mut verifier) = (stage(), Counting(0));
    let token = token("alice", 100, "");
    stage.authenticate(token.as_bytes(), &mut verifier, at(50)).unwrap();
    let other = JWKS.replace("\"ec\"", "\"other\"");
    stage.set_keys(1, KeySet::parse(other.as_bytes()).unwrap());
    let refused = stage.authenticate(token.as_bytes(), &mut verifier, at(50)).unwrap_err();
    assert_eq!((refused.denial.reason, refused.lacks_key_of), ("token_key", Some(1)));
}

#[test]
fn only_a_key_that_is_not_there_is_worth_asking_for() {
    let (mut stage, mut verifier) = (stage(), Counting(0));
    for (token, reason, lacks) in [
        (signed("new", json!({})), "token_key", Some(1)),
        (signed("new", json!({"iss": "https://nobody.test"})), "token_issuer", None),
        (signed("new", json!({"exp": 1})), "token_expired", None),
        (signed("new", json!({"iss": "https://other.test"})), "keys_missing", None),
        (signed("rsa", json!({})), "token_key", Some(1)),
    ] {
        let refused = stage.authenticate(token.as_bytes(), &mut verifier, at(50)).unwrap_err();
        assert_eq!((refused.denial.reason, refused.lacks_key_of), (reason, lacks));
    }
    assert_eq!(verifier.0, 0, "and none of it costs a signature check");
}

#[test]
fn bound_tokens_are_remembered_and_confirmed_by_whoever_asks() {
    const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    let token = signed("ec", json!({"cnf": {"jkt": KEY}}));
    let refused = stage().authenticate(token.as_bytes(), &mut Counting(0), at(50)).unwrap_err();
    assert_eq!(refused.denial.reason, "token_confirmation");
    let (mut stage, mut verifier) = (stage_that(true), Counting(0));
    for expected in [Source::Signature, Source::Cache] {
        let (caller, source) = stage.authenticate(token.as_bytes(), &mut verifier, at(50)).unwrap();
        assert_eq!(source, expected);
        let shown = |key| caller.token().confirm(&Possession { certificate: None, key });
        assert!(shown(None).is_err() && shown(Some([2; 32])).is_err());
        assert!(shown(Some([1; 32])).is_ok());
    }
}

#[test]
fn claims_become_filter_state_of_their_issuer() {
    let (mut stage, mut verifier) = (stage(), Counting(0));
    for (claims, expected) in [
        (
            json!({"org": {"id": 7}, "groups": ["a", "b"], "tenant": "t"}),
            &[("postern.claim.org", "7"), ("postern.claim.groups", "a,b")][..],
        ),
        (json!({"org": {"id": "x"}}), &[("postern.claim.org", "x")]),
        (json!({"org": "x"}), &[]),
    ] {
        let token = signed("ec", claims);
        let (caller, _) = stage.authenticate(token.as_bytes(), &mut verifier, at(50)).unwrap();
        assert_eq!(caller.states().collect::<Vec<_>>(), expected);
    }
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
    let refused = stage.authenticate(bad.as_bytes(), &mut verifier, at(50)).unwrap_err();
    assert_eq!((refused.denial.reason, refused.lacks_key_of), ("token_signature", None));
}

#[test]
fn without_keys_it_is_our_fault_and_not_the_tokens() {
    let mut stage = JwtAuth::new(stage().issuers, Vec::new(), false, 7);
    let token = token("a", 100, "");
    let denial = stage.authenticate(token.as_bytes(), &mut Counting(0), at(50)).unwrap_err().denial;
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
    let token = token("a", 100, "");
    let denial = stage().authenticate(token.as_bytes(), &mut Spent, at(50)).unwrap_err().denial;
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
