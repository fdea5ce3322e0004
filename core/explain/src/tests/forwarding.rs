//! What the service gets.

use super::*;

fn reading() -> Request {
    get("/read/7").claiming(&alice(r#","scope":"read list","tenant":"blue""#))
}

#[test]
fn identity_headers_have_one_writer() {
    let request = reading()
        .with("x-postern-subject", "root")
        .with("x-tenant", "red")
        .with("x_postern_tier", "gold")
        .with("x-posternal", "fine");
    let explanation = usual(&request);
    let forwarded = forwarded(&explanation);
    assert_eq!(forwarded.header("x-postern-subject").as_deref(), Some("alice"));
    assert_eq!(forwarded.header("x-tenant").as_deref(), Some("blue"));
    assert_eq!(forwarded.header("x_postern_tier"), None);
    assert_eq!(forwarded.header("x-posternal").as_deref(), Some("fine"));
    assert!(forwarded.removed.contains(&"x_postern_tier".to_owned()), "{:?}", forwarded.removed);
}

#[test]
fn rules_write_and_remove_headers() {
    let request = reading().with("x-debug", "1").with("x-caller", "root").with("x-gateway", "a");
    let explanation = usual(&request);
    let forwarded = forwarded(&explanation);
    assert_eq!(forwarded.header("x-debug"), None);
    assert_eq!(forwarded.header("x-gateway").as_deref(), Some("postern"));
    assert_eq!(forwarded.header("x-caller").as_deref(), Some("alice"));
    assert_eq!(forwarded.timeout_ms, 10_000);
    assert_eq!(forwarded.attempts, 3);
}

#[test]
fn tokens_leave_every_place_but_the_header_that_decided() {
    let claims = alice(r#","scope":"read list","tenant":"blue""#);
    let token = postern_jose::base64url::encode(claims.as_bytes());
    let header = postern_jose::base64url::encode(br#"{"alg":"RS256"}"#);
    let signature = postern_jose::base64url::encode(&[7; 256]);
    let token = format!("{header}.{token}.{signature}");
    let request = get(&format!("/read/7?at={token}&x=1"))
        .with("authorization", &format!("Bearer {token}"))
        .with("cookie", &format!("a=1; at={token}"));
    let explanation = usual(&request);
    let forwarded = forwarded(&explanation);
    assert_eq!(forwarded.target, "/read/7?x=1");
    assert_eq!(forwarded.header("cookie").as_deref(), Some("a=1"));
    assert!(forwarded.header("authorization").is_some());
}

#[test]
fn what_stands_for_a_credential_is_no_header() {
    let explanation = usual(&reading());
    assert_eq!(forwarded(&explanation).header("authorization"), None);
    let on_an_open_route = usual(&get("/open").claiming(&alice("")));
    assert_eq!(forwarded(&on_an_open_route).header("authorization"), None);
    assert!(forwarded(&on_an_open_route).principal.is_none());
}

#[test]
fn ids_that_are_none_do_not_get_through() {
    let id = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
    for (sent, expected) in [(id, Some(id)), ("mine", None)] {
        let explanation = usual(&get("/open").with("x-correlation-id", sent));
        let kept = forwarded(&explanation).header("x-correlation-id");
        assert_eq!(kept.as_deref(), expected);
    }
}
