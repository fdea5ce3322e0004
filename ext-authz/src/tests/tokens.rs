//! Where tokens are taken from, what routes ask of them, and what their keys are asked for.

use std::time::Duration;

use postern_request::ErrorCode;
use tokio::time::timeout;

use super::*;

fn to(target: &str, token: &str) -> Incoming {
    let bearer = format!("Bearer {token}");
    request("GET", target, &[("authorization", &bearer)])
}

#[tokio::test]
async fn tokens_are_taken_from_the_documents_places() {
    let everywhere = json!({"from": [
        {"header": "authorization"}, {"cookie": "at"}, {"query": "at"},
        {"websocket_protocol": "bearer"},
    ]});
    let (everywhere, default) =
        (Gateway::new(&everywhere, memory()), Gateway::new(&json!({}), memory()));
    let token = token(&json!({}));
    let cookie = format!("x=1; at={token}");
    let protocol = format!("bearer, {token}");
    for request in [
        to("/pay", &token),
        request("GET", "/pay", &[("cookie", "y=2"), ("cookie", &cookie)]),
        request("GET", &format!("/pay?at={token}"), &[]),
        request("GET", "/pay", &[("sec-websocket-protocol", &protocol)]),
    ] {
        let caller = everywhere.identify(&request).await.unwrap().principal;
        assert_eq!(caller.unwrap().subject, "alice", "{request:?}");
        let is_bearer = request.headers.iter().any(|(name, _)| name == "authorization");
        let caller = default.identify(&request).await.unwrap().principal;
        assert_eq!(caller.is_some(), is_bearer, "{request:?}");
    }
    let two = request("GET", "/pay", &[("authorization", "Basic x"), ("cookie", &cookie)]);
    assert_eq!(everywhere.reason(&two).await, "token_unusable");
    let twice = format!("{cookie}; at={token}");
    let twice = request("GET", "/pay", &[("cookie", &twice)]);
    assert_eq!(everywhere.reason(&twice).await, "token_unusable");
}

#[tokio::test]
async fn a_route_asks_for_claims() {
    let gateway = Gateway::new(&json!({}), memory());
    let acme = token(&json!({"tenant": "acme"}));
    assert_eq!(gateway.reason(&to("/acme", &acme)).await, "");
    let denial = gateway.identify(&to("/acme", &token(&json!({})))).await.unwrap_err();
    assert_eq!((denial.code, denial.reason), (ErrorCode::Forbidden, "token_claims"));
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once() {
    let gateway = Gateway::new(&json!({}), memory());
    let was_asked_for = async || {
        let wanted = gateway.keys.wanted(0);
        timeout(Duration::from_millis(20), wanted).await.is_ok()
    };
    let good = token(&json!({}));
    let expired = token(&json!({"exp": 1}));
    let stranger = token(&json!({"iss": "https://other.test"}));
    let forged = format!("{}{}", good.rsplit_once('.').unwrap().0, ".AAAA");
    for token in [&good, &expired, &stranger, &forged] {
        gateway.reason(&to("/pay", token)).await;
    }
    assert!(!was_asked_for().await, "a new set would change nothing");

    let claims = json!({"iss": ISSUER, "aud": "gateway", "sub": "a", "exp": NOW.as_secs() + 60});
    let rotated = signed(&json!({"alg": "RS256", "kid": "new"}), &claims);
    for _ in 0..3 {
        assert_eq!(gateway.reason(&to("/pay", &rotated)).await, "token_key");
    }
    assert!(was_asked_for().await);
    assert!(!was_asked_for().await, "many tokens ask once");
    let renamed = KeySet::parse(JWKS.replace("\"rsa\"", "\"new\"").as_bytes()).unwrap();
    gateway.keys.set(0, renamed);
    assert_eq!(gateway.reason(&to("/pay", &rotated)).await, "");

    gateway.keys.unknown_key(7);
    let nobody = timeout(Duration::from_millis(20), gateway.keys.wanted(7)).await;
    assert!(nobody.is_err(), "the document has no such issuer");
}
