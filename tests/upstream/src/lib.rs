//! The service behind the gateway, for tests, benches and `./dev up`.
//!
//! One listener plays every service: the first segment of the path says which one. It speaks
//! HTTP/1.1 and HTTP/2 without TLS, and can be told to fail, so that circuits have something
//! to open for.
//!
//! | request | answer |
//! |---|---|
//! | any `/{service}/…` | JSON: what arrived, headers included |
//! | the same with `?say=NAME:VALUE` | the same, with this header |
//! | `GET /{service}/…/bytes/{n}` | `n` bytes of a fixed pattern; `?chunked` leaves out the length |
//! | `POST /{service}/…/echo` | the request's body, byte for byte, while it still arrives |
//! | `POST /{service}/…/count` | length and FNV-1a of the request's body |
//! | `GET /{service}/…/slow/{ms}` | as any, after so many milliseconds |
//! | `POST /_sample/fail?service=S&status=503` | from now on `S` answers 503 |
//! | `POST /_sample/recover?service=S` | from now on it does not |
//! | `POST /_sample/document` | keeps the body: JSON that is fetched from here, such as keys |
//! | `GET /_sample/document` | the body that was kept last |
//! | `PUT /_sample/static?path=/P` | keeps the body: JSON that `GET /P` is answered with |
//! | `GET /_sample/state` | JSON: what each service counted |
//!
//! Deliberately absent: anything a gateway should do. It believes what it is sent.

mod answer;
mod body;
mod pattern;
mod state;

use std::convert::Infallible;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

pub use body::Fnv64;
pub use pattern::{MAX_PATTERN_BYTES, pattern_byte};
pub use state::State;

/// Most headers that an HTTP/1.1 request may have: above what any gateway lets through, so
/// that the gateway is what a test sees refusing.
const MAX_HEADERS: usize = 4096;

/// Serves until the task is dropped. Broken connections end for themselves.
pub async fn serve(listener: TcpListener, state: State) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: the next moment may have some.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let state = state.clone();
                async move { Ok::<_, Infallible>(answer::to(request, &state).await) }
            });
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().max_headers(MAX_HEADERS);
            // An error is the peer's business: it went away, or did not speak HTTP.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
