//! `ext_proc`: header rules whose values depend on the request, and what services answered, for
//! their circuits.
//!
//! It runs behind the bundle, so the identity headers it sees are the bundle's own. Headers
//! only: no rule needs a body yet.
//!
//! [`Processor`] is the work, in our own terms; [`ProcessingService`] is the adapter to Envoy's
//! protocol.

mod adapter;
mod metrics;
mod processor;

pub use adapter::ProcessingService;
pub use metrics::Metrics;
pub use processor::{HeaderChanges, Processor, StreamState};
