//! Clients that nobody has looked at register themselves, and get what people let them have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_e2e::browser::{Browser, encode};
use postern_e2e::client::{Answer, Call};
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::oauth::{self, CHALLENGE, VERIFIER};
use postern_e2e::{documents, server};
use serde_json::{Value, json};

const STUDENT: &str = "ada@example.test";
/// Where an application on the user's machine listens, as it registers, and as it is when it runs.
const REGISTERED: &str = "http://127.0.0.1/callback";
const LISTENING: &str = "http://127.0.0.1:51004/callback";

async fn gateway(mode: &str, store: Store) -> Gateway {
    let sample = documents::sample();
    let registration =
        format!("oauth:\n  registration: {{mode: {mode}, scopes: [content.read]}}\n");
    let document = sample.replacen("oauth:\n", &registration, 1);
    assert_ne!(document, sample);
    let gateway = Gateway::builder().document(document).store(store).durable().start().await;
    gateway.until_status(200, &Call::get("/oauth2/jwks")).await;
    gateway
}

fn register(metadata: &Value) -> Call {
    Call::post("/oauth2/register")
        .header("content-type", "application/json")
        .body(metadata.to_string())
}

fn reader() -> Value {
    json!({
        "client_name": "Reading agent",
        "redirect_uris": [REGISTERED],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "content.read",
    })
}

/// The path of a URL of the gateway's own.
fn path<'u>(gateway: &Gateway, url: &'u str) -> &'u str {
    url.strip_prefix(&gateway.url("")).unwrap_or_else(|| panic!("{url} is elsewhere"))
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// What an agent knows that has a URL and nothing else: where tokens for it come from.
async fn discovered(gateway: &Gateway, refused: &Answer) -> (String, Value) {
    let challenge = refused.header("www-authenticate").expect("a challenge");
    let (_, rest) = challenge.split_once("resource_metadata=\"").expect("where it is described");
    let url = rest.split('"').next().expect("its end");
    let resource = gateway.send(&Call::get(path(gateway, url))).await.expect(200).json();
    let issuer = resource["authorization_servers"][0].as_str().expect("an authorization server");
    assert_eq!(issuer, gateway.url(""));
    let metadata = Call::get("/.well-known/oauth-authorization-server");
    let metadata = gateway.send(&metadata).await.expect(200).json();
    assert_eq!(text(&metadata, "issuer"), issuer);
    (text(&resource, "resource").to_owned(), metadata)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_registers_itself() {
    let gateway = gateway("open", Store::Memory).await;
    oauth::user(&gateway, STUDENT, "student").await;
    let refused = gateway.until_status(401, &Call::get("/content/items")).await;
    let (resource, metadata) = discovered(&gateway, &refused).await;
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));

    let at = path(&gateway, text(&metadata, "registration_endpoint"));
    assert_eq!(at, "/oauth2/register");
    let client = gateway.send(&register(&reader())).await.expect(201).json();
    let id = text(&client, "client_id");
    assert!(client.get("client_secret").is_none(), "{client}");

    let endpoint = path(&gateway, text(&metadata, "authorization_endpoint"));
    let authorize = |listening: &str| {
        let asked = [
            ("response_type", "code"),
            ("client_id", id),
            ("redirect_uri", listening),
            ("scope", "content.read"),
            ("state", "s-1"),
            ("resource", &resource),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        format!("{endpoint}?{}", encode(&asked))
    };
    let mut browser = Browser::new(gateway.port());
    let page = browser.open(&authorize(LISTENING)).await.expect(200);
    let consent = oauth::log_in(&mut browser, &page, STUDENT).await.expect(200);
    assert!(consent.target.starts_with("/login/consent?"), "{}", consent.target);
    for shown in ["Reading agent", "See courses and lessons", "http://127.0.0.1:51004", &resource] {
        assert!(consent.answer.text().contains(shown), "{shown} in {}", consent.answer);
    }
    let back = browser.submit(&consent, &[("decision", "allow")]).await;
    assert!(back.location().starts_with(LISTENING), "{}", back.location());
    assert_eq!(back.parameter("state").as_deref(), Some("s-1"));
    assert_eq!(back.parameter("iss"), Some(gateway.url("")));

    let exchange = encode(&[
        ("grant_type", "authorization_code"),
        ("client_id", id),
        ("code", &back.parameter("code").expect("a code")),
        ("redirect_uri", LISTENING),
        ("code_verifier", VERIFIER),
        ("resource", &resource),
    ]);
    let at = path(&gateway, text(&metadata, "token_endpoint"));
    let tokens = gateway.send(&Call::post(at).form(&exchange)).await.expect(200).json();
    assert_eq!(text(&tokens, "scope"), "content.read");
    let token = text(&tokens, "access_token");
    gateway.until_status(200, &Call::get("/content/items").bearer(token)).await;
    gateway
        .send(&Call::get("/payments/cards").bearer(token))
        .await
        .expect_denial(403, "INSUFFICIENT_SCOPE");

    // Another place is not that agent's, and people are asked anew every time: any application
    // can listen at a port.
    let told = browser.open(&authorize("http://127.0.0.1:51004/other")).await.answer;
    assert_eq!((told.status, told.header("location")), (400, None), "{told}");
    let again = browser.open(&authorize(LISTENING)).await.expect(200).answer;
    assert!(again.text().contains("Reading agent"), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_browser_is_redirected_for_whoever_registers() {
    let gateway = gateway("open", Store::Memory).await;
    let mut metadata = reader();
    metadata["redirect_uris"] = json!(["https://phish.example/cb"]);
    metadata["post_logout_redirect_uris"] = json!(["https://phish.example/bye"]);
    let client = gateway.send(&register(&metadata)).await.expect(201).json();
    let id = text(&client, "client_id");
    let asked = [
        ("response_type", "code"),
        ("client_id", id),
        ("state", "s-1"),
        ("redirect_uri", "https://phish.example/cb"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let asked = format!("/oauth2/authorize?{}", encode(&asked));
    for more in ["&scope=content.read&prompt=none", "&scope=content.write", "&max_age=x"] {
        let page = gateway.send(&Call::get(&format!("{asked}{more}"))).await;
        assert_eq!((page.status, page.header("location")), (400, None), "{more}: {page}");
        assert!(page.text().contains("href=\"https://phish.example/cb?error="), "{page}");
        assert!(page.text().contains("rel=\"noopener noreferrer\""), "{page}");
        assert!(page.text().contains("Go on to https://phish.example<"), "{page}");
        let policy = page.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'"), "{page}");
    }
    let bye = [("client_id", id), ("post_logout_redirect_uri", "https://phish.example/bye")];
    let out = format!("/oauth2/logout?{}", encode(&bye));
    let page = gateway.send(&Call::get(&out)).await;
    assert_eq!((page.status, page.header("location")), (200, None), "{page}");
    assert!(page.text().contains("href=\"https://phish.example/bye\""), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stranger_may_not_have_it_cannot_register() {
    let gateway = gateway("open", Store::Memory).await;
    for (member, value, error) in [
        ("redirect_uris", json!(["https://evil.test/#x"]), "invalid_redirect_uri"),
        ("redirect_uris", json!(["http://evil.test/"]), "invalid_redirect_uri"),
        ("scope", json!("content.write"), "invalid_client_metadata"),
        ("scope", json!("postern.admin"), "invalid_client_metadata"),
        ("grant_types", json!(["client_credentials"]), "invalid_client_metadata"),
        ("client_uri", json!("javascript:alert(1)"), "invalid_client_metadata"),
    ] {
        let mut metadata = reader();
        metadata[member] = value;
        let answer = gateway.send(&register(&metadata)).await.expect(400).json();
        assert_eq!(text(&answer, "error"), error, "{metadata}");
    }
    let durable = gateway.durable.as_ref().expect("a durable store");
    let list = server::run(durable.arguments(&["client", "list", "--json"])).await;
    assert_eq!(list.expect_success().trim(), "[]", "none of them is a client");
}

async fn registering_too_often_has_an_end(store: Store) {
    let gateway = gateway("open", store).await;
    let mut registered = 0;
    let refused = loop {
        let answer = gateway.send(&register(&reader())).await;
        if answer.status != 201 {
            break answer;
        }
        registered += 1;
        assert!(registered <= 20, "ten a minute, and what is left of the minute before");
    };
    assert!(registered >= 10, "{registered}");
    let refused = refused.expect_denial(429, "RATE_LIMIT_EXCEEDED");
    assert!(refused.number("retry-after") >= 1, "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registering_too_often_has_an_end_in_memory() {
    registering_too_often_has_an_end(Store::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registering_too_often_has_an_end_in_redis() {
    registering_too_often_has_an_end(Store::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_token_is_needed_an_operators_client_has_it() {
    let gateway = gateway("token", Store::Memory).await;
    let refused = gateway.send(&register(&reader())).await.expect(401);
    let challenge = refused.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Bearer"), "{refused}");

    let durable = gateway.durable.as_ref().expect("a durable store");
    let token = async |scope: &str| {
        let words = ["client", "create", "--json", "--name", "desk", "--scopes", scope];
        let made = server::run(durable.arguments(&words)).await.expect_success();
        let made: Value = serde_json::from_str(&made).expect("JSON");
        let pair = format!("{}:{}", text(&made, "client_id"), text(&made, "client_secret"));
        let call = Call::post("/oauth2/token")
            .header("authorization", format!("Basic {}", STANDARD.encode(pair)))
            .form("grant_type=client_credentials");
        let answer = gateway.send(&call).await.expect(200).json();
        text(&answer, "access_token").to_owned()
    };
    let lesser = register(&reader()).bearer(&token("content.read").await);
    gateway.send(&lesser).await.expect(403);
    let good = register(&reader()).bearer(&token("client.register").await);
    let client = gateway.send(&good).await.expect(201).json();
    assert_eq!(text(&client, "scope"), "content.read");
}
