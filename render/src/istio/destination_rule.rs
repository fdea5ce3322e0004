//! DestinationRules: how the gateway talks to services.
//!
//! A service is a subset without labels: all endpoints of its host, with settings of its own.
//! So services may share a host without sharing connections or limits on them, and statistics
//! carry the service's name. Without a `tls` block Istio goes on choosing mutual TLS by itself.

use postern_document::{Document, Service};
use serde_json::{Value, json};

use super::IstioOptions;
use super::destinations::{Destinations, Host};
use super::resource::{self, set};

/// Where Istio's proxy images keep the trusted roots. Named, because without it a mesh-wide
/// switch decides whether certificates are looked at.
const TRUSTED_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

pub(super) fn resources(
    document: &Document,
    options: &IstioOptions,
    destinations: &Destinations,
) -> Vec<Value> {
    destinations
        .hosts
        .iter()
        .filter_map(|(name, host)| Some((name, spec(name, host)?)))
        .map(|(name, spec)| {
            resource::manifest(
                document,
                &resource::DESTINATION_RULE,
                &options.gateway_namespace,
                &format!("postern-{name}"),
                spec,
            )
        })
        .collect()
}

/// None where there is nothing to say: a server of keys without TLS.
fn spec(name: &str, host: &Host) -> Option<Value> {
    if host.subsets.is_empty() && host.key_servers.is_empty() {
        return None;
    }
    let mut spec = json!({"host": name, "exportTo": ["."]});
    if !host.subsets.is_empty() {
        let subsets = host.subsets.iter();
        let subsets =
            subsets.map(|(name, policy)| json!({"name": name, "trafficPolicy": policy})).collect();
        set(&mut spec, "subsets", Value::Array(subsets));
    }
    if !host.key_servers.is_empty() {
        // Keys are fetched from the host's plain cluster, which no subset speaks for.
        let ports = host.key_servers.iter();
        let ports: Vec<Value> = ports
            .map(|(port, verified)| json!({"port": {"number": port}, "tls": tls(verified)}))
            .collect();
        set(&mut spec, "trafficPolicy", json!({"portLevelSettings": ports}));
    }
    Some(spec)
}

/// The document's bounds, and the constants that the Envoy rendering has.
pub(super) fn traffic_policy(service: &Service) -> Value {
    let mut http = json!({
        "http1MaxPendingRequests": service.max_pending,
        "http2MaxRequests": service.max_connections.saturating_mul(100),
        "idleTimeout": "30s",
    });
    if service.http2 {
        set(&mut http, "h2UpgradePolicy", json!("UPGRADE"));
    }
    let mut policy = json!({
        "connectionPool": {
            "http": http,
            "tcp": {"connectTimeout": "2s", "maxConnections": service.max_connections},
        },
    });
    if service.tls {
        set(&mut policy, "tls", tls(&service.host));
    }
    policy
}

/// The name is sent (SNI) and verified against the certificate, byte by byte: in lower case, as
/// certificates have it.
fn tls(host: &str) -> Value {
    let host = host.to_ascii_lowercase();
    json!({
        "mode": "SIMPLE",
        "sni": host,
        "subjectAltNames": [host],
        "caCertificates": TRUSTED_ROOTS,
    })
}
