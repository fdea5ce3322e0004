//! What tests of other parts need of services.

use std::sync::{Arc, Mutex};

use postern_store::Registry;
use postern_store::registry::{Follower, MemoryRegistry};
use postern_telemetry::MetricsRegistry;

use super::{Metrics, Services, steady};

/// Of a registry in memory, whose instances nobody checks.
pub fn in_memory(metrics: &MetricsRegistry) -> Arc<Services> {
    let registry: Arc<dyn Registry> = Arc::new(MemoryRegistry::new());
    let metrics = Arc::new(Metrics::new(metrics).unwrap());
    let endpoints = Arc::new(Follower::new(Arc::clone(&registry), steady(), metrics));
    let unheard = Mutex::new(None);
    Arc::new(Services { registry, endpoints, checks: None, is_asked: true, unheard })
}
