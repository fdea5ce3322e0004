//! Where clients register themselves (RFC 7591 §3).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use postern_oauth::Endpoint;
use postern_request::headers::{AUTHORIZATION, DPOP};

use super::asked::Asked;
use super::token::refused;
use super::{Body, read, served};
use crate::RegisterCall;
use crate::http::limits::Limited;
use crate::http::reply::{self, single};
use crate::http::router::Identity;

pub(super) async fn register(
    State(identity): State<Arc<Identity>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    served!(identity, headers, Endpoint::Register);
    let now = (identity.clock)();
    // Each call keeps a client; and whoever tries tokens out tries few.
    if let Err(error) =
        identity.limits.take(Limited::Register, &identity.oauth.rules(), &headers, now).await
    {
        return reply::limited(&headers, &error, now);
    }
    let answer = async {
        let (body, asked) = (read(body)?, Asked::of(&identity, &headers)?);
        let call = RegisterCall {
            authorization: single(&headers, AUTHORIZATION),
            dpop: single(&headers, DPOP),
            certificate: asked.certificate.as_ref().map(|certificate| certificate.sha256),
            content_type: single(&headers, "content-type"),
            body: &body,
        };
        identity.oauth.register(call, now).await
    };
    match answer.await {
        Ok(body) => {
            let mut response = reply::private_json(&headers, body);
            *response.status_mut() = StatusCode::CREATED;
            response
        }
        Err(error) => refused(&identity, &headers, error),
    }
}
