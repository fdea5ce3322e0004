//! Logging in at an outside provider, through Envoy: at another suite, at a provider that makes
//! users, and at providers that say what they should not.
use postern_e2e::browser::{self, Browser, Page};
use postern_e2e::client::Call;
use postern_e2e::documents;
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Key, Token};
use postern_e2e::oauth;
use postern_e2e::provider::{CLIENT_ID, Provider};
use postern_request::UnixMillis;
use postern_store::durable::{ClientKind, ClientRecord, DurableStore as _, SecretHash};
use postern_store_sql::SqlStore;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kit::elsewhere::{self, sent};

const SECRET: &str = "the secret of the suite at its provider: 100%";
const SESSION: &str = "postern";
const LOGIN: &str = "postern-login";
const SCOPE: &str = "openid email content.read";

/// The suite's own log-in, with a provider `corp` that is found by its issuer; `more` are further
/// members of it.
async fn suite(issuer: &str, more: &str) -> (Gateway, TempDir) {
    let (document, folder) = elsewhere::document(documents::IDENTITY, issuer, SECRET, more);
    let gateway = Gateway::builder().document(document).durable().start().await;
    (gateway, folder)
}

fn callback(page: &Page, provider: &Provider) -> String {
    elsewhere::back(provider, "c0de", &page.parameter("state").expect("a state"))
}

/// The provider vouches for somebody, and they come back.
async fn come(gateway: &Gateway, provider: &Provider, claims: &[(&str, Value)]) -> (Browser, Page) {
    let (mut browser, page) = sent(gateway, "/login/account").await;
    let mut token = provider.id_token("u-1", &page.parameter("nonce").expect("a nonce"));
    for (name, value) in claims {
        token = token.claim(name, value.clone());
    }
    provider.gives(&token.sign());
    let back = callback(&page, provider);
    let page = browser.come_from_elsewhere(&back).await;
    (browser, page)
}

async fn counted(gateway: &Gateway, outcome: &str) -> u64 {
    let labels = [("provider", "corp"), ("outcome", outcome)];
    gateway.server.metric("postern_identity_outside_total", &labels).await
}

/// Makes the suite a client of another one.
async fn client_of(provider: &Gateway, redirect_uri: String) {
    let address = provider.durable.as_ref().expect("a durable store").arguments(&[]);
    let store = SqlStore::open_migrated(&address[1]).await.expect("the provider's store");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, SECRET.as_bytes());
    let hash: [u8; 32] = digest.as_ref().try_into().expect("32 bytes");
    let words =
        |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let record = ClientRecord {
        secret_sha256: Some(SecretHash(hash)),
        grant_types: words(&["authorization_code"]),
        response_types: words(&["code"]),
        redirect_uris: vec![redirect_uri],
        scopes: words(&["openid", "profile", "email"]),
        require_consent: false,
        auth_method: "client_secret_basic".to_owned(),
        ..ClientRecord::new(
            CLIENT_ID.to_owned(),
            "Suite".to_owned(),
            ClientKind::Confidential,
            UnixMillis(0),
        )
    };
    store.insert_client(record).await.expect("a new client");
}

/// The way of a browser from one suite to another one, where its user logs in, and back.
async fn by_way_of(suite: &Gateway, provider: &Gateway, email: &str) -> (Browser, Page) {
    let (mut browser, page) = sent(suite, "/login/account").await;
    let there = page.location();
    let origin = provider.url("");
    let target = there.strip_prefix(&origin).expect("the provider's authorization endpoint");
    // The same browser: the kit keeps a jar for each gateway.
    let mut elsewhere = Browser::new(provider.port());
    let page = elsewhere.come_from_elsewhere(target).await.expect(200);
    let page = oauth::log_in(&mut elsewhere, &page, email).await;
    let back = page.location();
    let origin = suite.url("");
    let back = back.strip_prefix(&origin).expect("the suite's callback").to_owned();
    let page = browser.come_from_elsewhere(&back).await;
    (browser, page)
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_of_another_suite_logs_in() {
    let provider = Gateway::builder().document(documents::IDENTITY).durable().start().await;
    let email = "ada@example.test";
    let id = oauth::user(&provider, email, "student").await;
    let (gateway, _folder) = suite(&provider.url(""), "").await;
    client_of(&provider, gateway.url("/login/outside/corp/callback")).await;

    let (mut browser, page) = by_way_of(&gateway, &provider, email).await;
    assert_eq!(page.expect(200).target, "/login/account");
    assert!(browser.cookie(SESSION).is_some() && browser.cookie(LOGIN).is_none());

    // The session is as good as any: an application gets its tokens with it.
    let app = oauth::app(&gateway, SCOPE, &["--no-consent"]).await;
    let page = browser.open(&app.authorize(SCOPE, &[])).await;
    let code = page.parameter("code").expect("a code");
    let tokens = oauth::token(&gateway, &app.code(&code)).await.expect(200).json();
    let access = tokens["access_token"].as_str().expect("a token").to_owned();
    let seen = gateway.until_status(200, &Call::get("/content/a").bearer(&access)).await;
    assert_eq!(seen.upstream_header("x-postern-subject"), Some(json!(format!("corp:{id}"))));
    assert_eq!((counted(&gateway, "started").await, counted(&gateway, "logged_in").await), (1, 1));

    let page = browser.open("/login/out").await.expect(200);
    let _ = browser.submit(&page, &[]).await.expect(200);
    assert!(browser.cookie(SESSION).is_none());
    gateway.until_status(401, &Call::get("/content/a").bearer(&access)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_e_mail_that_the_provider_does_not_vouch_for_is_nobodys() {
    // A suite's own users have never shown that an address is theirs, and it says so.
    let provider = Gateway::builder().document(documents::IDENTITY).durable().start().await;
    oauth::user(&provider, "ada@example.test", "student").await;
    let (gateway, _folder) = suite(&provider.url(""), ", users: link").await;
    oauth::user(&gateway, "ada@example.test", "teacher").await;
    client_of(&provider, gateway.url("/login/outside/corp/callback")).await;
    let (browser, page) = by_way_of(&gateway, &provider, "ada@example.test").await;
    let page = page.expect(403);
    assert!(page.answer.text().contains("e-mail address"), "{}", page.answer);
    assert!(browser.cookie(SESSION).is_none());
    assert_eq!(counted(&gateway, "email").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_new_becomes_a_user_and_is_known_the_next_time() {
    let provider = Provider::start().await;
    let more = ", users: create, role: teacher, domains: [corp.test]";
    let (gateway, _folder) = suite(&provider.issuer(), more).await;
    let vouched = [("email", json!("ada@corp.test")), ("email_verified", json!(true))];
    let (mut browser, page) = come(&gateway, &provider, &vouched).await;
    assert!(page.expect(200).answer.text().contains("ada@corp.test"));
    let me = browser.send(Call::get("/auth/me")).await.expect(200).json();
    assert_eq!((&me["email"], &me["role"]), (&json!("ada@corp.test"), &json!("teacher")), "{me}");

    let (mut again, page) = come(&gateway, &provider, &vouched).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer);
    let same = again.send(Call::get("/auth/me")).await.expect(200).json();
    assert_eq!(same["id"], me["id"]);

    let asked = provider.asked("/token");
    let basic = asked.first().and_then(|asked| asked.authorization.clone()).expect("Basic");
    assert!(basic.starts_with("Basic "), "{basic}");
    assert!(asked.iter().all(|asked| !asked.body.contains("client_secret")));
    let verifier = browser::parameter(&format!("?{}", asked[0].body), "code_verifier");
    assert_eq!(verifier.map(|verifier| verifier.len()), Some(43));

    // Who was there before is nobody's whom the document does not link.
    oauth::user(&gateway, "grace@corp.test", "admin").await;
    let grace = [
        ("sub", json!("u-2")),
        ("email", json!("Grace@corp.test")),
        ("email_verified", json!(true)),
    ];
    let (browser, page) = come(&gateway, &provider, &grace).await;
    assert_eq!(page.answer.status, 403, "{}", page.answer);
    assert!(browser.cookie(SESSION).is_none());
    let elsewhere = [("sub", json!("u-3")), ("email", json!("eve@evil.test")), vouched[1].clone()];
    let (browser, page) = come(&gateway, &provider, &elsewhere).await;
    assert_eq!(page.answer.status, 403, "{}", page.answer);
    assert!(browser.cookie(SESSION).is_none());
    assert_eq!((counted(&gateway, "taken").await, counted(&gateway, "domain").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_do_not_hold_log_nobody_in() {
    let provider = Provider::start().await;
    let (gateway, _folder) = suite(&provider.issuer(), "").await;
    let now = keys::now();
    for (what, change) in [
        ("another issuer", ("iss", json!(keys::ISSUER))),
        ("for somebody else", ("aud", json!("another"))),
        ("for several", ("aud", json!([CLIENT_ID, "another"]))),
        ("over", ("exp", json!(now - 120))),
        ("made long ago", ("iat", json!(now - 3600))),
        ("another nonce", ("nonce", json!("n-1"))),
        ("no nonce", ("nonce", json!(null))),
        ("another access token", ("at_hash", json!("77QmUPtjPfzWtF2AnpK9RQ"))),
    ] {
        let (browser, page) = come(&gateway, &provider, &[change]).await;
        assert_eq!(page.answer.status, 403, "{what}:\n{}", page.answer);
        assert!(browser.cookie(SESSION).is_none(), "{what}");
    }
    let forged: [fn(&Token) -> String; 7] = [
        |good| {
            let header = good.clone().header("alg", json!("none")).header_text();
            keys::unsigned(&header, &good.claims_text())
        },
        |good| good.clone().key(Key::PublicKeyAsSecret).sign(),
        |good| good.clone().key(Key::Stranger).sign(),
        |good| good.clone().header("kid", json!("rsa-9")).sign(),
        |good| good.clone().header("typ", json!("dpop+jwt")).sign(),
        |good| keys::with_other_claims(&good.sign(), "u-1", "u-2"),
        |good| keys::tampered(&good.sign()),
    ];
    for (place, forge) in forged.into_iter().enumerate() {
        let (mut browser, page) = sent(&gateway, "/login/account").await;
        let good = provider.id_token("u-1", &page.parameter("nonce").expect("a nonce"));
        provider.gives(&forge(&good));
        let refused = browser.come_from_elsewhere(&callback(&page, &provider)).await;
        assert_eq!(refused.answer.status, 403, "{place}:\n{}", refused.answer);
        assert!(browser.cookie(SESSION).is_none(), "{place}");
    }
    let (browser, page) = come(&gateway, &provider, &[]).await;
    assert_eq!(page.answer.status, 200, "the good one is taken:\n{}", page.answer);
    assert!(browser.cookie(SESSION).is_some());
    assert_eq!(counted(&gateway, "invalid").await, 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_belongs_to_one_browser_and_counts_once() {
    let provider = Provider::start().await;
    let (gateway, _folder) = suite(&provider.issuer(), "").await;
    let (mut victim, _) = sent(&gateway, "/login/account").await;
    let (mut attacker, page) = sent(&gateway, "/login/account").await;
    let token = provider.id_token("attacker", &page.parameter("nonce").expect("a nonce"));
    provider.gives(&token.sign());
    let lure = callback(&page, &provider);
    assert_eq!(victim.come_from_elsewhere(&lure).await.answer.status, 400);
    assert!(victim.cookie(SESSION).is_none(), "logged in as the attacker");
    assert!(provider.asked("/token").is_empty(), "nobody was shown the code");
    assert_eq!(attacker.come_from_elsewhere(&lure).await.answer.status, 400, "it is used up");

    let (mut browser, page) = sent(&gateway, "/login/account").await;
    let token = provider.id_token("u-1", &page.parameter("nonce").expect("a nonce"));
    provider.gives(&token.sign());
    let back = callback(&page, &provider);
    let jar = browser.clone();
    let _ = browser.come_from_elsewhere(&back).await.expect(200);
    let mut replayed = jar;
    assert_eq!(replayed.come_from_elsewhere(&back).await.answer.status, 400);
    assert!(replayed.cookie(SESSION).is_none());

    let (mut browser, page) = sent(&gateway, "/login/account").await;
    let state = page.parameter("state").expect("a state");
    for (parameters, expected) in [
        (vec![("code", "c"), ("state", state.as_str()), ("iss", "https://evil.test")], 403),
        (vec![("code", "c"), ("state", state.as_str())], 400),
        (vec![("error", "access_denied")], 400),
        (vec![], 400),
    ] {
        let back = format!("/login/outside/corp/callback?{}", browser::encode(&parameters));
        let refused = browser.come_from_elsewhere(&back).await;
        assert_eq!(refused.answer.status, expected, "{parameters:?}");
    }
    assert!(browser.cookie(SESSION).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_leaves_the_own_log_in() {
    let provider = Provider::start().await;
    let (gateway, _folder) = suite(&provider.issuer(), "").await;
    oauth::user(&gateway, "ada@example.test", "student").await;
    provider.say_text("/.well-known/openid-configuration", 200, &"x".repeat(300_000));
    let mut browser = Browser::new(gateway.port());
    let away = browser.open("/login/outside/corp").await.expect(503);
    assert!(away.answer.header("retry-after").is_some(), "{}", away.answer);
    assert!(counted(&gateway, "unreachable").await >= 1);
    let page = browser.open("/login").await.expect(200);
    assert!(page.answer.text().contains("/login/outside/corp"), "{}", page.answer);
    let _ = oauth::log_in(&mut browser, &page, "ada@example.test").await.expect(200);
    assert!(browser.cookie(SESSION).is_some());
}
