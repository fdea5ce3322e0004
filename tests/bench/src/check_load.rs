//! Calls of `ext_authz` (`Check` of `envoy.service.auth.v3`) at a steady rate, whatever else the
//! server does: a call is begun when its time has come, not when another one has ended.
//!
//! A program of its own (`postern-bench check-load`), as [`crate::rls_load`] is. What a timer is
//! late by is not the server's: a call's time begins when it is sent.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::{Address, SocketAddress, address};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use prost::Message as _;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::cli::CheckLoad;
use crate::documents;
use crate::grpc::{self, PREFIX};
use crate::latencies::Latencies;

const METHOD: &str = "/envoy.service.auth.v3.Authorization/Check";
/// As many as an Envoy has workers.
const CONNECTIONS: u32 = 2;
/// Who asks, as Envoy sees it.
const CLIENT: &str = "192.0.2.7";
/// `google.rpc.Code`
const OK: i32 = 0;

/// What all calls share.
struct Checks {
    /// A call without a message.
    template: hyper::Request<Full<Bytes>>,
    /// One for each token.
    messages: Vec<Bytes>,
    latencies: Latencies,
    /// Answers that were not yes.
    refused: AtomicU64,
}

/// Calls until the time is over, and prints what came of it.
pub async fn run(options: &CheckLoad) -> Result<()> {
    let CheckLoad { server, rate, seconds, .. } = *options;
    let checks = Arc::new(Checks::of(server, &options.tokens)?);
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS {
        senders.push(grpc::connect(server).await?);
    }
    let calls = usize::try_from(u64::from(rate) * u64::from(seconds)).context("so many calls")?;
    let mut times = interval(Duration::from_secs(1) / rate);
    let mut under_way = JoinSet::new();
    let began = Instant::now();
    for (number, sender) in (0..calls).zip(senders.iter().cycle()) {
        times.tick().await;
        under_way.spawn(Arc::clone(&checks).ask(sender.clone(), number));
        while let Some(ended) = under_way.try_join_next() {
            ended.context("a call's task")??;
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended.context("a call's task")??;
    }
    let refused = checks.refused.load(Ordering::Relaxed);
    println!("{}", checks.latencies.outcome(began.elapsed(), refused).line());
    Ok(())
}

impl Checks {
    fn of(server: SocketAddr, tokens: &Path) -> Result<Self> {
        let text = fs::read_to_string(tokens);
        let text = text.with_context(|| format!("reading {}", tokens.display()))?;
        let mut messages = Vec::new();
        for (number, token) in text.lines().enumerate() {
            let mut framed = Vec::new();
            grpc::frame(&message(number, token), &mut framed)?;
            messages.push(Bytes::from(framed));
        }
        if messages.is_empty() {
            bail!("{} is empty", tokens.display());
        }
        Ok(Self {
            template: grpc::template(server, METHOD)?,
            messages,
            latencies: Latencies::default(),
            refused: AtomicU64::new(0),
        })
    }

    async fn ask(
        self: Arc<Self>,
        mut sender: SendRequest<Full<Bytes>>,
        number: usize,
    ) -> Result<()> {
        let message = self.messages.get(number % self.messages.len().max(1));
        let mut request = self.template.clone();
        *request.body_mut() = Full::new(message.cloned().unwrap_or_default());
        let began = Instant::now();
        let answer = grpc::ask(&mut sender, request).await?;
        self.latencies.add(began.elapsed());
        let is_yes = answer.is_some_and(|framed| says_yes(&framed));
        if !is_yes {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// What Envoy says of a request with a token.
fn message(number: usize, token: &str) -> CheckRequest {
    let text = |text: &str| text.to_owned();
    let socket = SocketAddress { address: text(CLIENT), ..SocketAddress::default() };
    let address = Address { address: Some(address::Address::SocketAddress(socket)) };
    let headers = [
        ("authorization", format!("Bearer {token}")),
        ("user-agent", text("bench/1")),
        ("accept", text("*/*")),
        ("x-request-id", format!("00000000-0000-4000-8000-{number:012}")),
        ("x-forwarded-proto", text("http")),
    ];
    let http = HttpRequest {
        method: text("GET"),
        scheme: text("http"),
        host: text("gateway.test"),
        path: documents::path(number),
        headers: headers.into_iter().map(|(name, value)| (text(name), value)).collect(),
        ..HttpRequest::default()
    };
    let attributes = AttributeContext {
        source: Some(Peer { address: Some(address), ..Peer::default() }),
        request: Some(Request { http: Some(http), ..Request::default() }),
        ..AttributeContext::default()
    };
    CheckRequest { attributes: Some(attributes) }
}

fn says_yes(framed: &[u8]) -> bool {
    let answer = framed.get(PREFIX..).and_then(|message| CheckResponse::decode(message).ok());
    answer.and_then(|answer| answer.status).is_some_and(|status| status.code == OK)
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::google::rpc::Status;

    use super::*;

    fn framed(status: Option<Status>) -> Vec<u8> {
        let mut framed = Vec::new();
        let answer = CheckResponse { status, ..CheckResponse::default() };
        grpc::frame(&answer, &mut framed).unwrap();
        framed
    }

    #[test]
    fn only_yes_is_yes() {
        let status = |code| Some(Status { code, ..Status::default() });
        assert!(says_yes(&framed(status(OK))));
        // PERMISSION_DENIED, UNAUTHENTICATED.
        assert!(!says_yes(&framed(status(7))) && !says_yes(&framed(status(16))));
        assert!(!says_yes(&framed(None)), "an answer that says nothing");
        for broken in [&[][..], &[0; PREFIX], &[0, 0, 0, 0, 1, 0x0a], &[0; 3]] {
            assert!(!says_yes(broken), "{broken:?}");
        }
    }

    #[test]
    fn every_token_has_its_message() {
        let file = std::env::temp_dir().join(format!("postern-bench-check-{}", std::process::id()));
        fs::write(&file, "t0\nt1\n").unwrap();
        let server = SocketAddr::from(([127, 0, 0, 1], 1));
        let checks = Checks::of(server, &file).unwrap();
        fs::write(&file, "").unwrap();
        assert!(Checks::of(server, &file).is_err(), "no token");
        fs::remove_file(&file).unwrap();
        assert!(Checks::of(server, &file).is_err());

        let read = |framed: &Bytes| {
            let message = CheckRequest::decode(&framed[PREFIX..]).unwrap();
            message.attributes.unwrap().request.unwrap().http.unwrap()
        };
        let https: Vec<HttpRequest> = checks.messages.iter().map(read).collect();
        let tokens: Vec<_> = https.iter().map(|http| &http.headers["authorization"]).collect();
        assert_eq!(tokens, ["Bearer t0", "Bearer t1"]);
        assert_eq!(https[1].path, documents::path(1));
    }
}
