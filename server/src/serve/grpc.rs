//! The gRPC port: `ext_authz`, `ext_proc`, the rate limit service, access logs, the feed, health.

use std::sync::Arc;

use anyhow::{Context as _, Result};
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

/// What it serves.
pub struct Grpc {
    pub authorizer: Option<Arc<Authorizer>>,
    pub processor: Option<Arc<Processor>>,
    pub settlement: Option<Arc<Settlement>>,
    /// Of both of these.
    pub outcomes: LoggedOutcomes,
    pub rate_limiter: Option<Arc<RateLimiter>>,
    pub feed: Option<Served>,
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
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            grpc.drain.shutdown_signal(),
        )
        .await
        .context("the gRPC server failed")
}
