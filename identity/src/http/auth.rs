//! `/auth`: logging in, going on and out, and one's own account, as JSON for applications that
//! have pages of their own.

mod body;
mod sessions;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{MethodRouter, any, delete, get, post};
use postern_oauth::{OAuthError, Secret};
use postern_request::headers::CORRELATION_ID;
use postern_request::{Denial, ErrorCode, UnixMillis, json};
use postern_store::BoxFuture;
use postern_store::flows::SessionRecord;

use super::cookies::Cookies;
use super::{Answered, Body, caller, refusal, reply, whole};
use crate::login::{BrowserVerdict, Caller, LOGIN_CLIENT_ID, LoginService, Person};
use crate::{Clock, LoginError, Refresher, TokenAnswer};

pub use tokens::OwnTokens;

/// Largest body that is read.
const MAX_BODY_BYTES: usize = 4096;
/// How long a ticket is good, in seconds.
const TICKET_SECS: u64 = 30;

/// Makes and knows tokens of those who log in here: the authorization server, for its built-in
/// client [`crate::LOGIN_CLIENT_ID`].
pub trait Tokens: Send + Sync {
    /// Tokens for a session that has begun.
    ///
    /// # Errors
    /// [`OAuthError`].
    fn tokens_for<'a>(
        &'a self,
        session: &'a SessionRecord,
        remember: bool,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<TokenAnswer, OAuthError>>;

    /// The next tokens for a refresh token. `by` is what the client says and shows of itself: a
    /// session that is bound to a device takes no other one.
    ///
    /// # Errors
    /// [`OAuthError`], `invalid_grant` whatever is wrong with the token.
    fn refresh<'a>(
        &'a self,
        refresh_token: &'a Secret,
        by: Refresher<'a>,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<TokenAnswer, OAuthError>>;

    /// What an access token of ours stands for; none where it does not hold, was revoked, or is
    /// bound to something that this request does not show.
    fn verify(&self, access_token: &str, now: UnixMillis) -> Option<Bearer>;
}

/// What an access token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// `sub`
    pub subject: String,
    /// `client_id`
    pub client_id: Option<String>,
    /// `sessionId`
    pub session: Option<String>,
    /// `jti`
    pub token_id: Option<String>,
    /// `exp`, in seconds.
    pub expires_at: u64,
}

/// What these endpoints work with.
pub struct AuthApi {
    /// Logs people in and out.
    pub login: Arc<LoginService>,
    /// Makes their tokens.
    pub tokens: Arc<dyn Tokens>,
    /// How browsers are known.
    pub cookies: Cookies,
    /// Where the time comes from.
    pub clock: Clock,
}

/// The endpoints, and everything else below `/auth`.
pub fn router(api: Arc<AuthApi>) -> Router {
    let only = |methods: MethodRouter<Arc<AuthApi>>| methods.fallback(wrong_method);
    Router::new()
        .route("/auth/login", only(post(login)))
        .route("/auth/refresh", only(post(refresh)))
        .route("/auth/logout", only(post(logout)))
        .route("/auth/me", only(get(me)))
        .route("/auth/sessions", only(get(sessions::list).delete(sessions::end_all)))
        .route("/auth/sessions/{reference}", only(delete(sessions::end)))
        .route("/auth/ws-ticket", only(post(ticket)))
        .route("/auth", any(not_found))
        .route("/auth/", any(not_found))
        .route("/auth/{*rest}", any(not_found))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(whole::carried_out))
        .layer(from_fn(reply::named))
        .with_state(api)
}

/// One request: when it came, and what its answer is known by.
struct Call<'a> {
    api: &'a AuthApi,
    headers: &'a HeaderMap,
    id: String,
    now: UnixMillis,
}

impl<'a> Call<'a> {
    fn new(api: &'a AuthApi, headers: &'a HeaderMap) -> Self {
        Self { api, headers, id: reply::correlation_id(headers), now: (api.clock)() }
    }

    /// Who is at the other end.
    fn caller(&self) -> Caller {
        caller::of(self.headers, self.api.login.rules().trusted_proxies, None)
    }

    fn ok(&self, body: String) -> Response {
        let content_type = ("content-type", "application/json".to_owned());
        let headers = vec![content_type, (CORRELATION_ID, self.id.clone()), no_store()];
        reply::respond(200, headers, body)
    }

    fn nothing(&self) -> Response {
        let headers = vec![(CORRELATION_ID, self.id.clone()), no_store()];
        reply::respond(204, headers, String::new())
    }

    fn deny(&self, denial: &Denial) -> Response {
        reply::deny(denial, self.headers, self.now)
    }

    fn failed(&self, error: &LoginError) -> Response {
        let reason = refusal::reason(error);
        tracing::info!(%error, reason, correlation_id = self.id, "not logged in");
        reply::turn_away(refusal::login(error, &self.id, self.now))
    }

    /// The access token of `authorization`, the only place for one here. Two headers are none.
    fn bearer_text(&self) -> Option<&'a str> {
        let mut values = self.headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
    }

    /// Who shows an access token.
    fn bearer(&self) -> Result<Bearer, Response> {
        let Some(text) = self.bearer_text() else {
            return Err(self.deny(&Denial::missing_credential()));
        };
        let bearer = self.api.tokens.verify(text, self.now);
        bearer.ok_or_else(|| self.deny(&Denial::invalid_token("token_refused")))
    }

    /// The same, where the token is one of this log-in: other clients have what their user has
    /// granted them, and an account is no part of that.
    fn own_bearer(&self) -> Result<Bearer, Response> {
        let bearer = self.bearer()?;
        if bearer.client_id.as_deref() == Some(LOGIN_CLIENT_ID) {
            return Ok(bearer);
        }
        Err(self.deny(&Denial::new(ErrorCode::Forbidden, "client_foreign")))
    }
}

/// Answers here are for the caller alone, and kept nowhere.
fn no_store() -> (&'static str, String) {
    ("cache-control", "no-store".to_owned())
}

async fn login(State(api): State<Arc<AuthApi>>, headers: HeaderMap, body: Body) -> Answered {
    let call = Call::new(&api, &headers);
    let wanted = body::login(&call, &body::of(&call, body)?)?;
    let caller = call.caller();
    match api.login.direct(wanted, &caller, call.now).await {
        Ok(begun) => {
            // No token of a session is older than it is.
            let now = call.now.max(begun.session.created_at);
            let answer = api.tokens.tokens_for(&begun.session, begun.remember, now).await;
            if answer.is_err() {
                // Nobody has tokens of it, and nobody will.
                drop(api.login.end_session(&begun.session.id, "system", call.now).await);
            }
            Ok(answered(&call, answer))
        }
        Err(error) => Err(call.failed(&error)),
    }
}

/// With the token as bearer, or in the body.
async fn refresh(State(api): State<Arc<AuthApi>>, headers: HeaderMap, body: Body) -> Answered {
    let call = Call::new(&api, &headers);
    let (token, device) = body::refresh(&call, &body::of(&call, body)?)?;
    let caller = call.caller();
    let fingerprint = api.login.fingerprint_of(&caller);
    let by = Refresher { device: device.as_deref(), fingerprint };
    let answer = api.tokens.refresh(&token, by, call.now).await;
    Ok(answered(&call, answer))
}

async fn logout(State(api): State<Arc<AuthApi>>, headers: HeaderMap) -> Answered {
    let call = Call::new(&api, &headers);
    let bearer = call.bearer()?;
    match end(&call, &bearer).await {
        Ok(()) => Ok(call.nothing()),
        Err(error) => Err(call.failed(&error)),
    }
}

/// Ends a token and its session.
async fn end(call: &Call<'_>, bearer: &Bearer) -> Result<(), LoginError> {
    let login = &call.api.login;
    if let Some(token_id) = &bearer.token_id {
        login.end_token(token_id, bearer.expires_at, &bearer.subject, call.now).await?;
    }
    if let Some(session) = &bearer.session {
        login.end_session(session, &bearer.subject, call.now).await?;
    }
    Ok(())
}

/// By an access token or by a session's cookie: it changes nothing, so that no other site wins
/// anything by making a browser ask.
async fn me(State(api): State<Arc<AuthApi>>, headers: HeaderMap) -> Answered {
    let call = Call::new(&api, &headers);
    let (user_id, session_id) = if call.bearer_text().is_some() {
        let bearer = call.own_bearer()?;
        (bearer.subject, bearer.session)
    } else {
        match by_cookie(&call).await {
            Ok(Some(session)) => (session.user_id, Some(session.id)),
            Ok(None) => return Err(call.deny(&Denial::missing_credential())),
            Err(error) => return Err(call.failed(&error)),
        }
    };
    match api.login.whoever(&user_id, session_id.as_deref(), call.now).await {
        Ok(Some((person, is_active))) => Ok(call.ok(account(&user_id, &person, is_active))),
        // A token without a user, such as a client's own.
        Ok(None) => Err(call.deny(&Denial::new(ErrorCode::NotFound, "user_unknown"))),
        Err(error) => Err(call.failed(&error)),
    }
}

/// The session of a cookie, in a browser that shows what it did when the session began.
async fn by_cookie(call: &Call<'_>) -> Result<Option<SessionRecord>, LoginError> {
    let Some(cookie) = call.api.cookies.session(call.headers) else { return Ok(None) };
    let login = &call.api.login;
    let Some(session) = login.session(Some(cookie), call.now).await? else { return Ok(None) };
    let caller = call.caller();
    let verdict = login.judge_browser(cookie, &session, &caller, call.now).await?;
    Ok((verdict == BrowserVerdict::Same).then_some(session))
}

async fn ticket(State(api): State<Arc<AuthApi>>, headers: HeaderMap) -> Answered {
    let call = Call::new(&api, &headers);
    let bearer = call.bearer()?;
    let session = bearer.session.as_deref();
    let made = api.login.ticket(&bearer.subject, session, bearer.expires_at, TICKET_SECS, call.now);
    match made.await {
        Ok(ticket) => {
            let mut body = String::from("{\"ticket\":");
            json::write_string(&mut body, ticket.expose());
            body.push_str(",\"expiresIn\":");
            body.push_str(&TICKET_SECS.to_string());
            body.push('}');
            Ok(call.ok(body))
        }
        Err(error) => Err(call.failed(&error)),
    }
}

fn answered(call: &Call<'_>, answer: Result<TokenAnswer, OAuthError>) -> Response {
    match answer {
        Ok(answer) => call.ok(written(&answer)),
        Err(error) => {
            tracing::info!(
                code = error.code.as_str(),
                reason = error.reason(),
                correlation_id = call.id,
                "no token granted"
            );
            reply::turn_away(error.render(&call.id, call.now))
        }
    }
}

/// The contract's members.
fn written(answer: &TokenAnswer) -> String {
    let mut body = String::from("{\"accessToken\":");
    json::write_string(&mut body, answer.access_token.expose());
    if let Some(token) = &answer.refresh_token {
        body.push_str(",\"refreshToken\":");
        json::write_string(&mut body, token.expose());
    }
    body.push_str(",\"tokenType\":");
    json::write_string(&mut body, answer.token_type.as_str());
    body.push_str(",\"expiresIn\":");
    body.push_str(&answer.expires_in_secs.to_string());
    body.push_str(",\"scope\":");
    json::write_string(&mut body, &answer.scope.to_string());
    body.push('}');
    body
}

fn account(id: &str, person: &Person, is_active: bool) -> String {
    let mut body = String::from("{\"id\":");
    let member = |body: &mut String, name: &str, value: Option<&str>| {
        body.push_str(name);
        match value {
            Some(value) => json::write_string(body, value),
            None => body.push_str("null"),
        }
    };
    member(&mut body, "", Some(id));
    member(&mut body, ",\"email\":", person.email.as_deref());
    member(&mut body, ",\"role\":", Some(&person.role));
    body.push_str(if is_active { ",\"isActive\":true" } else { ",\"isActive\":false" });
    let profile = &person.profile;
    member(&mut body, ",\"profile\":{\"firstName\":", Some(&profile.first_name));
    member(&mut body, ",\"lastName\":", Some(&profile.last_name));
    member(&mut body, ",\"photo\":", profile.photo.as_deref());
    member(&mut body, ",\"department\":", profile.department.as_deref());
    body.push_str("}}");
    body
}

async fn not_found(State(api): State<Arc<AuthApi>>, headers: HeaderMap) -> Response {
    Call::new(&api, &headers).deny(&Denial::new(ErrorCode::NotFound, "endpoint_unknown"))
}

async fn wrong_method(State(api): State<Arc<AuthApi>>, headers: HeaderMap) -> Response {
    reply::wrong_method(&headers, (api.clock)())
}

#[cfg(test)]
mod tests;
