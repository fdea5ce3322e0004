//! The account's pages through Envoy: sessions, second factors, the password and consents, by their
//! owner alone.

use postern_e2e::browser::{Browser, Form, Page};
use postern_e2e::client::Call;
use postern_e2e::gateway::Gateway;
use postern_e2e::{documents, oauth, totp};

const STUDENT: &str = "ada@example.test";
const ADMIN: &str = "grace@example.test";

async fn start(role: &str, email: &str) -> Gateway {
    let gateway = Gateway::builder().document(documents::IDENTITY).durable().start().await;
    oauth::user(&gateway, email, role).await;
    gateway
}

async fn logged_in(gateway: &Gateway, email: &str) -> Browser {
    let mut browser = Browser::new(gateway.port());
    let page = browser.open("/login").await.expect(200);
    let page = oauth::log_in(&mut browser, &page, email).await.expect(200);
    assert_eq!(page.target, "/login/account");
    browser
}

/// The form that goes to a path and has a field of this name.
fn form(page: &Page, action: &str, field: &str) -> Form {
    let has = |form: &Form| {
        form.action == action
            && (field.is_empty() || form.fields.iter().any(|(name, _)| name == field))
    };
    let found = page.forms().into_iter().find(has);
    found.unwrap_or_else(|| panic!("no form for {action}:\n{}", page.answer))
}

/// The key that a page of enrolment shows for typing.
fn shown_key(page: &Page) -> String {
    let text = page.answer.text();
    let (_, rest) = text.split_once("<p class=\"code\">").expect("the key");
    rest.split_once('<').expect("its end").0.to_owned()
}

/// The codes that a page shows, once.
fn shown_codes(page: &Page) -> Vec<String> {
    let text = page.answer.text();
    let lines = text.split("<li>").skip(1).filter_map(|rest| rest.split('<').next());
    lines.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_for_its_owner_and_kept_nowhere() {
    let gateway = start("student", STUDENT).await;
    let mut browser = logged_in(&gateway, STUDENT).await;
    for path in ["", "/sessions", "/mfa", "/password", "/consents"] {
        let target = format!("/login/account{path}");
        let page = browser.open(&target).await.expect(200);
        assert_eq!(page.target, target);
        assert_eq!(page.answer.header("cache-control"), Some("no-store"), "{target}");
        let policy = page.answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let stranger = Browser::new(gateway.port()).open(&target).await.expect(200);
        assert!(stranger.target.starts_with("/login?return_to="), "{}", stranger.target);
    }
    // Passkeys need a name, and this gateway has an address.
    browser.open("/login/account/passkeys").await.answer.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_set_up_used_and_taken_away() {
    let gateway = start("student", STUDENT).await;
    let mut browser = logged_in(&gateway, STUDENT).await;
    let page = browser.open("/login/account/mfa").await.expect(200);
    let key = browser.submit_form(&form(&page, "/login/account/mfa/totp", ""), &[]).await;
    let secret = shown_key(&key);
    let wrong = browser.submit(&key, &[("code", "000000x")]).await;
    assert_eq!(wrong.answer.status, 400, "{}", wrong.answer);
    let codes = browser.submit(&wrong, &[("code", &totp::code(&secret, 0))]).await.expect(200);
    assert_eq!(shown_codes(&codes).len(), 10, "{}", codes.answer);

    // From now on a password is not enough, and a recovery code is, once.
    let recovery = shown_codes(&codes).remove(0);
    for expected in [200, 400] {
        let mut other = Browser::new(gateway.port());
        let page = other.open("/login").await.expect(200);
        let page = oauth::log_in(&mut other, &page, STUDENT).await.expect(200);
        assert_eq!(page.target, "/login/mfa");
        let page = other.submit(&page, &[("code", &recovery)]).await;
        assert_eq!(page.answer.status, expected, "{}", page.answer);
    }

    // New ones are instead of the old.
    let page = browser.open("/login/account/mfa").await.expect(200);
    let renew = form(&page, "/login/account/mfa/recovery", "");
    let renewed = shown_codes(&browser.submit_form(&renew, &[]).await.expect(200));
    let old = shown_codes(&codes).remove(1);
    let mut other = Browser::new(gateway.port());
    let page = other.open("/login").await.expect(200);
    let page = oauth::log_in(&mut other, &page, STUDENT).await.expect(200);
    let refused = other.submit(&page, &[("code", &old)]).await;
    assert_eq!(refused.answer.status, 400, "{}", refused.answer);
    other.submit(&refused, &[("code", &renewed[0])]).await.answer.expect(200);

    let page = browser.open("/login/account/mfa").await.expect(200);
    let remove = form(&page, "/login/account/mfa", "remove");
    let page = browser.submit_form(&remove, &[]).await.expect(200);
    assert!(page.answer.text().contains("Nothing is set up"), "{}", page.answer);
    logged_in(&gateway, STUDENT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_must_have_a_factor_keeps_the_last_one() {
    let gateway = start("admin", ADMIN).await;
    let mut browser = Browser::new(gateway.port());
    let page = browser.open("/login").await.expect(200);
    let page = oauth::log_in(&mut browser, &page, ADMIN).await.expect(200);
    assert_eq!(page.target, "/login/mfa/totp");
    let code = totp::code(&shown_key(&page), 0);
    browser.submit(&page, &[("code", &code)]).await.answer.expect(200);
    let page = browser.open("/login/account/mfa").await.expect(200);
    let remove = form(&page, "/login/account/mfa", "remove");
    let refused = browser.submit_form(&remove, &[]).await;
    assert_eq!(refused.answer.status, 400, "{}", refused.answer);
    assert!(refused.answer.text().contains("role=\"alert\""), "{}", refused.answer);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_password_ends_everything_else() {
    let gateway = start("student", STUDENT).await;
    let mut browser = logged_in(&gateway, STUDENT).await;
    let mut elsewhere = logged_in(&gateway, STUDENT).await;
    let page = browser.open("/login/account/password").await.expect(200);
    let new = "quite another horse";
    let values = |current, again| [("current", current), ("password", new), ("again", again)];
    for (current, again) in [("not the password", new), (oauth::PASSWORD, "something else")] {
        let refused = browser.submit(&page, &values(current, again)).await;
        assert_eq!(refused.answer.status, 400, "{}", refused.answer);
    }
    let saved = browser.submit(&page, &values(oauth::PASSWORD, new)).await.expect(200);
    assert!(saved.answer.text().contains("role=\"status\""), "{}", saved.answer);
    let page = elsewhere.open("/login/account").await.expect(200);
    assert!(page.target.starts_with("/login?"), "{}", page.target);
    browser.open("/login/account").await.answer.expect(200);
    let call = |password: &str| {
        let body = serde_json::json!({"email": STUDENT, "password": password});
        let call = Call::post("/auth/login").header("content-type", "application/json");
        call.body(body.to_string())
    };
    gateway.send(&call(oauth::PASSWORD)).await.expect_denial(401, "INVALID_CREDENTIALS");
    gateway.send(&call(new)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_ended_from_any_of_them() {
    let gateway = start("student", STUDENT).await;
    let mut browser = logged_in(&gateway, STUDENT).await;
    let mut second = logged_in(&gateway, STUDENT).await;
    let mut third = logged_in(&gateway, STUDENT).await;
    let page = browser.open("/login/account/sessions").await.expect(200);
    let others = form(&page, "/login/account/sessions", "others");
    browser.submit_form(&others, &[]).await.answer.expect(200);
    for ended in [&mut second, &mut third] {
        let page = ended.open("/login/account").await.expect(200);
        assert!(page.target.starts_with("/login?"), "{}", page.target);
    }
    let page = browser.open("/login/account/sessions").await.expect(200);
    let all = form(&page, "/login/account/sessions", "all");
    let page = browser.submit_form(&all, &[]).await.expect(200);
    assert_eq!(page.target, "/login/out");
    assert_eq!(browser.cookie("postern"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_is_taken_back_ends_what_the_application_has() {
    let gateway = start("student", STUDENT).await;
    let scope = "openid content.read";
    let app = oauth::app(&gateway, scope, &[]).await;
    let mut browser = Browser::new(gateway.port());
    let code = oauth::code(&mut browser, &app, scope, STUDENT).await;
    let tokens = oauth::token(&gateway, &app.code(&code)).await.expect(200).json();
    let token = tokens["access_token"].as_str().expect("a token").to_owned();
    let lesson = Call::get("/content/lesson").bearer(&token);
    gateway.until_status(200, &lesson).await;

    let page = browser.open("/login/account/consents").await.expect(200);
    let text = page.answer.text();
    assert!(text.contains("Courses") && text.contains("See courses and lessons"), "{text}");
    let page = browser.submit(&page, &[]).await.expect(200);
    assert!(page.forms().is_empty(), "{}", page.answer);
    gateway.until_status(401, &lesson).await;
    let refresh = tokens["refresh_token"].as_str().expect("a refresh token");
    let refused = oauth::token(&gateway, &app.refresh(refresh)).await.expect(400).json();
    assert_eq!(refused["error"], "invalid_grant");
    let page = browser.open(&app.authorize(scope, &[])).await.expect(200);
    assert!(page.target.starts_with("/login/consent"), "asked again: {}", page.target);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_site_changes_anything() {
    let gateway = start("student", STUDENT).await;
    let mut browser = logged_in(&gateway, STUDENT).await;
    for (path, body) in [
        ("/login/account/sessions", "all=true"),
        ("/login/account/mfa/totp", ""),
        ("/login/account/mfa/recovery", ""),
        ("/login/account/password", "current=x&password=y&again=y"),
        ("/login/account/consents", "client=x"),
    ] {
        let foreign = browser.navigation("POST", path, "cross-site");
        let foreign = foreign.header("origin", "https://evil.test").form(body);
        browser.send(foreign).await.expect(403);
        let own = browser.navigation("POST", path, "same-origin");
        let own = own.header("origin", browser.origin().to_owned()).form(&format!("csrf=x&{body}"));
        browser.send(own).await.expect(403);
    }
    browser.open("/login/account").await.answer.expect(200);
}
