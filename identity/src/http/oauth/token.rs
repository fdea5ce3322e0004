//! The endpoints that clients call with a form: tokens, and taking them back.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use postern_oauth::{Endpoint, OAuthError};
use postern_request::headers::{AUTHORIZATION, DPOP};

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
    let answer = match read(body) {
        Ok(body) => identity.oauth.token(call(&headers, &body), now).await,
        Err(error) => Err(error),
    };
    let response = match answer {
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
    let answer = match read(body) {
        Ok(body) => identity.oauth.revoke(call(&headers, &body), now).await,
        Err(error) => Err(error),
    };
    let response = match answer {
        Ok(()) => reply::nothing(&headers, 200),
        Err(error) => refused(&identity, &headers, error),
    };
    cors::allow(&identity, &headers, response)
}

pub(super) fn call<'a>(headers: &'a HeaderMap, body: &'a [u8]) -> TokenCall<'a> {
    TokenCall {
        authorization: single(headers, AUTHORIZATION),
        content_type: single(headers, "content-type"),
        dpop: single(headers, DPOP),
        certificate: None,
        body,
    }
}

pub(super) fn refused(identity: &Identity, headers: &HeaderMap, error: OAuthError) -> Response {
    tracing::info!(
        code = error.code.as_str(),
        correlation_id = reply::correlation_id(headers),
        "a client was refused"
    );
    reply::refuse(headers, &error, (identity.clock)())
}
