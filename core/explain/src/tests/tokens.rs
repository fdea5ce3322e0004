//! Tokens: given as claims, or real ones.

use postern_jose::base64url;

use super::*;
use crate::{GivenClaims, Revocations, Revoked, Shown};

#[test]
fn claims_that_are_given_count_as_verified_and_say_so() {
    let good = r#","scope":"read list","tenant":"blue""#;
    for (claims, expected) in [
        (alice(good), None),
        (alice(r#","scope":"read list","tenant":"red""#), Some((403, "token_claims"))),
        (alice(r#","scope":"read","tenant":"blue""#), Some((403, "scope_missing"))),
        (alice(r#","scope":7"#), Some((401, "token_claims"))),
        (alice(good).replace("gate", "else"), Some((401, "token_audience"))),
        (alice(good).replace("i.test", "j.test"), Some((401, "token_issuer"))),
        (alice(good).replace("18", "17"), Some((401, "token_expired"))),
        (alice(r#","nbf":1900000000"#), Some((401, "token_not_yet"))),
        (alice(r#","cnf":{"jkt":"x"}"#), Some((401, "token_confirmation"))),
        ("[]".to_owned(), Some((401, "token_claims"))),
        ("nonsense".to_owned(), Some((401, "token_claims"))),
    ] {
        let explanation = usual(&get("/read/7").claiming(&claims));
        match expected {
            Some((status, reason)) => {
                assert_eq!(refusal(&explanation), (By::Bundle, status, reason), "{claims}");
            }
            None => {
                let principal = forwarded(&explanation).principal.as_ref().unwrap();
                assert_eq!(principal.subject, "alice");
                let said = |step: &crate::Step| step.text.contains("claims as given");
                assert!(explanation.steps.iter().any(said), "{explanation:?}");
            }
        }
    }
}

#[test]
fn a_claim_that_cannot_be_read_is_named_with_its_form() {
    for (claims, expected) in [
        (alice(r#","scope":["read","list"]"#), "`scope` must be one text, with a space between"),
        (alice("").replace(r#""sub":"alice","#, ""), "`sub` is missing: text"),
        (alice("").replace(r#""alice""#, "7"), "`sub` must be text"),
        (alice(r#","nbf":"soon""#), "`nbf` must be a number of seconds"),
        (alice("").replace(r#""gate""#, "7"), "`aud` must be text, or a list of texts"),
        (alice(r#","sub":"bob""#), "its payload is not one JSON object"),
        ("[]".to_owned(), "its payload is not one JSON object"),
    ] {
        let explanation = usual(&get("/read/7").claiming(&claims));
        assert_eq!(refusal(&explanation), (By::Bundle, 401, "token_claims"), "{claims}");
        let step = explanation.steps.iter().find(|step| step.text.contains(expected));
        assert!(step.is_some(), "{expected}: {:?}", explanation.steps);
        assert!(!explanation.steps.iter().any(|step| step.text.contains("bob")));
    }
}

#[test]
fn given_claims_never_make_up_for_a_credential_that_is_sent_too() {
    let request = get("/read/7").claiming(&alice("")).with("authorization", "Bearer a.b.c");
    assert_eq!(refusal(&usual(&request)), (By::Bundle, 401, "token_unusable"));

    // Nor do they lend their signature to a token in a place that is looked at first.
    const JWKS: &str = include_str!("../../../jose/tests/keys/jwks.json");
    let keys = [Some(postern_jose::KeySet::parse(JWKS.as_bytes()).unwrap())];
    let assume = Assumptions { keys: &keys, ..Assumptions::at(NOW) };
    let text = DOCUMENT.replacen(r#"{"header": "authorization"}, "#, "", 1);
    let text = text.replacen(r#"{"query": "at"}"#, r#"{"header": "authorization"}"#, 1);
    let document = postern_document::from_json(text.as_bytes()).unwrap();
    let header = base64url::encode(br#"{"alg":"RS256","kid":"rsa"}"#);
    let payload = base64url::encode(alice("").as_bytes());
    let forged = format!("at={header}.{payload}.{}", base64url::encode(&[7; 256]));
    let request = get("/read/7").claiming(&alice("")).with("cookie", &forged);
    let explanation = explain(&document, &request, &assume, &mut SoftVerifier);
    assert_eq!(refusal(&explanation), (By::Bundle, 401, "token_signature"));
}

#[test]
fn a_signature_that_nobody_can_check_is_assumed_and_said() {
    let encoded = |text: &str| base64url::encode(text.as_bytes());
    let claims = alice(r#","scope":"read list","tenant":"blue""#);
    let signed = |signature: &[u8]| {
        let header = encoded(r#"{"alg":"RS256","kid":"k1"}"#);
        let signature = base64url::encode(signature);
        format!("Bearer {header}.{}.{signature}", encoded(&claims))
    };
    let ask = |token: &str| usual(&get("/read/7").with("authorization", token));
    let explanation = ask(&signed(&[7; 256]));
    assert_eq!(forwarded(&explanation).route, "read");
    let says = |text: &String| text.contains("keys of https://i.test are not at hand");
    assert!(explanation.uncertain.iter().any(says), "{:?}", explanation.uncertain);
    let short = ask(&signed(&[]));
    assert_eq!(refusal(&short), (By::Bundle, 401, "token_signature"), "that is none of any key");
}

#[test]
fn a_real_token_is_judged_by_its_signature() {
    const JWKS: &str = include_str!("../../../jose/tests/keys/jwks.json");
    let keys = [Some(postern_jose::KeySet::parse(JWKS.as_bytes()).unwrap())];
    let assume = Assumptions { keys: &keys, ..Assumptions::at(NOW) };
    let encoded = |text: &str| base64url::encode(text.as_bytes());
    for (kid, expected) in [("rsa", "token_signature"), ("other", "token_key")] {
        let header = encoded(&format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#));
        let forged =
            format!("Bearer {header}.{}.{}", encoded(&alice("")), base64url::encode(&[7; 256]));
        let explanation = explained(&get("/read/7").with("authorization", &forged), &assume);
        assert_eq!(refusal(&explanation), (By::Bundle, 401, expected), "{kid}");
    }
}

#[test]
fn a_proof_that_is_given_needs_a_token_that_is_bound() {
    let text = DOCUMENT.replacen(r#""from""#, r#""bound": {"dpop": {}}, "from""#, 1);
    let document = postern_document::from_json(text.as_bytes()).unwrap();
    let key = base64url::encode(&[7; 32]);
    let bound = alice(&format!(r#","scope":"pay","cnf":{{"jkt":"{key}"}}"#));
    let plain = alice(r#","scope":"pay""#);
    for (claims, with_proof, expected) in [
        (&bound, true, None),
        (&bound, false, Some("dpop_scheme")),
        (&plain, true, Some("dpop_scheme")),
        (&plain, false, None),
    ] {
        let given = GivenClaims { claims: claims.clone(), with_proof };
        let request = Request { shown: Shown::Claims(Box::new(given)), ..get("/pay") };
        let assume = Assumptions::at(NOW);
        let explanation = explain(&document, &request, &assume, &mut SoftVerifier);
        let reason = match &explanation.outcome {
            Outcome::Refused(refusal) => Some(refusal.denial.reason),
            Outcome::Forwarded(_) => None,
        };
        assert_eq!(reason, expected, "{claims} {with_proof}");
    }
}

#[test]
fn revocation_is_assumed_and_never_looked_up() {
    let request = get("/pay").claiming(&alice(r#","scope":"pay""#));
    let with = |revoked| explained(&request, &Assumptions { revoked, ..Assumptions::at(NOW) });
    assert_eq!(refusal(&with(Revoked::Yes)), (By::ExtAuthz, 401, "token_revoked"));
    let good = with(Revoked::No);
    assert!(good.uncertain.iter().any(|text| text.contains("not revoked")), "{good:?}");
    assert_eq!(forwarded(&with(Revoked::Unknown)).route, "pay", "the document asks for no news");
}

/// Knows one token, one key, and whose sessions ended a minute ago.
pub(super) struct List;

impl Revocations for List {
    fn has_token(&self, token: &postern_jose::VerifiedToken) -> bool {
        token.claims.token_id.as_deref() == Some("gone")
    }

    fn has_api_key(&self, id: &str) -> bool {
        id == "gone"
    }

    fn has_sessions_of(&self, issuer: &str, subject: &str, began_at: u64) -> bool {
        (issuer, subject) == ("https://a.test", "alice") && began_at < NOW.as_secs() - 60
    }
}

#[test]
fn what_a_list_says_of_revocations_is_not_assumed() {
    let asked = |jti: &str, revoked| {
        let claims = alice(&format!(r#","scope":"pay","jti":"{jti}""#));
        let assume = Assumptions { revocations: Some(&List), revoked, ..Assumptions::at(NOW) };
        explained(&get("/pay").claiming(&claims), &assume)
    };
    let refused = asked("gone", Revoked::No);
    assert_eq!(refusal(&refused), (By::ExtAuthz, 401, "token_revoked"));
    let good = asked("here", Revoked::No);
    assert_eq!(forwarded(&good).route, "pay");
    assert!(good.uncertain.iter().all(|text| !text.contains("revoked")), "{good:?}");
    assert_eq!(refusal(&asked("here", Revoked::Yes)), (By::ExtAuthz, 401, "token_revoked"));
}
