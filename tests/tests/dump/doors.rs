//! Every place where something that opens is shown, for texts that were found.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_e2e::browser;
use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::oauth;

use super::Stage;
use super::everything::Everything;

/// What is shorter cannot be guessed to be a secret, nor be one.
const SHORTEST: usize = 16;
/// Behind it stands the name of a request that was pushed.
const REQUEST: &str = "urn:ietf:params:oauth:request_uri:";

/// Texts that could be a secret: what a token, a key, a code or an identifier is written in.
pub fn candidates(stored: &[Vec<u8>]) -> Vec<String> {
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
pub async fn opens(stage: &Stage, everything: &Everything, text: &str) -> Vec<&'static str> {
    let direct = Client::new(Protocol::Http1, stage.gateway.server.ports().public);
    let envoy = stage.gateway.client(Protocol::Http1);
    let mut opened = Vec::new();
    for (what, call) in of_the_gateway(text) {
        if envoy.send(&call).await.status < 400 {
            opened.push(what);
        }
    }
    for (what, call) in of_the_server(stage, everything, text) {
        if direct.send(&call).await.status < 400 {
            opened.push(what);
        }
    }
    for cookie in ["postern", "postern-login", "postern-device"] {
        let call = Call::get("/login/account").header("cookie", format!("{cookie}={text}"));
        // Whoever is nobody is sent to log in.
        if direct.send(&call).await.status < 300 {
            opened.push("cookie");
        }
    }
    opened
}

fn of_the_gateway(text: &str) -> [(&'static str, Call); 2] {
    [
        ("access token", Call::get("/content/lesson").bearer(text)),
        ("API key", Call::get("/keyed").header("x-api-key", text)),
    ]
}

fn of_the_server(stage: &Stage, everything: &Everything, text: &str) -> [(&'static str, Call); 7] {
    let secrets = &everything.secrets;
    let app = oauth::App { client_id: secrets.app.clone() };
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{text}", secrets.client_id)));
    let grant = Call::post("/oauth2/token").header("authorization", basic);
    let name = format!("{REQUEST}{text}");
    let pushed = [("client_id", secrets.app.as_str()), ("request_uri", name.as_str())];
    let pushed = format!("/oauth2/authorize?{}", browser::encode(&pushed));
    [
        ("access token of /auth", Call::get("/auth/me").bearer(text)),
        ("code", oauth::token_call(&app.code(text))),
        ("refresh token", oauth::token_call(&app.refresh(text))),
        ("refresh token of /auth", Call::post("/auth/refresh").bearer(text)),
        ("client secret", grant.form("grant_type=client_credentials")),
        ("pushed request", Call::get(&pushed)),
        ("state at a provider", everything.away.shows(stage, text)),
    ]
}
