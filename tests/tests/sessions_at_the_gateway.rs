//! Browsers' sessions at routes: whom a cookie lets through, what becomes of one that was ended,
//! what another site gets done with it, and who is sent to log in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_e2e::client::{Answer, Call, Protocol};
use postern_e2e::envoy::for_each_object;
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::keys::{self, Token};
use postern_e2e::redis::Redis;
use postern_e2e::server;
use postern_request::UnixMillis;
use postern_store::FlowStore as _;
use postern_store::durable::SecretHash;
use postern_store::flows::SessionRecord;
use postern_store_redis::RedisStore;
use serde_json::{Value, json};
use tokio::time::timeout;

const DOCUMENT: &str = include_str!("../fixtures/sessions.yaml");
const LONGEST: Duration = Duration::from_secs(30);
const ALICE: &str = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
const BOB: &str = "0b9f1d52-6a7e-4b0c-9d3e-5f8a7c6b4d21";
const SECRET: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO-_";
const REFUSED: (u16, &str) = (401, "INVALID_TOKEN");

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    UnixMillis(u64::try_from(since.as_millis()).expect("a time"))
}

/// A session of somebody who has logged in with a password, and `mfa_at` with more.
fn session(id: &str, user: &str, mfa_at: Option<UnixMillis>) -> SessionRecord {
    let hash = URL_SAFE_NO_PAD.decode(keys::sha256(SECRET.as_bytes())).expect("base64url");
    SessionRecord {
        id: id.to_owned(),
        user_id: user.to_owned(),
        created_at: now(),
        last_used: now(),
        authenticated_at: now(),
        mfa_at,
        methods: vec!["pwd".to_owned()],
        device_id: None,
        fingerprint: None,
        client_id: None,
        scopes: vec!["content.read".to_owned()],
        parent: None,
        secret: Some(SecretHash(hash.try_into().expect("32 bytes"))),
        person: br#"{"role":"user","tier":"premium"}"#.to_vec(),
        remember: false,
        idle_ms: 3_600_000,
        ends_at: UnixMillis(now().0 + 7_200_000),
    }
}

/// As log-in keeps them.
async fn begin(redis: &str, sessions: &[SessionRecord]) {
    let store = RedisStore::new(redis).expect("a store");
    timeout(LONGEST, store.keep_connected()).await.expect("connected");
    for session in sessions {
        store.start_session(session, now()).await.expect("a session");
    }
}

/// Alice has logged in by a password, Bob by more. Both have been here.
async fn stack() -> Gateway {
    let gateway = Gateway::builder().document(DOCUMENT).store(Store::Redis).durable().start().await;
    let redis = gateway.redis.as_ref().expect("a Redis").url();
    begin(&redis, &[session(ALICE, "alice", None), session(BOB, "bob", Some(now()))]).await;
    for id in [ALICE, BOB] {
        gateway.until_status(200, &with(id, "GET", "/content/api")).await;
    }
    gateway
}

fn cookie(id: &str) -> String {
    format!("postern={id}.{SECRET}")
}

fn with(id: &str, method: &str, path: &str) -> Call {
    Call::new(method, path).header("cookie", format!("theme=dark; {}", cookie(id)))
}

/// As a browser asks for a page to show.
fn visit(call: Call) -> Call {
    call.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document")
}

#[track_caller]
fn location(answer: &Answer) -> &str {
    assert_eq!(answer.status, 302, "\n{answer}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "\n{answer}");
    assert!(answer.body.is_empty(), "\n{answer}");
    answer.header("location").expect("a place to go to")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_at_routes() {
    let gateway = stack().await;
    the_service_learns_who_it_is_and_never_sees_the_cookie(&gateway).await;
    hostile_cookies_open_nothing(&gateway).await;
    other_sites_change_nothing(&gateway).await;
    step_up_by_the_challenge_of_rfc_9470(&gateway).await;
    browsers_are_sent_to_log_in_and_nobody_else_is(&gateway).await;
    // Last: it ends a session.
    what_was_ended_is_refused_though_it_is_remembered(&gateway).await;
}

async fn the_service_learns_who_it_is_and_never_sees_the_cookie(gateway: &Gateway) {
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        for (path, subject) in [
            ("/content/api", Some("alice")),
            ("/content/page/1", Some("alice")),
            ("/content/perhaps", Some("alice")),
            // Whoever is not asked for it does not get it either.
            ("/content/open", None),
        ] {
            let answer = client.send(&with(ALICE, "GET", path)).await.expect(200);
            let told = answer.upstream_header("x-postern-subject");
            assert_eq!(told, subject.map(|subject| json!(subject)), "{path}:\n{answer}");
            if subject.is_some() {
                let session = answer.upstream_header("x-postern-session");
                assert_eq!(session, Some(json!(ALICE)), "{path}:\n{answer}");
            }
            let cookies = answer.upstream_header("cookie").expect("the other cookie").to_string();
            assert!(
                cookies.contains("theme=dark") && !cookies.contains(SECRET),
                "{path}: {cookies}"
            );
        }
    }
    // A token comes first, and is never passed over.
    let token = Token::of("carol").scope("content.read").sign();
    let both = with(ALICE, "GET", "/content/api").bearer(&token);
    let answer = gateway.send(&both).await.expect(200);
    assert_eq!(answer.upstream_header("x-postern-subject"), Some(json!("carol")));
    let bad = with(ALICE, "GET", "/content/api").bearer(&keys::tampered(&token));
    gateway.send(&bad).await.expect_denial(401, "INVALID_TOKEN");
}

async fn hostile_cookies_open_nothing(gateway: &Gateway) {
    let own = cookie(ALICE);
    for cookie in [
        own.replace("f47", "a47"),
        own.replace("abc", "abd"),
        own.replace('.', ""),
        format!("{own}; {own}"),
        format!("postern=; {own}"),
        "postern=".to_owned(),
        format!("postern={}", "x".repeat(8_000)),
        format!("postern={ALICE}.{}", "%00".repeat(14)),
    ] {
        let shown: String = cookie.chars().take(60).collect();
        for protocol in Protocol::ALL {
            let client = gateway.client(protocol);
            let to = |path: &str| Call::get(path).header("cookie", cookie.as_str());
            let (status, code) = REFUSED;
            client.send(&to("/content/api")).await.expect_denial(status, code);
            let nobody = client.send(&to("/content/perhaps")).await.expect(200);
            assert_eq!(nobody.upstream_header("x-postern-subject"), None, "{shown}:\n{nobody}");
            location(&client.send(&visit(to("/content/page/1"))).await);
        }
    }
}

async fn other_sites_change_nothing(gateway: &Gateway) {
    let (own, before) = (gateway.url(""), gateway.upstream.total());
    let refused: [(&str, &[(&str, &str)]); 6] = [
        ("POST", &[]),
        ("POST", &[("sec-fetch-site", "cross-site"), ("origin", own.as_str())]),
        ("DELETE", &[("sec-fetch-site", "same-site")]),
        ("PUT", &[("origin", "https://evil.example")]),
        ("PATCH", &[("origin", "null")]),
        // A WebSocket begins with a GET, and may change anything later.
        ("GET", &[("connection", "upgrade"), ("upgrade", "websocket"), ("origin", "http://evil")]),
    ];
    for (method, headers) in refused {
        let call = with(ALICE, method, "/content/api");
        let call = headers.iter().fold(call, |call, (name, value)| call.header(name, *value));
        let answer = gateway.send(&call).await;
        assert_eq!(answer.status, 403, "{method} {headers:?}:\n{answer}");
    }
    assert_eq!(gateway.upstream.total(), before, "the service was asked");
    for header in [("sec-fetch-site", "same-origin"), ("origin", own.as_str())] {
        let (name, value) = header;
        let call = with(ALICE, "POST", "/content/api").header(name, value);
        gateway.send(&call).await.expect(200);
    }
    // A token is sent by nobody's browser on its own.
    let token = Token::of("carol").scope("content.read").sign();
    gateway.send(&Call::post("/content/api").bearer(&token)).await.expect(200);
}

async fn step_up_by_the_challenge_of_rfc_9470(gateway: &Gateway) {
    const SAFE: &str = "/content/safe";
    gateway.send(&with(BOB, "GET", SAFE)).await.expect(200);
    let token = |amr: &[&str], ago: u64| {
        let token = Token::of("carol").claim("amr", json!(amr));
        Call::get(SAFE).bearer(&token.claim("auth_time", json!(keys::now() - ago)).sign())
    };
    gateway.send(&token(&["pwd", "mfa"], 10)).await.expect(200);
    for call in [
        with(ALICE, "GET", SAFE),
        token(&["pwd"], 10),
        token(&["pwd", "mfa"], 3_600),
        Call::get(SAFE).bearer(&Token::of("carol").sign()),
    ] {
        let answer = gateway.send(&call).await;
        let answer = answer.expect_denial(401, "INSUFFICIENT_USER_AUTHENTICATION");
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        for part in [
            "error=\"insufficient_user_authentication\"",
            "acr_values=\"urn:postern:acr:2\"",
            "max_age=\"900\"",
            "resource_metadata=\"http://",
        ] {
            assert!(challenge.contains(part), "no {part} in {challenge}");
        }
    }
    // Whoever can log in again at once is sent there.
    let sent = gateway.send(&visit(with(ALICE, "GET", SAFE))).await;
    let expected =
        "/login?return_to=%2Fcontent%2Fsafe&acr_values=urn%3Apostern%3Aacr%3A2&max_age=900";
    assert_eq!(location(&sent), gateway.url(expected));
}

async fn browsers_are_sent_to_log_in_and_nobody_else_is(gateway: &Gateway) {
    let page = "/content/page/a?b=1&c=%2F";
    let expected = gateway.url("/login?return_to=%2Fcontent%2Fpage%2Fa%3Fb%3D1%26c%3D%252F");
    let by_accept = Call::get(page).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    for protocol in Protocol::ALL {
        for call in [visit(Call::get(page)), visit(Call::new("HEAD", page)), by_accept.clone()] {
            let sent = gateway.client(protocol).send(&call).await;
            assert_eq!(location(&sent), expected, "{call} ({protocol:?})");
        }
    }
    let html = |call: Call| call.header("accept", "text/html");
    for call in [
        Call::get(page).header("accept", "application/json"),
        Call::get(page).header("sec-fetch-mode", "cors").header("sec-fetch-dest", "empty"),
        Call::get(page).header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "iframe"),
        html(Call::post(page)),
        // Nothing is to be had there by logging in.
        html(Call::get("/content/api")),
    ] {
        gateway.send(&call).await.expect_denial(401, "UNAUTHORIZED");
    }
    let grpc = html(Call::get(page)).header("content-type", "application/grpc");
    let answer = gateway.client(Protocol::Http2).send(&grpc).await;
    assert_eq!(answer.header("location"), None, "\n{answer}");
}

async fn what_was_ended_is_refused_though_it_is_remembered(gateway: &Gateway) {
    let durable = gateway.durable.as_ref().expect("a durable store");
    let (issuer, redis) = (gateway.url(""), gateway.redis.as_ref().expect("a Redis").url());
    let words = ["token", "revoke", "--session", ALICE, "--issuer", &issuer, "--volatile", &redis];
    server::run(durable.arguments(&words)).await.expect_success();
    let call = with(ALICE, "GET", "/content/api");
    gateway.until_status(401, &call).await.expect_denial(401, "INVALID_TOKEN");
    location(&gateway.send(&visit(with(ALICE, "GET", "/content/page/1"))).await);
    gateway.send(&with(BOB, "GET", "/content/api")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nobody_knows_whose_a_session_is() {
    let Some(mut redis) = Redis::down_or_skip() else { return };
    redis.bring_up().await;
    let builder = Gateway::builder().document(DOCUMENT).store(Store::At(redis.url())).durable();
    let gateway = builder.start().await;
    begin(&redis.url(), &[session(ALICE, "alice", None)]).await;
    let call = with(ALICE, "GET", "/content/api");
    gateway.until_status(200, &call).await;
    redis.take_down();
    // Once it is remembered no longer.
    let away = gateway.until_status(503, &call).await.expect_denial(503, "UNAVAILABLE");
    assert!(away.number("retry-after") >= 1, "\n{away}");
    // Nobody is sent to log in, or passed on as nobody, because a store is away.
    let page = visit(with(ALICE, "GET", "/content/page/1"));
    gateway.send(&page).await.expect_denial(503, "UNAVAILABLE");
    let perhaps = with(ALICE, "GET", "/content/perhaps");
    gateway.send(&perhaps).await.expect_denial(503, "UNAVAILABLE");
    let token = Token::of("carol").scope("content.read").sign();
    gateway.send(&Call::get("/content/api").bearer(&token)).await.expect(200);
    gateway.send(&Call::get("/content/perhaps")).await.expect(200);
    // It comes back with nothing: everybody is logged out, and told so.
    redis.bring_up().await;
    gateway.until_status(401, &call).await.expect_denial(401, "INVALID_TOKEN");
}

/// As if Envoy had taken every route for one that needs nobody's word.
fn ask_nobody(config: &mut Value) {
    const FILTER: &str = "envoy.filters.http.ext_authz";
    let per_route =
        "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute";
    for_each_object(config, &mut |object| {
        if object.contains_key("match") && object.contains_key("route") {
            let of_route = object.entry("typed_per_filter_config").or_insert_with(|| json!({}));
            of_route[FILTER] = json!({"@type": per_route, "disabled": true});
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_servers_word_neither_a_session_nor_a_second_factor_counts() {
    let builder = Gateway::builder().document(DOCUMENT).store(Store::Redis).durable();
    let gateway = builder.edit_envoy(ask_nobody).start().await;
    let redis = gateway.redis.as_ref().expect("a Redis").url();
    begin(&redis, &[session(BOB, "bob", Some(now()))]).await;
    let token = Token::of("carol").scope("content.read").claim("amr", json!(["pwd", "mfa"]));
    let token = token.claim("auth_time", json!(keys::now())).sign();
    for call in [
        with(BOB, "GET", "/content/api"),
        with(BOB, "GET", "/content/perhaps"),
        with(BOB, "GET", "/content/safe"),
        Call::get("/content/safe").bearer(&token),
        visit(Call::get("/content/page/1")),
    ] {
        gateway.send(&call).await.expect_denial(503, "UNAVAILABLE");
    }
    gateway.send(&with(BOB, "GET", "/content/open")).await.expect(200);
}
