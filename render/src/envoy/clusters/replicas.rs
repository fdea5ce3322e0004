//! The server's replicas: who of them is asked, and that none is missed when it goes.
//!
//! A replica that ends says so for as long as it goes on serving (`--drain-seconds`); one that is
//! gone refuses connections, or says nothing. Each is asked how it is, and left out.

use serde_json::{Value, json};

use super::Cluster;
use crate::envoy::duration;

/// From one question to the next: far below the five seconds for which a server that ends goes on
/// unless it was told otherwise.
const INTERVAL_MS: u64 = 1_000;
/// Until there are requests, nothing is lost when it takes longer.
const IDLE_INTERVAL_MS: u64 = 5_000;
const TIMEOUT_MS: u64 = 1_000;
/// Without an answer so often in a row, a replica is gone. One that says no is believed at once.
const SILENT: u32 = 2;
/// Repetitions under way. Envoy's own bound, three, is less than what is under way when a replica
/// goes.
const MAX_RETRIES: u32 = 1_024;

/// Replicas that are asked by gRPC's own health service.
pub(super) fn asked_by_grpc(cluster: Cluster<'_>) -> Cluster<'_> {
    asked(cluster, "grpc_health_check", json!({}))
}

/// Replicas that are asked by their public HTTP.
pub(super) fn asked_by_http(cluster: Cluster<'_>) -> Cluster<'_> {
    asked(cluster, "http_health_check", json!({"path": "/health/ready"}))
}

fn asked<'a>(mut cluster: Cluster<'a>, how: &str, question: Value) -> Cluster<'a> {
    let mut check = json!({
        "timeout": duration(TIMEOUT_MS),
        "interval": duration(INTERVAL_MS),
        "interval_jitter_percent": 10,
        "no_traffic_interval": duration(IDLE_INTERVAL_MS),
        "unhealthy_threshold": SILENT,
        "healthy_threshold": 1,
    });
    if let Value::Object(members) = &mut check {
        members.insert(how.to_owned(), question);
    }
    cluster.health_check = Some(check);
    // Unless none is well: then each may be the one that answers. Envoy's own default would ask
    // those that are gone as soon as half of them are.
    cluster.min_healthy = Some(1);
    cluster.pool.max_retries = Some(MAX_RETRIES);
    cluster
}
