//! The registry of services: which one it is, who follows it for Envoys, who checks instances, and
//! who renews those that stay.
//!
//! All of it runs beside the requests. A registry that does not answer changes nothing of what
//! Envoys are told.

mod checks;
mod kept;
mod known;
mod metrics;
mod probe;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};
use postern_document::{Document, ServiceRegistry};
use postern_request::UnixMillis;
use postern_store::registry::{Clock, Follower, MemoryRegistry};
use postern_store::{IdentityStore, Registry};
use postern_store_consul::ConsulRegistry;
use postern_store_redis::RedisStore;
use postern_telemetry::MetricsRegistry;

use self::checks::Checks;
use self::metrics::Metrics;
use super::has;
use super::stores::Volatile;
use crate::cli::{Role, Serve};
use crate::commands::now;
use crate::settings;

/// What it is made of.
pub struct Needs<'a> {
    /// The roles.
    pub arguments: &'a Serve,
    /// Which services are found by a registry, and by which.
    pub document: &'a Document,
    /// Instances that stay.
    pub durable: Option<&'a Arc<dyn IdentityStore>>,
    /// Where instances are, unless that is elsewhere.
    pub volatile: &'a Volatile,
    /// For metrics.
    pub registry: &'a MetricsRegistry,
}

/// What the rest of the server gets of it.
pub struct Services {
    /// For operators.
    pub registry: Arc<dyn Registry>,
    /// For discovery.
    pub endpoints: Arc<Follower>,
    checks: Option<Checks>,
    /// Whether this server tells Envoys where services are.
    is_asked: bool,
    /// The Redis that says what has changed, until somebody listens.
    unheard: Mutex<Option<Arc<RedisStore>>>,
}

/// Opens the registry, and starts what runs beside it.
///
/// # Errors
/// When a setting is wrong, or a metric cannot be registered.
pub fn build(needs: &Needs<'_>) -> Result<Services> {
    let metrics = Metrics::new(needs.registry)?;
    let registry = open(needs)?;
    let endpoints = Follower::new(Arc::clone(&registry), steady(), Arc::new(metrics.clone()));
    let is_asked = has(&needs.arguments.roles, Role::Discovery);
    // Who keeps instances elsewhere checks them, too.
    let is_ours = registry.keeper().is_none();
    let checks = (is_asked && is_ours)
        .then(|| Checks::new(Arc::clone(&registry), needs.durable.cloned(), metrics.clone()));
    let redis = needs.volatile.redis.clone().filter(|_| is_ours);
    let services = Services {
        registry,
        endpoints: Arc::new(endpoints),
        checks: checks.transpose()?,
        is_asked,
        unheard: Mutex::new(redis),
    };
    services.follow(&[needs.document]);
    let renews = is_asked || has(&needs.arguments.roles, Role::Admin);
    if let Some(durable) = needs.durable.filter(|_| is_ours && renews) {
        let (registry, durable) = (Arc::clone(&services.registry), Arc::clone(durable));
        tokio::spawn(kept::keep_renewing(registry, durable, metrics));
    }
    Ok(services)
}

fn open(needs: &Needs<'_>) -> Result<Arc<dyn Registry>> {
    match &needs.document.registry {
        ServiceRegistry::Consul { address, token } => {
            let of = "`discovery.consul.token` of the document";
            let token = token.as_deref().map(|place| settings::secret(of, place)).transpose()?;
            let registry = ConsulRegistry::new(address, token.as_ref().map(|token| token.expose()));
            Ok(Arc::new(registry.context("`discovery.consul` of the document")?))
        }
        ServiceRegistry::Store => match &needs.volatile.redis {
            Some(redis) => Ok(Arc::<RedisStore>::clone(redis)),
            None => Ok(Arc::new(MemoryRegistry::new())),
        },
    }
}

impl Services {
    /// Follows the services of these documents from now on, and no others, and checks their
    /// instances.
    pub fn follow(&self, documents: &[&Document]) {
        let documents = documents.iter().filter(|_| self.is_asked);
        let services: BTreeSet<String> =
            documents.flat_map(|document| document.discovered()).map(str::to_owned).collect();
        let mut unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(redis) = unheard.take_if(|_| !services.is_empty()) {
            tokio::spawn(async move { redis.keep_hearing_of_services().await });
        }
        drop(unheard);
        self.endpoints.follow(&services);
        if let Some(checks) = &self.checks {
            checks.follow(&services);
        }
    }
}

/// The time when this began, and on from there: a clock that is set changes nothing.
fn steady() -> Clock {
    let (began, at) = (Instant::now(), now());
    Arc::new(move || after(at, began))
}

/// As much later than a moment as there has passed since.
fn after(at: UnixMillis, began: Instant) -> UnixMillis {
    let passed = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    UnixMillis(at.0.saturating_add(passed))
}

#[cfg(test)]
pub mod testing;
