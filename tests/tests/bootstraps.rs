//! What stands in `envoy/`: current, and taken by Envoy; Envoys that watch files; and an edge with
//! a workload's own Envoy behind it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

#[path = "bootstraps/examples.rs"]
mod examples;
#[path = "bootstraps/files.rs"]
mod files;
#[path = "bootstraps/two_places.rs"]
mod two_places;
