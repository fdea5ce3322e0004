//! The same service over HTTP, for people and for callers without gRPC: `/rlconfig` tells the
//! rules in use, `/json` answers one request.
//!
//! Whoever reaches these can spend limits, as whoever reaches the gRPC port can. They ask for no
//! credential: they belong on a port that only operators reach.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitRequest;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::Code;
use postern_request::{Denial, ErrorCode, correlation, headers};
use postern_telemetry::Moment;

use crate::ask::Refusal;
use crate::json;
use crate::limiter::RateLimiter;
use crate::service;

/// The routes `/rlconfig` and `/json`.
pub fn router(limiter: Arc<RateLimiter>) -> Router {
    Router::new()
        .route("/rlconfig", get(configuration))
        .route("/json", post(should_rate_limit))
        .layer(DefaultBodyLimit::max(service::MAX_MESSAGE_BYTES))
        .with_state(limiter)
}

async fn configuration(State(limiter): State<Arc<RateLimiter>>) -> Response {
    respond(StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], limiter.dump())
}

async fn should_rate_limit(
    State(limiter): State<Arc<RateLimiter>>,
    request: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let message = match body.map_err(|rejection| unread(&rejection)).and_then(|body| read(&body)) {
        Ok(message) => message,
        Err(denial) => return deny(&denial, &request),
    };
    let now = Moment::now().wall;
    let answered = service::answer(&limiter, message, now, || correlation_id(&request)).await;
    let response = match answered {
        Ok(response) => response,
        Err(refusal) => return deny(&refused(refusal), &request),
    };
    let status = match response.overall_code() {
        Code::OverLimit => StatusCode::TOO_MANY_REQUESTS,
        Code::Ok | Code::Unknown => StatusCode::OK,
    };
    let body = json::response(&response).to_string();
    respond(status, [(header::CONTENT_TYPE, "application/json")], body)
}

fn read(body: &[u8]) -> Result<RateLimitRequest, Denial> {
    json::request(body).map_err(|error| bad_request(error.to_string()))
}

fn unread(rejection: &BytesRejection) -> Denial {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Denial::new(ErrorCode::PayloadTooLarge, "body_too_large");
    }
    Denial::new(ErrorCode::BadRequest, "body_unread")
}

fn refused(refusal: Refusal) -> Denial {
    match refusal {
        Refusal::Unavailable => Denial::unavailable("store_unavailable", 1),
        _ => bad_request(refusal.to_string()),
    }
}

fn bad_request(description: String) -> Denial {
    let mut denial = Denial::new(ErrorCode::BadRequest, "request_senseless");
    denial.description = Some(description.into());
    denial
}

fn deny(denial: &Denial, request: &HeaderMap) -> Response {
    let denial = denial.render(&correlation_id(request), Moment::now().wall, false);
    let status = StatusCode::from_u16(denial.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(status, [], denial.body);
    for (name, value) in denial.headers {
        // Names and values are ours; one that could not stand in a header is left out.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

fn correlation_id(request: &HeaderMap) -> String {
    let value = |name: &str| request.get(name).map(HeaderValue::as_bytes);
    let ids = (value(headers::CORRELATION_ID), value(headers::REQUEST_ID));
    correlation::choose(ids.0, ids.1, service::fresh_id)
}

fn respond<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, &'static str); N],
    body: String,
) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let no_store = (header::CACHE_CONTROL, "no-store");
    for (name, value) in headers.into_iter().chain([no_store]) {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
