//! What stands in `envoy/`: current, and taken by Envoy; Envoys that watch files; an edge with a
//! workload's own Envoy behind it; and every way to treat endpoints, taken by Envoy.

mod examples;
mod files;
mod two_places;
mod upstreams;
