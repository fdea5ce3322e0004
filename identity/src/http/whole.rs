//! Requests are carried out to their end.
//!
//! A server drops a handler whose caller hangs up, wherever it waits at that moment: behind a new
//! password and before the sessions that end with it, or behind a try that was taken and before it
//! is given back. So each runs in a task of its own, which nobody drops. What it may take has its
//! bounds, whoever waits: limits, the queue of passwords, the patience with other servers.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// A layer: what is below it is carried out, even where nobody waits for the answer.
pub(crate) async fn carried_out(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a request was not carried out");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tokio::sync::Notify;
    use tower::ServiceExt as _;

    use super::*;

    fn request() -> Request {
        axum::http::Request::get("/").body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn whoever_hangs_up_stops_nothing() {
        let all: [Arc<Notify>; 3] = std::array::from_fn(|_| Arc::new(Notify::new()));
        let [begun, go_on, done] = all.clone();
        let handler = move || {
            let [begun, go_on, done] = all.clone();
            async move {
                begun.notify_one();
                go_on.notified().await;
                done.notify_one();
            }
        };
        let router = Router::new().route("/", get(handler)).layer(from_fn(carried_out));
        let call = tokio::spawn(router.oneshot(request()));
        begun.notified().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        go_on.notify_one();
        tokio::time::timeout(Duration::from_secs(10), done.notified()).await.unwrap();
    }

    #[tokio::test]
    async fn what_breaks_is_an_answer_and_no_silence() {
        async fn broken() -> StatusCode {
            std::future::ready(()).await;
            panic!("as no handler should");
        }
        let router = Router::new().route("/", get(broken)).layer(from_fn(carried_out));
        let response = router.oneshot(request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
