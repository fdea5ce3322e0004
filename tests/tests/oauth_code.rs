//! From a browser without a session to a token that opens a route, and to its end: the authorization
//! code flow with PKCE, through Envoy.

use std::time::Duration;

use postern_e2e::browser::{self, Browser};
use postern_e2e::client::{Call, Protocol};
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::oauth::{self, App};
use postern_e2e::{documents, wait};
use serde_json::Value;

const STUDENT: &str = "ada@example.test";
const SCOPE: &str = "openid email content.read";
/// The feed asks once a second, and a verdict may be kept for as long.
const ENDS: Duration = Duration::from_secs(10);

async fn start(store: Store) -> (Gateway, App) {
    let gateway = Gateway::builder().document(documents::IDENTITY).store(store).durable();
    let gateway = gateway.start().await;
    oauth::user(&gateway, STUDENT, "student").await;
    let app = oauth::app(&gateway, SCOPE, &[]).await;
    (gateway, app)
}

fn text<'a>(tokens: &'a Value, member: &str) -> &'a str {
    tokens[member].as_str().unwrap_or_else(|| panic!("no {member}: {tokens}"))
}

/// Everything that happens to somebody who logs in, in the order in which it does.
async fn the_whole_way(store: Store) {
    let (gateway, app) = start(store).await;
    let mut browser = Browser::new(gateway.port());

    let page = browser.open(&app.authorize(SCOPE, &[("nonce", "n-1")])).await.expect(200);
    assert!(page.target.starts_with("/login"), "{}", page.target);
    let page = oauth::log_in(&mut browser, &page, STUDENT).await.expect(200);
    assert!(page.target.starts_with("/login/consent"), "{}", page.target);
    assert!(page.answer.text().contains("See courses and lessons"), "{}", page.answer);
    let page = browser.submit(&page, &[("decision", "allow")]).await;

    assert!(page.location().starts_with(oauth::CALLBACK), "{}", page.location());
    assert_eq!(page.parameter("state").as_deref(), Some("a state"));
    assert_eq!(page.parameter("iss").as_deref(), Some(browser.origin()));
    let code = page.parameter("code").expect("a code");

    let tokens = oauth::token(&gateway, &app.code(&code)).await.expect(200);
    assert_eq!(tokens.header("cache-control"), Some("no-store"));
    let tokens = tokens.json();
    assert_eq!(tokens["token_type"], "Bearer");
    let access = text(&tokens, "access_token").to_owned();
    assert!(tokens["id_token"].is_string(), "{tokens}");

    let lesson = Call::get("/content/lesson").bearer(&access);
    let seen = gateway.until_status(200, &lesson).await;
    assert!(seen.upstream_header("x-postern-subject").is_some(), "{seen}");
    let write = Call::post("/content/lesson").bearer(&access);
    gateway.send(&write).await.expect_denial(403, "INSUFFICIENT_SCOPE");

    let me = gateway.send(&Call::get("/oauth2/userinfo").bearer(&access)).await.expect(200).json();
    assert_eq!(me["email"], STUDENT, "{me}");

    let turned = oauth::token(&gateway, &app.refresh(text(&tokens, "refresh_token"))).await;
    let turned = turned.expect(200).json();
    assert_ne!(turned["refresh_token"], tokens["refresh_token"]);
    let later = text(&turned, "access_token").to_owned();
    gateway.send(&Call::get("/content/lesson").bearer(&later)).await.expect(200);

    // The second application that asks finds a browser that is logged in, and a user who agreed.
    let page = browser.open(&app.authorize(SCOPE, &[("prompt", "none")])).await;
    assert!(page.parameter("code").is_some(), "{}", page.location());

    let page = browser.open("/login/out").await.expect(200);
    let page = browser.submit(&page, &[]).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer);
    for token in [&access, &later] {
        let call = Call::get("/content/lesson").bearer(token);
        wait::until("a token of an ended session to be refused", ENDS, || {
            let (gateway, call) = (&gateway, &call);
            async move {
                let answer = gateway.send(call).await;
                if answer.status == 401 { Ok(()) } else { Err(answer.to_string()) }
            }
        })
        .await;
    }
    let refused = oauth::token(&gateway, &app.refresh(text(&turned, "refresh_token"))).await;
    assert_eq!(refused.expect(400).json()["error"], "invalid_grant");
    let page = browser.open(&app.authorize(SCOPE, &[("prompt", "none")])).await;
    assert_eq!(page.parameter("error").as_deref(), Some("login_required"));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_logs_in_and_out_again() {
    the_whole_way(Store::Memory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_logs_in_and_out_again_with_redis() {
    if postern_e2e::redis::is_skipped() {
        return;
    }
    the_whole_way(Store::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_code_ends_what_it_gave() {
    let (gateway, app) = start(Store::Memory).await;
    let mut browser = Browser::new(gateway.port());
    let code = oauth::code(&mut browser, &app, SCOPE, STUDENT).await;
    let tokens = oauth::token(&gateway, &app.code(&code)).await.expect(200).json();
    let lesson = Call::get("/content/lesson").bearer(text(&tokens, "access_token"));
    gateway.until_status(200, &lesson).await;

    let again = oauth::token(&gateway, &app.code(&code)).await.expect(400);
    assert_eq!(again.json()["error"], "invalid_grant");
    gateway.until_status(401, &lesson).await;
    let refused = oauth::token(&gateway, &app.refresh(text(&tokens, "refresh_token"))).await;
    assert_eq!(refused.expect(400).json()["error"], "invalid_grant");
}

/// A hundred at once with one code: one gets tokens, and those are taken back, because a code that
/// is shown twice was stolen.
async fn raced(store: Store) {
    let (gateway, app) = start(store).await;
    let mut browser = Browser::new(gateway.port());
    let code = oauth::code(&mut browser, &app, SCOPE, STUDENT).await;
    let call = oauth::token_call(&app.code(&code));
    let client = gateway.client(Protocol::Http1);
    let tries = (0..100).map(|_| {
        let call = call.clone();
        tokio::spawn(async move { client.send(&call).await.status })
    });
    let mut statuses = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        statuses.push(one.await.expect("an answer"));
    }
    let won = statuses.iter().filter(|status| **status == 200).count();
    assert!(won <= 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 400].contains(status)), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_survives_no_race() {
    raced(Store::Memory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_survives_no_race_with_redis() {
    if postern_e2e::redis::is_skipped() {
        return;
    }
    raced(Store::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_an_address_that_nobody_registered() {
    let (gateway, app) = start(Store::Memory).await;
    let mut browser = Browser::new(gateway.port());
    let registered = app.authorize(SCOPE, &[]);
    let right = browser::encode(&[("redirect_uri", oauth::CALLBACK)]);
    for wrong in [
        "https://app.test/callback/",
        "https://app.test/callback?x=1",
        "https://app.test/callback#x",
        "https://APP.test/callback",
        "https://app.test.evil.test/callback",
        "https://app.test@evil.test/callback",
        "http://app.test/callback",
        "//evil.test/callback",
        "javascript:alert(1)",
    ] {
        let wrong = browser::encode(&[("redirect_uri", wrong)]);
        let answer = browser.open(&registered.replace(&right, &wrong)).await.expect(400).answer;
        assert_eq!(answer.header("location"), None, "{wrong}");
    }
    for unknown in ["", "0b9b5b9e-0000-4000-8000-000000000000"] {
        let target = registered.replace(&app.client_id, unknown);
        assert_eq!(browser.open(&target).await.expect(400).answer.header("location"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_in_no_frame_and_run_nobody_elses_script() {
    let (gateway, app) = start(Store::Memory).await;
    let mut browser = Browser::new(gateway.port());
    let page = browser.open(&app.authorize(SCOPE, &[])).await.expect(200);
    let policy = page.answer.header("content-security-policy").expect("a policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{part}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.answer.header("cache-control"), Some("no-store"), "{}", page.answer);
    assert_eq!(page.answer.header("referrer-policy"), Some("same-origin"), "{}", page.answer);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_its_token_is_refused() {
    let (gateway, app) = start(Store::Memory).await;
    let mut browser = Browser::new(gateway.port());
    let page = browser.open(&app.authorize(SCOPE, &[])).await.expect(200);
    let mut form = page.form();
    let token = form.fields.iter_mut().find(|(name, _)| name == "csrf").expect("a token");
    token.1 = "A".repeat(token.1.len());
    let filled = [("email", STUDENT), ("password", oauth::PASSWORD)];
    let (_, answer) = browser.send_form(&form, &filled).await;
    assert!((400..500).contains(&answer.status), "{answer}");
    assert_eq!(browser.cookie("postern"), None, "nobody is logged in");
}
