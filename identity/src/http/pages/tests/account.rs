//! The account's pages: who gets to see them, and what their forms do.

use postern_store::durable::memory::MemoryDurableStore;
use postern_store::durable::{
    AuditEntry, AuditStore as _, ClientKind, ClientRecord, ConsentRecord, DurableStore as _,
    FactorStore as _, GrantStore as _,
};

use super::*;
use crate::login::totp;
use crate::vault::Purpose;

/// Somebody who has just logged in, and what the server knows of them.
async fn signed_in(role: &str) -> (Browser, Arc<MemoryDurableStore>, String) {
    let world = World::new();
    let user = world.user(role).await;
    let store = Arc::clone(&world.store);
    let mut browser = Browser::new(world).await;
    let answer = browser.log_in("/login", &user.email).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    (browser, store, user.id)
}

/// The code that the application being set up shows.
async fn code(store: &MemoryDurableStore, user_id: &str) -> String {
    let factors = store.factors_of(user_id).await.unwrap();
    let begun = factors.iter().find(|one| one.confirmed_at.is_none()).unwrap();
    let seed = vault().open(Purpose::Totp, begun.id.as_bytes(), &begun.sealed).unwrap();
    totp::code_at(&seed, NOW)
}

/// Token and further fields of the form that goes to a path.
fn form_to<'a>(page: &'a Answer, action: &str) -> &'a str {
    let start = format!("action=\"{action}\"");
    let (_, rest) = page.body.split_once(start.as_str()).unwrap_or_else(|| panic!("{action}"));
    let (_, rest) = rest.split_once("name=\"csrf\" value=\"").unwrap();
    rest.split('"').next().unwrap()
}

async fn actions(store: &MemoryDurableStore) -> Vec<String> {
    let records = store.audit_since(0, 1000).await.unwrap();
    records.into_iter().map(|record| record.entry.action).collect()
}

const PAGES: [&str; 6] = [
    "/login/account",
    "/login/account/sessions",
    "/login/account/mfa",
    "/login/account/passkeys",
    "/login/account/password",
    "/login/account/consents",
];

#[tokio::test]
async fn every_page_is_its_owners_alone_and_kept_nowhere() {
    let mut stranger = Browser::student().await;
    let (mut browser, ..) = signed_in("student").await;
    for path in PAGES {
        let answer = stranger.get(path).await;
        let back = path.replace('/', "%2f");
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, format!("/login?return_to={back}").as_str()),
        );
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn what_opens_the_account_is_shown_to_who_has_just_authenticated() {
    let (mut browser, ..) = signed_in("student").await;
    browser.wait(16);
    for path in PAGES {
        let answer = browser.get(path).await;
        let lists = ["/login/account", "/login/account/sessions", "/login/account/consents"];
        if lists.contains(&path) {
            assert_eq!(answer.status, 200, "{path}");
            continue;
        }
        let back = path.replace('/', "%2f");
        let again = format!("/login?return_to={back}&max_age=900");
        assert_eq!((answer.status, answer.header("location")), (303, again.as_str()));
        let answer = browser.post(path, "csrf=x").await;
        assert_eq!(answer.header("location"), again, "a form, too");
    }
    let before = browser.cookies.clone();
    let page = browser.get("/login?return_to=%2flogin%2faccount%2fmfa&max_age=900").await;
    assert!(page.body.contains(&format!("value=\"{EMAIL}\"")), "whose session it is");
    let body = credentials(page.csrf(), EMAIL, PASSWORD);
    let answer = browser.post("/login", &body).await;
    assert_eq!(answer.header("location"), "/login/account/mfa");
    assert_eq!(browser.get("/login/account/mfa").await.status, 200);
    let sessions = browser.get("/login/account/sessions").await;
    assert_eq!(sessions.body.matches("name=\"end\"").count(), 1, "the session goes on");
    browser.cookies = before;
    assert_eq!(browser.get("/login/account").await.status, 303, "under another cookie");
}

#[tokio::test]
async fn an_application_is_set_up_and_taken_away() {
    let (mut browser, store, user_id) = signed_in("student").await;
    let page = browser.get("/login/account/mfa").await;
    assert!(page.body.contains("Nothing is set up"));
    let csrf = form_to(&page, "/login/account/mfa/totp").to_owned();
    let key = browser.post("/login/account/mfa/totp", &format!("csrf={csrf}")).await;
    assert_eq!(key.status, 200);
    assert!(key.body.contains("<svg role=\"img\"") && !key.body.contains("needs a second step"));
    let wrong = format!("csrf={}&code=000000x", key.csrf());
    let again = browser.post("/login/account/mfa/totp", &wrong).await;
    assert_eq!(again.status, 400);
    assert!(!again.body.contains("<svg"), "a key is shown once");
    let good = format!("csrf={}&code={}", again.csrf(), code(&store, &user_id).await);
    let codes = browser.post("/login/account/mfa/totp", &good).await;
    assert_eq!(codes.status, 200, "{}", codes.body);
    assert_eq!(codes.body.matches("<li>").count(), 10);
    assert_eq!(codes.header("cache-control"), "no-store");
    let page = browser.get("/login/account/mfa").await;
    assert!(page.body.contains("Authenticator app") && page.body.contains("10 recovery codes"));
    let first: Vec<_> = codes.body.split("<li>").skip(1).collect();
    assert!(first.iter().all(|code| !page.body.contains(code.split('<').next().unwrap())));

    let renewed = form_to(&page, "/login/account/mfa/recovery").to_owned();
    let renewed = browser.post("/login/account/mfa/recovery", &format!("csrf={renewed}")).await;
    assert_eq!(renewed.body.matches("<li>").count(), 10);
    for path in ["/login/account/mfa/totp", "/login/account/mfa/recovery"] {
        let answer = browser.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/login/account/mfa"));
    }

    let factors = store.factors_of(&user_id).await.unwrap();
    let app = factors.iter().find(|one| one.name == "totp").unwrap();
    let csrf = form_to(&page, "/login/account/mfa").to_owned();
    let remove = format!("csrf={csrf}&remove={}", app.id);
    let removed = browser.post("/login/account/mfa", &remove).await;
    assert_eq!((removed.status, removed.header("location")), (303, "/login/account/mfa"));
    assert!(store.factors_of(&user_id).await.unwrap().is_empty());
    assert_eq!(browser.get("/login/account").await.status, 200, "nothing ends by that");
    let actions = actions(&store).await;
    assert!(actions.iter().any(|action| action == "mfa.enrolled"));
    assert!(actions.iter().any(|action| action == "mfa.removed"));
}

#[tokio::test]
async fn the_last_factor_of_who_needs_one_stays() {
    let world = World::new();
    let user = world.user("staff").await;
    let store = Arc::clone(&world.store);
    let mut browser = Browser::new(world).await;
    browser.log_in("/login", &user.email).await;
    let page = browser.get("/login/mfa/totp").await;
    let body = format!("csrf={}&code={}", page.csrf(), code(&store, &user.id).await);
    assert_eq!(browser.post("/login/mfa/totp", &body).await.status, 200);
    let page = browser.get("/login/account/mfa").await;
    let factors = store.factors_of(&user.id).await.unwrap();
    let app = factors.iter().find(|one| one.name == "totp").unwrap();
    let csrf = form_to(&page, "/login/account/mfa").to_owned();
    let remove = format!("csrf={csrf}&remove={}", app.id);
    let refused = browser.post("/login/account/mfa", &remove).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("role=\"alert\"") && refused.body.contains("another one"));
    assert_eq!(store.factors_of(&user.id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn another_password_ends_the_other_sessions() {
    let (mut browser, store, _) = signed_in("student").await;
    let own = browser.cookies.clone();
    browser.cookies.clear();
    browser.log_in("/login", EMAIL).await;
    let other = std::mem::replace(&mut browser.cookies, own);
    let page = browser.get("/login/account/password").await;
    assert!(page.body.contains("autocomplete=\"current-password\"") && page.body.contains(EMAIL));
    let csrf = page.csrf().to_owned();
    let old = PASSWORD.replace(' ', "+");
    let old = old.as_str();
    for (current, new, again) in [
        ("wrong", "another+horse", "another+horse"),
        (old, "another+horse", "another+house"),
        (old, "short", "short"),
        (old, old, old),
        ("", "another+horse", "another+horse"),
    ] {
        let body = format!("csrf={csrf}&current={current}&password={new}&again={again}");
        let answer = browser.post("/login/account/password", &body).await;
        assert_eq!(answer.status, 400, "{current} {new}");
        assert!(!answer.body.contains("horse"), "no password is shown again");
        let is_told = answer.body.contains("The current password is wrong");
        assert_eq!(is_told, current != old, "{current} {new}");
    }
    let body = format!("csrf={csrf}&current={old}&password=another+horse&again=another+horse");
    let saved = browser.post("/login/account/password", &body).await;
    assert_eq!((saved.status, saved.header("location")), (303, "/login/account?saved=password"));
    let account = browser.get("/login/account?saved=password").await;
    assert!(account.status == 200 && account.body.contains("role=\"status\""));
    assert!(actions(&store).await.contains(&"password.changed".to_owned()));
    browser.cookies = other;
    assert_eq!(browser.get("/login/account").await.status, 303, "the other one has ended");
}

#[tokio::test]
async fn all_other_sessions_end_and_this_one_stays() {
    let (mut browser, ..) = signed_in("student").await;
    let first = std::mem::take(&mut browser.cookies);
    browser.log_in("/login", EMAIL).await;
    let page = browser.get("/login/account/sessions").await;
    let body = format!("csrf={}&others=true", page.csrf());
    let answer = browser.post("/login/account/sessions", &body).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/login/account/sessions"));
    let page = browser.get("/login/account/sessions").await;
    assert_eq!(page.body.matches("name=\"end\"").count(), 1);
    assert!(!page.body.contains("name=\"others\""), "there is none left");
    browser.cookies = first;
    assert_eq!(browser.get("/login/account").await.status, 303);
}

#[tokio::test]
async fn a_consent_is_told_and_taken_back() {
    let (mut browser, store, user_id) = signed_in("student").await;
    let page = browser.get("/login/account/consents").await;
    assert!(page.body.contains("no application"));
    let entry = AuditEntry {
        at: NOW,
        actor: user_id.clone(),
        action: "consent.granted".to_owned(),
        target: user_id.clone(),
        detail: "{}".to_owned(),
    };
    let (id, name) = ("shop".to_owned(), "The <shop>".to_owned());
    let client = ClientRecord::new(id, name, ClientKind::Confidential, NOW);
    store.insert_client(client).await.unwrap();
    let consent = ConsentRecord {
        user_id: user_id.clone(),
        client_id: "shop".to_owned(),
        scopes: vec!["openid".to_owned(), "read".to_owned()],
        resources: Vec::new(),
        granted_at: NOW,
    };
    store.put_consent(consent, &entry).await.unwrap();
    let page = browser.get("/login/account/consents").await;
    for text in ["The &#60;shop&#62;", "Know who you are", "Text of read"] {
        assert!(page.body.contains(text), "{text} in {}", page.body);
    }
    let csrf = page.csrf().to_owned();
    let unknown = browser.post("/login/account/consents", &format!("csrf={csrf}&client=x")).await;
    assert_eq!(unknown.status, 303);
    assert_eq!(browser.post("/login/account/consents", "csrf=x&client=shop").await.status, 403);
    let body = format!("csrf={csrf}&client=shop");
    let revoked = browser.post("/login/account/consents", &body).await;
    assert_eq!((revoked.status, revoked.header("location")), (303, "/login/account/consents"));
    assert!(store.list_consents(&user_id).await.unwrap().is_empty());
    assert!(actions(&store).await.contains(&"consent.revoked".to_owned()));
}

#[tokio::test]
async fn no_form_of_the_account_is_taken_without_its_token() {
    let (mut browser, store, user_id) = signed_in("student").await;
    let token = browser.get("/login/account/sessions").await.csrf().to_owned();
    for path in [
        "/login/account/mfa",
        "/login/account/mfa/totp",
        "/login/account/mfa/recovery",
        "/login/account/passkeys",
        "/login/account/password",
        "/login/account/consents",
    ] {
        for csrf in ["", "x", &token] {
            let answer = browser.post(path, &format!("csrf={csrf}")).await;
            assert_eq!(answer.status, 403, "{path} {csrf}");
        }
        let foreign = Request::post(path)
            .header(header::CONTENT_TYPE, FORM)
            .header(header::ORIGIN, "https://evil.test");
        assert_eq!(browser.send(foreign, &format!("csrf={token}")).await.status, 403, "{path}");
    }
    assert!(store.factors_of(&user_id).await.unwrap().is_empty());
}
