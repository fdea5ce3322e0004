//! `ext_proc`: header rules whose values depend on the request. By Envoy's access log, how requests
//! ended that a limit waits for. And by both what has become of calls, for the circuits of services,
//! where an Envoy's own bundle does not report that.
//!
//! It runs behind the bundle, so the identity headers it sees are the bundle's own. Headers
//! only: no rule needs a body yet.
//!
//! [`Processor`], [`Settlement`] and [`Outcomes`] are the work, in our own terms;
//! [`ProcessingService`] and [`SettlementService`] are the adapters to Envoy's protocols.

mod access_log;
mod adapter;
mod metrics;
mod outcomes;
mod processor;
mod settlement;

pub use access_log::SettlementService;
pub use adapter::ProcessingService;
pub use metrics::Metrics;
pub use outcomes::{LOG_NAME, LoggedOutcomes, Moved, Outcomes, OutcomesParts, WhoReports};
pub use processor::{HeaderChanges, Processor, StreamState};
pub use settlement::{Ended, Settlement, SettlementMetrics};
