use std::sync::Mutex;
use std::task::{Context, Waker};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use postern_document::{Fingerprint, FingerprintPart, OnChange};
use postern_oauth::{Acr, ErrorCode as OAuthCode, ScopeSet, TokenType};
use postern_request::json::Value;
use postern_revocation::RevocationKind;
use tower::ServiceExt as _;

use super::*;
use crate::login::Outcome;
use crate::login::fixture::{EMAIL, ISSUER, NOW, PASSWORD, World};

const AGENT: &str = "Test/1";

/// Tokens that say whose they are: `at:USER:SESSION`.
#[derive(Default)]
struct Plain {
    refreshed: Mutex<Vec<(String, Option<String>)>>,
    fails: bool,
}

impl Plain {
    fn answer(access_token: String) -> TokenAnswer {
        TokenAnswer {
            access_token: Secret::new(access_token),
            refresh_token: Some(Secret::new("rt_next".to_owned())),
            id_token: None,
            expires_in_secs: 900,
            scope: ScopeSet::parse("content.read").unwrap(),
            token_type: TokenType::Bearer,
            issued_token_type: None,
        }
    }
}

impl Tokens for Plain {
    fn tokens_for<'a>(
        &'a self,
        session: &'a SessionRecord,
        _remember: bool,
        _now: UnixMillis,
    ) -> BoxFuture<'a, Result<TokenAnswer, OAuthError>> {
        let made = Self::answer(format!("at:{}:{}", session.user_id, session.id));
        let answer = if self.fails { Err(OAuthError::unavailable()) } else { Ok(made) };
        Box::pin(std::future::ready(answer))
    }

    fn refresh<'a>(
        &'a self,
        refresh_token: &'a Secret,
        by: Refresher<'a>,
        _now: UnixMillis,
    ) -> BoxFuture<'a, Result<TokenAnswer, OAuthError>> {
        let shown = (refresh_token.expose().to_owned(), by.device.map(str::to_owned));
        self.refreshed.lock().unwrap().push(shown);
        Box::pin(std::future::ready(match refresh_token.expose() {
            "rt_good" => Ok(Self::answer("at:u:s".to_owned())),
            _ => Err(OAuthError::invalid_client()),
        }))
    }

    fn verify(&self, access_token: &str, now: UnixMillis) -> Option<Bearer> {
        let (subject, session) = access_token.strip_prefix("at:")?.split_once(':')?;
        Some(Bearer {
            subject: subject.to_owned(),
            client_id: Some(LOGIN_CLIENT_ID.to_owned()).filter(|_| subject != "of-a-client"),
            session: Some(session.to_owned()),
            token_id: Some("t-1".to_owned()),
            expires_at: now.as_secs() + 900,
        })
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn text(&self, member: &str) -> &str {
        self.body.get(member).and_then(Value::as_str).unwrap_or("")
    }
}

struct Fixture {
    api: Arc<AuthApi>,
    tokens: Arc<Plain>,
    revocations: Arc<crate::login::fixture::Revocations>,
    user_id: String,
}

async fn fixture_with(tokens: Plain) -> Fixture {
    let world = World::new();
    let user_id = world.user("student").await.id;
    fixture_of(world, tokens, user_id)
}

fn fixture_of(world: World, tokens: Plain, user_id: String) -> Fixture {
    let tokens = Arc::new(tokens);
    let api = AuthApi {
        login: Arc::new(world.login),
        tokens: Arc::<Plain>::clone(&tokens),
        cookies: Cookies::new(ISSUER, "__Host-postern", None),
        clock: Arc::new(|| NOW),
    };
    Fixture { api: Arc::new(api), tokens, revocations: world.revocations, user_id }
}

async fn fixture() -> Fixture {
    fixture_with(Plain::default()).await
}

impl Fixture {
    async fn send(&self, request: Request<Body>) -> Answer {
        let response = router(Arc::clone(&self.api)).oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let body = if body.is_empty() { Value::Null } else { json::parse(&body).unwrap() };
        Answer { status, headers, body }
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("user-agent", AGENT)
            .header("x-forwarded-for", "192.0.2.9");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn with_token(&self, method: Method, path: &str, token: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Logs in; the access token.
    async fn token(&self) -> String {
        let body = format!("{{\"email\":\"{EMAIL}\",\"password\":\"{PASSWORD}\"}}");
        let answer = self.post("/auth/login", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.text("accessToken").to_owned()
    }
}

#[tokio::test]
async fn a_log_in_gives_the_contracts_tokens() {
    let fixture = fixture().await;
    let body = format!("{{\"email\":\"{EMAIL}\",\"password\":\"{PASSWORD}\",\"remember\":true}}");
    let answer = fixture.post("/auth/login", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    for (member, expected) in
        [("refreshToken", "rt_next"), ("tokenType", "Bearer"), ("scope", "content.read")]
    {
        assert_eq!(answer.text(member), expected);
    }
    assert!(answer.text("accessToken").starts_with(&format!("at:{}:", fixture.user_id)));
    assert_eq!(answer.body.get("expiresIn"), Some(&Value::Integer(900)));
    assert_eq!(answer.headers.get("cache-control").unwrap(), "no-store");
}

#[tokio::test]
async fn bodies_are_read_strictly() {
    let fixture = fixture().await;
    let good = format!("\"email\":\"{EMAIL}\",\"password\":\"{PASSWORD}\"");
    let long = "x".repeat(129);
    for (body, expected) in [
        (String::new(), 400),
        ("[]".to_owned(), 400),
        (format!("{{{good},\"email\":\"b@c\"}}"), 400),
        ("{}".to_owned(), 422),
        (format!("{{{good},\"admin\":true}}"), 422),
        (format!("{{{good},\"remember\":1}}"), 422),
        (format!("{{{good},\"deviceId\":\"a b\"}}"), 422),
        (format!("{{{good},\"deviceId\":\"\"}}"), 422),
        (format!("{{{good},\"mfaToken\":123456}}"), 422),
        ("{\"email\":\"no address\",\"password\":\"x\"}".to_owned(), 422),
        (format!("{{\"email\":\"a@b\",\"password\":\"{long}\"}}"), 422),
        (format!("{{{good},\"x\":\"{}\"}}", "y".repeat(5000)), 413),
        (format!("{{{good},\"deviceId\":\"phone-1\"}}"), 200),
    ] {
        let answer = fixture.post("/auth/login", &body).await;
        assert_eq!(answer.status, expected, "{body} {}", answer.body);
        assert_eq!(answer.body.get("validationErrors").is_some(), expected == 422);
        assert!(!answer.body.to_string().contains(PASSWORD), "{}", answer.body);
    }
    let form = Request::post("/auth/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(format!("{{{good}}}")));
    let answer = fixture.send(form.unwrap()).await;
    assert_eq!((answer.status, answer.text("error")), (400, "BAD_REQUEST"));
}

#[tokio::test]
async fn wrong_credentials_are_one_answer_and_then_too_many() {
    let fixture = fixture().await;
    for email in [EMAIL, "nobody@example.test"] {
        let body = format!("{{\"email\":\"{email}\",\"password\":\"wrong password\"}}");
        let answer = fixture.post("/auth/login", &body).await;
        assert_eq!((answer.status, answer.text("error")), (401, "INVALID_CREDENTIALS"));
        assert!(answer.headers.contains_key("www-authenticate"));
    }
    let body = format!("{{\"email\":\"{EMAIL}\",\"password\":\"wrong password\"}}");
    for _ in 0..4 {
        fixture.post("/auth/login", &body).await;
    }
    let answer = fixture.post("/auth/login", &body).await;
    assert_eq!((answer.status, answer.text("error")), (429, "RATE_LIMIT_EXCEEDED"));
    for name in ["retry-after", "x-ratelimit-limit", "ratelimit-reset"] {
        assert!(answer.headers.contains_key(name), "{name}");
    }
}

/// A server drops the call of whoever hangs up, wherever it waits.
#[tokio::test]
async fn a_log_in_that_succeeds_is_no_try_though_its_caller_has_hung_up() {
    let fixture = fixture().await;
    let body = format!("{{\"email\":\"{EMAIL}\",\"password\":\"{PASSWORD}\"}}");
    for _ in 0..5 {
        let mut call = Box::pin(fixture.post("/auth/login", &body));
        let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "it waits for the password");
    }
    for _ in 0..200 {
        if fixture.post("/auth/login", &body).await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("five tries are kept");
}

#[tokio::test]
async fn a_cookie_shows_nothing_in_another_browser_where_the_document_ends_that() {
    for (on_change, expected) in
        [(OnChange::Log, 200), (OnChange::AskMfa, 401), (OnChange::End, 401)]
    {
        let world = World::new().with(|login| {
            login.fingerprint = Fingerprint { parts: vec![FingerprintPart::UserAgent], on_change };
        });
        world.user("student").await;
        let flow = world.begin(Acr::OneFactor).await;
        let Ok(Outcome::Done(begun)) = world.password(&flow, EMAIL, PASSWORD, NOW).await else {
            panic!("not logged in");
        };
        let fixture = fixture_of(world, Plain::default(), String::new());
        let cookie = format!("__Host-postern={}", begun.cookie.expose());
        let me = async |agent: &str| {
            let request = Request::get("/auth/me").header("cookie", cookie.as_str());
            let request = request.header("user-agent", agent);
            fixture.send(request.body(Body::empty()).unwrap()).await.status
        };
        assert_eq!(me(AGENT).await, 200);
        assert_eq!(me("Other/2").await, expected, "{on_change:?}");
    }
}

#[tokio::test]
async fn a_session_whose_tokens_could_not_be_made_ends() {
    let fixture = fixture_with(Plain { fails: true, ..Plain::default() }).await;
    let body = format!("{{\"email\":\"{EMAIL}\",\"password\":\"{PASSWORD}\"}}");
    let answer = fixture.post("/auth/login", &body).await;
    assert_eq!((answer.status, answer.text("error")), (503, "temporarily_unavailable"));
    assert_eq!(fixture.revocations.names(RevocationKind::Session).len(), 1);
    let left = fixture.api.login.sessions_of(&fixture.user_id, NOW).await.unwrap();
    assert!(left.is_empty());
}

#[tokio::test]
async fn a_refresh_token_is_the_bearer_or_in_the_body_and_not_both() {
    let fixture = fixture().await;
    let body = "{\"refreshToken\":\"rt_good\",\"deviceId\":\"phone-1\"}";
    assert_eq!(fixture.post("/auth/refresh", body).await.status, 200);
    assert_eq!(fixture.with_token(Method::POST, "/auth/refresh", "rt_good").await.status, 200);
    let seen = fixture.tokens.refreshed.lock().unwrap().clone();
    let device = Some("phone-1".to_owned());
    assert_eq!(seen, [("rt_good".to_owned(), device), ("rt_good".to_owned(), None)]);
    let both = Request::post("/auth/refresh")
        .header("content-type", "application/json")
        .header("authorization", "Bearer rt_good")
        .body(Body::from(body));
    assert_eq!(fixture.send(both.unwrap()).await.status, 400);
    assert_eq!(fixture.post("/auth/refresh", "").await.status, 401);
    assert_eq!(fixture.post("/auth/refresh", "{\"refreshToken\":7}").await.status, 422);
    let refused = fixture.post("/auth/refresh", "{\"refreshToken\":\"rt_spent\"}").await;
    assert_eq!(refused.text("error"), OAuthCode::InvalidClient.as_str());
}

#[tokio::test]
async fn logging_out_revokes_the_token_and_ends_the_session() {
    let fixture = fixture().await;
    let token = fixture.token().await;
    let answer = fixture.with_token(Method::POST, "/auth/logout", &token).await;
    assert_eq!((answer.status, &answer.body), (204, &Value::Null));
    assert_eq!(fixture.revocations.names(RevocationKind::Token), ["t-1"]);
    let session = token.rsplit(':').next().unwrap().to_owned();
    assert_eq!(fixture.revocations.names(RevocationKind::Session), [session]);
    for bad in ["", "made up"] {
        let answer = fixture.with_token(Method::POST, "/auth/logout", bad).await;
        assert_eq!((answer.status, answer.text("error")), (401, "INVALID_TOKEN"), "{bad}");
    }
    assert_eq!(fixture.post("/auth/logout", "").await.status, 401);
}

#[tokio::test]
async fn people_see_themselves_and_their_own_sessions() {
    let fixture = fixture().await;
    let token = fixture.token().await;
    fixture.token().await;
    let me = fixture.with_token(Method::GET, "/auth/me", &token).await;
    assert_eq!((me.text("id"), me.text("email")), (fixture.user_id.as_str(), EMAIL));
    assert_eq!((me.text("role"), me.body.get("isActive")), ("student", Some(&Value::Bool(true))));
    assert!(me.body.get("profile").unwrap().get("firstName").is_some());
    let stranger = fixture.with_token(Method::GET, "/auth/me", "at:nobody:s").await;
    assert_eq!(stranger.status, 404);

    let list = fixture.with_token(Method::GET, "/auth/sessions", &token).await;
    let sessions = list.body.get("data").unwrap().as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let own = token.rsplit(':').next().unwrap();
    assert!(!list.body.to_string().contains(own), "no session's id is told");
    let is_current = |one: &&Value| one.get("current") == Some(&Value::Bool(true));
    let current = sessions.iter().find(is_current).unwrap().get("ref").unwrap();
    let path = format!("/auth/sessions/{}", current.as_str().unwrap());
    let other = fixture.with_token(Method::DELETE, &path, "at:nobody:s").await;
    assert_eq!(other.status, 404, "somebody else's");
    assert_eq!(fixture.with_token(Method::DELETE, &path, &token).await.status, 204);
    assert_eq!(fixture.with_token(Method::DELETE, &path, &token).await.status, 404);
    assert_eq!(fixture.with_token(Method::DELETE, "/auth/sessions", &token).await.status, 204);
    let left = fixture.api.login.sessions_of(&fixture.user_id, NOW).await.unwrap();
    assert!(left.is_empty());
}

#[tokio::test]
async fn other_clients_have_no_part_in_an_account() {
    let fixture = fixture().await;
    for (method, path) in [
        (Method::GET, "/auth/me"),
        (Method::GET, "/auth/sessions"),
        (Method::DELETE, "/auth/sessions"),
        (Method::DELETE, "/auth/sessions/0"),
    ] {
        let answer = fixture.with_token(method, path, "at:of-a-client:s").await;
        assert_eq!((answer.status, answer.text("error")), (403, "FORBIDDEN"), "{path}");
    }
}

#[tokio::test]
async fn a_made_up_cookie_shows_and_changes_nothing() {
    let fixture = fixture().await;
    let cookie = "__Host-postern=f47ac10b-58cc-4372-a567-0e02b2c3d479.\
                  abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO-_";
    for (method, path) in [
        (Method::GET, "/auth/me"),
        (Method::GET, "/auth/sessions"),
        (Method::DELETE, "/auth/sessions"),
        (Method::POST, "/auth/logout"),
        (Method::POST, "/auth/ws-ticket"),
    ] {
        let request = Request::builder().method(method).uri(path).header("cookie", cookie);
        let answer = fixture.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 401, "{path}");
    }
}

#[tokio::test]
async fn a_ticket_is_short_and_not_for_everybody() {
    let fixture = fixture().await;
    let token = fixture.token().await;
    let answer = fixture.with_token(Method::POST, "/auth/ws-ticket", &token).await;
    assert_eq!((answer.status, answer.text("ticket").len()), (200, 43));
    assert_eq!(answer.body.get("expiresIn"), Some(&Value::Integer(30)));
    for _ in 0..59 {
        let answer = fixture.with_token(Method::POST, "/auth/ws-ticket", &token).await;
        assert_eq!(answer.status, 200);
    }
    let answer = fixture.with_token(Method::POST, "/auth/ws-ticket", &token).await;
    assert_eq!(answer.status, 429);
}

#[tokio::test]
async fn everything_else_is_answered_in_the_contracts_form() {
    let fixture = fixture().await;
    for path in ["/auth", "/auth/", "/auth/login/x", "/auth/sessions/a/b"] {
        let answer = fixture.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.text("error")), (404, "NOT_FOUND"), "{path}");
        assert_eq!(answer.headers.get("x-correlation-id").unwrap(), answer.text("correlation_id"));
    }
    let answer = fixture.send(Request::get("/auth/login").body(Body::empty()).unwrap()).await;
    assert_eq!(
        (answer.status, answer.headers.get("allow").unwrap().as_bytes()),
        (405, &b"POST"[..])
    );
}
