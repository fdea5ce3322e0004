//! What the authorization server answers while its stores are away, and after they lost everything.

use postern_e2e::browser::Browser;
use postern_e2e::client::{Answer, Call};
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::oauth::{self, App, token};
use postern_e2e::{documents, redis, server};
use serde_json::{Value, json};

const STUDENT: &str = "ada@example.test";
const SCOPE: &str = "openid content.read";

async fn start() -> (Gateway, App) {
    let builder = Gateway::builder().document(documents::IDENTITY).store(Store::Redis).durable();
    let gateway = builder.start().await;
    oauth::user(&gateway, STUDENT, "student").await;
    let app = oauth::app(&gateway, SCOPE, &[]).await;
    (gateway, app)
}

fn text(tokens: &Value, member: &str) -> String {
    tokens[member].as_str().unwrap_or_else(|| panic!("no {member}: {tokens}")).to_owned()
}

fn log_in() -> Call {
    let body = json!({"email": STUDENT, "password": oauth::PASSWORD}).to_string();
    Call::post("/auth/login").header("content-type", "application/json").body(body)
}

/// Come again.
fn expect_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer}");
    assert!(answer.number("retry-after") >= 1, "{answer}");
}

async fn service(gateway: &Gateway) -> (String, String) {
    let durable = gateway.durable.as_ref().expect("a durable store");
    let words = ["client", "create", "--json", "--name", "service", "--scopes", "content.read"];
    let made = server::run(durable.arguments(&words)).await.expect_success();
    let made: Value = serde_json::from_str(&made).expect("JSON");
    (text(&made, "client_id"), text(&made, "client_secret"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nobody_logs_in_and_what_needs_no_session_goes_on() {
    if redis::is_skipped() {
        return;
    }
    let (mut gateway, app) = start().await;
    let mut browser = Browser::new(gateway.port());
    let waiting = oauth::code(&mut browser, &app, SCOPE, STUDENT).await;
    let tokens = oauth::tokens(&gateway, &app, SCOPE, STUDENT).await;
    let refresh = text(&tokens, "refresh_token");
    let (id, secret) = service(&gateway).await;
    let of_itself = [
        ("grant_type", "client_credentials"),
        ("client_id", id.as_str()),
        ("client_secret", secret.as_str()),
    ];
    token(&gateway, &of_itself).await.expect(200);
    let lesson = Call::get("/content/lesson").bearer(&text(&tokens, "access_token"));
    gateway.until_status(200, &lesson).await;

    gateway.redis.as_mut().expect("a Redis of its own").take_down();
    expect_unavailable(&gateway.send(&log_in()).await);
    expect_unavailable(&token(&gateway, &app.refresh(&refresh)).await);
    expect_unavailable(&token(&gateway, &app.code(&waiting)).await);
    let page = browser.open(&app.authorize(SCOPE, &[])).await;
    let told = page.answer.header("location").map(str::to_owned);
    let says = told.as_deref().is_some_and(|to| to.contains("temporarily_unavailable"));
    assert!(page.answer.status == 503 || says, "{}", page.answer);
    // Nothing of these needs a session.
    token(&gateway, &of_itself).await.expect(200);
    gateway.send(&Call::get("/oauth2/jwks")).await.expect(200);
    gateway.send(&lesson).await.expect(200);

    gateway.redis.as_mut().expect("a Redis of its own").bring_up().await;
    gateway.until_status(200, &log_in()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_everything_logs_everybody_out_and_takes_no_revocation_back() {
    if redis::is_skipped() {
        return;
    }
    let (mut gateway, app) = start().await;
    let mut browser = Browser::new(gateway.port());
    let code = oauth::code(&mut browser, &app, SCOPE, STUDENT).await;
    let tokens = token(&gateway, &app.code(&code)).await.expect(200).json();
    let other = oauth::tokens(&gateway, &app, SCOPE, STUDENT).await;
    let revoked = Call::get("/content/lesson").bearer(&text(&other, "access_token"));
    gateway.until_status(200, &revoked).await;
    let refresh = text(&other, "refresh_token");
    let parameters = [("token", refresh.as_str()), ("client_id", app.client_id.as_str())];
    let call = Call::post("/oauth2/revoke").form(&postern_e2e::browser::encode(&parameters));
    gateway.send(&call).await.expect(200);
    gateway.until_status(401, &revoked).await;

    // Without any file, a new process is an empty one.
    let redis = gateway.redis.as_mut().expect("a Redis of its own");
    redis.take_down();
    redis.bring_up().await;
    gateway.until_status(200, &log_in()).await;
    let refused = token(&gateway, &app.refresh(&text(&tokens, "refresh_token"))).await;
    assert_eq!(refused.expect(400).json()["error"], "invalid_grant");
    let page = browser.open(&app.authorize(SCOPE, &[("prompt", "none")])).await;
    assert_eq!(page.parameter("error").as_deref(), Some("login_required"));
    gateway.send(&revoked).await.expect_denial(401, "TOKEN_REVOKED");
    // A token that was not revoked is good until it ends: sidecars need no Redis for it.
    let lesson = Call::get("/content/lesson").bearer(&text(&tokens, "access_token"));
    gateway.send(&lesson).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_who_is_logged_in_goes_on() {
    if redis::is_skipped() {
        return;
    }
    let (gateway, app) = start().await;
    let tokens = oauth::tokens(&gateway, &app, SCOPE, STUDENT).await;
    let access = text(&tokens, "access_token");
    gateway.until_status(200, &Call::get("/content/lesson").bearer(&access)).await;

    // Written by somebody else, so that the server must read anew.
    service(&gateway).await;
    let durable = gateway.durable.as_ref().expect("a durable store");
    let outage = durable.take_away();
    let refresh = text(&tokens, "refresh_token");
    let turned = token(&gateway, &app.refresh(&refresh)).await.expect(200).json();
    let labels = [("outcome", "unconfirmed")];
    assert_eq!(gateway.server.metric("postern_identity_refresh_total", &labels).await, 1);
    gateway.send(&Call::get("/oauth2/userinfo").bearer(&access)).await;
    expect_unavailable(&gateway.send(&log_in()).await);
    let mut browser = Browser::new(gateway.port());
    let page = browser.open("/login").await.expect(200);
    let page = oauth::log_in(&mut browser, &page, STUDENT).await;
    assert_eq!(page.answer.status, 503, "{}", page.answer);
    assert_eq!(browser.cookie("postern"), None);

    outage.end();
    gateway.until_status(200, &log_in()).await;
    token(&gateway, &app.refresh(&text(&turned, "refresh_token"))).await.expect(200);
}
