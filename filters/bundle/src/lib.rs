//! The bundle: the one gatekeeper inside Envoy.
//!
//! It runs after `ext_authz`, finds the route by the document's own matcher, removes every
//! identity header that came from outside, runs the stages that the route asks for, and is the
//! only writer of identity headers. Everything is decided synchronously on the headers: a
//! filter that stops there can lose body bytes beside others that buffer.
//!
//! It ships with all stages. The features `tokens`, `limits` and `circuits` build a module of one of
//! them, for an Envoy where another filter does the rest.
//!
//! Deliberately absent: proxy-wasm (`postern-filter-host` runs this as a plugin) and any
//! decision that needs the body or the server.

mod calls;
mod circuits;
mod configuration;
mod counters;
mod feed;
mod fetch;
mod gatekeeper;
mod leases;
mod request;
mod revocation;
mod stages;

pub use gatekeeper::{Gatekeeper, Responding};

#[cfg(target_arch = "wasm32")]
mod module {
    #![allow(missing_docs, reason = "the SDK's macro writes the entry point")]

    postern_filter_host::filter!(crate::Gatekeeper);
}
