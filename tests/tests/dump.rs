//! Whoever gets hold of a copy of Redis and of the database has nothing that opens anything: no
//! token, code, session, key, password or seed is in them, in whichever form, and nothing that is in
//! them is taken for one.

mod secrets;
mod stored;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_e2e::browser::Browser;
use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::documents;
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::oauth;
use postern_e2e::postgres::Postgres;
use postern_e2e::redis;
use secrets::{Secrets, everything};
use stored::{of_postgres, of_redis, of_sqlite};

/// More than a store of a test holds.
const MAX_CANDIDATES: usize = 5_000;
/// What is shorter cannot be guessed to be a secret, nor be one.
const SHORTEST: usize = 16;

/// The gateway of the other tests, with a route for keys.
fn document() -> String {
    let keyed = "\n  - name: keyed\n    match:\n      path: /keyed\n    service: content\n    \
                 auth:\n      any: [api_key]\n";
    let document = format!("{}{keyed}", documents::IDENTITY);
    document.replacen("  session: {}\n", "  session: {}\n  api_key: {}\n", 1)
}

/// Texts that could be a secret: what a token, a key, a code or an identifier is written in.
fn candidates(stored: &[Vec<u8>]) -> Vec<String> {
    let is_of = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(byte);
    let mut found: Vec<String> = stored
        .iter()
        .flat_map(|bytes| bytes.split(|byte| !is_of(byte)))
        .filter(|text| text.len() >= SHORTEST && text.len() <= 4_096)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Tries a text as everything that opens something; what it opened.
async fn opens(gateway: &Gateway, client_id: &str, app: &str, text: &str) -> Vec<&'static str> {
    let direct = Client::new(Protocol::Http1, gateway.server.ports().public);
    let envoy = gateway.client(Protocol::Http1);
    let mut opened = Vec::new();
    let mut note = |what, is_open: bool| {
        if is_open {
            opened.push(what);
        }
    };
    let bearer = Call::get("/content/lesson").bearer(text);
    note("access token", envoy.send(&bearer).await.status < 400);
    let me = Call::get("/auth/me").bearer(text);
    note("access token of /auth", direct.send(&me).await.status < 400);
    let key = Call::get("/keyed").header("x-api-key", text);
    note("API key", envoy.send(&key).await.status < 400);
    let app = oauth::App { client_id: app.to_owned() };
    for (what, parameters) in [("code", app.code(text)), ("refresh token", app.refresh(text))] {
        note(what, direct.send(&oauth::token_call(&parameters)).await.status < 400);
    }
    let further = Call::post("/auth/refresh").bearer(text);
    note("refresh token of /auth", direct.send(&further).await.status < 400);
    let basic = format!("Basic {}", STANDARD.encode(format!("{client_id}:{text}")));
    let grant = Call::post("/oauth2/token").header("authorization", basic);
    let grant = grant.form("grant_type=client_credentials");
    note("client secret", direct.send(&grant).await.status < 400);
    for cookie in ["postern", "postern-login", "postern-device"] {
        let call = Call::get("/login/account").header("cookie", format!("{cookie}={text}"));
        note("cookie", direct.send(&call).await.status < 300);
    }
    opened
}

async fn holds_nothing(gateway: &Gateway, secrets: &Secrets, stored: &[Vec<u8>]) {
    let total: usize = stored.iter().map(Vec::len).sum();
    assert!(total > 10_000, "only {total} bytes were found");
    // The check can fail: what is no secret is found in the same way.
    let is_there = |bytes: &[u8]| {
        stored.iter().any(|of| of.windows(bytes.len()).any(|window| window == bytes))
    };
    assert!(is_there(oauth_email().as_bytes()), "an e-mail address is in the database");
    let found = secrets.found_in(stored);
    assert!(found.is_empty(), "stored as they are: {found:?}");

    let candidates = candidates(stored);
    assert!(candidates.len() > 20 && candidates.len() < MAX_CANDIDATES, "{}", candidates.len());
    for text in &candidates {
        let opened = opens(gateway, &secrets.client_id, &secrets.app, text).await;
        assert!(opened.is_empty(), "{text} is taken for: {opened:?}");
    }
    let (session, id) = (&secrets.session_cookie, &secrets.client_secret);
    assert!(!session.is_empty() && !id.is_empty());
    // And it is the right door: the secrets themselves open.
    let mut browser = Browser::new(gateway.port());
    browser.set_cookie("postern", session);
    let page = browser.open("/login/account").await.expect(200);
    assert_eq!(page.target, "/login/account", "it is not asked to log in");
}

fn oauth_email() -> &'static str {
    secrets::EMAIL
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_redis_and_sqlite_hold_no_secret() {
    if redis::is_skipped() {
        return;
    }
    let builder = Gateway::builder().document(document()).store(Store::Redis).durable();
    let gateway = builder.start().await;
    let secrets = everything(&gateway).await;
    let mut stored = of_redis(&gateway).await;
    stored.extend(of_sqlite(&gateway));
    stored.push(gateway.server.log().into_bytes());
    stored.push(gateway.envoy.log().into_bytes());
    holds_nothing(&gateway, &secrets, &stored).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_redis_and_postgresql_hold_no_secret() {
    if redis::is_skipped() {
        return;
    }
    let postgres = Postgres::start().await;
    let url = postgres.database("gate").await;
    let builder = Gateway::builder().document(document()).store(Store::Redis).durable_at(url);
    let gateway = builder.start().await;
    let secrets = everything(&gateway).await;
    let mut stored = of_redis(&gateway).await;
    stored.extend(of_postgres(&postgres, "gate").await);
    holds_nothing(&gateway, &secrets, &stored).await;
}
