//! What happens when parts of the suite itself fail: each part is taken away, slowed down or
//! broken off while requests go on, with real processes and a proxy that makes faults. Every test
//! holds a row of `docs/failure-modes.md`: the answer, and the metric that shows it.
//!
//! `./dev test chaos`; see [`profile`] for how long and how hard.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

mod clock;
mod crash;
mod database;
mod disk;
mod feed;
mod hot_restart;
mod keys;
mod mix;
mod profile;
mod redis;
mod replicas;
mod server;

use std::time::Duration;

use postern_e2e::gateway::Gateway;
use postern_e2e::wait;

/// The longest until something that was taken away is noticed, or is well again.
const LONGEST: Duration = Duration::from_secs(40);

/// Waits until one of Envoy's own counters or gauges is so.
async fn until_stat(gateway: &Gateway, name: &str, fits: impl Fn(u64) -> bool) {
    wait::until(&format!("fitting {name}"), LONGEST, || async {
        let value = gateway.envoy.stat(name).await;
        if fits(value) { Ok(()) } else { Err(format!("it is {value}")) }
    })
    .await;
}

/// Waits until what the filters count or measure is so.
async fn until_filter_stat(gateway: &Gateway, name: &str, fits: impl Fn(u64) -> bool) {
    until_stat(gateway, &format!("wasmcustom.{name}"), fits).await;
}

/// Waits until what the server counts is so.
async fn until_metric(
    gateway: &Gateway,
    name: &str,
    labels: &[(&str, &str)],
    fits: impl Fn(u64) -> bool,
) {
    wait::until(&format!("fitting {name}"), LONGEST, || async {
        let value = gateway.server.metric(name, labels).await;
        if fits(value) { Ok(()) } else { Err(format!("it is {value}")) }
    })
    .await;
}
