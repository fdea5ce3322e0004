//! The endpoints, each with a request that is as it should be.

use postern_e2e::gateway::Gateway;
use postern_e2e::oauth::{self, CALLBACK, CHALLENGE, PASSWORD, VERIFIER};
use postern_e2e::server;
use serde_json::Value;

/// Where parameters stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Query,
    Form,
    Json,
}

/// An endpoint.
pub struct Endpoint {
    pub name: &'static str,
    pub method: &'static str,
    pub target: String,
    pub kind: Kind,
    pub headers: Vec<(&'static str, String)>,
    /// Of a request that is as it should be. In JSON, values that read as JSON are taken as such.
    pub parameters: Vec<(&'static str, String)>,
    /// Statuses of its answer.
    pub good_statuses: &'static [u16],
    /// Whether errors are JSON with `error`; pages are not.
    pub answers_in_json: bool,
}

/// What the requests are made of.
struct Parts {
    app: String,
    client: String,
    secret: String,
    basic: String,
    access: String,
    refresh: String,
}

impl Parts {
    async fn of(gateway: &Gateway, email: &str) -> Self {
        let app = oauth::app(gateway, "openid content.read", &[]).await;
        let tokens = oauth::tokens(gateway, &app, "openid content.read", email).await;
        let text = |name: &str| tokens[name].as_str().expect("a token").to_owned();
        let durable = gateway.durable.as_ref().expect("a durable store");
        let words = ["client", "create", "--json", "--name", "service", "--scopes", "content.read"];
        let grants = ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"];
        let grants = grants.map(|grant| ["--grant", grant]).concat();
        let words = [&words[..], &grants, &["--may-introspect", "*"]].concat();
        let made = server::run(durable.arguments(&words)).await.expect_success();
        let made: Value = serde_json::from_str(&made).expect("JSON");
        let part = |name: &str| made[name].as_str().expect("text").to_owned();
        let (client, secret) = (part("client_id"), part("client_secret"));
        let basic = format!("Basic {}", base64(&format!("{client}:{secret}")));
        let (access, refresh) = (text("access_token"), text("refresh_token"));
        Self { app: app.client_id, client, secret, basic, access, refresh }
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn pairs(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn form(name: &'static str, target: &str, of: &[(&'static str, &str)]) -> Endpoint {
    Endpoint {
        name,
        method: "POST",
        target: target.to_owned(),
        kind: Kind::Form,
        headers: Vec::new(),
        parameters: pairs(of),
        good_statuses: &[200],
        answers_in_json: true,
    }
}

/// All of them.
pub async fn all(gateway: &Gateway, email: &str) -> Vec<Endpoint> {
    let parts = Parts::of(gateway, email).await;
    let mut endpoints = token(&parts);
    endpoints.extend(beside_tokens(&parts));
    endpoints.extend(browsers(&parts));
    endpoints.extend(applications(&parts, email));
    endpoints
}

fn token(parts: &Parts) -> Vec<Endpoint> {
    let app = parts.app.as_str();
    vec![
        Endpoint {
            good_statuses: &[400],
            ..form(
                "token by code",
                "/oauth2/token",
                &[
                    ("grant_type", "authorization_code"),
                    ("client_id", app),
                    ("code", "a-code-that-nobody-made"),
                    ("redirect_uri", CALLBACK),
                    ("code_verifier", VERIFIER),
                ],
            )
        },
        form(
            "token by refresh",
            "/oauth2/token",
            &[
                ("grant_type", "refresh_token"),
                ("client_id", app),
                ("refresh_token", &parts.refresh),
                ("scope", "content.read"),
            ],
        ),
        form(
            "token of a client",
            "/oauth2/token",
            &[
                ("grant_type", "client_credentials"),
                ("client_id", &parts.client),
                ("client_secret", &parts.secret),
                ("scope", "content.read"),
            ],
        ),
    ]
}

fn beside_tokens(parts: &Parts) -> Vec<Endpoint> {
    let basic = || vec![("authorization", parts.basic.clone())];
    vec![
        Endpoint {
            headers: basic(),
            // Nobody said that this client may act for anybody.
            good_statuses: &[200, 400],
            ..form(
                "exchange",
                "/oauth2/token",
                &[
                    ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                    ("subject_token", &parts.access),
                    ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
                    ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
                    ("scope", "content.read"),
                    ("audience", "x"),
                ],
            )
        },
        Endpoint {
            headers: basic(),
            ..form(
                "introspect",
                "/oauth2/introspect",
                &[("token", &parts.access), ("token_type_hint", "access_token")],
            )
        },
        Endpoint {
            good_statuses: &[201],
            ..form(
                "push a request",
                "/oauth2/par",
                &[
                    ("response_type", "code"),
                    ("client_id", &parts.app),
                    ("redirect_uri", CALLBACK),
                    ("scope", "openid content.read"),
                    ("code_challenge", CHALLENGE),
                    ("code_challenge_method", "S256"),
                    ("state", "s"),
                    ("nonce", "n"),
                ],
            )
        },
        Endpoint {
            // This client has not that grant: there is nobody to ask.
            good_statuses: &[200, 400],
            ..form(
                "device begins",
                "/oauth2/device_authorization",
                &[("client_id", &parts.app), ("scope", "content.read")],
            )
        },
        Endpoint {
            good_statuses: &[400],
            ..form(
                "token of a device",
                "/oauth2/token",
                &[
                    ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                    ("client_id", &parts.app),
                    ("device_code", "a-code-that-nobody-made"),
                ],
            )
        },
        Endpoint {
            kind: Kind::Json,
            good_statuses: &[201],
            ..form(
                "register",
                "/oauth2/register",
                &[
                    ("redirect_uris", "[\"https://agent.test/callback\"]"),
                    ("client_name", "Agent"),
                    ("client_uri", "https://agent.test/"),
                    ("logo_uri", "https://agent.test/logo.png"),
                    ("grant_types", "[\"authorization_code\", \"refresh_token\"]"),
                    ("response_types", "[\"code\"]"),
                    ("token_endpoint_auth_method", "none"),
                    ("scope", "content.read"),
                    ("contacts", "[\"a@agent.test\"]"),
                ],
            )
        },
        Endpoint {
            headers: basic(),
            ..form(
                "revoke",
                "/oauth2/revoke",
                &[("token", "what-nobody-made"), ("token_type_hint", "access_token")],
            )
        },
        Endpoint {
            kind: Kind::Query,
            method: "GET",
            headers: vec![("authorization", format!("Bearer {}", parts.access))],
            ..form("userinfo", "/oauth2/userinfo", &[("x", "1")])
        },
    ]
}

fn browsers(parts: &Parts) -> Vec<Endpoint> {
    let page = |name, target: &str, of: &[(&'static str, &str)], good_statuses| Endpoint {
        method: "GET",
        kind: Kind::Query,
        answers_in_json: false,
        good_statuses,
        ..form(name, target, of)
    };
    let posted = |name, target: &str, of: &[(&'static str, &str)], good_statuses| Endpoint {
        answers_in_json: false,
        good_statuses,
        ..form(name, target, of)
    };
    vec![
        page(
            "authorize",
            "/oauth2/authorize",
            &[
                ("response_type", "code"),
                ("client_id", &parts.app),
                ("redirect_uri", CALLBACK),
                ("scope", "openid content.read"),
                ("state", "s"),
                ("nonce", "n"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
                ("prompt", "login"),
                ("max_age", "60"),
                ("acr_values", "urn:postern:acr:1"),
                ("login_hint", "ada@example.test"),
                ("ui_locales", "de en"),
                ("resource", "https://api.test/"),
                ("request", "x"),
                ("request_uri", "urn:x"),
            ],
            &[302, 303, 400],
        ),
        page(
            "log out",
            "/oauth2/logout",
            &[
                ("id_token_hint", "x"),
                ("client_id", &parts.app),
                ("post_logout_redirect_uri", CALLBACK),
                ("state", "s"),
            ],
            &[200, 302, 303, 400],
        ),
        page("log-in page", "/login", &[("return_to", "/login/account"), ("hint", "a")], &[200]),
        page("account", "/login/account", &[("x", "1")], &[302, 303]),
        posted(
            "log-in form",
            "/login",
            &[("email", "a@b.test"), ("password", PASSWORD), ("remember", "true"), ("csrf", "x")],
            &[400, 403, 303],
        ),
        posted("code form", "/login/mfa", &[("code", "000000"), ("csrf", "x")], &[303, 400, 403]),
        posted(
            "consent form",
            "/login/consent",
            &[("decision", "allow"), ("csrf", "x")],
            &[303, 400, 403],
        ),
        page("device page", "/login/device", &[("user_code", "BCDF-GHJK")], &[302, 303]),
        posted(
            "device form",
            "/login/device",
            &[("user_code", "BCDF-GHJK"), ("csrf", "x")],
            &[303, 400, 403],
        ),
        posted(
            "password form",
            "/login/account/password",
            &[("current", PASSWORD), ("password", PASSWORD), ("csrf", "x")],
            &[303, 400, 403],
        ),
        posted("log-out form", "/login/out", &[("csrf", "x")], &[200, 303, 400, 403]),
    ]
}

fn applications(parts: &Parts, email: &str) -> Vec<Endpoint> {
    let json = |name, target: &str, of: &[(&'static str, &str)], good_statuses| Endpoint {
        kind: Kind::Json,
        good_statuses,
        ..form(name, target, of)
    };
    vec![
        json(
            "log in",
            "/auth/login",
            &[
                ("email", email),
                ("password", PASSWORD),
                ("deviceId", "phone"),
                ("mfaToken", "000000"),
                ("remember", "true"),
            ],
            // A code that nobody asked for is none.
            &[200, 401],
        ),
        json("passkey options", "/auth/passkeys/options", &[("csrf", "x")], &[400, 401, 403, 404]),
        json(
            "passkey",
            "/auth/passkeys/finish",
            &[("csrf", "x"), ("answer", "{\"id\": \"x\", \"type\": \"public-key\"}")],
            &[400, 401, 403, 404],
        ),
        json(
            "go on",
            "/auth/refresh",
            &[("refreshToken", &parts.refresh), ("deviceId", "phone")],
            &[400],
        ),
    ]
}
