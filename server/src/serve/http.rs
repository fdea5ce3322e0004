//! The HTTP ports.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use postern_request::{Denial, ErrorCode, correlation, headers};
use postern_telemetry::Drain;
use tokio::net::TcpListener;

use crate::commands::now;

/// Serves until drained.
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
    axum::serve(listener, router)
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

/// What no route is for, in the form of every other denial.
pub async fn not_found(request: HeaderMap) -> Response {
    let value = |name: &str| request.get(name).map(|value| value.as_bytes());
    let id =
        correlation::choose(value(headers::CORRELATION_ID), value(headers::REQUEST_ID), fresh_id);
    let denial = Denial::new(ErrorCode::NotFound, "no_route").render(&id, now(), false);
    let mut response = (StatusCode::NOT_FOUND, denial.body).into_response();
    for (name, value) in denial.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().remove(header::SERVER);
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
