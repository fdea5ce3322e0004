//! Envoys without requests, as the server sees them: they have the whole set, and ask for what
//! is new, each over a connection of its own.
//!
//! A program of its own (`postern-bench feed-clients`): in a deployment that work is done by
//! other machines, so it must not hold up what is measured.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use postern_proto::feed::v1::ExchangeRequest;
use postern_proto::feed::v1::client::FeedClient;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::transport::Endpoint;

use crate::cli::FeedClients;

/// What `postern render envoy` calls the one workload.
const WORKLOAD: &str = "edge";
/// How long it lets the server wait.
const WAIT_MS: u32 = 10_000;
/// The filter looks after the feed so often.
const TICK_MS: u32 = 100;
/// Envoys do not start at one moment.
const APART: Duration = Duration::from_millis(2);

/// What an Envoy that has the whole set asks with.
#[derive(Debug, Clone)]
struct Known {
    epoch: u64,
    cursor: u64,
    document_digest: String,
}

/// Asks until it is killed, or something goes wrong.
pub async fn run(options: &FeedClients) -> Result<()> {
    let known = known(options.server).await?;
    let mut clients = JoinSet::new();
    for number in 0..options.clients {
        clients.spawn(ask_for_ever(number, *options, known.clone()));
    }
    let Some(ended) = clients.join_next().await else { bail!("no client was wanted") };
    let Err(error) = ended.context("a client's task")?;
    Err(error)
}

/// Where the server is. Nobody takes a thousand sets just to have them.
async fn known(server: SocketAddr) -> Result<Known> {
    let request = ExchangeRequest {
        workload: WORKLOAD.to_owned(),
        envoy_id: "simulated".to_owned(),
        max_bytes: 1,
        ..ExchangeRequest::default()
    };
    let answer = connect(server).await?.exchange(request).await.context("asking the feed")?;
    let answer = answer.into_inner();
    Ok(Known {
        epoch: answer.epoch,
        cursor: answer.cursor,
        document_digest: answer.document_digest,
    })
}

async fn ask_for_ever(number: u32, options: FeedClients, mut known: Known) -> Result<Infallible> {
    sleep(APART * number).await;
    let mut feed = connect(options.server).await?;
    let began = Instant::now();
    loop {
        let request = ExchangeRequest {
            workload: WORKLOAD.to_owned(),
            envoy_id: format!("simulated-{number:04}"),
            document_digest: known.document_digest.clone(),
            epoch: known.epoch,
            cursor: known.cursor,
            wait_ms: if options.poll_ms.is_none() { WAIT_MS } else { 0 },
            idle_ms: u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX),
            ..ExchangeRequest::default()
        };
        let answer = feed.exchange(request).await;
        let answer = answer.with_context(|| format!("client {number} asks the feed"))?.into_inner();
        if answer.snapshot.is_some() {
            bail!("client {number} has everything, and was sent a snapshot");
        }
        known.cursor = answer.cursor;
        let pause_ms = options.poll_ms.unwrap_or_else(|| answer.next_poll_ms.max(TICK_MS));
        sleep(Duration::from_millis(pause_ms.into())).await;
    }
}

async fn connect(server: SocketAddr) -> Result<FeedClient> {
    let endpoint = Endpoint::from_shared(format!("http://{server}")).context("an address")?;
    let channel = endpoint.tcp_nodelay(true).connect().await.context("connecting to the feed")?;
    Ok(FeedClient::new(channel))
}
