//! A provider that says what it should not, a browser that brings what is not its own, and what
//! becomes of those for whom everything is as it has to be.

mod answers;
mod people;

use super::fixture::{OP, SECRET, Suite, claims, provider, query};
use super::*;
use crate::login::fixture::{NOW, World, caller, later};
use crate::ports::OutboundError;
use postern_jose::base64url;
use serde_json::json;

#[tokio::test]
async fn a_request_has_all_that_protects_its_answer() {
    let suite = Suite::new(provider());
    let sent = suite.start_at("corp", Acr::OneFactor, Some(900)).await;
    assert!(sent.location.starts_with("https://op.test/auth?tenant=a&response_type=code&"));
    let (_, asked) = sent.location.split_once('?').unwrap();
    let asked = Form::parse(asked.as_bytes()).unwrap();
    for (name, expected) in [
        ("client_id", "postern"),
        ("redirect_uri", "https://api.example.test/login/outside/corp/callback"),
        ("scope", "openid email"),
        ("code_challenge_method", "S256"),
        ("max_age", "900"),
    ] {
        assert_eq!(asked.get(name), Some(expected), "{name}");
    }
    let secrets = [&sent.state, &sent.nonce, &sent.challenge];
    assert!(secrets.iter().all(|secret| secret.len() == 43));
    let again = suite.start().await;
    assert!(sent.state != again.state && sent.nonce != again.nonce);
}

#[tokio::test]
async fn a_provider_and_the_secret_there_are_of_one_document() {
    let world = World::new();
    let rules = Arc::clone(&world.rules);
    let suite = Suite::of(world, provider(), |_| {});
    // Another document names another client, whose secret is not there yet.
    let mut next = LoginRules::clone(&rules.load());
    for provider in &mut next.login.outside {
        provider.client_id = "another".to_owned();
    }
    rules.store(Arc::new(next));
    let sent = suite.start().await;
    assert!(sent.location.contains("&client_id=postern&"), "{}", sent.location);
}

#[tokio::test]
async fn a_code_is_exchanged_with_the_verifier_and_the_secret() {
    let suite = Suite::new(provider());
    let sent = suite.start().await;
    suite.stub.gives(&suite.stub.key.sign(&claims(&sent, &json!({}))));
    suite.back("corp", &sent.cookie, &query(&sent), NOW).await.unwrap();
    let asked = suite.stub.says().asked.clone();
    let (who, form) = asked.iter().find_map(|line| line.split_once(' ')).unwrap();
    assert_eq!(who, "postern:s3cret%3a%2b%25");
    let form = Form::parse(form.as_bytes()).unwrap();
    assert_eq!(form.get("grant_type"), Some("authorization_code"));
    assert_eq!(form.get("code"), Some("c0de"));
    let callback = "https://api.example.test/login/outside/corp/callback";
    assert_eq!(form.get("redirect_uri"), Some(callback));
    let verifier = form.get("code_verifier").unwrap();
    let challenge = base64url::encode(&random::sha256(verifier.as_bytes()).0);
    assert_eq!(challenge, sent.challenge);
    assert_eq!(form.get("client_secret"), None);

    suite.stub.declares("token_endpoint_auth_methods_supported", json!(["client_secret_post"]));
    let much_later = later(6 * 60 * 1000);
    suite.stub.says().asked.clear();
    let start =
        OutsideStart { cookie: None, return_to: None, wants: Acr::OneFactor, max_age_secs: None };
    let started = suite.outside.start("corp", start, much_later).await.unwrap();
    let state = started.location.split_once("&state=").unwrap().1.split('&').next().unwrap();
    let cookie = started.cookie.unwrap();
    let query = format!("code=c&state={state}");
    // What it answers does not matter here, only what it was asked.
    drop(suite.back("corp", cookie.expose().as_bytes(), &query, much_later).await);
    let asked = suite.stub.says().asked.clone();
    let form = asked.iter().find_map(|line| line.strip_prefix(": ")).unwrap();
    let form = Form::parse(form.as_bytes()).unwrap();
    assert_eq!(form.get("client_secret"), Some(SECRET));
    assert_eq!(form.get("client_id"), Some("postern"));
}

#[tokio::test]
async fn what_is_kept_meanwhile_helps_nobody() {
    let suite = Suite::new(provider());
    let sent = suite.start().await;
    let key = pending::key(&sent.state).unwrap();
    let kept = suite.flows.peek(key, NOW).await.unwrap().unwrap();
    let kept = String::from_utf8(kept).unwrap();
    let cookie = String::from_utf8(sent.cookie.clone()).unwrap();
    let verifier = pending::verifier(&sent.state, &sent.cookie);
    for secret in [&sent.state, &sent.nonce, &sent.challenge, &cookie] {
        assert!(!kept.contains(secret.as_str()));
    }
    assert!(!kept.contains(verifier.expose()));
}

#[tokio::test]
async fn a_state_is_good_once() {
    let suite = Suite::new(provider());
    let sent = suite.start().await;
    suite.stub.gives(&suite.stub.key.sign(&claims(&sent, &json!({}))));
    let first = suite.back("corp", &sent.cookie, &query(&sent), NOW).await;
    assert!(matches!(first, Ok(Outcome::Done(_))), "{first:?}");
    let again = suite.back("corp", &sent.cookie, &query(&sent), NOW).await;
    assert!(matches!(again, Err(OutsideError::State(_))), "{again:?}");
    assert_eq!(suite.metrics.counted("corp", OutsideOutcome::LoggedIn), 1);
    assert_eq!(suite.metrics.counted("corp", OutsideOutcome::State), 1);
    assert_eq!(suite.metrics.counted("corp", OutsideOutcome::Started), 1);
}

#[tokio::test]
async fn an_answer_is_good_in_the_browser_that_asked_for_it() {
    let suite = Suite::new(provider());
    let (victim, attacker) = (suite.start().await, suite.start().await);
    suite.stub.gives(&suite.stub.key.sign(&claims(&attacker, &json!({}))));
    let lured = suite.back("corp", &victim.cookie, &query(&attacker), NOW).await;
    assert!(matches!(lured, Err(OutsideError::State(_))), "logged in as somebody else: {lured:?}");
    let asked = suite.stub.says().asked.clone();
    assert!(!asked.iter().any(|line| line.contains("c0de")), "its code was not even shown");
    let own = suite.back("corp", &attacker.cookie, &query(&attacker), NOW).await;
    assert!(matches!(own, Err(OutsideError::State(_))), "and it was used up by that");
}

#[tokio::test]
async fn an_answer_of_one_provider_is_none_of_another() {
    let suite = Suite::new(provider());
    let sent = suite.start_at("other", Acr::OneFactor, None).await;
    suite.stub.gives(&suite.stub.key.sign(&claims(&sent, &json!({}))));
    let mixed_up = suite.back("corp", &sent.cookie, &query(&sent), NOW).await;
    assert!(matches!(mixed_up, Err(OutsideError::State(_))), "{mixed_up:?}");
    let nowhere = suite.back("nobody", &sent.cookie, &query(&sent), NOW).await;
    assert_eq!(nowhere, Err(OutsideError::Unknown));
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_refused() {
    let suite = Suite::new(provider());
    let sent = suite.start().await;
    let invented = "A".repeat(43);
    for query in [
        "code=c0de".to_owned(),
        "code=c0de&state=".to_owned(),
        "code=c0de&state=x".to_owned(),
        format!("code=c0de&state={invented}"),
    ] {
        let refused = suite.back("corp", &sent.cookie, &query, NOW).await;
        assert!(matches!(refused, Err(OutsideError::State(_))), "{query}");
    }
    let late = suite.back("corp", &sent.cookie, &query(&sent), later(pending::LIFE_MS)).await;
    assert!(matches!(late, Err(OutsideError::State(_))), "{late:?}");
}

#[tokio::test]
async fn who_is_named_has_to_be_who_was_asked() {
    for (names_itself, more, expected) in [
        (false, "", true),
        // What nobody knows is ignored (RFC 6749 §4.1.2).
        (false, "&session_state=x&unknown=", true),
        (false, "&iss=https%3a%2f%2fop.test", true),
        (false, "&iss=https%3a%2f%2fevil.test", false),
        (true, "&iss=https%3a%2f%2fop.test", true),
        (true, "&iss=https%3a%2f%2fop.test%2f", false),
        (true, "", false),
    ] {
        let suite = Suite::new(provider());
        let names = "authorization_response_iss_parameter_supported";
        suite.stub.declares(names, json!(names_itself));
        let sent = suite.start().await;
        suite.stub.gives(&suite.stub.key.sign(&claims(&sent, &json!({}))));
        let query = [query(&sent).as_str(), more].concat();
        let done = suite.back("corp", &sent.cookie, &query, NOW).await;
        assert_eq!(done.is_ok(), expected, "{names_itself} {more}: {done:?}");
        let asked = suite.stub.says().asked.iter().any(|line| line.contains("c0de"));
        assert_eq!(asked, expected, "no code is shown to anybody else");
    }
}

#[tokio::test]
async fn who_is_not_signed_in_there_is_not_here() {
    let suite = Suite::new(provider());
    for more in ["error=access_denied", "error=x&code=c0de"] {
        let sent = suite.start().await;
        let query = format!("{more}&state={}", sent.state);
        let refused = suite.back("corp", &sent.cookie, &query, NOW).await;
        assert_eq!(refused, Err(OutsideError::Denied));
    }
    let sent = suite.start().await;
    let silent = format!("state={}", sent.state);
    let refused = suite.back("corp", &sent.cookie, &silent, NOW).await;
    assert!(matches!(refused, Err(OutsideError::Answer(_))));
}

#[tokio::test]
async fn a_log_in_that_is_under_way_goes_on_where_it_would_have_led() {
    let suite = Suite::new(provider());
    let to = ReturnTo::parse("/oauth2/authorize?x=y", "https://api.example.test", &[]).unwrap();
    let cookie = suite.login.begin(to.clone(), Acr::OneFactor, NOW).await.unwrap();
    let start = |cookie, return_to| OutsideStart {
        cookie,
        return_to,
        wants: Acr::OneFactor,
        max_age_secs: None,
    };
    let cookie = cookie.expose().as_bytes();
    let started = suite.outside.start("corp", start(Some(cookie), None), NOW).await.unwrap();
    assert_eq!(started.cookie, None);
    let named = start(Some(cookie), Some(ReturnTo::default()));
    let anew = suite.outside.start("corp", named, NOW).await.unwrap();
    assert!(anew.cookie.is_some(), "a place that is named begins another one");
    let gone = start(Some(&b"unknown"[..]), None);
    assert!(suite.outside.start("corp", gone, NOW).await.unwrap().cookie.is_some());

    let (_, asked) = started.location.split_once('?').unwrap();
    let asked = Form::parse(asked.as_bytes()).unwrap();
    let at = NOW.as_secs();
    let token = suite.stub.key.sign(&json!({
        "iss": OP, "sub": "u-1", "aud": "postern", "iat": at, "exp": at + 1,
        "nonce": asked.get("nonce"),
    }));
    suite.stub.gives(&token);
    let query = format!("code=c&state={}", asked.get("state").unwrap());
    match suite.back("corp", cookie, &query, NOW).await {
        Ok(Outcome::Done(done)) => assert_eq!(done.return_to, to),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_provider_that_is_not_known_or_has_no_secret_is_none() {
    let suite = Suite::new(provider());
    for name in ["", "CORP", "corp/", "nobody"] {
        let start = OutsideStart {
            cookie: None,
            return_to: None,
            wants: Acr::OneFactor,
            max_age_secs: None,
        };
        let refused = suite.outside.start(name, start, NOW).await;
        assert_eq!(refused, Err(OutsideError::Unknown), "{name}");
    }
}

#[tokio::test]
async fn who_does_not_answer_is_not_asked_again_at_once() {
    let suite = Suite::new(provider());
    let good = suite.stub.says().metadata.clone();
    suite.stub.says().metadata = Err(OutboundError::TooLarge);
    let start = || OutsideStart {
        cookie: None,
        return_to: None,
        wants: Acr::OneFactor,
        max_age_secs: None,
    };
    for at in [NOW, NOW, later(4_999)] {
        let refused = suite.outside.start("corp", start(), at).await;
        assert_eq!(refused, Err(OutsideError::Away(OutboundError::TooLarge)));
    }
    assert_eq!(suite.stub.says().asked.len(), 1);
    suite.stub.says().metadata = good;
    assert!(suite.outside.start("corp", start(), later(5_000)).await.is_ok());
    assert!(suite.outside.start("corp", start(), later(60_000)).await.is_ok());
    assert_eq!(suite.stub.says().asked.len(), 2, "metadata is good for a while");
    assert_eq!(suite.metrics.counted("corp", OutsideOutcome::Unreachable), 3);
}
