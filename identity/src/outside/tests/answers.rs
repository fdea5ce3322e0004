//! Providers that say what they should not, or somebody in their place.

use serde_json::{Value, json};

use super::super::fixture::{Sent, Signing, bytes};
use super::*;
use crate::ports::FormAnswer;

/// What is refused, and what nobody is logged in by.
async fn refuses(what: &str, token: impl Fn(&Suite, &Sent) -> String) {
    let suite = Suite::new(provider());
    let sent = suite.start().await;
    suite.stub.gives(&token(&suite, &sent));
    let refused = suite.back("corp", &sent.cookie, &query(&sent), NOW).await;
    assert!(matches!(refused, Err(OutsideError::Answer(_))), "{what}: {refused:?}");
    assert_eq!(suite.metrics.counted("corp", OutsideOutcome::Invalid), 1, "{what}");
}

#[tokio::test]
async fn an_id_token_that_does_not_hold_logs_nobody_in() {
    for (what, change) in [
        ("another issuer", json!({"iss": "https://evil.test"})),
        ("for somebody else", json!({"aud": "another"})),
        ("for several, made for another", json!({"aud": ["postern", "b"], "azp": "b"})),
        ("over", json!({"exp": NOW.as_secs() - 61})),
        ("made long ago", json!({"iat": NOW.as_secs() - 3600})),
        ("made in the future", json!({"iat": NOW.as_secs() + 3600})),
        ("no nonce", json!({"nonce": null})),
        ("another nonce", json!({"nonce": "A".repeat(43)})),
        ("another access token", json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"})),
        ("nobody", json!({"sub": ""})),
    ] {
        refuses(what, |suite, sent| suite.stub.key.sign(&claims(sent, &change))).await;
    }
}

#[tokio::test]
async fn a_signature_of_anybody_else_logs_nobody_in() {
    refuses("no signature", |_, sent| {
        let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
        let header = json!({"alg": "none"});
        format!("{}.{}.", part(&header), part(&claims(sent, &json!({}))))
    })
    .await;
    refuses("a shared secret", |suite, sent| {
        let header = json!({"alg": "HS256", "kid": suite.stub.key.kid});
        suite.stub.key.sign_as(&header, &claims(sent, &json!({})))
    })
    .await;
    refuses("another algorithm's name", |suite, sent| {
        let header = json!({"alg": "RS256", "kid": suite.stub.key.kid});
        suite.stub.key.sign_as(&header, &claims(sent, &json!({})))
    })
    .await;
    refuses("another key under the same name", |suite, sent| {
        let header = json!({"alg": "ES256", "kid": suite.stub.key.kid});
        Signing::new().sign_as(&header, &claims(sent, &json!({})))
    })
    .await;
    refuses("a key that it brings along", |_, sent| {
        let own = Signing::new();
        let header = json!({"alg": "ES256", "jwk": own.jwk, "jku": "https://evil.test/jwks"});
        own.sign_as(&header, &claims(sent, &json!({})))
    })
    .await;
    refuses("another kind of token", |suite, sent| {
        let header = json!({"alg": "ES256", "typ": "dpop+jwt", "kid": suite.stub.key.kid});
        suite.stub.key.sign_as(&header, &claims(sent, &json!({})))
    })
    .await;
    refuses("other claims below the same signature", |suite, sent| {
        let good = suite.stub.key.sign(&claims(sent, &json!({})));
        let parts: Vec<&str> = good.split('.').collect();
        let other = claims(sent, &json!({"sub": "admin"})).to_string();
        [parts[0], &base64url::encode(other.as_bytes()), parts[2]].join(".")
    })
    .await;
    refuses("no token at all", |_, _| "a.b".to_owned()).await;
}

#[tokio::test]
async fn a_key_without_a_name_is_as_good_as_one_with() {
    let suite = Suite::new(provider());
    let mut nameless = suite.stub.key.jwk.clone();
    nameless.as_object_mut().unwrap().remove("kid");
    let other = Signing::new();
    let mut another = other.jwk;
    another.as_object_mut().unwrap().remove("kid");
    suite.stub.says().jwks = Ok(bytes(&json!({"keys": [another, nameless]})));
    let sent = suite.start().await;
    let header = json!({"alg": "ES256"});
    suite.stub.gives(&suite.stub.key.sign_as(&header, &claims(&sent, &json!({}))));
    let done = suite.back("corp", &sent.cookie, &query(&sent), NOW).await;
    assert!(matches!(done, Ok(Outcome::Done(_))), "{done:?}");
}

#[tokio::test]
async fn a_key_that_is_new_is_asked_for_once_in_a_while() {
    let suite = Suite::new(provider());
    assert!(suite.come(&json!({})).await.is_ok());
    let fetches = || suite.stub.says().asked.iter().filter(|url| url.ends_with("/jwks")).count();
    assert_eq!(fetches(), 1);
    let new = Signing::new();
    suite.stub.says().jwks = Ok(bytes(&json!({"keys": [new.jwk]})));
    for (at, expected, asked) in
        [(NOW, false, 1), (later(9_999), false, 1), (later(10_000), true, 2)]
    {
        let sent = suite.start().await;
        suite.stub.gives(&new.sign(&claims(&sent, &json!({}))));
        let done = suite.back("corp", &sent.cookie, &query(&sent), at).await;
        assert_eq!((done.is_ok(), fetches()), (expected, asked), "{at:?}: {done:?}");
    }
}

#[tokio::test]
async fn providers_whose_word_cannot_be_had_log_nobody_in() {
    let away = OutboundError::Unreachable("it did not answer in time".to_owned());
    let token = |status, body: &[u8]| Ok(FormAnswer { status, body: body.to_vec() });
    for (answer, is_away) in [
        (Err(away.clone()), true),
        (Err(OutboundError::TooLarge), true),
        (Err(OutboundError::Refused(502)), true),
        (token(400, b"{\"error\":\"invalid_grant\"}"), false),
        (token(401, b"{\"error\":\"invalid_client\"}"), false),
        (token(200, b"{}"), false),
        (token(200, b"<html>"), false),
        (token(200, &[0xff; 2000]), false),
    ] {
        let suite = Suite::new(provider());
        let sent = suite.start().await;
        suite.stub.says().token = answer.clone();
        let refused = suite.back("corp", &sent.cookie, &query(&sent), NOW).await;
        match refused {
            Err(OutsideError::Away(_)) => assert!(is_away, "{answer:?}"),
            Err(OutsideError::Answer(_)) => assert!(!is_away, "{answer:?}"),
            other => panic!("{answer:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn keys_that_cannot_be_used_verify_nothing() {
    let mut private = Signing::new().jwk;
    private["d"] = json!("AAAA");
    let many = vec![Signing::new().jwk; 33];
    for jwks in [
        Ok(bytes(&json!({"keys": [private]}))),
        Ok(bytes(&json!({"keys": many}))),
        Ok(bytes(&json!({"keys": []}))),
        Ok(bytes(&json!([]))),
        Ok(b"<html>".to_vec()),
        Err(OutboundError::TooLarge),
        Err(OutboundError::Refused(404)),
    ] {
        let suite = Suite::new(provider());
        suite.stub.says().jwks = jwks.clone();
        let refused = suite.come(&json!({})).await;
        let is_refused = matches!(refused, Err(OutsideError::Answer(_) | OutsideError::Away(_)));
        assert!(is_refused, "{jwks:?}: {refused:?}");
    }
}

#[tokio::test]
async fn who_has_to_have_been_here_just_now_says_so() {
    for (auth_time, expected) in [(json!(NOW.as_secs() - 60), true), (json!(null), false)] {
        let suite = Suite::new(provider());
        let sent = suite.start_at("corp", Acr::OneFactor, Some(900)).await;
        let claims = claims(&sent, &json!({"auth_time": auth_time}));
        suite.stub.gives(&suite.stub.key.sign(&claims));
        let done = suite.back("corp", &sent.cookie, &query(&sent), NOW).await;
        assert_eq!(done.is_ok(), expected, "{auth_time}: {done:?}");
    }
}

/// When the session that begins says that its user has authenticated.
async fn authenticated_at(suite: &Suite, more: &serde_json::Value) -> UnixMillis {
    match suite.come(more).await {
        Ok(Outcome::Done(done)) => done.session.authenticated_at,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_says_when_its_user_has_authenticated_elsewhere() {
    let at = NOW.as_secs();
    for (more, expected) in [
        (json!({}), at),
        (json!({"auth_time": at - 3600}), at - 3600),
        (json!({"auth_time": at}), at),
        (json!({"auth_time": at + 30}), at),
        (json!({"auth_time": at + 86_400}), at),
        (json!({"auth_time": "long ago"}), at),
        (json!({"auth_time": -1}), at),
    ] {
        let suite = Suite::new(provider());
        let found = authenticated_at(&suite, &more).await;
        assert_eq!(found, UnixMillis(expected * 1000), "{more}");
    }
}

#[tokio::test]
async fn a_session_that_begins_after_all_were_ended_goes_on() {
    let suite = Suite::new(provider());
    let ended_at = UnixMillis(NOW.0 - 60_000);
    suite.login.end_all("corp:u-1", "test", ended_at).await.unwrap();
    let long_ago = json!({"auth_time": NOW.as_secs() - 3600});
    let Ok(Outcome::Done(done)) = suite.come(&long_ago).await else { panic!("no session") };
    let since = done.session.authenticated_at;
    assert_eq!(since, UnixMillis(NOW.0 - 59_000), "as old as it can be, and no older");
    let cookie = done.cookie.expose().as_bytes().to_vec();
    let found = suite.login.session(Some(&cookie), NOW).await.unwrap();
    assert!(found.is_some(), "or they could not log in any more");
}

#[tokio::test]
async fn who_is_sent_to_log_in_anew_does_so_at_the_provider() {
    let suite = Suite::new(provider());
    for (of_flow, named, expected) in [
        (Some(0), None, Some("0")),
        (Some(900), None, Some("900")),
        (Some(900), Some(60), Some("60")),
        (Some(60), Some(900), Some("60")),
        (None, None, None),
    ] {
        let to = ReturnTo::default();
        let flow = suite.login.begin_within(to, Acr::OneFactor, of_flow, NOW).await.unwrap();
        let start = OutsideStart {
            cookie: Some(flow.expose().as_bytes()),
            return_to: None,
            wants: Acr::OneFactor,
            max_age_secs: named,
        };
        let started = suite.outside.start("corp", start, NOW).await.unwrap();
        let (_, asked) = started.location.split_once('?').unwrap();
        let asked = Form::parse(asked.as_bytes()).unwrap();
        assert_eq!(asked.get("max_age"), expected, "{of_flow:?} {named:?}");
    }
}

#[tokio::test]
async fn logging_in_anew_may_take_its_time_and_counts_from_when_it_was_asked_for() {
    let back_at = later(240_000);
    let at = NOW.as_secs();
    for (auth_time, expected) in [
        (json!(at + 100), Some(at + 100)),
        // Their clock is behind.
        (json!(at - 30), Some(at)),
        (json!(at - 120), None),
        (json!(null), None),
    ] {
        let suite = Suite::new(provider());
        let sent = suite.start_at("corp", Acr::OneFactor, Some(0)).await;
        let claims = claims(&sent, &json!({"auth_time": auth_time}));
        suite.stub.gives(&suite.stub.key.sign(&claims));
        let found = match suite.back("corp", &sent.cookie, &query(&sent), back_at).await {
            Ok(Outcome::Done(done)) => Some(done.session.authenticated_at),
            _ => None,
        };
        assert_eq!(found, expected.map(|secs| UnixMillis(secs * 1000)), "{auth_time}");
    }
}
