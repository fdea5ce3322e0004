//! The volatile port: limits and circuits, one call a decision; and what may be seen only once.

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
        to_hex(&self.0)
    }
}

/// What something is remembered by that may be seen only once, such as a DPoP proof: a hash of
/// all that makes it what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplayKey(pub [u8; 32]);

impl ReplayKey {
    /// Lower-case hexadecimal.
    #[must_use]
    pub fn to_hex(self) -> String {
        to_hex(&self.0)
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

    /// Remembers that something was seen, for so many milliseconds (at least one): true the
    /// first time, false as long as it is remembered. Seeing it again does not prolong that. Of
    /// calls at the same time, on whichever replica, one alone is the first.
    ///
    /// # Errors
    /// When that cannot be said, or when there is no room for more: nothing that is still
    /// remembered is given up for something new. The caller must not take it for the first time.
    fn remember_once(
        &self,
        key: ReplayKey,
        keep_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

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

    fn remember_once(
        &self,
        key: ReplayKey,
        keep_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).remember_once(key, keep_ms, now)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).ping()
    }
}
