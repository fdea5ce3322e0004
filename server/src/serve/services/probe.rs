//! Looks whether an instance answers.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use postern_feed::Jitter;
use postern_registry::{Check, Instance, Outcome, Probe};
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{sleep, timeout};

/// Between two tries of one check.
const PAUSE: Duration = Duration::from_millis(200);
/// How it calls itself.
const AGENT: &str = concat!("postern-check/", env!("CARGO_PKG_VERSION"));

/// Looks under way at the same time, of one service…
const OF_ONE: usize = 64;
/// … and of all.
const OF_ALL: usize = 512;

/// Looks.
pub struct Prober {
    http: Client,
    jitter: Jitter,
    places: Semaphore,
}

/// What one service has of the places: it does not keep the others waiting by being slow.
pub struct Share(Semaphore);

impl Default for Share {
    fn default() -> Self {
        Self(Semaphore::new(OF_ONE))
    }
}

impl Prober {
    /// Makes what asks by HTTP. It asks the instance itself: through no proxy, wherever an answer
    /// may point, and by a new connection each time, as whoever comes next would.
    ///
    /// # Errors
    /// When there can be no client.
    pub fn new() -> Result<Self> {
        let builder = Client::builder().no_proxy().redirect(Policy::none()).user_agent(AGENT);
        let builder = builder.pool_max_idle_per_host(0).http1_only();
        let http = builder.build().context("cannot make an HTTP client for checks")?;
        Ok(Self { http, jitter: Jitter::random(), places: Semaphore::new(OF_ALL) })
    }

    /// Checks an instance, with as many tries as it takes, and a place for each of them.
    pub async fn check(&self, instance: &Instance, check: &Check, share: &Share) -> Outcome {
        let longest = Duration::from_millis(check.timeout_ms);
        for tried in 0..check.tries {
            if tried > 0 {
                sleep(self.jitter.around(PAUSE)).await;
            }
            let _place = self.place(share).await;
            let began = Instant::now();
            if timeout(longest, self.try_once(instance, check)).await == Ok(true) {
                let took_ms = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
                return Outcome::Passed { took_ms };
            }
        }
        Outcome::Failed
    }

    /// Nobody closes them.
    async fn place<'s>(&'s self, share: &'s Share) -> [Option<SemaphorePermit<'s>>; 2] {
        [share.0.acquire().await.ok(), self.places.acquire().await.ok()]
    }

    async fn try_once(&self, instance: &Instance, check: &Check) -> bool {
        match &check.probe {
            Probe::Tcp => TcpStream::connect(instance.socket()).await.is_ok(),
            Probe::Http { .. } => {
                let path = instance.health_path().unwrap_or_default();
                let url = format!("http://{}{path}", instance.place());
                let answer = self.http.get(url).send().await;
                answer.is_ok_and(|answer| answer.status().is_success())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::Router;
    use axum::http::StatusCode;
    use axum::response::Redirect;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    fn check(probe: Probe) -> Check {
        Check { timeout_ms: 500, tries: 2, ..Check::new(probe) }
    }

    fn http(path: &str) -> Check {
        check(Probe::Http { path: path.to_owned() })
    }

    fn at(place: SocketAddr) -> Instance {
        let mut instance =
            Instance::new("shop".to_owned(), "a".to_owned(), place.ip(), place.port());
        instance.base_path = "/api".to_owned();
        instance
    }

    async fn passes(instance: &Instance, check: &Check) -> bool {
        let instance = Instance { check: Some(check.clone()), ..instance.clone() };
        let outcome = Prober::new().unwrap().check(&instance, check, &Share::default()).await;
        matches!(outcome, Outcome::Passed { .. })
    }

    async fn answering() -> Instance {
        let router = Router::new()
            .route("/api/good", get(|| async { "fine" }))
            .route("/api/empty", get(|| async { StatusCode::NO_CONTENT }))
            .route("/api/bad", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
            .route("/api/moved", get(|| async { Redirect::temporary("/api/good") }))
            .route("/api/slow", get(|| sleep(Duration::from_secs(20))));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        at(place)
    }

    #[tokio::test]
    async fn an_answer_has_to_come_in_time_and_to_be_good() {
        let instance = answering().await;
        for (path, expected) in [
            ("/good", true),
            ("/empty", true),
            ("/bad", false),
            ("/moved", false),
            ("/none", false),
            ("/slow", false),
        ] {
            assert_eq!(passes(&instance, &http(path)).await, expected, "{path}");
        }
    }

    #[tokio::test]
    async fn by_tcp_somebody_has_to_listen() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let instance = at(listener.local_addr().unwrap());
        assert!(passes(&instance, &check(Probe::Tcp)).await);
        drop(listener);
        assert!(!passes(&instance, &check(Probe::Tcp)).await);
        assert!(!passes(&instance, &http("/good")).await);
    }

    #[tokio::test]
    async fn one_good_try_is_enough() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let instance = at(listener.local_addr().unwrap());
        let router = Router::new().route("/api/good", get(|| async { "fine" }));
        tokio::spawn(async move {
            // The first one is hung up on.
            drop(listener.accept().await);
            axum::serve(listener, router).await
        });
        assert!(passes(&instance, &http("/good")).await);
        let once = Check { tries: 1, ..http("/bad") };
        assert!(!passes(&instance, &once).await);
    }
}
