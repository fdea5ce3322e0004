//! The service registry: who runs a service, how well each of them is, and what Envoys outside a
//! mesh are told of that.
//!
//! An [`Instance`] is one program at one address. It is registered, and is there until it is taken
//! out, or until its time is over and nobody has renewed it. A [`Standing`] says how it does:
//! checks move it, and its weight follows. A [`View`] is what a server has heard of one service; it
//! makes [`ServiceEndpoints`] of it, and a [`Snapshot`] holds those of all services.
//!
//! Nothing that is merely not known takes an instance out: a registry that does not answer, or has
//! lost its memory, changes nothing of what Envoys are told until somebody knows better.
//!
//! Times are handed in. Deliberately absent: clocks, where instances are kept, who may register
//! them, how they are checked and how Envoys are told.

pub mod check;
pub mod instance;
pub mod listing;
pub mod snapshot;
pub mod standing;
pub mod view;

pub use check::{Check, CheckParts, Probe};
pub use instance::{Instance, Invalid, MAX_INSTANCES};
pub use listing::{Listed, Listing, Version};
pub use snapshot::{Difference, Endpoint, ServiceEndpoints, Snapshot, WEIGHT_UNIT};
pub use standing::{Health, Outcome, Standing};
pub use view::View;

#[cfg(test)]
mod tests;
