//! The endpoints as clients and browsers see them.

mod browsers;
mod clients;
mod device;
mod registration;
mod scripts;

use std::sync::Arc;

use super::reply::PUBLIC_CACHE;
use super::*;
use crate::admin::{NewClient, create_client};
use crate::oauth::fixture::{ISSUER, NOW, fixture as everything, with_rules};
use crate::{KeyRing, OAuthRules, OAuthService, TokenIssuer};
use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, Request};
use axum::response::Response;
use postern_oauth::{Endpoint, GrantType, ScopeSet};
use postern_request::UnixMillis;
use postern_request::headers::CORRELATION_ID;
use postern_request::json::{self, Value};
use postern_store::durable::memory::MemoryDurableStore;
use postern_store::durable::{ClientRecord, DurableStore};
use postern_store::flows::SessionRecord;
use postern_store::{BoxFuture, StoreError};
use prometheus::Registry;
use tower::ServiceExt as _;

const FORM: &str = "application/x-www-form-urlencoded";
const TOKEN_PATH: &str = Endpoint::Token.path();
const JWKS_PATH: &str = Endpoint::Jwks.path();

/// Whoever brings a cookie is logged in, and is told things by their name.
struct Visitors;

impl Browsers for Visitors {
    fn session<'a>(
        &'a self,
        headers: &'a HeaderMap,
        _now: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        let session = match headers.get("cookie").map(HeaderValue::as_bytes) {
            Some(b"session=good") => Ok(Some(crate::oauth::fixture::session())),
            Some(b"session=away") => Err(StoreError::Unavailable("test".to_owned())),
            _ => Ok(None),
        };
        Box::pin(std::future::ready(session))
    }

    fn tell(&self, headers: &HeaderMap, told: Told, _now: UnixMillis) -> Response {
        let status = match told {
            Told::Fault(_) | Told::Refused(_) => 400,
            Told::Error(error) => error.code.status(),
            Told::LoggedOut | Told::LoggedOutBy(_) => 200,
        };
        let mut response = reply::nothing(headers, status);
        let told = format!("{told:?}").replace('"', "'");
        *response.body_mut() = Body::from(format!("{{\"told\":\"{told}\"}}"));
        response
    }

    fn forget(&self, mut response: Response) -> Response {
        response.headers_mut().insert("set-cookie", HeaderValue::from_static("session="));
        response
    }
}

fn router_of(oauth: &Arc<OAuthService>) -> Router {
    router(Arc::new(Identity {
        oauth: Arc::clone(oauth),
        browsers: Arc::new(Visitors),
        limits: RequestLimits::new(crate::login::fixture::limiter()),
        clock: Arc::new(|| NOW),
    }))
}

struct Fixture {
    store: Arc<MemoryDurableStore>,
    issuer: Arc<TokenIssuer>,
    registry: Registry,
    router: Router,
    client_id: String,
    secret: String,
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

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A server whose document does not say anything about it.
async fn fixture() -> Fixture {
    let inner = with_rules(OAuthRules::of(ISSUER, None)).await;
    let new = NewClient {
        name: "Tests".to_owned(),
        scopes: ScopeSet::parse("read write").unwrap(),
        grant_types: vec![GrantType::ClientCredentials],
        access_token_lifetime_secs: 60,
    };
    let created = create_client(&*inner.store, new, NOW).await.unwrap();
    Fixture {
        router: router_of(&inner.oauth),
        store: inner.store,
        issuer: inner.issuer,
        registry: inner.registry,
        client_id: created.record.client_id,
        secret: created.secret.expose().to_owned(),
    }
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let body = if body.is_empty() { Value::Null } else { json::parse(&body).unwrap() };
    Answer { status, headers, body }
}

impl Fixture {
    async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn token(&self, body: String) -> Answer {
        let request = Request::post(TOKEN_PATH).header(CONTENT_TYPE, FORM);
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    fn form(&self, secret: &str, more: &str) -> String {
        let id = &self.client_id;
        format!("grant_type=client_credentials&client_id={id}&client_secret={secret}{more}")
    }
}

#[tokio::test]
async fn a_client_gets_a_token_that_holds() {
    let fixture = fixture().await;
    let answer = fixture.token(fixture.form(&fixture.secret, "&scope=read")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.text("token_type"), "Bearer");
    assert_eq!(answer.text("scope"), "read");
    assert_eq!(answer.body.get("expires_in"), Some(&Value::Integer(60)));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-type"), "application/json");
    let verified = fixture.issuer.inspect(answer.text("access_token"), NOW).unwrap();
    assert_eq!(verified.principal().subject, fixture.client_id);
    assert_eq!(verified.principal().scopes, ["read"]);
    assert_eq!(verified.claims.audiences, [ISSUER]);
}

#[tokio::test]
async fn a_client_may_use_basic_instead() {
    let router = router_of(&everything().await.oauth);
    // `web:s3cret`, `web:wrong` and `unknown:unknown` in base64.
    for (credentials, status, error) in [
        ("d2ViOnMzY3JldA==", 200, ""),
        ("d2ViOndyb25n", 401, "invalid_client"),
        ("dW5rbm93bjp1bmtub3du", 401, "invalid_client"),
    ] {
        let request = Request::post(TOKEN_PATH)
            .header(CONTENT_TYPE, FORM)
            .header(AUTHORIZATION, format!("Basic {credentials}"))
            .body(Body::from("grant_type=client_credentials"))
            .unwrap();
        let answer = send(&router, request).await;
        assert_eq!((answer.status, answer.text("error")), (status, error), "{credentials}");
        assert_eq!(answer.header("www-authenticate").starts_with("Basic "), status == 401);
    }
}

#[tokio::test]
async fn unknown_clients_and_wrong_secrets_get_one_answer() {
    let fixture = fixture().await;
    let inactive = ClientRecord {
        client_id: "inactive".to_owned(),
        is_active: false,
        ..fixture.store.find_client(&fixture.client_id).await.unwrap().unwrap()
    };
    fixture.store.insert_client(inactive).await.unwrap();
    let form = |id: &str, secret: &str| {
        format!("grant_type=client_credentials&client_id={id}&client_secret={secret}")
    };
    for body in [
        form(&fixture.client_id, "wrong"),
        form("nobody", &fixture.secret),
        form("inactive", &fixture.secret),
        format!("grant_type=client_credentials&client_id={}", fixture.client_id),
    ] {
        let answer = fixture.token(body).await;
        assert_eq!((answer.status, answer.text("error")), (401, "invalid_client"));
        assert_eq!(answer.text("error_description"), "Client authentication failed");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn bad_requests_are_told_apart() {
    let fixture = fixture().await;
    let good = fixture.form(&fixture.secret, "");
    for (body, expected) in [
        (String::new(), (400, "invalid_request")),
        (format!("{good}&scope=admin"), (400, "invalid_scope")),
        (format!("{good}&grant_type=x"), (400, "invalid_request")),
        (good.replace("client_credentials", "password"), (400, "unsupported_grant_type")),
        (format!("{good}&x={}", "y".repeat(20_000)), (413, "invalid_request")),
    ] {
        let answer = fixture.token(body).await;
        assert_eq!((answer.status, answer.text("error")), expected, "{}", answer.body);
    }
    let json = Request::post(TOKEN_PATH).header(CONTENT_TYPE, "application/json");
    let answer = fixture.send(json.body(Body::from("{}")).unwrap()).await;
    assert_eq!((answer.status, answer.text("error")), (400, "invalid_request"));
}

#[tokio::test]
async fn no_signing_key_is_our_fault_and_says_no_more() {
    let fixture = fixture().await;
    for key in fixture.store.list_signing_keys().await.unwrap() {
        fixture.store.set_signing_key_retirement(&key.kid, NOW).await.unwrap();
    }
    fixture.issuer.ring().refresh(NOW).await.unwrap();
    let answer = fixture.token(fixture.form(&fixture.secret, "")).await;
    assert_eq!((answer.status, answer.text("error")), (503, "temporarily_unavailable"));
    assert!(!answer.body.to_string().contains("key"), "{}", answer.body);
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn a_sealed_signing_key_is_as_good_as_none() {
    let fixture = fixture().await;
    let shared: Arc<dyn DurableStore> = Arc::<MemoryDurableStore>::clone(&fixture.store);
    let ring = KeyRing::load(shared, None, NOW).await.unwrap();
    let sealed = TokenIssuer::new(ISSUER.to_owned(), Arc::new(ring));
    let request = crate::AccessTokenRequest {
        subject: "a".to_owned(),
        client_id: "a".to_owned(),
        lifetime_secs: 60,
        ..crate::AccessTokenRequest::default()
    };
    let refused = sealed.issue(&request, NOW).unwrap_err();
    assert!(matches!(refused, crate::IdentityError::SigningKey { .. }), "{refused}");
}

#[tokio::test]
async fn keys_and_metadata_are_public_and_cacheable() {
    let fixture = fixture().await;
    let jwks = fixture.get(JWKS_PATH).await;
    assert_eq!(jwks.body.get("keys").unwrap().as_array().unwrap().len(), 1);
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        let answer = fixture.get(path).await;
        assert_eq!(answer.text("issuer"), ISSUER);
        assert_eq!(answer.text("jwks_uri"), format!("{ISSUER}{JWKS_PATH}"));
        assert_eq!(answer.header("cache-control"), PUBLIC_CACHE);
        assert!(answer.body.get("authorization_endpoint").is_none());
    }
    assert_eq!(jwks.header("cache-control"), PUBLIC_CACHE);
}

#[tokio::test]
async fn everything_else_is_answered_in_the_contracts_form() {
    let fixture = fixture().await;
    for path in [
        "/oauth2",
        "/oauth2/",
        "/oauth2/authorize",
        "/oauth2/userinfo",
        "/oauth2/logout",
        "/oauth2/token/x",
    ] {
        let answer = fixture.get(path).await;
        assert_eq!((answer.status, answer.text("error")), (404, "NOT_FOUND"), "{path}");
        assert_eq!(answer.header("x-correlation-id"), answer.text("correlation_id"));
    }
    let answer = fixture.get(TOKEN_PATH).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    let id = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
    let request = Request::builder().method(Method::DELETE).uri(JWKS_PATH);
    let request = request.header(CORRELATION_ID, id).body(Body::empty()).unwrap();
    let answer = fixture.send(request).await;
    assert_eq!((answer.status, answer.text("correlation_id")), (405, id));
}

#[tokio::test]
async fn attempts_are_counted() {
    let fixture = fixture().await;
    fixture.token(fixture.form(&fixture.secret, "")).await;
    fixture.token(fixture.form(&fixture.secret, "&scope=admin")).await;
    fixture.token(fixture.form("wrong", "")).await;
    fixture.token("nonsense".to_owned()).await;
    let text = prometheus::TextEncoder::new().encode_to_string(&fixture.registry.gather()).unwrap();
    for (success, count) in [("true", 2), ("false", 1)] {
        let line = format!(
            "gateway_user_authentications_total{{country=\"unknown\",\
             method=\"client_secret_basic\",success=\"{success}\",user_tier=\"unknown\"}} {count}\n"
        );
        assert!(text.contains(&line), "{text}");
    }
}
