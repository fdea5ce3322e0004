//! Tokens that are bound to a key, and their proofs (RFC 9449 §7).

use postern_jose::{Possession, VerifiedToken, VerifyError};
use postern_request::ErrorCode;

use super::*;
use crate::Revoked;

/// A request to `/pay` with a bound token and a proof.
fn with_proof(token: &str, proof: &str) -> Incoming {
    let authorization = format!("DPoP {token}");
    request("GET", "/pay", &[("authorization", &authorization), ("dpop", proof)])
}

/// One to somewhere else.
fn with_proof_to(path: &str, token: &str, jti: &str) -> Incoming {
    let claims = json!({"jti": jti, "htu": format!("https://a.test{path}")});
    Incoming { target: path.to_owned(), ..with_proof(token, &proof(token, &claims)) }
}

fn dpop() -> Value {
    json!({"bound": {"dpop": {}}})
}

#[tokio::test]
async fn a_proof_passes_once_whichever_replica_is_asked() {
    let store = memory();
    let [here, there] = [0, 1].map(|_| Gateway::new(&dpop(), Arc::clone(&store)));
    let token = bound_token();
    let first = with_proof(&token, &proof(&token, &json!({})));
    let identified = here.identify(&first).await.unwrap();
    assert_eq!(identified.principal.unwrap().subject, "alice");
    let shown = Possession { certificate: None, key: Some(thumbprint()) };
    assert_eq!(identified.shown, shown);
    assert_eq!(here.reason(&first).await, "dpop_replayed");
    assert_eq!(there.reason(&first).await, "dpop_replayed");
    let again = with_proof(&token, &proof(&token, &json!({"iat": NOW.as_secs() - 1})));
    assert_eq!(here.reason(&again).await, "dpop_replayed", "by its id, whatever else it says");
    let second = with_proof(&token, &proof(&token, &json!({"jti": "j2"})));
    assert_eq!(there.reason(&second).await, "");
}

#[tokio::test]
async fn a_proof_is_for_its_request_and_token_and_for_now() {
    let gateway = Gateway::new(&dpop(), memory());
    let (token, now) = (bound_token(), NOW.as_secs());
    for (changes, expected) in [
        (json!({"htm": "POST"}), "dpop_method"),
        (json!({"htu": "https://a.test/acme"}), "dpop_url"),
        (json!({"htu": "http://a.test/pay"}), "dpop_url"),
        (json!({"htu": "https://b.test/pay"}), "dpop_url"),
        (json!({"ath": base64url::encode(&[7; 32])}), "dpop_access_token"),
        (json!({"ath": null}), "dpop_access_token"),
        (json!({"iat": now - 66}), "dpop_time"),
        (json!({"iat": now + 6}), "dpop_time"),
        (json!({"iat": null}), "dpop_claims"),
        (json!({"jti": null}), "dpop_claims"),
    ] {
        let request = with_proof(&token, &proof(&token, &changes));
        assert_eq!(gateway.reason(&request).await, expected, "{changes}");
    }
    assert_eq!(gateway.proofs_checked(), 0, "none of them was worth a signature check");
    for changes in [
        json!({}),
        json!({"jti": "j2", "htu": "HTTPS://A.test:443/pay?x=1"}),
        json!({"jti": "j3", "iat": now - 65}),
        json!({"jti": "j4", "iat": now + 5}),
    ] {
        let request = with_proof(&token, &proof(&token, &changes));
        assert_eq!(gateway.reason(&request).await, "", "{changes}");
    }
    let narrow = Gateway::new(&json!({"bound": {"dpop": {"max_age": "10s"}}}), memory());
    for (age, expected) in [(15, ""), (16, "dpop_time")] {
        let request = with_proof(&token, &proof(&token, &json!({"iat": now - age})));
        assert_eq!(narrow.reason(&request).await, expected, "{age}");
    }
}

#[tokio::test]
async fn the_url_is_the_one_that_the_client_knows() {
    let gateway = Gateway::new(&dpop(), memory());
    let token = bound_token();
    let mut request = with_proof(&token, &proof(&token, &json!({})));
    request.target = "/pay?page=1".to_owned();
    request.scheme = "http".to_owned();
    assert_eq!(gateway.reason(&request).await, "dpop_url");
    request.headers.push(("x-forwarded-proto".to_owned(), b"https".to_vec()));
    assert_eq!(gateway.reason(&request).await, "");
}

#[tokio::test]
async fn an_authority_ends_where_it_ends() {
    let gateway = Gateway::new(&dpop(), memory());
    let token = bound_token();
    for authority in ["a.test/pay?", "a.test/pay#", "x@a.test", "a.test\\", "a.test "] {
        let mut request = with_proof(&token, &proof(&token, &json!({})));
        request.authority = authority.to_owned();
        assert_eq!(gateway.reason(&request).await, "dpop_url", "{authority}");
    }
}

#[tokio::test]
async fn a_proof_is_remembered_once_the_limits_let_it_through() {
    let gateway = Gateway::new(&dpop(), memory());
    let token = bound_token();
    let [first, second] = ["j1", "j2"].map(|jti| with_proof_to("/few", &token, jti));
    assert_eq!(gateway.status(&first, NOW).await, 200);
    assert_eq!(gateway.status(&first, NOW).await, 401, "shown again, and paid for");
    assert_eq!(gateway.status(&second, NOW).await, 429);
    assert_eq!(gateway.reason(&second).await, "", "it was not used up");
    assert_eq!(gateway.reason(&second).await, "dpop_replayed");
}

#[tokio::test]
async fn a_proof_that_is_shown_again_takes_no_probe() {
    let store = memory();
    let gateway = Gateway::new(&dpop(), Arc::clone(&store));
    let token = bound_token();
    let [seen, open, new] = ["j1", "j2", "j3"].map(|jti| with_proof_to("/guarded", &token, jti));
    assert_eq!(gateway.status(&seen, NOW).await, 200);
    open_circuit(&*store, "guarded", 10_000, NOW).await;
    assert_eq!(gateway.status(&open, NOW).await, 503);
    let later = UnixMillis(NOW.0 + 10_000);
    assert_eq!(gateway.status(&seen, later).await, 401);
    assert_eq!(gateway.status(&new, later).await, 200, "the probe");
}

#[tokio::test]
async fn an_envoy_that_keeps_circuits_takes_no_probe_of_the_servers() {
    let store = memory();
    let gateway = Gateway::new(&dpop(), Arc::clone(&store));
    open_circuit(&*store, "guarded", 10_000, NOW).await;
    let token = bound_token();
    let [one, two, three, four] =
        ["j1", "j2", "j3", "j4"].map(|jti| with_proof_to("/guarded", &token, jti));
    let kept = |request: &Incoming| Incoming { keeps_circuits: true, ..request.clone() };
    assert_eq!(gateway.status(&one, NOW).await, 503);
    assert_eq!(gateway.status(&kept(&two), NOW).await, 200, "its bundle says what becomes of it");
    let later = UnixMillis(NOW.0 + 10_000);
    assert_eq!(gateway.status(&kept(&three), later).await, 200);
    assert_eq!(gateway.status(&four, later).await, 200, "the probe is still there");
}

#[tokio::test]
async fn in_shadow_a_proof_that_is_shown_again_proves_nothing() {
    let gateway = Gateway::new(&dpop(), memory());
    let token = bound_token();
    let [first, second, third] =
        ["j1", "j2", "j3"].map(|jti| with_proof_to("/shadow", &token, jti));
    let subject = async |request: &Incoming| {
        let (evidence, _) = gateway.passes(request, NOW).await;
        evidence.principal.map(|principal| principal.subject)
    };
    let alice = Some("alice".to_owned());
    assert_eq!((subject(&first).await, subject(&first).await), (alice.clone(), None));
    // Beyond the limit, which counts in shadow, too, a proof is remembered all the same.
    for request in [second, third] {
        assert_eq!((subject(&request).await, subject(&request).await), (alice.clone(), None));
    }
}

#[tokio::test]
async fn one_proof_by_the_key_that_the_token_names() {
    let gateway = Gateway::new(&dpop(), memory());
    let token = bound_token();
    let good = proof(&token, &json!({}));
    let authorization = format!("DPoP {token}");
    let mut request = request("GET", "/pay", &[("authorization", &authorization)]);
    assert_eq!(gateway.reason(&request).await, "dpop_missing");
    for bad in [&b""[..], b"x", b"\xff", good.replace('.', ",").as_bytes(), token.as_bytes()] {
        request.headers.push(("dpop".to_owned(), bad.to_vec()));
        let reason = gateway.reason(&request).await;
        assert!(["dpop_form", "dpop_type"].contains(&reason), "{reason}");
        request.headers.pop();
    }
    for _ in 0..2 {
        request.headers.push(("dpop".to_owned(), good.clone().into_bytes()));
    }
    assert_eq!(gateway.reason(&request).await, "dpop_repeated");

    // By somebody else's key, which proves nothing but that they have one.
    let keys: Value = serde_json::from_str(JWKS).unwrap();
    let key = &keys["keys"][0];
    let jwk = json!({"kty": "RSA", "n": key["n"], "e": key["e"]});
    let header = json!({"typ": "dpop+jwt", "alg": "RS256", "jwk": jwk});
    let other = signed(&header, &proof_claims(&token, &json!({})));
    assert_eq!(gateway.reason(&with_proof(&token, &other)).await, "dpop_other_key");
    assert_eq!(gateway.proofs_checked(), 0, "whose key it is was seen without a check");

    // By the right key, over something else.
    let (input, _) = good.rsplit_once('.').unwrap();
    let later = proof(&token, &json!({"jti": "j2"}));
    let (_, signature) = later.rsplit_once('.').unwrap();
    let forged = format!("{input}.{signature}");
    assert_eq!(gateway.reason(&with_proof(&token, &forged)).await, "dpop_signature");
    assert_eq!(gateway.proofs_checked(), 1);

    assert_eq!(gateway.reason(&with_proof(&token, &good)).await, "", "no refusal used it up");
}

#[tokio::test]
async fn the_scheme_says_whether_a_token_is_bound_to_a_key() {
    let jwt = json!({
        "from": [{"header": "authorization"}, {"header": "x-token"}, {"cookie": "at"}],
        "bound": {"dpop": {}, "certificate": "connection"},
    });
    let gateway = Gateway::new(&jwt, memory());
    let (bound, plain) = (bound_token(), token(&json!({})));
    for (name, value, token) in [
        ("authorization", format!("Bearer {bound}"), &bound),
        ("authorization", format!("DPoP {plain}"), &plain),
        ("x-token", bound.clone(), &bound),
        ("cookie", format!("at={bound}"), &bound),
    ] {
        let proof = proof(token, &json!({}));
        let request = request("GET", "/pay", &[(name, &value), ("dpop", &proof)]);
        assert_eq!(gateway.reason(&request).await, "dpop_scheme", "{name}");
    }
    let bearer = format!("Bearer {plain}");
    let request = request("GET", "/pay", &[("authorization", &bearer)]);
    let identified = gateway.identify(&request).await.unwrap();
    assert_eq!(identified.shown, Possession::default());
}

#[tokio::test]
async fn bound_tokens_are_for_documents_that_take_them() {
    let token = bound_token();
    let proven = with_proof(&token, &proof(&token, &json!({})));
    let bearer = format!("Bearer {token}");
    let bearer = request("GET", "/pay", &[("authorization", &bearer)]);
    for (jwt, expected) in [
        (json!({}), "token_confirmation"),
        (json!({"bound": {"certificate": "connection"}}), "dpop_scheme"),
    ] {
        let gateway = Gateway::new(&jwt, memory());
        assert_eq!(gateway.reason(&proven).await, "token_unusable", "{jwt}");
        assert_eq!(gateway.reason(&bearer).await, expected, "{jwt}");
    }
}

#[tokio::test]
async fn without_a_memory_no_proof_passes() {
    let gateway = Gateway::new(&dpop(), Arc::new(Away));
    let token = bound_token();
    let request_with_proof = with_proof(&token, &proof(&token, &json!({})));
    let denial = gateway.identify(&request_with_proof).await.unwrap_err();
    assert_eq!(denial.reason, "dpop_memory_unavailable");
    assert_eq!((denial.code, denial.retry_after_secs), (ErrorCode::Unavailable, Some(1)));
    let bearer = format!("Bearer {}", super::token(&json!({})));
    let plain = request("GET", "/pay", &[("authorization", &bearer)]);
    assert_eq!(gateway.reason(&plain).await, "", "bearer tokens need none");
}

#[tokio::test]
async fn what_cannot_be_checked_is_not_the_proofs_fault() {
    let gateway = Gateway::changed(&dpop(), memory(), |parts| {
        parts.check_proof_signature = Arc::new(|_, _, _| Err(VerifyError::Budget));
    });
    let token = bound_token();
    let request = with_proof(&token, &proof(&token, &json!({})));
    let denial = gateway.identify(&request).await.unwrap_err();
    assert_eq!((denial.code, denial.reason), (ErrorCode::Unavailable, "dpop_unverified"));
}

#[tokio::test]
async fn the_proof_comes_last() {
    struct All;
    impl Revoked for All {
        fn check(&self, _: &Document, _: &VerifiedToken, _: UnixMillis) -> Result<(), Denial> {
            Err(Denial::new(ErrorCode::TokenRevoked, "token_revoked"))
        }

        fn check_named(&self, _: &Document, _: Named<'_>, _: UnixMillis) -> Result<(), Denial> {
            Err(Denial::new(ErrorCode::TokenRevoked, "token_revoked"))
        }
    }
    let store = memory();
    let revoking = Gateway::changed(&dpop(), Arc::clone(&store), |parts| {
        parts.revoked = Arc::new(All);
    });
    let token = bound_token();
    let request = with_proof(&token, &proof(&token, &json!({})));
    assert_eq!(revoking.reason(&request).await, "token_revoked");
    let gateway = Gateway::new(&dpop(), store);
    let mut elsewhere = request.clone();
    elsewhere.target = "/acme".to_owned();
    assert_eq!(gateway.reason(&elsewhere).await, "token_claims", "the route's rules");
    assert_eq!(revoking.proofs_checked() + gateway.proofs_checked(), 0);
    assert_eq!(gateway.reason(&request).await, "");
}

#[tokio::test]
async fn the_evidence_says_what_was_shown() {
    let gateway = Gateway::new(&dpop(), memory());
    let token = bound_token();
    let request = with_proof(&token, &proof(&token, &json!({})));
    let (evidence, settle) = gateway.passes(&request, NOW).await;
    assert_eq!(settle, None, "no limit waits for its end");
    assert_eq!((evidence.shown_key, evidence.shown_certificate), (Some(thumbprint()), None));
    assert_eq!(evidence.principal.unwrap().subject, "alice");
    assert_eq!(gateway.status(&request, NOW).await, 401, "the same proof again");
}
