//! Calls of a rate limit service (`ShouldRateLimit` of `envoy.service.ratelimit.v3`), as many at
//! a time as busy Envoys have under way.
//!
//! A program of its own (`postern-bench rls-load`): its CPU time must not be the service's. It
//! must not be what everything waits for, either: see [`crate::grpc`]; and answers are looked at
//! no more than needed.

mod bodies;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitResponse;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::Code;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http2::SendRequest;
use prost::Message as _;
use tokio::task::JoinSet;

use self::bodies::Bodies;
use crate::cli::RlsLoad;
use crate::grpc::{self, PREFIX};
use crate::latencies::Latencies;

const METHOD: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// What all callers share.
struct Calls {
    /// A call without a message.
    template: Request<Full<Bytes>>,
    bodies: Bodies,
    /// How many were begun.
    begun: AtomicUsize,
    ends: Ends,
    latencies: Latencies,
    /// Answers that were not OK.
    refused: AtomicU64,
}

/// When no further call is begun.
enum Ends {
    At(Instant),
    After(usize),
}

/// Calls until the time is over or every key was sent, and prints what came of it.
pub async fn run(options: &RlsLoad) -> Result<()> {
    let RlsLoad { server, connections, in_flight, keys, first_key, limits, seconds, once: _ } =
        *options;
    let bodies = Bodies::of(first_key, keys, limits)?;
    let mut senders = Vec::new();
    for _ in 0..connections {
        senders.push(grpc::connect(server).await?);
    }
    let began = Instant::now();
    let ends = match seconds {
        Some(seconds) => Ends::At(began + Duration::from_secs(seconds.into())),
        None => Ends::After(bodies.count()),
    };
    let calls = Arc::new(Calls {
        template: grpc::template(server, METHOD)?,
        bodies,
        begun: AtomicUsize::new(0),
        ends,
        latencies: Latencies::default(),
        refused: AtomicU64::new(0),
    });
    let mut callers = JoinSet::new();
    for sender in &senders {
        for _ in 0..in_flight {
            callers.spawn(Arc::clone(&calls).call(sender.clone()));
        }
    }
    while let Some(ended) = callers.join_next().await {
        ended.context("a caller's task")??;
    }
    let refused = calls.refused.load(Ordering::Relaxed);
    println!("{}", calls.latencies.outcome(began.elapsed(), refused).line());
    Ok(())
}

/// Whether a call that has so many limits is answered with OK.
pub async fn is_answered(server: SocketAddr, limits: u32) -> Result<bool> {
    let mut sender = grpc::connect(server).await?;
    let mut request = grpc::template(server, METHOD)?;
    *request.body_mut() = Full::new(Bodies::of(0, 1, limits)?.get(0));
    ask(&mut sender, request).await
}

impl Calls {
    /// One call after the other.
    async fn call(self: Arc<Self>, mut sender: SendRequest<Full<Bytes>>) -> Result<()> {
        while let Some((began, request)) = self.next() {
            if !ask(&mut sender, request).await? {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            self.latencies.add(began.elapsed());
        }
        Ok(())
    }

    fn next(&self) -> Option<(Instant, Request<Full<Bytes>>)> {
        let (number, now) = (self.begun.fetch_add(1, Ordering::Relaxed), Instant::now());
        let is_over = match self.ends {
            Ends::At(end) => now >= end,
            Ends::After(calls) => number >= calls,
        };
        if is_over {
            return None;
        }
        let mut request = self.template.clone();
        *request.body_mut() = Full::new(self.bodies.get(number));
        Some((now, request))
    }
}

/// Whether the answer is OK.
async fn ask(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<bool> {
    let answer = grpc::ask(sender, request).await?;
    Ok(answer.is_some_and(|framed| says_ok(&framed)))
}

/// What a framed answer says. Its code is its first field, and mostly written first.
fn says_ok(framed: &[u8]) -> bool {
    match framed.get(PREFIX..) {
        Some([8, code, ..]) if *code < 0x80 => i32::from(*code) == i32::from(Code::Ok),
        Some(message) => RateLimitResponse::decode(message)
            .is_ok_and(|response| response.overall_code == i32::from(Code::Ok)),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(code: Code) -> Vec<u8> {
        let response =
            RateLimitResponse { overall_code: code.into(), ..RateLimitResponse::default() };
        [vec![0; PREFIX], response.encode_to_vec()].concat()
    }

    #[test]
    fn only_ok_is_ok() {
        assert!(says_ok(&framed(Code::Ok)));
        for code in [Code::OverLimit, Code::Unknown] {
            assert!(!says_ok(&framed(code)), "{code:?}");
        }
        for broken in [&[][..], &[0; 4], &[0, 0, 0, 0, 1, 8], &[0, 0, 0, 0, 3, 0xff, 0xff, 0xff]] {
            assert!(!says_ok(broken), "{broken:?}");
        }
        // The code after another field: an empty raw_body.
        let other_order = [&[0; PREFIX][..], &[0x2a, 0, 8, 1]].concat();
        assert!(says_ok(&other_order));
    }

    fn calls(ends: Ends) -> Calls {
        let server = SocketAddr::from(([127, 0, 0, 1], 1));
        Calls {
            template: grpc::template(server, METHOD).unwrap(),
            bodies: Bodies::of(0, 3, 1).unwrap(),
            begun: AtomicUsize::new(0),
            ends,
            latencies: Latencies::default(),
            refused: AtomicU64::new(0),
        }
    }

    #[test]
    fn calls_end_with_the_keys_or_the_time() {
        let once = calls(Ends::After(3));
        assert_eq!(std::iter::from_fn(|| once.next()).count(), 3);
        let over = calls(Ends::At(Instant::now()));
        assert!(over.next().is_none());
        let endless = calls(Ends::At(Instant::now() + Duration::from_secs(60)));
        assert_eq!(std::iter::from_fn(|| endless.next()).take(10).count(), 10, "keys come again");
    }
}
