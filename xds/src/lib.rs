//! Discovery for Envoys outside a mesh: an aggregated xDS server (ADS), in both forms of the
//! protocol.
//!
//! [`Discovery`] keeps what each kind of Envoy should have current with the document
//! ([`DocumentSource`]) and with where services are ([`EndpointSource`]); what that is, `render`
//! says, as JSON, and this crate makes messages of it ([`message`]). What an Envoy is told when,
//! `postern-xds` says. [`DiscoveryService`] is the adapter to gRPC.
//!
//! One encoded copy of each resource is in memory, however many Envoys have it. Envoys that were
//! rendered with the same options share everything.
//!
//! An Envoy is told what the workload that it says to guard may know, where the document gives it
//! that workload: it proves who it is as it does to the feed.
//!
//! Deliberately absent: secrets (SDS), which are an agent's; discovery on demand, which would tell
//! Envoys of what nobody has asked for yet; and load reports.

mod adapter;
mod conversation;
mod discovery;
pub mod message;
mod metrics;
mod node;
mod seats;
mod settings;
mod source;
#[cfg(test)]
mod testing;
mod view;
mod wire;

pub use adapter::DiscoveryService;
pub use discovery::{Discovery, DiscoveryParts};
pub use metrics::{Metrics, spelled};
pub use postern_render::envoy::{Endpoints, KnownEndpoint};
pub use seats::{Connected, ConnectedKind, Refusal};
pub use settings::Settings;
pub use source::{DocumentEndpoints, DocumentSource, EndpointSource, HeldDocument};
