//! Building the parts and putting them together: the only place that knows which
//! implementation is behind a port.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use arc_swap::ArcSwap;
use axum::Router;
use postern_document::Document;
use postern_ext_authz::{ApiKeys, Authorizer, IssuerKeys, Parts as AuthorizerParts};
use postern_ext_proc::Processor;
use postern_feed::{Exchange, FeedState, Trust};
use postern_identity::AwsLcVerifier;
use postern_jose::SignatureVerifier as _;
use postern_store::MemoryStore;
use postern_telemetry::{
    Blocker, Drain, HealthChecks, MetricsRegistry, Readiness, Rolling, Telemetry,
};

use super::grpc::Grpc;
use super::{admin, feed, has, health, http, identity, jwks, stores};
use crate::cli::{Role, Serve};

/// Everything that serves.
pub struct Parts {
    authorizer: Arc<Authorizer>,
    processor: Arc<Processor>,
    telemetry: Telemetry,
    identity: Option<Router>,
    admin: Option<Router>,
    keys: Arc<IssuerKeys>,
    feed: Option<(Arc<Exchange>, Trust)>,
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

    let (volatile, redis) = stores::volatile(arguments, &document, &health)?;
    let durable = stores::durable(arguments, &document, &health).await?;
    let keys = Arc::new(IssuerKeys::new(&document));
    let identity = if has(&arguments.roles, Role::Identity) {
        identity::build(arguments, &document, durable.clone(), &registry, &health).await?
    } else {
        None
    };
    let feed = feed::build(&feed::Needs {
        document: &document,
        keys: &keys,
        durable: durable.as_ref(),
        redis: redis.as_ref(),
        registry: &registry,
        drain: &drain,
    })?;
    jwks::keep_fetching(&jwks::Needs {
        document: &document,
        durable: durable.as_ref(),
        keys: &keys,
        feed: feed.state.as_ref(),
        registry: &registry,
    })?;
    health::add_keys(&health, &keys);
    let admin = admin::build(arguments, &document, durable.clone().zip(feed.bus), &registry)?;

    let document = Arc::new(ArcSwap::from_pointee(document));
    let stand_in = Arc::new(MemoryStore::default());
    let verifier = AwsLcVerifier::new();
    let authorizer = Authorizer::new(AuthorizerParts {
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
        store: Arc::clone(&volatile),
        stand_in: Arc::clone(&stand_in),
        metrics: postern_ext_authz::Metrics::new(&registry)?,
    });
    let processor_metrics = postern_ext_proc::Metrics::new(&registry)?;
    let processor = Processor::new(document, volatile, stand_in, processor_metrics);
    health.refresh().await;
    drop(health.spawn_refresh());
    Ok(Parts {
        authorizer: Arc::new(authorizer),
        processor: Arc::new(processor),
        telemetry: Telemetry { metrics: registry, health, readiness, drain },
        identity,
        admin,
        keys,
        feed: feed.exchange,
        feed_state: feed.state,
        blocker: Mutex::new(Some(blocker)),
    })
}

impl Parts {
    /// What the gRPC port serves.
    pub fn grpc(&self, roles: &[Role]) -> Grpc {
        Grpc {
            authorizer: has(roles, Role::Decide).then(|| Arc::clone(&self.authorizer)),
            processor: has(roles, Role::Message).then(|| Arc::clone(&self.processor)),
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
        router.fallback(http::not_found)
    }

    /// What the admin port serves.
    pub fn admin_router(&self) -> Router {
        let health = postern_telemetry::http::health_router(self.telemetry.clone());
        let router = match &self.admin {
            Some(admin) => admin.clone().merge(health),
            None => health,
        };
        router.fallback(http::not_found)
    }

    /// What the metrics port serves.
    pub fn metrics_router(&self) -> Router {
        postern_telemetry::http::router(self.telemetry.clone()).fallback(http::not_found)
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

/// How long readiness waits for issuers' keys.
const FIRST_KEYS: Duration = Duration::from_secs(5);

/// How often what is shared by all replicas is looked up again.
pub const REFRESH: Duration = Duration::from_secs(10);
