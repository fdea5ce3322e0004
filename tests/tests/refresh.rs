//! Refresh tokens: each is good once, a retry gets the same answer, and one that comes back later
//! ends everything that came of it.

use postern_e2e::browser::Browser;
use postern_e2e::client::{Answer, Call, Protocol};
use postern_e2e::documents;
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::oauth::{self, App, token, token_call};
use postern_e2e::redis;
use serde_json::Value;

const STUDENT: &str = "ada@example.test";
const SCOPE: &str = "content.read";

/// With another grace than ten seconds, where one is named.
async fn start(store: Store, grace: Option<&str>) -> (Gateway, App) {
    let mut document = documents::IDENTITY.to_owned();
    if let Some(grace) = grace {
        let with = format!("oauth:\n  refresh_token:\n    grace: {grace}\n");
        assert!(document.contains("oauth:\n"), "the fixture has an authorization server");
        document = document.replacen("oauth:\n", &with, 1);
    }
    let gateway = Gateway::builder().document(document).store(store).durable().start().await;
    oauth::user(&gateway, STUDENT, "student").await;
    let app = oauth::app(&gateway, SCOPE, &[]).await;
    (gateway, app)
}

fn text(tokens: &Value, member: &str) -> String {
    tokens[member].as_str().unwrap_or_else(|| panic!("no {member}: {tokens}")).to_owned()
}

fn expect_invalid_grant(answer: Answer) {
    assert_eq!(answer.expect(400).json()["error"], "invalid_grant");
}

async fn a_spent_one_ends_its_family(store: Store) {
    let (gateway, app) = start(store, Some("0s")).await;
    let tokens = oauth::tokens(&gateway, &app, SCOPE, STUDENT).await;
    let other = oauth::tokens(&gateway, &app, SCOPE, STUDENT).await;
    let first = text(&tokens, "refresh_token");
    let turned = token(&gateway, &app.refresh(&first)).await.expect(200).json();
    let lesson = Call::get("/content/lesson").bearer(&text(&turned, "access_token"));
    gateway.until_status(200, &lesson).await;

    expect_invalid_grant(token(&gateway, &app.refresh(&first)).await);
    // Neither the thief nor the owner goes on with what came of it.
    expect_invalid_grant(token(&gateway, &app.refresh(&text(&turned, "refresh_token"))).await);
    gateway.until_status(401, &lesson).await.expect_denial(401, "TOKEN_REVOKED");
    // Another log-in of the same user is no part of it.
    token(&gateway, &app.refresh(&text(&other, "refresh_token"))).await.expect(200);
    let reused = [("outcome", "reused")];
    assert_eq!(gateway.server.metric("postern_identity_refresh_total", &reused).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_refresh_token_ends_its_family() {
    a_spent_one_ends_its_family(Store::Memory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_refresh_token_ends_its_family_with_redis() {
    if !redis::is_skipped() {
        a_spent_one_ends_its_family(Store::Redis).await;
    }
}

async fn a_hundred_make_one_chain(store: Store) {
    let (gateway, app) = start(store, None).await;
    let tokens = oauth::tokens(&gateway, &app, SCOPE, STUDENT).await;
    let first = text(&tokens, "refresh_token");
    let call = token_call(&app.refresh(&first));
    let client = gateway.client(Protocol::Http1);
    let tries: Vec<_> = (0..100)
        .map(|_| {
            let call = call.clone();
            tokio::spawn(async move { client.send(&call).await.expect(200).body })
        })
        .collect();
    let mut bodies = Vec::new();
    for one in tries {
        bodies.push(one.await.expect("an answer"));
    }
    let one = bodies.first().expect("answers").clone();
    assert!(bodies.iter().all(|body| *body == one), "all of them got the same answer");

    let answer: Value = serde_json::from_slice(&one).expect("JSON");
    let next = text(&answer, "refresh_token");
    assert_ne!(next, first);
    let turned = token(&gateway, &app.refresh(&next)).await.expect(200).json();
    let lesson = Call::get("/content/lesson").bearer(&text(&turned, "access_token"));
    gateway.until_status(200, &lesson).await;
    let count = |outcome| {
        let server = &gateway.server;
        async move { server.metric("postern_identity_refresh_total", &[("outcome", outcome)]).await }
    };
    assert_eq!((count("rotated").await, count("again").await), (2, 99));
    assert_eq!(count("reused").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_refreshes_with_one_token_make_one_chain() {
    a_hundred_make_one_chain(Store::Memory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_refreshes_with_one_token_make_one_chain_with_redis() {
    if !redis::is_skipped() {
        a_hundred_make_one_chain(Store::Redis).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_gets_the_same_answer_and_nobody_else_does() {
    let (gateway, app) = start(Store::Memory, None).await;
    let stranger = oauth::app(&gateway, SCOPE, &[]).await;
    let tokens = oauth::tokens(&gateway, &app, SCOPE, STUDENT).await;
    let first = text(&tokens, "refresh_token");
    let answer = token(&gateway, &app.refresh(&first)).await.expect(200);
    let again = token(&gateway, &app.refresh(&first)).await.expect(200);
    assert_eq!(answer.body, again.body);
    // Another client with the same token learns nothing, and harms nobody.
    expect_invalid_grant(token(&gateway, &stranger.refresh(&first)).await);
    let next = text(&answer.json(), "refresh_token");
    expect_invalid_grant(token(&gateway, &stranger.refresh(&next)).await);
    token(&gateway, &app.refresh(&next)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_only_shrink_and_shrink_for_one_token_alone() {
    let document = documents::IDENTITY;
    let gateway = Gateway::builder().document(document).durable().start().await;
    oauth::user(&gateway, STUDENT, "student").await;
    let app = oauth::app(&gateway, "content.read payments.write", &[]).await;
    let tokens = oauth::tokens(&gateway, &app, "content.read payments.write", STUDENT).await;
    let first = text(&tokens, "refresh_token");

    let mut wider = app.refresh(&first);
    wider.push(("scope", "content.read content.write"));
    let refused = token(&gateway, &wider).await.expect(400).json();
    assert_eq!(refused["error"], "invalid_scope", "{refused}");

    let mut narrow = app.refresh(&first);
    narrow.push(("scope", "content.read"));
    let narrowed = token(&gateway, &narrow).await.expect(200).json();
    assert_eq!(narrowed["scope"], "content.read");
    // RFC 6749 §6: what was granted once may be had again.
    let next = text(&narrowed, "refresh_token");
    let whole = token(&gateway, &app.refresh(&next)).await.expect(200).json();
    let mut scopes: Vec<&str> = whole["scope"].as_str().expect("a scope").split(' ').collect();
    scopes.sort_unstable();
    assert_eq!(scopes, ["content.read", "payments.write"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_refresh_token_is_an_invalid_grant() {
    let (gateway, app) = start(Store::Memory, None).await;
    let mut browser = Browser::new(gateway.port());
    let code = oauth::code(&mut browser, &app, SCOPE, STUDENT).await;
    let tokens = token(&gateway, &app.code(&code)).await.expect(200).json();
    let right = text(&tokens, "refresh_token");
    let access = text(&tokens, "access_token");
    let flipped = |at: usize| {
        let mut bytes = right.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).expect("text")
    };
    let cut = right[..right.len() - 1].to_owned();
    let wrong = [flipped(5), flipped(right.len() / 2), flipped(right.len() - 2), cut];
    for wrong in wrong.iter().chain([&access, &code, &format!("{right}A"), &"x".to_owned()]) {
        expect_invalid_grant(token(&gateway, &app.refresh(wrong)).await);
    }
    // None of these tries ended anything.
    token(&gateway, &app.refresh(&right)).await.expect(200);
}
