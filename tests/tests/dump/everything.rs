//! Everything that can be had, once.

use postern_e2e::client::Call;
use postern_e2e::gateway::Gateway;
use postern_e2e::oauth::{self, PASSWORD};
use postern_e2e::{server, totp};
use serde_json::{Value, json};

use super::elsewhere::Away;
use super::passkeys::Asking;
use super::secrets::Secrets;
use super::{Stage, begun, elsewhere, keys, passkeys, proofs};

pub const EMAIL: &str = "ada@example.test";
pub const SCOPE: &str = "openid content.read";
const ADMIN: &str = "grace@example.test";

/// What was had, and who is not done yet.
pub struct Everything {
    pub secrets: Secrets,
    pub passkey: Asking,
    pub away: Away,
}

/// The member of an answer that is a text.
pub fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member}: {value}")).to_owned()
}

/// Does everything once.
pub async fn everything(stage: &Stage) -> Everything {
    let gateway = &stage.gateway;
    let mut secrets = Secrets::default();
    oauth::user(gateway, EMAIL, "student").await;
    oauth::user(gateway, ADMIN, "admin").await;
    secrets.knows(EMAIL);
    secrets.saw("password", PASSWORD);
    keys::of_the_server(gateway, &mut secrets).await;
    applications(gateway, &mut secrets).await;
    operators(gateway, &mut secrets).await;
    second_factor(gateway, &mut secrets).await;
    own_application(gateway, &mut secrets).await;
    begun::device(gateway, &mut secrets).await;
    begun::pushed_request(gateway, &mut secrets).await;
    let passkey = passkeys::ceremonies(gateway, &mut secrets).await;
    let away = elsewhere::log_ins(stage, &mut secrets).await;
    // Last: proofs are remembered for a minute.
    proofs::bound_tokens(gateway, &mut secrets).await;
    Everything { secrets, passkey, away }
}

impl Everything {
    /// Secrets open, and what was begun comes to its end.
    pub async fn open(self, stage: &Stage) {
        let mut browser = stage.gateway.browser();
        browser.set_cookie("postern", &self.secrets.session_cookie);
        let page = browser.open("/login/account").await.expect(200);
        assert_eq!(page.target, "/login/account", "it is not asked to log in");
        self.passkey.shows().await;
        self.away.comes_back(stage).await;
    }
}

async fn applications(gateway: &Gateway, secrets: &mut Secrets) {
    let app = oauth::app(gateway, SCOPE, &[]).await;
    let mut browser = gateway.browser();
    // One code that was redeemed, and one that waits.
    let code = oauth::code(&mut browser, &app, SCOPE, EMAIL).await;
    secrets.saw("code", &code);
    secrets.saw_session(&browser);
    secrets.session_cookie = browser.cookie("postern").expect("a session").to_owned();
    let mut tokens = oauth::token(gateway, &app.code(&code)).await.expect(200).json();
    secrets.id_token = text(&tokens, "id_token");
    let id_token = secrets.id_token.clone();
    secrets.saw_token("ID token", &id_token);
    for _ in 0..3 {
        secrets.saw_token("access token", &text(&tokens, "access_token"));
        let refresh = text(&tokens, "refresh_token");
        secrets.saw("refresh token", refresh.trim_start_matches("rt_"));
        tokens = oauth::token(gateway, &app.refresh(&refresh)).await.expect(200).json();
    }
    let waiting = oauth::code(&mut browser, &app, SCOPE, EMAIL).await;
    secrets.saw("code that waits", &waiting);
    // A log-in under way.
    let mut other = gateway.browser();
    let page = other.open(&app.authorize(SCOPE, &[])).await.expect(200);
    secrets.saw_log_in(&other);
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
    secrets.saw("client secret", &text(&made, "client_secret"));
    let words = ["apikey", "create", "--json", "--subject", "partner"];
    let made = server::run(durable.arguments(&words)).await.expect_success();
    let key = text(&serde_json::from_str(&made).expect("JSON"), "key");
    gateway.until_status(200, &Call::get("/keyed").header("x-api-key", key.clone())).await;
    // The secret may hold underscores, too.
    secrets.saw("API key", key.splitn(3, '_').nth(2).expect("pk_ID_SECRET"));
}

async fn second_factor(gateway: &Gateway, secrets: &mut Secrets) {
    let mut browser = gateway.browser();
    let page = browser.open("/login").await.expect(200);
    let page = oauth::log_in(&mut browser, &page, ADMIN).await.expect(200);
    let shown = page.answer.text();
    let (_, rest) = shown.split_once("<p class=\"code\">").expect("the key");
    let key: String =
        rest.split('<').next().expect("its end").split_whitespace().collect::<String>();
    secrets.saw("TOTP seed", &key);
    secrets.saw_bytes("TOTP seed, decoded", &of_base32(&key));
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

/// The bytes of a key in base32.
fn of_base32(key: &str) -> Vec<u8> {
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
    bytes.collect()
}
