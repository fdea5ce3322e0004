//! The crates `openidconnect` and `oauth2` against the real gateway: what Rust programs that log
//! people in, or speak for themselves, make of our answers.

use std::fmt;

use hyper::StatusCode;
use oauth2::basic::BasicClient;
use oauth2::{
    HttpRequest, HttpResponse, IntrospectionUrl, RequestTokenError, RevocationUrl,
    TokenIntrospectionResponse,
};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    AccessToken, AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, RedirectUrl, RefreshToken, Scope, TokenResponse,
    TokenUrl,
};
use postern_e2e::browser::Browser;
use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::{documents, oauth, server};
use serde_json::Value;

const STUDENT: &str = "ada@example.test";
const SCOPES: [&str; 4] = ["profile", "email", "offline_access", "content.read"];

/// No answer came, or none that can be told on.
#[derive(Debug)]
struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

/// What the crates send, through the kit's client. The scheme counts for nothing here: one of them
/// revokes tokens at https addresses alone, which is right of it, and Envoy has no certificate.
async fn exchange(client: Client, request: HttpRequest) -> Result<HttpResponse, Failed> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut call = Call::new(parts.method.as_str(), target).body(body);
    for (name, value) in &parts.headers {
        call = call.header(name.as_str(), value.as_bytes());
    }
    let answer = client.try_send(&call).await.map_err(Failed)?;
    let mut response = HttpResponse::new(answer.body.to_vec());
    let status = StatusCode::from_u16(answer.status);
    *response.status_mut() = status.map_err(|error| Failed(error.to_string()))?;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

async fn start() -> Gateway {
    Gateway::builder().document(documents::IDENTITY).durable().start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_in_rust_logs_people_in() {
    let gateway = start().await;
    oauth::user(&gateway, STUDENT, "student").await;
    let scopes = format!("openid {}", SCOPES.join(" "));
    let app = oauth::app(&gateway, &scopes, &["--no-consent"]).await;
    let mut browser = Browser::new(gateway.port());
    let client = Client::new(Protocol::Http1, gateway.port());
    let http = move |request: HttpRequest| exchange(client, request);

    let issuer = IssuerUrl::new(browser.origin().to_owned()).expect("an issuer");
    let metadata = CoreProviderMetadata::discover_async(issuer, &http).await.expect("discovery");
    // Its address with https, as the crate wants it; see `exchange`.
    let revocation = gateway.url("/oauth2/revoke").replace("http://", "https://");
    let id = ClientId::new(app.client_id.clone());
    let application = CoreClient::from_provider_metadata(metadata, id, None)
        .set_redirect_uri(RedirectUrl::new(oauth::CALLBACK.to_owned()).expect("an address"))
        .set_revocation_url(RevocationUrl::new(revocation).expect("an address"));

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = application
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        )
        .add_scopes(SCOPES.map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    let target = url.as_str().strip_prefix(browser.origin()).expect("a place at the gateway");
    let page = browser.open(target).await.expect(200);
    let page = oauth::log_in(&mut browser, &page, STUDENT).await;
    assert_eq!(page.parameter("state").as_ref(), Some(state.secret()));
    let code = page.parameter("code").expect("a code");

    let exchanged = application.exchange_code(AuthorizationCode::new(code)).expect("an endpoint");
    let exchanged = exchanged.set_pkce_verifier(verifier).request_async(&http).await;
    let tokens = exchanged.expect("tokens");
    let id_token = tokens.id_token().expect("an ID token");
    let claims = id_token.claims(&application.id_token_verifier(), &nonce).expect("good claims");

    let subject = claims.subject().clone();
    let asked = application.user_info(tokens.access_token().clone(), Some(subject));
    let info: CoreUserInfoClaims =
        asked.expect("an endpoint").request_async(&http).await.expect("the user");
    assert_eq!(info.email().map(|email| email.as_str()), Some(STUDENT));
    through(&gateway, tokens.access_token()).await;

    let first = tokens.refresh_token().expect("a refresh token");
    let again = application.exchange_refresh_token(first).expect("an endpoint");
    let again = again.request_async(&http).await.expect("fresh tokens");
    let second: RefreshToken = again.refresh_token().expect("another refresh token").clone();
    assert_ne!(second.secret(), first.secret());
    through(&gateway, again.access_token()).await;

    let revoked = application.revoke_token(second.clone().into()).expect("an endpoint");
    revoked.request_async(&http).await.expect("revoked");
    let spent = application.exchange_refresh_token(&second).expect("an endpoint");
    let Err(RequestTokenError::ServerResponse(refused)) = spent.request_async(&http).await else {
        panic!("a revoked token was taken");
    };
    assert_eq!(refused.error().as_ref(), "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_in_rust_speaks_for_itself() {
    let gateway = start().await;
    let durable = gateway.durable.as_ref().expect("a durable store");
    let words = ["client", "create", "--json", "--name", "Service", "--scopes", "content.read"];
    let made = server::run(durable.arguments(&words)).await.expect_success();
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let text = |member: &str| made[member].as_str().expect("a text").to_owned();
    let (id, secret) = (text("client_id"), text("client_secret"));
    let client = Client::new(Protocol::Http1, gateway.port());
    let http = move |request: HttpRequest| exchange(client, request);

    let tokens_at = TokenUrl::new(gateway.url("/oauth2/token")).expect("an address");
    let looked_at = IntrospectionUrl::new(gateway.url("/oauth2/introspect")).expect("an address");
    let service = BasicClient::new(ClientId::new(id.clone()))
        .set_client_secret(ClientSecret::new(secret))
        .set_token_uri(tokens_at)
        .set_introspection_url(looked_at);
    let scope = Scope::new("content.read".to_owned());
    let asked = service.exchange_client_credentials().add_scope(scope);
    let tokens = asked.request_async(&http).await.expect("a token");
    assert!(tokens.refresh_token().is_none());
    through(&gateway, tokens.access_token()).await;

    let seen = service.introspect(tokens.access_token()).request_async(&http).await;
    let seen = seen.expect("an answer");
    assert!(seen.active());
    assert_eq!(seen.client_id().map(|found| found.as_str()), Some(id.as_str()));
    let nothing = AccessToken::new("never-was-one".to_owned());
    let seen = service.introspect(&nothing).request_async(&http).await.expect("an answer");
    assert!(!seen.active());
}

/// Envoy fetches the issuer's keys in its own time.
async fn through(gateway: &Gateway, token: &AccessToken) {
    gateway.until_status(200, &Call::get("/content/items").bearer(token.secret())).await;
}
