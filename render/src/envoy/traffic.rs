//! Traffic in Envoy's own messages: retries, faults, one caller on one endpoint, endpoints that
//! are left out, and how they are asked. The Istio rendering uses those for which the mesh has no
//! words of its own.

use postern_document::{
    Fault, Hash, HashAlgorithm, HashBy, Health, HealthBy, Keepalive, Outliers, Pool, Retries, Route,
};
use serde_json::{Map, Value, json};

use super::{duration, typed};
use crate::traffic::{Repeats, fractional_percent};

/// Envoy's fault filter, by the name that routes configure it with.
pub(crate) const FAULT: &str = "envoy.filters.http.fault";
const FAULT_MESSAGE: &str = "envoy.extensions.filters.http.fault.v3.HTTPFault";

/// When a failed request is tried again; null for never.
pub(crate) fn retry_policy(retries: &Retries) -> Value {
    let Some(repeats) = Repeats::of(retries) else { return Value::Null };
    let mut policy = Map::new();
    policy.insert("retry_on".to_owned(), json!(repeats.on));
    policy.insert("num_retries".to_owned(), json!(repeats.times));
    if let Some(millis) = repeats.per_try_timeout_ms {
        policy.insert("per_try_timeout".to_owned(), duration(millis));
    }
    if let Some(millis) = repeats.backoff_ms {
        policy.insert("retry_back_off".to_owned(), json!({"base_interval": duration(millis)}));
    }
    Value::Object(policy)
}

/// The fault filter: off, and switched on by the routes that have faults. Nothing that a caller
/// sends changes what it does: it has no fault of its own, and none is controlled by headers.
pub(crate) fn fault_filter() -> Value {
    json!({
        "name": FAULT,
        "disabled": true,
        "typed_config": typed(FAULT_MESSAGE, json!({})),
    })
}

/// What goes wrong on a route.
pub(crate) fn fault(fault: &Fault) -> Value {
    let mut message = Map::new();
    if let Some(delay) = &fault.delay {
        let percentage = fractional_percent(delay.parts_per_million);
        let delay = json!({"fixed_delay": duration(delay.time_ms), "percentage": percentage});
        message.insert("delay".to_owned(), delay);
    }
    if let Some(abort) = &fault.abort {
        let percentage = fractional_percent(abort.parts_per_million);
        let abort = json!({"http_status": abort.status, "percentage": percentage});
        message.insert("abort".to_owned(), abort);
    }
    typed(FAULT_MESSAGE, Value::Object(message))
}

/// What of a route's requests decides on the endpoint; none where any endpoint will do.
pub(super) fn hash_policy(route: &Route) -> Option<Value> {
    let hash = route.service.as_ref()?.hash.as_ref()?;
    let policy = match &hash.by {
        HashBy::Header(name) => json!({"header": {"header_name": name}}),
        HashBy::Cookie { name, ttl_ms, path } => {
            json!({"cookie": {"name": name, "ttl": duration(*ttl_ms), "path": path}})
        }
        HashBy::Query(name) => json!({"query_parameter": {"name": name}}),
        // The address that `trusted_proxies` leads to, not the connection's.
        HashBy::SourceIp => json!({"connection_properties": {"source_ip": true}}),
    };
    Some(json!([policy]))
}

/// How a cluster finds the endpoint of a hash.
pub(super) fn add_hash(cluster: &mut Map<String, Value>, hash: &Hash) {
    let (policy, field, settings) = match hash.algorithm {
        HashAlgorithm::RingHash => {
            ("RING_HASH", "ring_hash_lb_config", json!({"minimum_ring_size": hash.ring}))
        }
        HashAlgorithm::Maglev => ("MAGLEV", "maglev_lb_config", json!({"table_size": hash.ring})),
    };
    cluster.insert("lb_policy".to_owned(), json!(policy));
    cluster.insert(field.to_owned(), settings);
}

/// When a cluster leaves an endpoint out. Envoy has rules that it follows unasked: each is said,
/// so that only the document's are followed.
pub(super) fn outliers(outliers: &Outliers) -> Value {
    let mut rules = json!({
        "interval": duration(outliers.interval_ms),
        "base_ejection_time": duration(outliers.ejection_ms),
        "max_ejection_percent": outliers.max_ejected,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        // Connections that fail are told from answers only where somebody counts them apart.
        "split_external_local_origin_errors": outliers.consecutive_local.is_some(),
    });
    if let Value::Object(members) = &mut rules {
        for (what, after) in [
            ("consecutive_5xx", outliers.consecutive_5xx),
            ("consecutive_gateway_failure", outliers.consecutive_gateway),
            ("consecutive_local_origin_failure", outliers.consecutive_local),
        ] {
            let share = if after.is_some() { 100 } else { 0 };
            members.insert(format!("enforcing_{what}"), json!(share));
            if let Some(after) = after {
                members.insert(what.to_owned(), json!(after));
            }
        }
    }
    rules
}

/// When a cluster asks endpoints that are left out. Envoy's own default would as soon as half of
/// them are.
pub(crate) fn panic_threshold(percent: u8) -> Value {
    json!({"healthy_panic_threshold": {"value": percent}})
}

/// How a cluster asks its endpoints whether they are well. `host`: whom it asks for, where the
/// document does not say.
pub(crate) fn health_check(health: &Health, host: &str, http2: bool) -> Value {
    let host = health.host.as_deref().unwrap_or(host);
    let (often, seldom) = (duration(health.interval_ms), duration(health.unhealthy_interval_ms));
    let mut check = json!({
        "interval": often,
        "timeout": duration(health.timeout_ms),
        "unhealthy_threshold": health.unhealthy,
        "healthy_threshold": health.healthy,
        "interval_jitter_percent": health.jitter,
        "unhealthy_interval": seldom,
        // Between the first failure and the last that counts; by itself Envoy would wait as long
        // as for one that is known to be unwell.
        "unhealthy_edge_interval": often,
        // By itself Envoy would ask once a minute until somebody has sent a request.
        "no_traffic_interval": seldom,
        "no_traffic_healthy_interval": often,
    });
    let (kind, told) = match &health.by {
        HealthBy::Http { path, statuses } => {
            ("http_health_check", http(path, statuses, host, http2))
        }
        HealthBy::Grpc { service } => {
            ("grpc_health_check", json!({"service_name": service, "authority": host}))
        }
        HealthBy::Tcp => ("tcp_health_check", json!({})),
    };
    if let Value::Object(members) = &mut check {
        members.insert(kind.to_owned(), told);
    }
    check
}

fn http(path: &str, statuses: &[(u16, u16)], host: &str, http2: bool) -> Value {
    // Envoy's ranges end before their last.
    let range = |(first, last): &(u16, u16)| json!({"start": first, "end": u32::from(*last) + 1});
    let mut told = json!({
        "host": host,
        "path": path,
        "expected_statuses": statuses.iter().map(range).collect::<Vec<_>>(),
        // Else one such answer would do, however many failures the document asks for.
        "retriable_statuses": [{"start": 100, "end": 600}],
    });
    if let (Value::Object(members), true) = (&mut told, http2) {
        members.insert("codec_client_type".to_owned(), json!("HTTP2"));
    }
    told
}

/// What a cluster bounds.
pub(super) fn circuit_breakers(max_connections: u32, max_pending: u32, pool: &Pool) -> Value {
    let mut bounds = json!({
        "max_connections": max_connections,
        "max_pending_requests": max_pending,
        "max_requests": pool.max_requests,
    });
    if let Value::Object(members) = &mut bounds {
        if let Some(most) = pool.max_retries {
            members.insert("max_retries".to_owned(), json!(most));
        }
        if let Some(budget) = pool.retry_budget {
            let budget = json!({
                "budget_percent": {"value": budget.share},
                "min_retry_concurrency": budget.at_least,
            });
            members.insert("retry_budget".to_owned(), budget);
        }
    }
    json!({"thresholds": [bounds]})
}

/// How a cluster's connections end.
pub(super) fn connection_options(pool: &Pool) -> Value {
    let mut options = json!({"idle_timeout": duration(pool.idle_timeout_ms)});
    if let (Value::Object(members), Some(most)) = (&mut options, pool.requests_per_connection) {
        members.insert("max_requests_per_connection".to_owned(), json!(most));
    }
    options
}

/// TCP's own probes.
pub(super) fn keepalive(keepalive: &Keepalive) -> Value {
    json!({"tcp_keepalive": {
        "keepalive_time": keepalive.time_secs,
        "keepalive_interval": keepalive.interval_secs,
        "keepalive_probes": keepalive.probes,
    }})
}
