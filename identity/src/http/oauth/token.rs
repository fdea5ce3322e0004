//! The endpoints that clients call with a form: tokens, taking them back, asking about them, and
//! pushed authorization requests.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use postern_oauth::{Endpoint, OAuthError};
use postern_request::headers::{AUTHORIZATION, DPOP};

use super::asked::Asked;
use super::{Body, cors, read, served};
use crate::TokenCall;
use crate::http::reply::{self, single};
use crate::http::router::Identity;

pub(super) async fn token(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let now = (identity.clock)();
    let answer = async {
        let (body, asked) = (read(body)?, Asked::of(&identity, &headers)?);
        identity.oauth.token(asked.call(&headers, &body), now).await
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
        identity.oauth.revoke(asked.call(&headers, &body), now).await
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
        identity.oauth.introspect(asked.call(&headers, &body), now).await
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
    let answer = async {
        let (body, asked) = (read(body)?, Asked::of(&identity, &headers)?);
        identity.oauth.push(asked.call(&headers, &body), now).await
    };
    let response = match answer.await {
        Ok(body) => reply::created_json(&headers, body),
        Err(error) => refused(&identity, &headers, error),
    };
    cors::allow(&identity, &headers, response)
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

pub(super) fn refused(identity: &Identity, headers: &HeaderMap, error: OAuthError) -> Response {
    tracing::info!(
        code = error.code.as_str(),
        reason = error.description,
        correlation_id = reply::correlation_id(headers),
        "a client was refused"
    );
    reply::refuse(headers, &error, (identity.clock)())
}
