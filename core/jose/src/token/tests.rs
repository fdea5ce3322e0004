//! Judging, with a verifier that takes anything: signatures are tried in `tests/suite`.

use super::*;
use crate::{Confirmation, Key, VerifyError, base64url};

/// Says yes, and counts.
struct Gullible(usize);

impl SignatureVerifier for Gullible {
    fn verify(&mut self, _: &Key, _: &[u8], _: &[u8]) -> Result<bool, VerifyError> {
        self.0 += 1;
        Ok(true)
    }
}

fn issuer(name: &str) -> Issuer {
    Issuer {
        issuer: name.to_owned(),
        audiences: vec!["gateway".to_owned(), "other".to_owned()],
        leeway_secs: 5,
        access_token_type_only: false,
        rules: ClaimsRules::default(),
    }
}

fn keys() -> KeySet {
    KeySet::parse(include_bytes!("../../tests/keys/jwks.json")).unwrap()
}

fn token(header: &str, claims: &str) -> String {
    let signature = base64url::encode(&[1; 64]);
    let [header, claims] = [header, claims].map(|part| base64url::encode(part.as_bytes()));
    format!("{header}.{claims}.{signature}")
}

fn judge(header: &str, claims: &str, now: u64) -> (Result<VerifiedToken, TokenError>, usize) {
    let (issuers, keys) = ([issuer("a"), issuer("b"), issuer("c")], keys());
    let mut verifier = Gullible(0);
    let keys_of = |index: usize| (index < 2).then_some(&keys);
    let now = UnixMillis(now * 1000);
    (verify(&token(header, claims), &issuers, keys_of, &mut verifier, now), verifier.0)
}

const HEADER: &str = r#"{"alg":"ES256","kid":"ec"}"#;

#[test]
fn tokens_are_judged_before_their_signature_costs_anything() {
    let claims = |more: &str| format!(r#"{{"iss":"b","sub":"s","exp":100{more}}}"#);
    let good = claims(r#","aud":["x","other"],"nbf":50"#);
    for (header, claims, now, expected) in [
        (HEADER, good.clone(), 60, None),
        (HEADER, good.clone(), 45, None),
        (HEADER, good.clone(), 104, None),
        (HEADER, good.clone(), 44, Some(TokenError::NotYet)),
        (HEADER, good.clone(), 105, Some(TokenError::Expired)),
        (HEADER, claims(r#","aud":"x""#), 60, Some(TokenError::Audience)),
        (HEADER, claims(""), 60, Some(TokenError::Audience)),
        (HEADER, good.replace("\"b\"", "\"d\""), 60, Some(TokenError::Issuer)),
        (HEADER, good.replace("\"b\"", "\"B\""), 60, Some(TokenError::Issuer)),
        (HEADER, good.replace("\"b\"", "\"c\""), 60, Some(TokenError::KeysMissing)),
        (HEADER, good.replace("\"sub\"", "\"bus\""), 60, Some(TokenError::Claims)),
        (r#"{"alg":"ES256","kid":"rsa"}"#, good.clone(), 60, Some(TokenError::Key)),
        (r#"{"alg":"RS256","kid":"ec"}"#, good.clone(), 60, Some(TokenError::Key)),
        (r#"{"alg":"PS256","kid":"rsa"}"#, good.clone(), 60, Some(TokenError::Key)),
        (r#"{"alg":"ES256","kid":"gone"}"#, good.clone(), 60, Some(TokenError::Key)),
        (r#"{"alg":"ES256","typ":"logout+jwt"}"#, good.clone(), 60, Some(TokenError::Type)),
    ] {
        let (judged, checks) = judge(header, &claims, now);
        assert_eq!(judged.as_ref().err(), expected.as_ref(), "{header} {claims} {now}");
        assert_eq!(checks, usize::from(judged.is_ok()), "{header} {claims}");
    }
}

#[test]
fn the_key_is_named_even_where_the_token_does_not() {
    let claims = r#"{"iss":"a","sub":"s","exp":100,"aud":"gateway"}"#;
    for header in [HEADER, r#"{"alg":"ES256"}"#] {
        let verified = judge(header, claims, 60).0.unwrap();
        assert_eq!((verified.key_id.as_deref(), verified.issuer_index), (Some("ec"), 0));
    }
}

#[test]
fn bound_tokens_pass_only_where_their_proof_is_asked_for() {
    let (issuers, keys) = ([issuer("a")], keys());
    let bound = r#"{"iss":"a","sub":"s","exp":100,"aud":"gateway",
                    "cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}"#;
    let token = token(HEADER, bound);
    let now = UnixMillis(60_000);
    let keys_of = |_| Some(&keys);
    let refused = verify(&token, &issuers, keys_of, &mut Gullible(0), now);
    assert_eq!(refused.err(), Some(TokenError::Confirmation));
    let verified = verify_bound(&token, &issuers, keys_of, &mut Gullible(0), now).unwrap();
    let Confirmation { key, .. } = verified.claims.confirmation;
    assert_eq!(verified.confirm(&Possession::default()), Err(TokenError::Confirmation));
    let certificate = Possession { certificate: key, key: None };
    assert_eq!(verified.confirm(&certificate), Err(TokenError::Confirmation));
    assert_eq!(verified.confirm(&Possession { certificate: None, key }), Ok(()));
}

#[test]
fn rules_are_those_of_the_tokens_issuer() {
    let (mut issuers, keys) = ([issuer("a"), issuer("b")], keys());
    issuers[0].rules.required = vec!["jti".to_owned()];
    issuers[1].rules.kept = vec!["none".to_owned(), "role".to_owned()];
    let check = |name: &str| {
        let claims =
            format!(r#"{{"iss":"{name}","sub":"s","exp":100,"aud":"gateway","role":"admin"}}"#);
        let now = UnixMillis(60_000);
        verify(&token(HEADER, &claims), &issuers, |_| Some(&keys), &mut Gullible(0), now)
    };
    assert_eq!(check("a").err(), Some(TokenError::Required));
    let verified = check("b").unwrap();
    let role = issuers[1].rules.kept_index("role").unwrap();
    assert!(verified.kept(role).is_some_and(|claim| claim.matches("admin")));
    assert_eq!((verified.kept(0), verified.kept(7)), (None, None));
}

#[test]
fn a_token_without_a_kid_costs_few_checks() {
    struct Refusing(usize);
    impl SignatureVerifier for Refusing {
        fn verify(&mut self, _: &Key, _: &[u8], _: &[u8]) -> Result<bool, VerifyError> {
            self.0 += 1;
            Ok(false)
        }
    }
    let one = keys().keys.remove(1);
    let many = KeySet { keys: vec![one; 20], skipped: Vec::new() };
    let claims = r#"{"iss":"a","sub":"s","exp":100,"aud":"gateway"}"#;
    let token = token(r#"{"alg":"ES256"}"#, claims);
    let mut verifier = Refusing(0);
    let now = UnixMillis(60_000);
    let judged = verify(&token, &[issuer("a")], |_| Some(&many), &mut verifier, now);
    assert_eq!((judged.err(), verifier.0), (Some(TokenError::Signature), 4));
}

#[test]
fn an_id_token_opens_nothing_where_its_issuer_signs_both() {
    let (mut issuers, keys) = ([issuer("a"), issuer("b")], keys());
    issuers[0].access_token_type_only = true;
    for (typ, name, expected) in [
        (r#","typ":"at+jwt""#, "a", None),
        (r#","typ":"AT+JWT""#, "a", None),
        (r#","typ":"application/at+jwt""#, "a", None),
        (r#","typ":"JWT""#, "a", Some(TokenError::Type)),
        ("", "a", Some(TokenError::Type)),
        (r#","typ":"JWT""#, "b", None),
        ("", "b", None),
        (r#","typ":"logout+jwt""#, "b", Some(TokenError::Type)),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"ec"{typ}}}"#);
        let claims = format!(r#"{{"iss":"{name}","sub":"s","exp":100,"aud":"gateway"}}"#);
        let (token, now) = (token(&header, &claims), UnixMillis(60_000));
        let mut verifier = Gullible(0);
        let judged = verify(&token, &issuers, |_| Some(&keys), &mut verifier, now);
        assert_eq!(judged.err(), expected, "{header} {name}");
        assert_eq!(verifier.0, usize::from(expected.is_none()), "{header} {name}");
    }
}
