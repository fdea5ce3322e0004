//! Bodies that are longer than any endpoint takes are read all the same.
//!
//! An endpoint refuses by the length that a request announces, and has answered before the body has
//! come. Envoy, which is still sending, would meet a connection that closes, and tell its caller of an
//! upstream that failed (503) instead of a body that is too long (413).

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt as _;
use postern_request::{Denial, ErrorCode};

use super::http;

/// What the endpoint with the shortest bodies takes.
const SHORT: u64 = 4096;
/// More than any endpoint takes. What is beyond is thrown away as it comes.
const KEPT: usize = 128 * 1024;
/// Nobody is listened to for longer, in bytes.
const MOST: usize = 8 * 1024 * 1024;
/// Nor in time.
const LONGEST: Duration = Duration::from_secs(10);

/// Hands a long body on when it is there, cut to what every endpoint refuses.
pub async fn read_to_its_end(request: Request, next: Next) -> Response {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let is_long =
        length.and_then(|text| text.parse().ok()).is_some_and(|length: u64| length > SHORT);
    if !is_long {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match tokio::time::timeout(LONGEST, kept(body)).await {
        Ok(Some(body)) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Ok(None) | Err(_) => {
            let denial = Denial::new(ErrorCode::BadRequest, "body_unreadable");
            http::deny(&denial, &http::correlation_id(&parts.headers))
        }
    }
}

/// None where it broke off, or does not end.
async fn kept(mut body: Body) -> Option<Bytes> {
    let (mut kept, mut read) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        read = read.saturating_add(data.len());
        if read > MOST {
            return None;
        }
        let room = KEPT.saturating_sub(kept.len()).min(data.len());
        kept.extend_from_slice(data.get(..room)?);
    }
    Some(kept.into())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::DefaultBodyLimit;
    use axum::http::StatusCode;
    use axum::routing::post;
    use tower::ServiceExt as _;

    use super::*;

    async fn status(length: usize) -> StatusCode {
        let router = Router::new()
            .route("/", post(async |body: Bytes| body.len().to_string()))
            .layer(DefaultBodyLimit::max(64 * 1024))
            .layer(axum::middleware::from_fn(read_to_its_end));
        let request = Request::post("/")
            .header(CONTENT_LENGTH, length)
            .body(Body::from(vec![b'a'; length]))
            .unwrap();
        router.oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_body_is_refused_by_its_endpoint_however_long_it_is() {
        for (length, expected) in [
            (100, StatusCode::OK),
            (5_000, StatusCode::OK),
            (64 * 1024, StatusCode::OK),
            (64 * 1024 + 1, StatusCode::PAYLOAD_TOO_LARGE),
            (1 << 20, StatusCode::PAYLOAD_TOO_LARGE),
            (MOST + 1, StatusCode::BAD_REQUEST),
        ] {
            assert_eq!(status(length).await, expected, "{length}");
        }
    }
}
