//! Building the parts and putting them together: the only place that knows which
//! implementation is behind a port.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Router;
use axum::middleware::from_fn;
use postern_ads::Discovery;
use postern_ext_authz::{Authorizer, Touched};
use postern_ext_proc::{LoggedOutcomes, Processor, Settlement, SettlementMetrics};
use postern_feed::{FeedState, Served};
use postern_rate_limit::RateLimiter;
use postern_store_redis::RedisStore;
use postern_telemetry::{
    Blocker, Drain, HealthChecks, MetricsRegistry, Readiness, Rolling, Telemetry,
};

use super::admin::Busy;
use super::base::Base;
use super::grpc::Grpc;
use super::in_use::Kept;
use super::reload::{First, Reloading};
use super::services::Services;
use super::{admin, body, has, health, http, rate_limit, settlement};
use crate::cli::{Role, Serve};

/// Everything that serves.
pub struct Parts {
    authorizer: Arc<Authorizer>,
    touched: Arc<Touched>,
    processor: Arc<Processor>,
    outcomes: LoggedOutcomes,
    settlement: Arc<Settlement>,
    rate_limiter: Option<Arc<RateLimiter>>,
    telemetry: Telemetry,
    identity: Option<Router>,
    admin: Option<Router>,
    kept: Arc<Kept>,
    feed: Served,
    feed_state: Arc<FeedState>,
    services: Arc<Services>,
    discovery: Option<Arc<Discovery>>,
    blocker: Mutex<Option<Blocker>>,
}

/// Builds the parts and starts what runs beside them.
///
/// # Errors
/// When a setting is wrong. A store that does not answer is not an error: the server starts,
/// is degraded, and every limit does what its `when_store_fails` says.
pub async fn build(arguments: &Serve, first: First, drain: Drain) -> Result<Parts> {
    let started = Instant::now();
    let registry = MetricsRegistry::new(&arguments.environment, started)?;
    let readiness = Readiness::new();
    let blocker = readiness.block_on("start");
    let health = Arc::new(HealthChecks::new(started, Arc::new(Rolling::new(started))));

    let First { document, origin, durable } = first;
    let base = Base::new(arguments, document, durable, registry, health).await?;
    let circuits = base.circuits()?;
    let feed = base.feed(&circuits, &drain)?;
    let identity = base.identity(&feed).await?;
    let (identity, shared) = identity.map(|built| (built.router, built.shared)).unzip();
    let ending = shared.as_ref().map(|shared| Arc::clone(&shared.ending));
    let services = base.services()?;
    let operators = base.operators(&feed, &services, shared).await?;
    let ending = ending.or_else(|| operators.as_ref()?.ending.clone());
    let discovery = base.discovery(&services, &drain)?;
    let followers = base.followers(&feed, Arc::clone(&services), ending)?;
    let reloading = Reloading::new(origin, followers)?;
    tokio::spawn(reloading.run());
    health::add_keys(&base.health, base.kept.current());

    let tickets = settlement::tickets(arguments, &base.kept.newest().document)?;
    let of_limits = &arguments.rate_limit;
    let rate_limits =
        rate_limit::build(of_limits, base.kept.document(), &base.limiter, &base.registry)?;
    let (rate_limiter, rules) = rate_limits.unzip();
    let (authorizer, touched) = base.authorizer(&feed.revoked, tickets.clone())?;
    let counting = admin::Counting {
        document: base.kept.document(),
        rules,
        // Past the guard: an operator waits longer than a request, and is no sign of trouble.
        store: match &base.volatile.redis {
            Some(redis) => Arc::<RedisStore>::clone(redis),
            None => Arc::clone(&base.volatile.decisions),
        },
        busy: busy(&authorizer, rate_limiter.as_ref()),
    };
    let revocations = base.store().cloned().zip(feed.bus);
    let beside =
        admin::Beside { rate_limiter: rate_limiter.as_ref(), discovery: discovery.as_ref() };
    let admin = admin::build(arguments, counting, revocations, beside, operators, &base.registry)?;
    let (processor, outcomes) = base.processor(&circuits)?;
    let settlement = SettlementMetrics::new(&base.registry)?;
    let settlement = Settlement::new(Arc::clone(&base.limiter), tickets, settlement);
    base.health.refresh().await;
    drop(base.health.spawn_refresh());
    Ok(Parts {
        authorizer,
        touched,
        processor: Arc::new(processor),
        outcomes,
        settlement: Arc::new(settlement),
        rate_limiter,
        telemetry: Telemetry { metrics: base.registry, health: base.health, readiness, drain },
        identity,
        admin,
        kept: base.kept,
        feed: feed.served,
        feed_state: feed.state,
        services,
        discovery,
        blocker: Mutex::new(Some(blocker)),
    })
}

/// Who knows whose limits are used up.
fn busy(
    authorizer: &Arc<Authorizer>,
    rate_limiter: Option<&Arc<RateLimiter>>,
) -> Vec<(&'static str, Busy)> {
    let authorizer = Arc::clone(authorizer);
    let by_authorizer: Busy = Arc::new(move |most| authorizer.top_keys(most));
    let by_limiter = rate_limiter.cloned().map(|limiter| {
        let busy: Busy = Arc::new(move |most| limiter.top_keys(most));
        ("rate_limit", busy)
    });
    std::iter::once(("ext_authz", by_authorizer)).chain(by_limiter).collect()
}

impl Parts {
    /// What the gRPC port serves.
    pub fn grpc(&self, roles: &[Role]) -> Grpc {
        Grpc {
            authorizer: has(roles, Role::Decide).then(|| Arc::clone(&self.authorizer)),
            processor: has(roles, Role::Message).then(|| Arc::clone(&self.processor)),
            settlement: has(roles, Role::Message).then(|| Arc::clone(&self.settlement)),
            outcomes: self.outcomes.clone(),
            rate_limiter: self.rate_limiter.clone().filter(|_| has(roles, Role::Decide)),
            feed: has(roles, Role::Decide).then(|| self.feed.clone()),
            discovery: self.discovery.clone(),
            readiness: self.telemetry.readiness.clone(),
            drain: self.telemetry.drain.clone(),
        }
    }

    /// What the public port serves.
    pub fn public_router(&self) -> Router {
        let health = postern_telemetry::http::health_router(self.telemetry.clone());
        let router = match &self.identity {
            Some(identity) => identity.clone().merge(health),
            None => health,
        };
        router.fallback(http::not_found).layer(from_fn(body::read_to_its_end))
    }

    /// What the admin port serves.
    pub fn admin_router(&self) -> Router {
        let mut router = postern_telemetry::http::health_router(self.telemetry.clone());
        if let Some(admin) = &self.admin {
            router = router.merge(admin.clone());
        }
        router.fallback(http::not_found)
    }

    /// What the metrics port serves.
    pub fn metrics_router(&self) -> Router {
        postern_telemetry::http::router(self.telemetry.clone()).fallback(http::not_found)
    }

    /// Nobody is served any more: writes what was to be written beside the requests.
    pub async fn finish(&self) {
        if tokio::time::timeout(LAST_WRITES, self.touched.finish()).await.is_err() {
            tracing::warn!("the last uses of sessions and API keys were not written");
        }
    }

    /// All ports are open: ready as soon as issuers' keys are there, and what registries say of
    /// services, or could not be had for a while; a new replica must not answer 503 for want of
    /// them.
    pub fn started(&self) {
        let blocker = self.blocker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (kept, feed) = (Arc::clone(&self.kept), Arc::clone(&self.feed_state));
        let endpoints = Arc::clone(&self.services.endpoints);
        tokio::spawn(async move {
            let is_there =
                || kept.newest().keys.complete() && feed.is_loaded() && endpoints.is_complete();
            wait_until(FIRST_KEYS, is_there).await;
            drop(blocker);
        });
    }
}

/// Waits until something is there, and no longer than so long.
pub async fn wait_until(patience: Duration, is_there: impl Fn() -> bool + Send + Sync) {
    let there = async {
        while !is_there() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    drop(tokio::time::timeout(patience, there).await);
}

/// How long the end waits for what is still to be written.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// How long the keys of a document's issuers are waited for.
pub const FIRST_KEYS: Duration = Duration::from_secs(5);

/// How often what is shared by all replicas is looked up again.
pub const REFRESH: Duration = Duration::from_secs(10);
