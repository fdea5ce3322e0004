//! Where devices without a browser begin (RFC 8628 §3.1).

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use postern_oauth::Endpoint;

use super::asked::Asked;
use super::token::{Refusal, refused};
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
    if let Err(error) =
        identity.limits.take(Limited::Device, &identity.oauth.rules(), &headers, now).await
    {
        return reply::limited(&headers, &error, now);
    }
    let answer = async {
        let (body, asked) = (read(body)?, Asked::of(&identity, &headers)?);
        let call = asked.call(&headers, &body);
        identity.oauth.device(call, now).await.map_err(|error| Refusal::of(call, error))
    };
    match answer.await {
        Ok(body) => reply::private_json(&headers, body),
        Err(error) => refused(&identity, &headers, error),
    }
}
