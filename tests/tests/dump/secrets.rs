//! Everything that can be had, and the secrets that its holders saw.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use postern_e2e::browser::{self, Browser};
use postern_e2e::client::Call;
use postern_e2e::gateway::Gateway;
use postern_e2e::oauth::{self, PASSWORD};
use postern_e2e::{server, totp};
use serde_json::{Value, json};

pub const EMAIL: &str = "ada@example.test";
const ADMIN: &str = "grace@example.test";
const SCOPE: &str = "openid content.read";
/// So much of a secret in a row is found; less could be chance.
const WINDOW: usize = 12;

/// What was seen.
#[derive(Debug, Default)]
pub struct Secrets {
    /// By what they are.
    seen: Vec<(&'static str, String)>,
    pub client_id: String,
    pub client_secret: String,
    pub app: String,
    pub session_cookie: String,
}

impl Secrets {
    fn saw(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() >= 6, "{what} is too short to be one: {secret}");
        self.seen.push((what, secret.to_owned()));
    }

    /// An access token is public but for its signature: it goes in logs, and its claims are names.
    fn saw_token(&mut self, what: &'static str, token: &str) {
        let (_, signature) = token.rsplit_once('.').expect("a JWT");
        self.saw(what, signature);
    }

    /// Which of them are in these bytes, as they are or in another form.
    pub fn found_in(&self, stored: &[Vec<u8>]) -> Vec<&'static str> {
        let mut windows: HashMap<&[u8], &'static str> = HashMap::new();
        let forms: Vec<(&'static str, Vec<u8>)> = self
            .seen
            .iter()
            .flat_map(|(what, secret)| forms(secret).into_iter().map(move |form| (*what, form)))
            .collect();
        for (what, form) in &forms {
            for window in form.windows(WINDOW) {
                windows.insert(window, what);
            }
        }
        let mut found = HashSet::new();
        for bytes in stored {
            for window in bytes.windows(WINDOW) {
                found.extend(windows.get(window));
            }
            // Short ones are looked for whole.
            for (what, form) in forms.iter().filter(|(_, form)| form.len() < WINDOW) {
                if form.len() > 6 && bytes.windows(form.len()).any(|window| window == form) {
                    found.insert(*what);
                }
            }
        }
        found.into_iter().collect()
    }
}

/// As it is, and decoded, and in the ways in which bytes are written.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    let plain: String = secret.chars().filter(|letter| *letter != '-').collect();
    let decoded = [URL_SAFE_NO_PAD.decode(secret).ok(), STANDARD_NO_PAD.decode(&plain).ok()];
    let raw: Vec<Vec<u8>> = decoded.into_iter().flatten().chain([secret.into()]).collect();
    for bytes in raw {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        forms.push(hex.to_uppercase().into_bytes());
        forms.push(hex.into_bytes());
        forms.push(STANDARD.encode(&bytes).into_bytes());
        forms.push(URL_SAFE_NO_PAD.encode(&bytes).into_bytes());
        forms.push(bytes);
    }
    forms
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}

/// Does everything once.
pub async fn everything(gateway: &Gateway) -> Secrets {
    let mut secrets = Secrets::default();
    oauth::user(gateway, EMAIL, "student").await;
    oauth::user(gateway, ADMIN, "admin").await;
    secrets.saw("password", PASSWORD);
    applications(gateway, &mut secrets).await;
    operators(gateway, &mut secrets).await;
    second_factor(gateway, &mut secrets).await;
    own_application(gateway, &mut secrets).await;
    waiting(gateway, &mut secrets).await;
    secrets
}

async fn applications(gateway: &Gateway, secrets: &mut Secrets) {
    let app = oauth::app(gateway, SCOPE, &[]).await;
    let mut browser = Browser::new(gateway.port());
    // One code that was redeemed, and one that waits.
    let code = oauth::code(&mut browser, &app, SCOPE, EMAIL).await;
    secrets.saw("code", &code);
    secrets.session_cookie = browser.cookie("postern").expect("a session").to_owned();
    let (_, secret) = secrets.session_cookie.split_once('.').expect("two halves");
    let secret = secret.to_owned();
    secrets.saw("session", &secret);
    let mut tokens = oauth::token(gateway, &app.code(&code)).await.expect(200).json();
    for _ in 0..3 {
        secrets.saw_token("access token", &text(&tokens, "access_token"));
        let refresh = text(&tokens, "refresh_token");
        secrets.saw("refresh token", refresh.trim_start_matches("rt_"));
        tokens = oauth::token(gateway, &app.refresh(&refresh)).await.expect(200).json();
    }
    let waiting = oauth::code(&mut browser, &app, SCOPE, EMAIL).await;
    secrets.saw("code that waits", &waiting);
    // A log-in under way.
    let mut other = Browser::new(gateway.port());
    let page = other.open(&app.authorize(SCOPE, &[])).await.expect(200);
    secrets.saw("log-in under way", other.cookie("postern-login").expect("a cookie"));
    let csrf = page.form().fields.into_iter().find(|(name, _)| name == "csrf").expect("a token").1;
    secrets.saw("token of a form", &csrf);
    secrets.app = app.client_id;
}

async fn operators(gateway: &Gateway, secrets: &mut Secrets) {
    let durable = gateway.durable.as_ref().expect("a durable store");
    let words = ["client", "create", "--json", "--name", "service", "--scopes", "content.read"];
    let made = server::run(durable.arguments(&words)).await.expect_success();
    let made: Value = serde_json::from_str(&made).expect("JSON");
    secrets.client_id = text(&made, "client_id");
    secrets.client_secret = text(&made, "client_secret");
    let secret = secrets.client_secret.clone();
    secrets.saw("client secret", &secret);
    let words = ["apikey", "create", "--json", "--subject", "partner"];
    let made = server::run(durable.arguments(&words)).await.expect_success();
    let key = text(&serde_json::from_str(&made).expect("JSON"), "key");
    gateway.until_status(200, &Call::get("/keyed").header("x-api-key", key.clone())).await;
    // The secret may hold underscores, too.
    secrets.saw("API key", key.splitn(3, '_').nth(2).expect("pk_ID_SECRET"));
}

/// What was begun and not ended: a device that waits for its user, and a pushed request.
async fn waiting(gateway: &Gateway, secrets: &mut Secrets) {
    let device = oauth::app(gateway, "content.read", &["--grant", "device_code"]).await;
    let body = [("client_id", device.client_id.as_str()), ("scope", "content.read")];
    let call = Call::post("/oauth2/device_authorization").form(&browser::encode(&body));
    let begun = gateway.send(&call).await.expect(200).json();
    secrets.saw("device code", &text(&begun, "device_code"));
    secrets.saw("user code", &text(&begun, "user_code"));

    let client_id = secrets.app.clone();
    let body = [
        ("client_id", client_id.as_str()),
        ("response_type", "code"),
        ("redirect_uri", oauth::CALLBACK),
        ("code_challenge", oauth::CHALLENGE),
        ("code_challenge_method", "S256"),
        ("scope", "openid"),
    ];
    let call = Call::post("/oauth2/par").form(&browser::encode(&body));
    let pushed = gateway.send(&call).await.expect(201).json();
    let (_, name) = text(&pushed, "request_uri")
        .rsplit_once(':')
        .map_or_else(|| panic!("{pushed}"), |(prefix, name)| (prefix.to_owned(), name.to_owned()));
    secrets.saw("pushed request", &name);
}

async fn second_factor(gateway: &Gateway, secrets: &mut Secrets) {
    let mut browser = Browser::new(gateway.port());
    let page = browser.open("/login").await.expect(200);
    let page = oauth::log_in(&mut browser, &page, ADMIN).await.expect(200);
    let shown = page.answer.text();
    let (_, rest) = shown.split_once("<p class=\"code\">").expect("the key");
    let key: String =
        rest.split('<').next().expect("its end").split_whitespace().collect::<String>();
    secrets.saw("TOTP seed", &key);
    secrets.seen.push(("TOTP seed, decoded", hex_of_base32(&key)));
    let page = browser.submit(&page, &[("code", &totp::code(&key, 0))]).await.expect(200);
    let shown = page.answer.text();
    let codes = shown.split("<li>").skip(1).filter_map(|rest| rest.split('<').next());
    let codes: Vec<&str> = codes.filter(|code| code.len() > 10).collect();
    assert_eq!(codes.len(), 10, "{shown}");
    for code in codes {
        secrets.saw("recovery code", code);
    }
}

async fn own_application(gateway: &Gateway, secrets: &mut Secrets) {
    let body = json!({"email": EMAIL, "password": PASSWORD, "remember": true, "deviceId": "phone"});
    let call = Call::post("/auth/login").header("content-type", "application/json");
    let tokens = gateway.send(&call.body(body.to_string())).await.expect(200).json();
    let access = text(&tokens, "accessToken");
    secrets.saw_token("access token", &access);
    secrets.saw("refresh token", text(&tokens, "refreshToken").trim_start_matches("rt_"));
    let ticket = gateway.send(&Call::post("/auth/ws-ticket").bearer(&access)).await.expect(200);
    secrets.saw("ticket", &text(&ticket.json(), "ticket"));
}

/// The bytes of a key in base32, as hexadecimal digits.
fn hex_of_base32(key: &str) -> String {
    let mut bits = String::new();
    for letter in key.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            digit => digit - b'2' + 26,
        };
        bits.push_str(&format!("{value:05b}"));
    }
    let bytes = bits.as_bytes().chunks_exact(8).map(|byte| {
        let byte = std::str::from_utf8(byte).expect("digits");
        u8::from_str_radix(byte, 2).expect("a byte")
    });
    bytes.map(|byte| format!("{byte:02x}")).collect()
}
