//! What Envoys keep to when they talk to a service: a part of its host's DestinationRule.
//!
//! A service is a subset without labels: all endpoints of its host, with settings of its own. A
//! version of it is one with its labels, or on a host of its own, and a bulkhead one more of either
//! with bounds of its own. Each holds everything: a subset inherits nothing of what it says itself,
//! and little of what it does not.

use std::collections::BTreeMap;
use std::net::IpAddr;

use postern_document::{
    Bulkhead, Hash, HashAlgorithm, HashBy, Outliers, PreferredZone, Service, Version,
};
use serde_json::{Value, json};

use super::resource::set;
use super::{Api, RenderError};
use crate::envoy::duration;
use crate::traffic::Bounds;

/// Where Istio's proxy images keep the trusted roots. Named, because without it a mesh-wide
/// switch decides whether certificates are looked at.
const TRUSTED_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Repetitions under way where the document names no bound: Envoy's own, which Istio lifts.
const MAX_RETRIES: u32 = 3;
/// Istio's tables are smaller than this; Envoy's may have just so many places.
const TOO_LARGE_TABLE: u32 = 5_000_011;

/// Whose settings they are, and for whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) service: &'a Service,
    /// The bulkhead whose bounds are its bounds; none for the service's own.
    pub(super) bulkhead: Option<&'a Bulkhead>,
    /// Of the certificates that guarded workloads show.
    pub(super) trust_domain: &'a str,
    /// Who needs it, for an error's text.
    pub(super) owner: &'a str,
}

/// All of a service.
pub(super) fn service(about: About<'_>) -> Result<Value, RenderError> {
    Ok(json!({"trafficPolicy": traffic_policy(about, &about.service.host)?}))
}

/// A version of it. Without labels it is all of a host of its own.
pub(super) fn version(
    about: About<'_>,
    version: &Version,
    labels: Option<&BTreeMap<String, String>>,
) -> Result<Value, RenderError> {
    let upstream = version.upstream.as_ref().filter(|_| labels.is_none());
    let host = upstream.map_or(&about.service.host, |upstream| &upstream.host);
    let mut subset = json!({"trafficPolicy": traffic_policy(about, host)?});
    if let Some(labels) = labels {
        set(&mut subset, "labels", json!(labels));
    }
    Ok(subset)
}

/// The document's bounds. `host` is whom the certificate must name.
fn traffic_policy(about: About<'_>, host: &str) -> Result<Value, RenderError> {
    let About { service, bulkhead, trust_domain, owner } = about;
    let bounds = Bounds::of(service, bulkhead);
    let mut policy = json!({"connectionPool": connection_pool(service, &bounds)});
    let balancing = load_balancer(service, owner)?;
    if balancing.as_object().is_some_and(|said| !said.is_empty()) {
        set(&mut policy, "loadBalancer", balancing);
    }
    if let Some(budget) = bounds.pool.retry_budget {
        // Both are said: what Istio takes for its default share is a hundredth of Envoy's.
        let budget = json!({"percent": budget.share, "minRetryConcurrency": budget.at_least});
        set(&mut policy, "retryBudget", budget);
    }
    if let Some(outliers) = &service.outlier_detection {
        set(&mut policy, "outlierDetection", outlier_detection(outliers));
    }
    if service.tls {
        set(&mut policy, "tls", tls(host));
    }
    if let Some(guard) = service.guarded_by() {
        // What the workload's own sidecar decides must reach that sidecar and nobody else. Of
        // itself, Istio speaks plain text to pods that came up without one.
        let mutual = json!({
            "mode": "ISTIO_MUTUAL",
            "subjectAltNames": [guard.spiffe_id(trust_domain)],
        });
        set(&mut policy, "tls", mutual);
    }
    Ok(policy)
}

fn connection_pool(service: &Service, bounds: &Bounds) -> Value {
    let pool = &bounds.pool;
    let mut http = json!({
        "http1MaxPendingRequests": at_most(bounds.max_pending),
        "http2MaxRequests": at_most(pool.max_requests),
        "idleTimeout": duration(pool.idle_timeout_ms),
    });
    if pool.retry_budget.is_none() {
        set(&mut http, "maxRetries", json!(at_most(pool.max_retries.unwrap_or(MAX_RETRIES))));
    }
    if let Some(requests) = pool.requests_per_connection {
        set(&mut http, "maxRequestsPerConnection", json!(at_most(requests)));
    }
    if service.http2 {
        set(&mut http, "h2UpgradePolicy", json!("UPGRADE"));
    }
    let mut tcp = json!({
        "connectTimeout": duration(pool.connect_timeout_ms),
        "maxConnections": at_most(bounds.max_connections),
    });
    if let Some(keepalive) = &pool.keepalive {
        set(
            &mut tcp,
            "tcpKeepalive",
            json!({
                "time": duration(u64::from(keepalive.time_secs) * 1000),
                "interval": duration(u64::from(keepalive.interval_secs) * 1000),
                "probes": keepalive.probes,
            }),
        );
    }
    json!({"http": http, "tcp": tcp})
}

/// Istio counts in signed numbers; two thousand million of anything are no bound either way.
fn at_most(bound: u32) -> i32 {
    i32::try_from(bound).unwrap_or(i32::MAX)
}

/// Which endpoint gets a request. What the document does not say of zones, the mesh may.
fn load_balancer(service: &Service, owner: &str) -> Result<Value, RenderError> {
    let mut balancing = json!({});
    if let Some(hash) = &service.hash {
        set(&mut balancing, "consistentHash", consistent_hash(hash, owner)?);
    }
    if let Some(prefer) = service.prefer_zone {
        let is_on = prefer == PreferredZone::Own;
        set(&mut balancing, "localityLbSetting", json!({"enabled": is_on}));
    }
    Ok(balancing)
}

fn consistent_hash(hash: &Hash, owner: &str) -> Result<Value, RenderError> {
    let mut value = match &hash.by {
        HashBy::Header(name) => json!({"httpHeaderName": name}),
        HashBy::Cookie { name, ttl_ms, path } => {
            json!({"httpCookie": {"name": name, "ttl": duration(*ttl_ms), "path": path}})
        }
        HashBy::Query(name) => json!({"httpQueryParameterName": name}),
        HashBy::SourceIp => json!({"useSourceIp": true}),
    };
    match hash.algorithm {
        HashAlgorithm::RingHash => {
            set(&mut value, "ringHash", json!({"minimumRingSize": hash.ring}));
        }
        HashAlgorithm::Maglev if hash.ring >= TOO_LARGE_TABLE => {
            return Err(RenderError::NotInThisApi {
                owner: owner.to_owned(),
                what: format!("a Maglev table of {} places", hash.ring),
                api: Api::Istio.as_str(),
                instead: "",
            });
        }
        HashAlgorithm::Maglev => set(&mut value, "maglev", json!({"tableSize": hash.ring})),
    }
    Ok(value)
}

/// What the document does not count is switched off: left out, Istio would count it its own way.
fn outlier_detection(outliers: &Outliers) -> Value {
    let mut value = json!({
        "consecutive5xxErrors": outliers.consecutive_5xx.unwrap_or(0),
        "consecutiveGatewayErrors": outliers.consecutive_gateway.unwrap_or(0),
        "interval": duration(outliers.interval_ms),
        "baseEjectionTime": duration(outliers.ejection_ms),
        "maxEjectionPercent": outliers.max_ejected,
        "minHealthPercent": outliers.min_healthy,
    });
    if let Some(consecutive) = outliers.consecutive_local {
        // Counted apart, or an upstream's answers would count as ours.
        set(&mut value, "splitExternalLocalOriginErrors", json!(true));
        set(&mut value, "consecutiveLocalOriginFailures", json!(consecutive));
    }
    value
}

/// The name is sent (SNI) and verified against the certificate, byte by byte: in lower case, as
/// certificates have it. An address is verified alone.
pub(super) fn tls(host: &str) -> Value {
    let host = host.to_ascii_lowercase();
    let mut tls = json!({
        "mode": "SIMPLE",
        "subjectAltNames": [host],
        "caCertificates": TRUSTED_ROOTS,
    });
    if host.parse::<IpAddr>().is_err() {
        set(&mut tls, "sni", json!(host));
    }
    tls
}
