//! What stands in `envoy/`: current, and taken by Envoy; Envoys that watch files; and an edge with
//! a workload's own Envoy behind it.

mod examples;
mod files;
mod two_places;
