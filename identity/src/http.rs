//! The OAuth endpoints over HTTP: reads requests into the protocol's types, asks store and
//! clock, writes the answers. What a client is told and what the log says are two texts.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{MethodRouter, any, get, post};
use postern_oauth::{
    ErrorCode, Evidence, Grant, IssueAccessToken, JWKS_PATH, MAX_BODY_BYTES, NO_STORE, OAuthError,
    Proof, ServerMetadata, ServerRules, TOKEN_PATH, TokenRequest, TokenResponse, TokenType,
    authenticate,
};
use postern_request::denial::RenderedDenial;
use postern_request::headers::{CORRELATION_ID, REQUEST_ID, Single};
use postern_request::{Denial, UnixMillis, correlation};
use postern_store::durable::DurableStore;

use crate::metrics::AuthenticationMethod;
use crate::{
    AccessTokenRequest, Clock, IdentityError, IdentityMetrics, IssuedToken, TokenIssuer, clients,
    random,
};

/// Public keys and metadata may be kept for so long; a new key is published for longer than
/// that before it signs.
const PUBLIC_CACHE: &str = "public, max-age=300";

/// What the endpoints work with.
pub struct IdentityService {
    store: Arc<dyn DurableStore>,
    issuer: Arc<TokenIssuer>,
    metrics: IdentityMetrics,
    clock: Clock,
}

impl IdentityService {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        store: Arc<dyn DurableStore>,
        issuer: Arc<TokenIssuer>,
        metrics: IdentityMetrics,
        clock: Clock,
    ) -> Self {
        Self { store, issuer, metrics, clock }
    }

    /// The token endpoint.
    async fn grant(&self, headers: &HeaderMap, body: &[u8]) -> Result<String, OAuthError> {
        let request = TokenRequest::parse(
            single(headers, &AUTHORIZATION),
            single(headers, &CONTENT_TYPE),
            body,
            None,
        )?;
        let record =
            self.store.find_client(request.client_id()).await.map_err(|e| store_failed(&e))?;
        let client =
            record.as_ref().map(clients::client_of).transpose().map_err(|e| store_failed(&e))?;
        let secret = match request.client().proof() {
            Proof::Secret(secret) => Some(secret),
            _ => None,
        };
        let secret_matches = clients::secret_matches(record.as_ref(), secret);
        let evidence = Evidence { secret_matches, ..Evidence::default() };
        let decision =
            authenticate(request.client(), client.as_ref(), &evidence).and_then(|client| {
                match request.grant() {
                    Grant::ClientCredentials(own) => own.decide(client, None, None, &self.rules()),
                    Grant::Code(_) | Grant::Refresh(_) => Err(OAuthError::unsupported_grant_type()),
                }
            });
        let proven = !matches!(&decision, Err(e) if e.code == ErrorCode::InvalidClient);
        self.metrics.authentication(AuthenticationMethod::ClientCredentials, proven);
        let issue = decision?.access;
        let scopes = issue.scopes.clone();
        let expires_in_secs = issue.lifetime_secs;
        let issued = self.issue(issue).await?;
        let answer = TokenResponse {
            access_token: &issued.token,
            token_type: TokenType::Bearer,
            expires_in_secs,
            scopes: &scopes,
            refresh_token: None,
            id_token: None,
            issued_token_type: None,
        };
        Ok(answer.body())
    }

    /// Signing keeps a core busy for a millisecond: not on a thread that serves requests.
    async fn issue(&self, issue: IssueAccessToken) -> Result<IssuedToken, OAuthError> {
        let issuer = Arc::clone(&self.issuer);
        let now = (self.clock)();
        let request = AccessTokenRequest {
            subject: issue.subject,
            client_id: issue.client_id,
            scopes: issue.scopes,
            audiences: issue.audiences,
            lifetime_secs: issue.lifetime_secs,
            ..AccessTokenRequest::default()
        };
        let signing = tokio::task::spawn_blocking(move || issuer.issue(&request, now));
        match signing.await {
            Ok(Ok(issued)) => Ok(issued),
            Ok(Err(error)) => {
                tracing::error!(%error, "no token could be issued");
                Err(match error {
                    // Whoever runs the server can still make or open a key; clients may retry.
                    IdentityError::NoSigningKey
                    | IdentityError::SigningKey { .. }
                    | IdentityError::Unseal { .. } => OAuthError::unavailable(),
                    _ => OAuthError::server_error(),
                })
            }
            Err(error) => {
                tracing::error!(%error, "signing was cut off");
                Err(OAuthError::server_error())
            }
        }
    }

    fn rules(&self) -> ServerRules {
        let algorithms = self.issuer.ring().algorithms((self.clock)());
        ServerRules { algorithms, ..ServerRules::bare(self.issuer.issuer().to_owned()) }
    }
}

fn store_failed(error: &postern_store::StoreError) -> OAuthError {
    tracing::error!(%error, "the durable store failed");
    match error {
        postern_store::StoreError::Unavailable(_) => OAuthError::unavailable(),
        _ => OAuthError::server_error(),
    }
}

/// The endpoints, on their own paths. Everything else under `/oauth2` is answered here too, so
/// that no other router can come to own a part of it.
pub fn router(service: Arc<IdentityService>) -> Router {
    let only = |methods: MethodRouter<Arc<IdentityService>>| methods.fallback(wrong_method);
    Router::new()
        .route(TOKEN_PATH, only(post(token)))
        .route(JWKS_PATH, only(get(jwks)))
        .route("/.well-known/oauth-authorization-server", only(get(authorization_server)))
        .route("/.well-known/openid-configuration", only(get(openid_configuration)))
        .route("/oauth2", any(not_found))
        .route("/oauth2/", any(not_found))
        .route("/oauth2/{*rest}", any(not_found))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(service)
}

async fn token(
    State(service): State<Arc<IdentityService>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answer = match body {
        Ok(body) => service.grant(&headers, &body).await,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(OAuthError::new(ErrorCode::RequestTooLarge, "The request is too large"))
        }
        Err(_) => Err(OAuthError::new(ErrorCode::InvalidRequest, "The body cannot be read")),
    };
    let correlation_id = correlation_id(&headers);
    match answer {
        Ok(body) => {
            let mut out = vec![
                ("content-type", "application/json".to_owned()),
                (CORRELATION_ID, correlation_id),
            ];
            out.extend(NO_STORE.map(|(name, value)| (name, value.to_owned())));
            respond(200, out, body)
        }
        Err(error) => {
            tracing::info!(code = error.code.as_str(), correlation_id, "no token granted");
            turn_away(error.render(&correlation_id, (service.clock)()))
        }
    }
}

async fn jwks(State(service): State<Arc<IdentityService>>) -> Response {
    public_json(service.issuer.ring().jwks((service.clock)()))
}

async fn authorization_server(State(service): State<Arc<IdentityService>>) -> Response {
    public_json(ServerMetadata { rules: &service.rules() }.authorization_server())
}

async fn openid_configuration(State(service): State<Arc<IdentityService>>) -> Response {
    public_json(ServerMetadata { rules: &service.rules() }.openid_configuration())
}

async fn not_found(State(service): State<Arc<IdentityService>>, headers: HeaderMap) -> Response {
    let denial = Denial::new(postern_request::ErrorCode::NotFound, "endpoint_unknown");
    deny(&denial, &headers, (service.clock)())
}

async fn wrong_method(State(service): State<Arc<IdentityService>>, headers: HeaderMap) -> Response {
    let mut denial = Denial::new(postern_request::ErrorCode::BadRequest, "method_wrong");
    denial.description = Some("The method is not allowed here".into());
    let mut response = deny(&denial, &headers, (service.clock)());
    // `Allow` is added by the router, which knows the methods.
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

fn deny(denial: &Denial, headers: &HeaderMap, now: UnixMillis) -> Response {
    turn_away(denial.render(&correlation_id(headers), now, false))
}

/// The caller's id when it is one, Envoy's, or a new one.
fn correlation_id(headers: &HeaderMap) -> String {
    let value = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    correlation::choose(value(CORRELATION_ID), value(REQUEST_ID), || {
        // Without random numbers the answer still goes out, and the log can be read by time.
        random::bits().unwrap_or_default()
    })
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Single<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Single::Absent,
        (Some(value), None) => Single::One(value.as_bytes()),
        (Some(_), Some(_)) => Single::Repeated,
    }
}

fn public_json(body: String) -> Response {
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("cache-control", PUBLIC_CACHE.to_owned()),
    ];
    respond(200, headers, body)
}

fn turn_away(rendered: RenderedDenial) -> Response {
    respond(rendered.status, rendered.headers, rendered.body)
}

fn respond(status: u16, headers: Vec<(&'static str, String)>, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        // Names and values are ours; one that could not stand in a header is left out.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests;
