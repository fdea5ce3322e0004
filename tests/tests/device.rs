//! A device without a browser gets tokens by the browser of its user (RFC 8628).

use postern_e2e::browser::{Browser, Page};
use postern_e2e::client::{Call, Protocol};
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::{documents, oauth};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const STUDENT: &str = "ada@example.test";
const GRANT: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";

async fn gateway(store: Store) -> Gateway {
    let sample = documents::sample();
    let registration = "oauth:\n  registration: {mode: open, scopes: [openid, content.read]}\n";
    let document = sample.replacen("oauth:\n", registration, 1);
    assert_ne!(document, sample);
    let gateway = Gateway::builder().document(document).store(store).durable().start().await;
    gateway.until_status(200, &Call::get("/oauth2/jwks")).await;
    gateway
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// A device, which has registered itself and asked for codes.
struct Device {
    client_id: String,
    code: String,
    user_code: String,
    page: String,
}

impl Device {
    async fn begin(gateway: &Gateway) -> Self {
        let metadata = json!({
            "client_name": "The television",
            "token_endpoint_auth_method": "none",
            "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"],
        });
        let register = Call::post("/oauth2/register").header("content-type", "application/json");
        let register = register.body(metadata.to_string());
        let client = gateway.until_status(201, &register).await.json();
        let client_id = text(&client, "client_id").to_owned();
        let form = format!("client_id={client_id}&scope=openid+content.read");
        let call = Call::post("/oauth2/device_authorization").form(&form);
        let told = gateway.send(&call).await.expect(200).json();
        assert_eq!(text(&told, "verification_uri"), gateway.url("/login/device"));
        assert_eq!((&told["interval"], &told["expires_in"]), (&json!(5), &json!(900)));
        Self {
            client_id,
            code: text(&told, "device_code").to_owned(),
            user_code: text(&told, "user_code").to_owned(),
            page: text(&told, "verification_uri_complete").to_owned(),
        }
    }

    fn poll(&self) -> Call {
        let Self { client_id, code, .. } = self;
        let form = format!("grant_type={GRANT}&client_id={client_id}&device_code={code}");
        Call::post("/oauth2/token").form(&form)
    }

    /// What it is told while there are no tokens.
    async fn told(&self, gateway: &Gateway) -> String {
        let answer = gateway.send(&self.poll()).await.expect(400).json();
        text(&answer, "error").to_owned()
    }
}

/// The page that asks, for somebody who has followed the device's link and logged in.
async fn asked(gateway: &Gateway, device: &Device) -> (Browser, Page) {
    let mut browser = Browser::new(gateway.port());
    let page = browser.open(&device.page).await.expect(200);
    assert!(page.target.starts_with("/login?"), "{}", page.target);
    let page = oauth::log_in(&mut browser, &page, STUDENT).await.expect(200);
    assert!(page.target.starts_with("/login/device?user_code="), "{}", page.target);
    let (text, code) = (page.answer.text(), device.user_code.as_str());
    assert!(text.contains(&format!("value=\"{code}\"")), "{}", page.answer);
    assert!(!text.contains("The television"), "a link looks nothing up: {}", page.answer);
    let page = browser.submit(&page, &[("user_code", code)]).await.expect(200);
    (browser, page)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_the_code_and_asks() {
    let gateway = gateway(Store::Memory).await;
    oauth::user(&gateway, STUDENT, "student").await;
    let metadata = Call::get("/.well-known/oauth-authorization-server");
    let metadata = gateway.until_status(200, &metadata).await.json();
    let endpoint = gateway.url("/oauth2/device_authorization");
    assert_eq!(text(&metadata, "device_authorization_endpoint"), endpoint);

    let device = Device::begin(&gateway).await;
    assert_eq!(device.told(&gateway).await, "authorization_pending");
    assert_eq!(device.told(&gateway).await, "slow_down", "that was at once");
    let (mut browser, page) = asked(&gateway, &device).await;
    for shown in ["The television", &device.user_code, "See courses and lessons", STUDENT] {
        assert!(page.answer.text().contains(shown), "{shown} in {}", page.answer);
    }
    let done = browser.submit(&page, &[("decision", "allow")]).await.expect(200).answer;
    assert!(done.text().contains("The device is connected."), "{done}");

    let tokens = gateway.send(&device.poll()).await.expect(200);
    assert_eq!(tokens.header("cache-control"), Some("no-store"));
    let tokens = tokens.json();
    assert_eq!(text(&tokens, "scope"), "openid content.read");
    assert!(tokens["id_token"].is_string(), "{tokens}");
    let call = Call::get("/content/items").bearer(text(&tokens, "access_token"));
    gateway.until_status(200, &call).await;
    assert_eq!(device.told(&gateway).await, "invalid_grant", "once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_turned_away_is_told_so() {
    let gateway = gateway(Store::Redis).await;
    oauth::user(&gateway, STUDENT, "student").await;
    let device = Device::begin(&gateway).await;
    let (mut browser, page) = asked(&gateway, &device).await;
    let done = browser.submit(&page, &[("decision", "deny")]).await.expect(200).answer;
    assert!(done.text().contains("The device gets no access."), "{done}");
    assert_eq!(device.told(&gateway).await, "access_denied");
    let again = browser.submit(&page, &[("decision", "allow")]).await.answer;
    assert_eq!(again.status, 400, "no is no: {again}");
    assert_eq!(device.told(&gateway).await, "access_denied");
}

async fn one_of_a_hundred_gets_tokens(store: Store) {
    let gateway = gateway(store).await;
    oauth::user(&gateway, STUDENT, "student").await;
    let device = Device::begin(&gateway).await;
    let (mut browser, page) = asked(&gateway, &device).await;
    let done = browser.submit(&page, &[("decision", "allow")]).await;
    assert_eq!(done.answer.status, 200, "{}", done.answer);
    let client = gateway.client(Protocol::Http1);
    let mut asking = JoinSet::new();
    for _ in 0..100 {
        let call = device.poll();
        asking.spawn(async move { client.send(&call).await });
    }
    let answers = asking.join_all().await;
    let tokens: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!((answer.status, text(&answer.json(), "error")), (400, "invalid_grant"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_code_gives_one_token() {
    one_of_a_hundred_gets_tokens(Store::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_code_gives_one_token_by_redis() {
    one_of_a_hundred_gets_tokens(Store::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_codes_are_kept_nowhere() {
    let gateway = gateway(Store::Redis).await;
    let device = Device::begin(&gateway).await;
    let file = gateway.folder().join("postern.db");
    let mut kept = std::fs::read(&file).expect("the store");
    kept.extend(std::fs::read(file.with_extension("db-wal")).unwrap_or_default());
    kept.extend(gateway.server.log().into_bytes());
    let url = gateway.redis.as_ref().expect("a Redis").url();
    let client = redis::Client::open(url).expect("a client");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    let keys = redis::cmd("KEYS").arg("*").query_async(&mut connection).await;
    let keys: Vec<String> = keys.expect("keys");
    assert!(keys.iter().any(|key| key.contains("user_code")), "{keys:?}");
    for key in &keys {
        kept.extend(key.as_bytes());
        // What is no string has none of these in it that its own tests do not look for.
        let value = redis::cmd("GET").arg(key).query_async(&mut connection).await;
        let value: Result<Vec<u8>, redis::RedisError> = value;
        kept.extend(value.unwrap_or_default());
    }
    let letters = device.user_code.replace('-', "");
    for secret in [device.code.as_str(), &device.user_code, &letters, &letters.to_lowercase()] {
        let found = kept.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "a code is kept: {secret}");
    }
}
