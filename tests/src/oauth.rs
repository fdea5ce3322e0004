//! Users, applications and tokens of the suite's own authorization server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::browser::{self, Browser, Page};
use crate::client::{Answer, Call, Protocol};
use crate::gateway::Gateway;
use crate::server::{self, Durable};

/// RFC 7636, Appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// S256 of [`VERIFIER`].
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// Where codes are sent: nobody is there, and the browser stops before it.
pub const CALLBACK: &str = "https://app.test/callback";
/// Long enough for every rule, and in no list.
pub const PASSWORD: &str = "correct horse battery staple";

/// An application.
#[derive(Debug, Clone)]
pub struct App {
    /// Its identifier.
    pub client_id: String,
}

/// Makes a user of a role, who logs in with [`PASSWORD`].
///
/// # Panics
/// When the gateway has no durable store, or the command fails.
pub async fn user(gateway: &Gateway, email: &str, role: &str) -> String {
    let durable = gateway.durable.as_ref().expect("a durable store");
    let document = gateway.document().display().to_string();
    let words = ["user", "create", "--document", &document, "--email", email, "--role", role];
    let names = ["--first-name", "Ada", "--last-name", "Byron", "--password-stdin", "--json"];
    let arguments = durable.arguments(&[&words[..], &names[..]].concat());
    let made = server::run_with_input(arguments, PASSWORD).await.expect_success();
    let made: Value = serde_json::from_str(&made).expect("JSON");
    made["id"].as_str().expect("an id").to_owned()
}

/// Makes an API key of a partner's, without scopes.
///
/// # Panics
/// When the command fails.
pub async fn api_key(durable: &Durable) -> String {
    let words = ["apikey", "create", "--json", "--subject", "partner"];
    let text = server::run(durable.arguments(&words)).await.expect_success();
    let created: Value = serde_json::from_str(&text).expect("JSON");
    created["key"].as_str().expect("a key").to_owned()
}

/// Makes an application with a secret: its call for a token of its own, and the secret in it.
///
/// # Panics
/// When the command fails.
pub async fn client_credentials(durable: &Durable) -> (Call, String) {
    let words = ["client", "create", "--json", "--name", "service", "--scopes", "content.read"];
    let text = server::run(durable.arguments(&words)).await.expect_success();
    let client: Value = serde_json::from_str(&text).expect("JSON");
    let id = client["client_id"].as_str().expect("client_id");
    let secret = client["client_secret"].as_str().expect("client_secret");
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let call = Call::post("/oauth2/token").header("authorization", basic);
    (call.form("grant_type=client_credentials"), secret.to_owned())
}

/// Makes a public application whose codes go to [`CALLBACK`].
///
/// # Panics
/// When the gateway has no durable store, or the command fails.
pub async fn app(gateway: &Gateway, scopes: &str, more: &[&str]) -> App {
    let durable = gateway.durable.as_ref().expect("a durable store");
    let words = ["client", "create", "--public", "--name", "Courses", "--scopes", scopes];
    let places = ["--redirect-uri", CALLBACK, "--json"];
    let arguments = durable.arguments(&[&words[..], &places[..], more].concat());
    let made = server::run(arguments).await.expect_success();
    let made: Value = serde_json::from_str(&made).expect("JSON");
    App { client_id: made["client_id"].as_str().expect("an id").to_owned() }
}

impl App {
    /// Where it sends a browser to get a code, with further parameters.
    #[must_use]
    pub fn authorize(&self, scope: &str, more: &[(&str, &str)]) -> String {
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", CALLBACK),
            ("scope", scope),
            ("state", "a state"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        pairs.extend(more.iter().copied());
        format!("/oauth2/authorize?{}", browser::encode(&pairs))
    }

    /// The parameters that make tokens of a code.
    #[must_use]
    pub fn code<'a>(&'a self, code: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("grant_type", "authorization_code"),
            ("client_id", &self.client_id),
            ("redirect_uri", CALLBACK),
            ("code", code),
            ("code_verifier", VERIFIER),
        ]
    }

    /// The parameters that make new tokens of a refresh token.
    #[must_use]
    pub fn refresh<'a>(&'a self, token: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("grant_type", "refresh_token"),
            ("client_id", &self.client_id),
            ("refresh_token", token),
        ]
    }
}

/// A call of the token endpoint.
#[must_use]
pub fn token_call<N: AsRef<str>, V: AsRef<str>>(parameters: &[(N, V)]) -> Call {
    Call::post("/oauth2/token").form(&browser::encode(parameters))
}

/// Asks the token endpoint.
pub async fn token<N: AsRef<str>, V: AsRef<str>>(
    gateway: &Gateway,
    parameters: &[(N, V)],
) -> Answer {
    gateway.client(Protocol::Http1).send(&token_call(parameters)).await
}

/// Logs in on the page that a browser was sent to.
pub async fn log_in(browser: &mut Browser, page: &Page, email: &str) -> Page {
    let filled = [("email", email), ("password", PASSWORD)];
    browser.submit(page, &filled).await
}

/// The whole way of an application whose user is not logged in, and of one who is: a code.
///
/// # Panics
/// When it does not end with a code.
pub async fn code(browser: &mut Browser, app: &App, scope: &str, email: &str) -> String {
    let mut page = browser.open(&app.authorize(scope, &[])).await;
    if page.target.starts_with("/login?") || page.target == "/login" {
        page = log_in(browser, &page.expect(200), email).await;
    }
    if page.target.starts_with("/login/consent") {
        page = browser.submit(&page.expect(200), &[("decision", "allow")]).await;
    }
    assert!(page.answer.header("location").is_some(), "{}:\n{}", page.target, page.answer);
    page.parameter("code").unwrap_or_else(|| panic!("no code: {}", page.location()))
}

/// Tokens of a user for an application, as the token endpoint answered.
///
/// # Panics
/// When there are none.
pub async fn tokens(gateway: &Gateway, app: &App, scope: &str, email: &str) -> Value {
    let mut browser = Browser::new(gateway.port());
    let code = code(&mut browser, app, scope, email).await;
    token(gateway, &app.code(&code)).await.expect(200).json()
}
