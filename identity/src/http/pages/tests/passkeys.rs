//! What the script of the pages asks, and what is made of others' requests.

use postern_store::durable::memory::MemoryDurableStore;
use postern_store::durable::{AuditStore as _, FactorStore as _};
use serde_json::{Value, json};

use super::*;
use crate::passkeys::soft::SoftPasskey;

const OPTIONS: &str = "/auth/passkeys/options";
const FINISH: &str = "/auth/passkeys/finish";
const MAKE_OPTIONS: &str = "/login/account/passkeys/options";
const MAKE_FINISH: &str = "/login/account/passkeys/finish";

/// A request as the script makes it.
fn script(path: &str) -> axum::http::request::Builder {
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ORIGIN, ISSUER)
        .header("sec-fetch-site", "same-origin")
}

/// What the page tells the script.
fn data<'a>(page: &'a Answer, name: &str) -> &'a str {
    let start = format!("data-{name}=\"");
    let (_, rest) = page.body.split_once(start.as_str()).unwrap_or_else(|| panic!("{name}"));
    rest.split('"').next().unwrap()
}

fn parsed(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

/// Somebody who has just made a passkey on the account's page.
async fn with_passkey() -> (Browser, SoftPasskey, Arc<MemoryDurableStore>, String) {
    let world = World::new();
    let user = world.user("student").await;
    let store = Arc::clone(&world.store);
    let mut browser = Browser::new(world).await;
    browser.log_in("/login", EMAIL).await;
    let page = browser.get("/login/account/passkeys").await;
    assert_eq!((data(&page, "options"), data(&page, "finish")), (MAKE_OPTIONS, MAKE_FINISH));
    let csrf = data(&page, "csrf").to_owned();
    let options = browser.send(script(MAKE_OPTIONS), &json!({"csrf": csrf}).to_string()).await;
    assert_eq!(options.status, 200, "{}", options.body);
    assert_eq!(options.header("cache-control"), "no-store");
    let mut soft = SoftPasskey::new(1, ISSUER);
    let credential = soft.create(&parsed(&options));
    let made = json!({"csrf": csrf, "credential": credential, "name": "My <phone>"}).to_string();
    let answer = browser.send(script(MAKE_FINISH), &made).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(parsed(&answer)["location"], "/login/account/passkeys");
    let page = browser.get("/login/account/passkeys").await;
    assert!(page.body.contains("My &#60;phone&#62;"), "{}", page.body);
    assert!(page.body.contains("no recovery codes"));
    (browser, soft, store, user.id)
}

#[tokio::test]
async fn a_passkey_is_made_used_and_taken_away() {
    let (mut browser, mut soft, store, user_id) = with_passkey().await;
    browser.cookies.retain(|(name, _)| name != "__Host-postern");
    let page = browser.get("/login?return_to=%2fportal").await;
    assert_eq!((data(&page, "options"), data(&page, "finish")), (OPTIONS, FINISH));
    assert!(page.body.contains("autocomplete=\"username webauthn\""));
    let csrf = data(&page, "csrf").to_owned();
    let options = browser.send(script(OPTIONS), &json!({"csrf": csrf}).to_string()).await;
    assert_eq!(options.status, 200, "{}", options.body);
    let credential = soft.get(&parsed(&options));
    let shown = json!({"csrf": csrf, "credential": credential, "remember": true}).to_string();
    let answer = browser.send(script(FINISH), &shown).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(parsed(&answer)["location"], "/portal");
    assert!(browser.has("__Host-postern") && !browser.has("__Host-postern-login"));
    let cookies: Vec<_> = answer.headers.get_all(header::SET_COOKIE).iter().collect();
    assert!(cookies.iter().any(|one| one.to_str().unwrap().contains("Max-Age=2592000")));

    let page = browser.get("/login/account/passkeys").await;
    let factor = store.factors_of(&user_id).await.unwrap().remove(0);
    let remove = format!("csrf={}&remove={}", page.csrf(), factor.id);
    let removed = browser.post("/login/account/passkeys", &remove).await;
    assert_eq!((removed.status, removed.header("location")), (303, "/login/account/passkeys"));
    assert!(store.factors_of(&user_id).await.unwrap().is_empty());
    let records = store.audit_since(0, 100).await.unwrap();
    let actions: Vec<&str> = records.iter().map(|one| one.entry.action.as_str()).collect();
    let expected = ["login.succeeded", "mfa.enrolled", "login.succeeded", "mfa.removed"];
    assert_eq!(actions.get(1..), Some(&expected[..]));
}

#[tokio::test]
async fn behind_a_password_the_page_asks_for_the_passkey_alone() {
    let (mut browser, mut soft, ..) = with_passkey().await;
    browser.cookies.clear();
    let answer = browser.log_in("/login?return_to=%2fportal", EMAIL).await;
    assert_eq!(answer.header("location"), "/login/mfa");
    let page = browser.get("/login/mfa").await;
    assert!(!page.body.contains("name=\"code\""), "there is no code to enter");
    let csrf = data(&page, "csrf").to_owned();
    let options = browser.send(script(OPTIONS), &json!({"csrf": csrf}).to_string()).await;
    let credential = soft.get(&parsed(&options));
    let shown = json!({"csrf": csrf, "credential": credential}).to_string();
    let answer = browser.send(script(FINISH), &shown).await;
    assert_eq!(parsed(&answer)["location"], "/portal");
}

#[tokio::test]
async fn a_wrong_answer_is_refused_as_json() {
    let (mut browser, soft, ..) = with_passkey().await;
    browser.cookies.clear();
    let page = browser.get("/login").await;
    let csrf = data(&page, "csrf").to_owned();
    let mut thief = SoftPasskey::new(2, ISSUER);
    (thief.id, thief.user) = (soft.id.clone(), soft.user.clone());
    thief.rp_id.clone_from(&soft.rp_id);
    let options = browser.send(script(OPTIONS), &json!({"csrf": csrf}).to_string()).await;
    let credential = thief.get(&parsed(&options));
    let shown = json!({"csrf": csrf, "credential": credential}).to_string();
    for _ in 0..2 {
        let answer = browser.send(script(FINISH), &shown).await;
        assert_eq!(answer.status, 401, "{}", answer.body);
        assert_eq!(parsed(&answer)["error"], "INVALID_CREDENTIALS");
        assert!(!browser.has("__Host-postern"));
    }
}

#[tokio::test]
async fn nobody_else_sends_what_the_script_sends() {
    let mut browser = Browser::student().await;
    let page = browser.get("/login").await;
    let good = json!({"csrf": data(&page, "csrf")}).to_string();
    let others_form = json!({"csrf": page.csrf()}).to_string();
    let post = || Request::post(OPTIONS);
    let kind = (header::CONTENT_TYPE.as_str(), "application/json");
    for (headers, body, status) in [
        (vec![kind, ("origin", "https://evil.test")], &good, 403),
        (vec![kind, ("origin", ISSUER), ("sec-fetch-site", "cross-site")], &good, 403),
        (vec![kind, ("origin", ISSUER), ("sec-fetch-site", "same-site")], &good, 403),
        (vec![kind], &good, 403),
        (vec![("content-type", "text/plain"), ("origin", ISSUER)], &good, 400),
        (vec![("content-type", FORM), ("origin", ISSUER)], &good, 400),
        (vec![("origin", ISSUER)], &good, 400),
        (vec![kind, ("origin", ISSUER)], &others_form, 403),
        (vec![kind, ("origin", ISSUER)], &"{}".to_owned(), 403),
        (vec![kind, ("origin", ISSUER)], &"[]".to_owned(), 400),
        (vec![kind, ("origin", ISSUER)], &String::new(), 400),
        (vec![kind, ("origin", ISSUER)], &good.replace('}', ",\"more\":1}"), 400),
        (vec![kind, ("origin", ISSUER)], &good.replace('}', &" ".repeat(70_000)), 413),
        (vec![kind, ("sec-fetch-site", "same-origin")], &good, 200),
        (vec![kind, ("origin", ISSUER)], &good, 200),
    ] {
        let mut request = post();
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let answer = browser.send(request, body).await;
        assert_eq!(answer.status, status, "{headers:?} {}", answer.body);
    }
    let mut other = Browser::student().await;
    other.get("/login").await;
    let answer = other.send(script(OPTIONS), &good).await;
    assert_eq!(answer.status, 403, "a token is one browser's alone");
    browser.cookies.clear();
    assert_eq!(browser.send(script(OPTIONS), &good).await.status, 401, "no log-in is under way");
}

#[tokio::test]
async fn a_passkey_is_made_by_who_has_just_authenticated() {
    let mut browser = Browser::student().await;
    let stranger = browser.send(script(MAKE_OPTIONS), "{\"csrf\":\"x\"}").await;
    assert_eq!(stranger.status, 401);
    browser.log_in("/login", EMAIL).await;
    let page = browser.get("/login/account/passkeys").await;
    let body = json!({"csrf": data(&page, "csrf")}).to_string();
    assert_eq!(browser.send(script(MAKE_OPTIONS), "{\"csrf\":\"x\"}").await.status, 403);
    assert_eq!(browser.send(script(MAKE_OPTIONS), &body).await.status, 200);
    browser.wait(16);
    for path in [MAKE_OPTIONS, MAKE_FINISH] {
        assert_eq!(browser.send(script(path), &body).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn where_nobody_can_have_one_nobody_is_offered_one() {
    let world = World::without_passkeys();
    world.user("student").await;
    let mut browser = Browser::new(world).await;
    let page = browser.get("/login").await;
    assert!(!page.body.contains("<script") && !page.body.contains("webauthn"));
    let answer = browser.send(script(OPTIONS), "{\"csrf\":\"x\"}").await;
    assert_eq!(answer.status, 404);
    browser.log_in("/login", EMAIL).await;
    assert_eq!(browser.get("/login/account/passkeys").await.status, 404);
    let page = browser.get("/login/account").await;
    assert!(!page.body.contains("/login/account/passkeys"));
}

#[tokio::test]
async fn the_script_is_a_file_of_its_own() {
    let mut browser = Browser::student().await;
    let page = browser.get("/login").await;
    let (_, rest) = page.body.split_once("<script src=\"").unwrap();
    let href = rest.split('"').next().unwrap().to_owned();
    let script = browser.get(&href).await;
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(script.header("cache-control"), "public, max-age=31536000, immutable");
    assert!(script.body.contains("navigator.credentials"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self'") && policy.contains("connect-src 'self'"));
}

#[tokio::test]
async fn other_methods_are_told_so() {
    let mut browser = Browser::student().await;
    for path in [OPTIONS, FINISH, MAKE_OPTIONS, MAKE_FINISH] {
        let answer = browser.get(path).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{path}");
    }
}
