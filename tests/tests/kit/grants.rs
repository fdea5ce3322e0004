//! A stack whose authorization server is asked through Envoy: clients, a user, and calls.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_e2e::client::{Answer, Call};
use postern_e2e::gateway::Gateway;
use postern_e2e::{keys, server};
use postern_request::UnixMillis;
use postern_store::durable::{ClientKind, ClientRecord, DurableStore as _, SecretHash};
use postern_store_sql::SqlStore;
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../fixtures/grants.yaml");
/// Where codes are sent.
pub const CALLBACK: &str = "https://app.example.test/callback";
/// RFC 7636, Appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// The secret of clients that have one.
pub const SECRET: &str = "s3cret";
const EMAIL: &str = "ada@example.test";

/// A stack whose document says this much more about the authorization server.
pub async fn start(oauth: &str) -> Gateway {
    let gateway = Gateway::builder().document(DOCUMENT.replace("$OAUTH", oauth)).durable();
    let gateway = gateway.start().await;
    gateway.until_status(200, &Call::get("/oauth2/jwks")).await;
    gateway
}

/// Keeps a client as an operator would.
pub async fn add_client(gateway: &Gateway, client: ClientRecord) {
    let durable = gateway.durable.as_ref().expect("a durable store");
    let arguments = durable.arguments(&[]);
    let address = arguments.last().expect("an address");
    let store = SqlStore::open(address).await.expect("the store");
    store.insert_client(client).await.expect("a client");
}

/// A server that has a secret, and may get tokens of its own.
pub fn confidential(id: &str) -> ClientRecord {
    let hash = URL_SAFE_NO_PAD.decode(keys::sha256(SECRET.as_bytes())).expect("base64url");
    ClientRecord {
        secret_sha256: Some(SecretHash(hash.try_into().expect("32 bytes"))),
        grant_types: texts("client_credentials"),
        scopes: texts("content.read content.write"),
        ..ClientRecord::new(id.to_owned(), id.to_owned(), ClientKind::Confidential, UnixMillis(1))
    }
}

/// A page's script, which people trust.
pub fn public(id: &str) -> ClientRecord {
    ClientRecord {
        grant_types: texts("authorization_code refresh_token"),
        redirect_uris: texts(CALLBACK),
        scopes: texts("openid content.read"),
        require_consent: false,
        ..ClientRecord::new(id.to_owned(), id.to_owned(), ClientKind::Public, UnixMillis(1))
    }
}

pub fn texts(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// A form to an endpoint.
pub async fn post(gateway: &Gateway, path: &str, form: &str) -> Answer {
    gateway.send(&Call::post(path).form(form)).await
}

/// What a client says of itself that has a secret.
pub fn by_secret(id: &str) -> String {
    format!("client_id={id}&client_secret={SECRET}")
}

/// The member of an answer that is a text.
pub fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer}"))
}

/// Makes a user: their password.
pub async fn add_user(gateway: &Gateway) -> String {
    let durable = gateway.durable.as_ref().expect("a durable store");
    let document = gateway.document().display().to_string();
    let words = ["user", "create", "--document", document.as_str(), "--email", EMAIL];
    let names = ["--first-name", "Ada", "--last-name", "L", "--generate", "--json"];
    let text = server::run(durable.arguments(&[&words[..], &names[..]].concat())).await;
    let created: Value = serde_json::from_str(&text.expect_success()).expect("JSON");
    text_of(&created, "password")
}

fn text_of(answer: &Value, name: &str) -> String {
    text(answer, name).to_owned()
}

/// Logs the user in: their tokens.
pub async fn log_in(gateway: &Gateway, password: &str) -> Value {
    let body = serde_json::json!({"email": EMAIL, "password": password}).to_string();
    let call = Call::post("/auth/login").header("content-type", "application/json").body(body);
    gateway.send(&call).await.expect(200).json()
}

/// Logs the user in on the page that a redirect leads to: where the browser goes then, and its
/// cookies.
pub async fn log_in_at(gateway: &Gateway, page: &str, password: &str) -> (String, String) {
    let shown = gateway.send(&Call::get(page)).await.expect(200);
    let cookies = cookies(&shown);
    let html = shown.text();
    let (_, after) = html.split_once("name=\"csrf\" value=\"").expect("a form");
    let (csrf, _) = after.split_once('"').expect("its token");
    let [email, password, csrf] = [EMAIL, password, csrf].map(escaped);
    let form = format!("email={email}&password={password}&csrf={csrf}");
    let call = Call::post("/login").header("cookie", cookies.as_str()).form(&form);
    let answer = gateway.send(&call).await.expect(303);
    let location = answer.header("location").expect("a place").to_owned();
    (location, self::cookies(&answer))
}

/// What an answer sets, as a browser sends it.
fn cookies(answer: &Answer) -> String {
    let set = answer.headers.get_all("set-cookie").iter();
    let pairs = set.filter_map(|value| value.to_str().ok()?.split(';').next());
    pairs.filter(|pair| !pair.ends_with('=')).collect::<Vec<_>>().join("; ")
}

/// Every byte escaped.
pub fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A parameter of a place that a browser is sent to, which needs no unescaping.
pub fn parameter(location: &str, name: &str) -> Option<String> {
    let (_, query) = location.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

/// The claims of a token.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a token");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&payload).expect("JSON")
}
