//! Building the parts and putting them together: the only place that knows which
//! implementation is behind a port.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use arc_swap::ArcSwap;
use axum::Router;
use axum::middleware::from_fn;
use postern_document::Document;
use postern_ext_authz::{
    ApiKeys, Authorizer, IssuerKeys, Parts as AuthorizerParts, Sessions, Touched,
};
use postern_ext_proc::{
    LoggedOutcomes, Outcomes, OutcomesParts, Processor, Settlement, SettlementMetrics, WhoReports,
};
use postern_feed::{FeedState, Served};
use postern_identity::AwsLcVerifier;
use postern_jose::SignatureVerifier as _;
use postern_rate_limit::RateLimiter;
use postern_store::durable::DurableStore;
use postern_store::limiter::Limiter;
use postern_store::volatile::VolatileStore;
use postern_store::{FlowStore, MemoryStore};
use postern_telemetry::{
    Blocker, Drain, HealthChecks, MetricsRegistry, Readiness, Rolling, Telemetry,
};

use super::admin::Busy;
use super::grpc::Grpc;
use super::{
    admin, audit, body, circuits, feed, has, health, http, identity, jwks, operators, rate_limit,
    settlement, stores,
};
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
    keys: Arc<IssuerKeys>,
    feed: Option<Served>,
    feed_state: Option<Arc<FeedState>>,
    blocker: Mutex<Option<Blocker>>,
}

/// Builds the parts and starts what runs beside them.
///
/// # Errors
/// When a setting is wrong. A store that does not answer is not an error: the server starts,
/// is degraded, and every limit does what its `when_store_fails` says.
pub async fn build(arguments: &Serve, document: Document, drain: Drain) -> Result<Parts> {
    let started = Instant::now();
    let registry = MetricsRegistry::new(&arguments.environment, started)?;
    registry.set_document(&document.digest)?;
    let readiness = Readiness::new();
    let blocker = readiness.block_on("start");
    let health = Arc::new(HealthChecks::new(started, Arc::new(Rolling::new(started))));

    let held = Arc::new(ArcSwap::from_pointee(document));
    let document = held.load_full();
    let volatile = stores::volatile(arguments, &document, &health)?;
    let identity_store = stores::durable(arguments, &document, &health).await?;
    if let Some(store) = &identity_store {
        audit::watch(store.as_ref(), &registry)?;
    }
    let durable = identity_store.clone().map(|store| store as Arc<dyn DurableStore>);
    let keys = Arc::new(IssuerKeys::new(&document));
    let stand_in = Arc::new(MemoryStore::default());
    let limiter = Arc::new(Limiter::new(Arc::clone(&volatile.decisions), Arc::clone(&stand_in)));
    let decisions = Arc::<dyn VolatileStore>::clone(&volatile.decisions);
    let without = Arc::<MemoryStore>::clone(&stand_in);
    let circuits = circuits::build(&held, decisions, without, &registry)?;
    let feed = feed::build(&feed::Needs {
        document: &document,
        keys: &keys,
        durable: durable.as_ref(),
        volatile: &volatile.decisions,
        circuits: &circuits,
        redis: volatile.redis.as_ref(),
        registry: &registry,
        drain: &drain,
    })?;
    let identity = if has(&arguments.roles, Role::Identity) {
        let needs = identity::Needs {
            arguments,
            document: &held,
            durable: identity_store.as_ref(),
            volatile: &volatile,
            limiter: &limiter,
            feed: &feed,
            registry: &registry,
            health: &health,
        };
        identity::build(&needs).await?
    } else {
        None
    };
    let (identity, shared) = identity.map(|built| (built.router, built.shared)).unzip();
    let operators = operators::build(operators::Needs {
        arguments,
        document: &held,
        durable: identity_store.as_ref(),
        volatile: &volatile,
        feed: &feed,
        registry: &registry,
        shared,
    })
    .await?;
    let stores::Volatile { decisions: volatile, sessions, redis, .. } = volatile;
    jwks::keep_fetching(&jwks::Needs {
        document: &document,
        durable: durable.as_ref(),
        keys: &keys,
        feed: feed.state.as_ref(),
        registry: &registry,
    })?;
    health::add_keys(&health, &keys);
    let revocations = identity_store.zip(feed.bus);
    let tickets = settlement::tickets(arguments, &document)?;
    let rate_limits = rate_limit::build(&arguments.rate_limit, &document, &limiter, &registry)?;
    let (rate_limiter, rules) = rate_limits.unzip();

    let document = held;
    let verifier = AwsLcVerifier::new();
    let metrics = postern_ext_authz::Metrics::new(&registry)?;
    let touched = touched(&sessions, durable.as_ref(), &metrics);
    let authorizer = Arc::new(Authorizer::new(AuthorizerParts {
        document: Arc::clone(&document),
        keys: Arc::clone(&keys),
        check_signature: Arc::new(move |key, input, signature| {
            verifier.clone().verify(key, input, signature)
        }),
        check_proof_signature: Arc::new(|key, input, signature| {
            AwsLcVerifier::without_memory().verify(key, input, signature)
        }),
        revoked: feed.revoked,
        api_keys: ApiKeys::new(durable),
        sessions: Sessions::new(sessions),
        touched: Arc::clone(&touched),
        store: Arc::clone(&volatile),
        limiter: Arc::clone(&limiter),
        tickets: tickets.clone(),
        metrics,
    }));
    let counting = admin::Counting {
        document: Arc::clone(&document),
        rules,
        // Past the guard: an operator waits longer than a request, and is no sign of trouble.
        store: match redis {
            Some(redis) => redis,
            None => Arc::clone(&volatile),
        },
        busy: busy(&authorizer, rate_limiter.as_ref()),
    };
    let limiting = rate_limiter.as_ref();
    let admin = admin::build(arguments, counting, revocations, limiting, operators, &registry)?;
    let processor_metrics = postern_ext_proc::Metrics::new(&registry)?;
    let outcomes = Arc::new(Outcomes::new(OutcomesParts {
        store: volatile,
        stand_in,
        moved: circuits.moved(),
        metrics: processor_metrics.clone(),
    }));
    let processor = Processor::new(Arc::clone(&document), Arc::clone(&outcomes), processor_metrics);
    let who: WhoReports = circuits::who_reports(feed::peers::trust(&document.load().feed));
    let outcomes = LoggedOutcomes { document, outcomes, who };
    let settlement = Settlement::new(limiter, tickets, SettlementMetrics::new(&registry)?);
    health.refresh().await;
    drop(health.spawn_refresh());
    Ok(Parts {
        authorizer,
        touched,
        processor: Arc::new(processor),
        outcomes,
        settlement: Arc::new(settlement),
        rate_limiter,
        telemetry: Telemetry { metrics: registry, health, readiness, drain },
        identity,
        admin,
        keys,
        feed: feed.served,
        feed_state: feed.state,
        blocker: Mutex::new(Some(blocker)),
    })
}

/// Writes beside the requests when sessions and API keys were used.
fn touched(
    flows: &Arc<dyn FlowStore>,
    durable: Option<&Arc<dyn DurableStore>>,
    metrics: &postern_ext_authz::Metrics,
) -> Arc<Touched> {
    let touched = Touched::new(Arc::clone(flows), durable.cloned(), metrics.clone());
    let touched = Arc::new(touched);
    tokio::spawn(Arc::clone(&touched).keep_writing());
    touched
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
            feed: self.feed.clone().filter(|_| has(roles, Role::Decide)),
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

    /// All ports are open: ready as soon as issuers' keys are there, or could not be had for a
    /// while; a new replica must not answer 503 for want of them.
    pub fn started(&self) {
        let blocker = self.blocker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let keys = Arc::clone(&self.keys);
        let feed = self.feed_state.clone();
        tokio::spawn(async move {
            let complete = async {
                while !keys.complete() || feed.as_ref().is_some_and(|feed| !feed.is_loaded()) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            drop(tokio::time::timeout(FIRST_KEYS, complete).await);
            drop(blocker);
        });
    }
}

/// How long the end waits for what is still to be written.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// How long readiness waits for issuers' keys.
const FIRST_KEYS: Duration = Duration::from_secs(5);

/// How often what is shared by all replicas is looked up again.
pub const REFRESH: Duration = Duration::from_secs(10);
