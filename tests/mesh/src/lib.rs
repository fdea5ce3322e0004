//! The kit of the mesh tests: Istio's control plane, Envoys that it configures, and what stands
//! behind them, on addresses of this machine.
//!
//! A [`mesh::Mesh`] holds a gateway, a service and a client of it behind sidecars, and Postern's
//! server behind one. Nothing of what Istio does is imitated: istiod is Istio's own code
//! (`go/` beside this folder), Envoys are the ones that every other test runs, connections between
//! them are mutual TLS. What differs from a cluster:
//!
//! - Kubernetes is in istiod's memory: files are its objects, and nothing is scheduled.
//! - Nothing redirects traffic. Sidecars listen where callers call ([`workload`]).
//! - Certificates come from an authority of the run ([`certificates`]), and no pilot-agent stands
//!   beside an Envoy: modules are read from files.
//!
//! As the kit of the end-to-end tests does, this panics instead of returning errors. A part that
//! cannot be had fails the test that needs it, unless `POSTERN_MESH_SKIP` names it ([`skip`]).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "test code: a panic is how it reports, and standard error is where it explains"
)]

pub mod api_server;
pub mod block;
pub mod caller;
pub mod certificates;
pub mod control_plane;
pub mod manifests;
pub mod mesh;
pub mod policies;
pub mod program;
pub mod proxy;
pub mod raw;
pub mod rejects;
pub mod rendered;
pub mod skip;
pub mod workload;
