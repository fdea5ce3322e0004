//! `ext_proc`: header rules whose values depend on the request, and what services answered, for
//! their circuits. And how requests ended that a limit waits for, by Envoy's access log.
//!
//! It runs behind the bundle, so the identity headers it sees are the bundle's own. Headers
//! only: no rule needs a body yet.
//!
//! [`Processor`] and [`Settlement`] are the work, in our own terms; [`ProcessingService`] and
//! [`SettlementService`] are the adapters to Envoy's protocols.

mod access_log;
mod adapter;
mod metrics;
mod processor;
mod settlement;

pub use access_log::SettlementService;
pub use adapter::ProcessingService;
pub use metrics::Metrics;
pub use processor::{HeaderChanges, Processor, StreamState};
pub use settlement::{Ended, Settlement, SettlementMetrics};
