//! What the server keeps, as ports: volatile state (limits and their leases, circuits, what was
//! seen), what logging in and granting keep for a while (codes, refresh tokens, sessions), durable
//! records (clients, keys, users, revocations, instances that stay, the audit log), the bus that
//! tells replicas of new revocations, and the registry of services. Each port has one contract
//! suite that every implementation passes. In front of what is volatile stands a guard, so that it
//! costs no request more than its budget, and in front of limits the limiter too, which answers
//! when the store does not.
//!
//! Deliberately absent: Redis and SQL (crates of their own). Only `server` knows which
//! implementation is behind a port.

#[cfg(any(test, feature = "contract"))]
pub mod away;
pub mod bus;
pub mod busy_keys;
pub mod durable;
pub mod flow_guard;
pub mod flows;
pub mod guard;
#[cfg(test)]
mod hanging;
pub mod limiter;
pub mod memory;
pub mod registry;
pub mod volatile;

pub use bus::{LocalBus, RevocationBus, Wakeup, Wakeups};
pub use busy_keys::BusyKeys;
pub use durable::IdentityStore;
pub use flow_guard::{FLOW_BUDGET, FlowGuard};
pub use flows::{FlowKey, FlowKind, FlowStore};
pub use guard::Guarded;
pub use limiter::{Asked, Decided, Limiter, WhenStoreFails};
pub use memory::{MemoryFlowStore, MemoryStore};
pub use registry::{Endpoints, MemoryRegistry, Registry, RegistryError};
pub use volatile::{
    CircuitAsk, CircuitStore, Decision, DecisionAsk, GiveBack, Inspected, LendAsk, LimitAsk,
    LimitKey, ReplayKey, ReporterId, Take, TakeBack, VolatileStore,
};

/// The answer of a port.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached or did not answer in time; a retry may help. Holds no secret.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// It holds something that it should not; a retry does not help.
    #[error("the store holds something unexpected: {0}")]
    Corrupt(String),
    /// The record is there already.
    #[error("the record exists already")]
    Conflict,
}
