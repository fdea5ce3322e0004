//! The volatile port: limits and circuits, one call a decision.

#[cfg(any(test, feature = "contract"))]
pub mod contract;

use postern_circuit::{Admission, Circuit, Settings};
use postern_limits::{Outcome, Rate};
use postern_request::UnixMillis;

use crate::{BoxFuture, StoreError};

/// A limit's key as stores see it: a hash of what the request is counted by. Untrusted text
/// never becomes part of a store's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitKey(pub [u8; 16]);

impl LimitKey {
    /// Lower-case hexadecimal.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// One sliding window to take from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitAsk {
    /// Whose.
    pub key: LimitKey,
    /// How many in what time.
    pub rate: Rate,
    /// How much this request counts.
    pub cost: u64,
}

/// A circuit to ask for admission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitAsk {
    /// The service's name.
    pub service: String,
    /// Its settings.
    pub settings: Settings,
}

/// Everything that one request needs of the store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DecisionAsk {
    /// Limits: taken from all, or from none.
    pub limits: Vec<LimitAsk>,
    /// The service's circuit.
    pub circuit: Option<CircuitAsk>,
}

/// What the store says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// One for each limit, in order; empty when the circuit refused before anything was
    /// counted.
    pub limits: Vec<Outcome>,
    /// What the circuit says. A probe is given out only when every limit lets the request pass.
    pub admission: Admission,
}

impl Decision {
    /// Whether the request may pass.
    #[must_use]
    pub fn allows(&self) -> bool {
        !matches!(self.admission, Admission::Refused { .. })
            && self.limits.iter().all(|outcome| outcome.allowed)
    }
}

/// Shared, short-lived state.
pub trait VolatileStore: Send + Sync {
    /// Decides on one request, atomically for each store slot. `now` is for stores without a
    /// clock of their own.
    fn decide<'a>(
        &'a self,
        ask: &'a DecisionAsk,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Decision, StoreError>>;

    /// Records what a service answered, and says where its circuit stands then.
    fn record_outcome<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        success: bool,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Circuit, StoreError>>;

    /// Whether the store answers.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

impl<T: VolatileStore + ?Sized> VolatileStore for std::sync::Arc<T> {
    fn decide<'a>(
        &'a self,
        ask: &'a DecisionAsk,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Decision, StoreError>> {
        (**self).decide(ask, now)
    }

    fn record_outcome<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        success: bool,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Circuit, StoreError>> {
        (**self).record_outcome(circuit, success, now)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).ping()
    }
}
