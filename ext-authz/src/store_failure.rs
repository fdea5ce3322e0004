//! What happens when the store does not answer: the one place where it is decided.
//!
//! `deny` refuses with 503, `allow` leaves the limit out, `local_share` counts here, with this
//! replica's share of the rate. A circuit is judged by what this replica has seen itself.

use std::num::NonZeroU64;
use std::sync::Arc;

use postern_document::{Limit, LimitMode, StoreFailure};
use postern_request::{Denial, UnixMillis};
use postern_store::volatile::{CircuitAsk, Decision, DecisionAsk, LimitAsk, VolatileStore as _};
use postern_store::{MemoryStore, StoreError};

use crate::metrics::Metrics;

/// The stand-in for a store that is away.
pub(crate) struct StandIn {
    /// Gets this replica's outcomes from `ext_proc` while the store is away.
    pub(crate) memory: Arc<MemoryStore>,
}

impl StandIn {
    /// Decides without the store.
    pub(crate) async fn decide(
        &self,
        limits: &[(&Limit, LimitAsk)],
        circuit: Option<CircuitAsk>,
        replicas: u64,
        metrics: &Metrics,
        now: UnixMillis,
    ) -> Result<Decision, Denial> {
        let replicas = NonZeroU64::new(replicas).unwrap_or(NonZeroU64::MIN);
        let mut ask = DecisionAsk { limits: Vec::new(), circuit };
        for (limit, wanted) in limits {
            let LimitMode::Exact { when_store_fails } = limit.mode else { continue };
            metrics.store_failed(when_store_fails.as_str());
            match when_store_fails {
                StoreFailure::Deny => return Err(Denial::unavailable("store_unavailable", 1)),
                StoreFailure::Allow => {}
                StoreFailure::LocalShare => {
                    ask.limits.push(LimitAsk { rate: wanted.rate.share_of(replicas), ..*wanted });
                }
            }
        }
        let failed = |_: StoreError| Denial::unavailable("store_unavailable", 1);
        self.memory.decide(&ask, now).await.map_err(failed)
    }
}
