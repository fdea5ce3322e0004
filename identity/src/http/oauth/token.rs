//! The endpoints that clients call with a form: tokens, taking them back, asking about them, and
//! pushed authorization requests.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use postern_oauth::{ClientAuthentication, Endpoint, ErrorCode, OAuthError};
use postern_request::headers::{AUTHORIZATION, DPOP};
use postern_request::{UnixMillis, correlation};

use super::asked::Asked;
use super::{Body, cors, read, served};
use crate::http::limits::Limited;
use crate::http::reply::{self, single};
use crate::http::router::Identity;
use crate::{Pushing, TokenCall};

pub(super) async fn token(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let now = (identity.clock)();
    let answer = async {
        let (body, asked) = (read(body)?, Asked::of(&identity, &headers)?);
        let call = asked.call(&headers, &body);
        identity.oauth.token(call, now).await.map_err(|error| Refusal::of(call, error))
    };
    let response = match answer.await {
        Ok(body) => reply::private_json(&headers, body),
        Err(error) => refused(&identity, &headers, error),
    };
    cors::allow(&identity, &headers, response)
}

/// RFC 7009 §2.2: what is no token any more, or never was one, is revoked already.
pub(super) async fn revoke(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    served!(identity, headers, Endpoint::Revoke);
    let now = (identity.clock)();
    let answer = async {
        let (body, asked) = (read(body)?, Asked::of(&identity, &headers)?);
        let call = asked.call(&headers, &body);
        identity.oauth.revoke(call, now).await.map_err(|error| Refusal::of(call, error))
    };
    let response = match answer.await {
        Ok(()) => reply::nothing(&headers, 200),
        Err(error) => refused(&identity, &headers, error),
    };
    cors::allow(&identity, &headers, response)
}

/// For servers, never for scripts of a page.
pub(super) async fn introspect(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    served!(identity, headers, Endpoint::Introspect);
    let now = (identity.clock)();
    let answer = async {
        let (body, asked) = (read(body)?, Asked::of(&identity, &headers)?);
        let call = asked.call(&headers, &body);
        identity.oauth.introspect(call, now).await.map_err(|error| Refusal::of(call, error))
    };
    match answer.await {
        Ok(body) => reply::private_json(&headers, body),
        Err(error) => refused(&identity, &headers, error),
    }
}

/// RFC 9126 §2.2: there is something new then, and its name is the answer.
pub(super) async fn push(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    served!(identity, headers, Endpoint::Par);
    let now = (identity.clock)();
    let judged = async {
        let (body, asked) = (read(body)?, Asked::of(&identity, &headers)?);
        let call = asked.call(&headers, &body);
        identity.oauth.push(call, now).await.map_err(|error| Refusal::of(call, error))
    };
    let response = match judged.await {
        Ok(pushing) => keep(&identity, &headers, &pushing, now).await,
        Err(error) => refused(&identity, &headers, error),
    };
    cors::allow(&identity, &headers, response)
}

/// There is room for so many requests, and those who may leave some without a name leave few.
async fn keep(
    identity: &Identity,
    headers: &HeaderMap,
    pushing: &Pushing,
    now: UnixMillis,
) -> Response {
    if pushing.by_anybody
        && let Err(error) =
            identity.limits.take(Limited::Request, &identity.oauth.rules(), headers, now).await
    {
        return reply::limited(headers, &error, now);
    }
    match identity.oauth.keep_pushed(pushing, now).await {
        Ok(body) => reply::created_json(headers, body),
        Err(error) => refused(identity, headers, error),
    }
}

/// The request of an endpoint that takes a form, as far as its headers say it alone.
pub(super) fn call<'a>(headers: &'a HeaderMap, body: &'a [u8]) -> TokenCall<'a> {
    TokenCall {
        authorization: single(headers, AUTHORIZATION),
        content_type: single(headers, "content-type"),
        dpop: single(headers, DPOP),
        certificate: None,
        address: None,
        body,
    }
}

/// A refusal, and the id of the client that it is about, where that may stand in a log.
pub(super) struct Refusal {
    error: OAuthError,
    client: Option<String>,
}

impl Refusal {
    /// Of a client's request. What a registered client is called is no secret; an id that nobody
    /// has shown to have may be anything, so it has to look like one.
    pub(super) fn of(call: TokenCall<'_>, error: OAuthError) -> Self {
        let TokenCall { authorization, content_type, certificate, body, .. } = call;
        let read = ClientAuthentication::read(authorization, content_type, body, certificate);
        let id = read.ok().map(|read| read.client_id);
        let is_unproven = matches!(
            error.code,
            ErrorCode::InvalidClient
                | ErrorCode::TooManyAttempts
                | ErrorCode::TemporarilyUnavailable
                | ErrorCode::ServerError
        );
        let may_stand = |id: &String| !is_unproven || correlation::is_uuid(id.as_bytes());
        Self { error, client: id.filter(may_stand) }
    }
}

impl From<OAuthError> for Refusal {
    fn from(error: OAuthError) -> Self {
        Self { error, client: None }
    }
}

pub(super) fn refused(
    identity: &Identity,
    headers: &HeaderMap,
    refusal: impl Into<Refusal>,
) -> Response {
    let Refusal { error, client } = refusal.into();
    tracing::info!(
        code = error.code.as_str(),
        reason = error.reason(),
        client = client.as_deref(),
        correlation_id = reply::correlation_id(headers),
        "a client was refused"
    );
    reply::refuse(headers, &error, (identity.clock)())
}
