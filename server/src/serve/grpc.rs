//! The gRPC port: `ext_authz`, `ext_proc`, the rate limit service, access logs, the feed, xDS,
//! health.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use postern_ads::{Discovery, DiscoveryService};
use postern_ext_authz::{AuthorizationService, Authorizer};
use postern_ext_proc::{
    LoggedOutcomes, ProcessingService, Processor, Settlement, SettlementService,
};
use postern_feed::{FeedService, Served};
use postern_rate_limit::{RateLimitService, RateLimiter};
use postern_telemetry::{Drain, Readiness};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

/// Streams of one connection at a time: Envoy opens one a worker, each with many requests.
const MAX_STREAMS: u32 = 10_000;
/// How often a connection is asked for a sign of life, and how long it may take. A stream of
/// discovery would otherwise stay for an Envoy whose machine is gone.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);
const SIGN_WITHIN: Duration = Duration::from_secs(20);

/// What it serves.
pub struct Grpc {
    pub authorizer: Option<Arc<Authorizer>>,
    pub processor: Option<Arc<Processor>>,
    pub settlement: Option<Arc<Settlement>>,
    /// Of both of these.
    pub outcomes: LoggedOutcomes,
    pub rate_limiter: Option<Arc<RateLimiter>>,
    pub feed: Option<Served>,
    pub discovery: Option<Arc<Discovery>>,
    pub readiness: Readiness,
    pub drain: Drain,
}

/// Serves until drained; `server` speaks TLS or does not.
///
/// # Errors
/// When the server fails.
pub async fn serve(listener: TcpListener, server: Server, grpc: Grpc) -> Result<()> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", ServingStatus::NotServing).await;
    let mut routes = Routes::new(health);
    if let Some(authorizer) = grpc.authorizer {
        routes = routes.add_service(AuthorizationService::server(authorizer));
    }
    if let Some(processor) = grpc.processor {
        let who = Arc::clone(&grpc.outcomes.who);
        routes = routes.add_service(ProcessingService::server(processor, who));
    }
    if let Some(settlement) = grpc.settlement {
        let service = SettlementService::server(settlement, grpc.outcomes, grpc.drain.clone());
        routes = routes.add_service(service);
    }
    if let Some(limiter) = grpc.rate_limiter {
        routes = routes.add_service(RateLimitService::server(limiter));
    }
    if let Some(served) = grpc.feed {
        routes = routes.add_service(FeedService::server(served));
    }
    if let Some(discovery) = grpc.discovery {
        routes = routes.add_service(DiscoveryService::server(discovery));
    }
    let (readiness, drain) = (grpc.readiness, grpc.drain.clone());
    tokio::spawn(async move {
        readiness.ready().await;
        reporter.set_service_status("", ServingStatus::Serving).await;
        drain.draining().await;
        reporter.set_service_status("", ServingStatus::NotServing).await;
    });
    // Answers are small: waiting to fill a packet would cost 40 ms each, hence `nodelay`.
    server
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(SIGN_OF_LIFE))
        .http2_keepalive_timeout(Some(SIGN_WITHIN))
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            grpc.drain.shutdown_signal(),
        )
        .await
        .context("the gRPC server failed")
}
