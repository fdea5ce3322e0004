//! The HTTP ports.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use postern_request::headers::{self, Single};
use postern_request::{Denial, ErrorCode, correlation};
use postern_telemetry::Drain;
use tokio::net::TcpListener;

use crate::commands::now;

/// Serves until drained. Handlers find the connection's other end in `ConnectInfo`.
///
/// # Errors
/// When the server fails.
pub async fn serve(
    what: &'static str,
    listener: TcpListener,
    router: Router,
    drain: Drain,
) -> Result<()> {
    // Answers are small: waiting to fill a packet would cost 40 ms each.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(drain.shutdown_signal())
        .await
        .with_context(|| format!("the {what} server failed"))
}

/// For a request that brings no id. It must be another one each time and need not be hard to
/// guess, so the standard library's seeds will do.
fn fresh_id() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    (half() << 64) | half()
}

/// The caller's id when it is one, Envoy's, or a new one.
pub fn correlation_id(request: &HeaderMap) -> String {
    let value = |name: &str| request.get(name).map(HeaderValue::as_bytes);
    correlation::choose(value(headers::CORRELATION_ID), value(headers::REQUEST_ID), fresh_id)
}

/// A header that must not be there twice.
pub fn single<'a>(request: &'a HeaderMap, name: &str) -> Single<'a> {
    let mut values = request.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Single::Absent,
        (Some(value), None) => Single::One(value.as_bytes()),
        (Some(_), Some(_)) => Single::Repeated,
    }
}

/// What no route is for, in the form of every other denial.
pub async fn not_found(request: HeaderMap) -> Response {
    deny(&Denial::new(ErrorCode::NotFound, "no_route"), &correlation_id(&request))
}

/// A denial, in its one form.
pub fn deny(denial: &Denial, correlation_id: &str) -> Response {
    let denial = denial.render(correlation_id, now(), false);
    let status = StatusCode::from_u16(denial.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(status, denial.headers, denial.body)
}

/// JSON for nobody's cache.
pub fn answer(status: StatusCode, correlation_id: &str, body: &serde_json::Value) -> Response {
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("cache-control", "no-store".to_owned()),
        (headers::CORRELATION_ID, correlation_id.to_owned()),
    ];
    respond(status, headers, body.to_string())
}

/// An answer of these headers and this body.
pub fn respond(status: StatusCode, headers: Vec<(&'static str, String)>, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    for (name, value) in headers {
        // Names and values are ours; one that could not stand in a header is left out.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_refusal_has_an_id_of_its_own() {
        let id = async |headers: HeaderMap| {
            let response = not_found(headers).await;
            let id = response.headers().get(headers::CORRELATION_ID).unwrap();
            id.to_str().unwrap().to_owned()
        };
        assert_ne!(id(HeaderMap::new()).await, id(HeaderMap::new()).await);
        let given = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
        let mut headers = HeaderMap::new();
        headers.insert(headers::REQUEST_ID, given.parse().unwrap());
        assert_eq!(id(headers).await, given);
    }
}
