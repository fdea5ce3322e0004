//! What health looks at.

use std::sync::Arc;
use std::time::Duration;

use postern_document::Current;
use postern_store::durable::DurableStore;
use postern_store::volatile::VolatileStore;
use postern_store::{FlowKey, FlowKind, FlowStore};
use postern_telemetry::{Check, CheckKind, CheckResult, HealthChecks};

use super::in_use::InUse;
use crate::commands::now;

/// Redis: degraded over 100 ms, and degraded when away, because every limit has an answer for
/// that.
pub fn add_redis(health: &Arc<HealthChecks>, store: &Arc<dyn VolatileStore>) {
    let store = Arc::clone(store);
    let check = Check::new(CheckKind::Redis, move || {
        let store = Arc::clone(&store);
        async move {
            match store.ping().await {
                Ok(()) => CheckResult::healthy(),
                Err(error) => CheckResult::degraded(error.to_string()),
            }
        }
    });
    health.add(check.slow_after(Duration::from_millis(100)));
}

/// The durable store: degraded over 5 s.
pub fn add_database(health: &Arc<HealthChecks>, store: &Arc<dyn DurableStore>) {
    let store = Arc::clone(store);
    let check = Check::new(CheckKind::Database, move || {
        let store = Arc::clone(&store);
        async move {
            match store.ping().await {
                Ok(()) => CheckResult::healthy(),
                Err(error) => CheckResult::degraded(error.to_string()),
            }
        }
    });
    health.add(check.slow_after(Duration::from_secs(5)));
}

/// Log-ins, grants and sessions: degraded while they cannot be looked up. What is looked up is
/// nobody's.
pub fn add_sessions(health: &Arc<HealthChecks>, flows: &Arc<dyn FlowStore>) {
    let flows = Arc::clone(flows);
    let check = Check::new(CheckKind::Service("sessions".to_owned()), move || {
        let flows = Arc::clone(&flows);
        async move {
            match flows.peek(FlowKey::of(FlowKind::Login, b"health"), now()).await {
                Ok(_) => CheckResult::healthy(),
                Err(error) => CheckResult::degraded(error.to_string()),
            }
        }
    });
    health.add(check);
}

/// Public keys of all issuers: degraded while one's are missing.
pub fn add_keys(health: &Arc<HealthChecks>, current: Current<InUse>) {
    let check = Check::new(CheckKind::Service("issuer-keys".to_owned()), move || {
        let complete = current.load().keys.complete();
        async move {
            if complete {
                CheckResult::healthy()
            } else {
                CheckResult::degraded("the keys of an issuer are not there yet")
            }
        }
    });
    health.add(check);
}
