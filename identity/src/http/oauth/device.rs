//! Where devices without a browser begin (RFC 8628 §3.1).

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use postern_oauth::Endpoint;

use super::token::{call, refused};
use super::{Body, read, served};
use crate::http::limits::Limited;
use crate::http::reply;
use crate::http::router::Identity;

pub(super) async fn device(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    served!(identity, headers, Endpoint::Device);
    let now = (identity.clock)();
    // Each call keeps two codes, whoever it is from.
    if let Err(error) = identity.limits.take(Limited::Device, &headers, now).await {
        return reply::limited(&headers, &error, now);
    }
    let answer = match read(body) {
        Ok(body) => identity.oauth.device(call(&headers, &body), now).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(body) => reply::private_json(&headers, body),
        Err(error) => refused(&identity, &headers, error),
    }
}
