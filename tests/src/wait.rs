//! Waiting for something to become true, never for a time to pass.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(40);

/// Asks again and again until it works.
///
/// # Panics
/// When it does not within `longest`; with what was wrong the last time.
pub async fn until<T, E, F>(what: &str, longest: Duration, mut attempt: impl FnMut() -> F) -> T
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let began = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) if began.elapsed() >= longest => {
                panic!("no {what} within {} s: {error}", longest.as_secs_f32());
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Waits until somebody listens on a port of this machine.
///
/// # Panics
/// When nobody does within `longest`.
pub async fn until_listening(what: &str, port: u16, longest: Duration) {
    let what = format!("{what} listening on port {port}");
    until(&what, longest, || tokio::net::TcpStream::connect(crate::ports::local(port))).await;
}
