//! Clusters: services, the server itself, and hosts that keys are fetched from.

use std::net::IpAddr;

use postern_document::{Document, JwksSource, Service};
use serde_json::{Value, json};

use super::names::{GRPC_CLUSTER, PUBLIC_CLUSTER, jwks_cluster, service_cluster};
use super::{EnvoyOptions, HostPort, typed};

/// Where Debian, Alpine and Envoy's own images keep the trusted roots.
const TRUSTED_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What differs between clusters.
struct Cluster<'a> {
    name: String,
    host: &'a str,
    port: u16,
    tls: bool,
    http2: bool,
    max_connections: u32,
    max_pending: u32,
}

pub(super) fn render(document: &Document, options: &EnvoyOptions) -> Vec<Value> {
    let mut clusters: Vec<Value> =
        document.services.iter().map(|service| service_cluster_of(service)).collect();
    clusters.push(own(GRPC_CLUSTER, &options.server_grpc, true));
    clusters.push(own(PUBLIC_CLUSTER, &options.server_public, false));
    for (issuer, source) in document.issuers.iter().enumerate() {
        let JwksSource::Uri { authority, tls, .. } = &source.jwks else { continue };
        let Ok(place) = authority.parse::<HostPort>() else { continue };
        clusters.push(cluster(&Cluster {
            name: jwks_cluster(issuer),
            host: &place.host,
            port: place.port,
            tls: *tls,
            http2: false,
            max_connections: 4,
            max_pending: 16,
        }));
    }
    clusters
}

fn service_cluster_of(service: &Service) -> Value {
    cluster(&Cluster {
        name: service_cluster(&service.name),
        host: &service.host,
        port: service.port,
        tls: service.tls,
        http2: service.http2,
        max_connections: service.max_connections,
        max_pending: service.max_pending,
    })
}

fn own(name: &str, place: &HostPort, http2: bool) -> Value {
    cluster(&Cluster {
        name: name.to_owned(),
        host: &place.host,
        port: place.port,
        tls: false,
        http2,
        max_connections: 1024,
        max_pending: 4096,
    })
}

fn cluster(cluster: &Cluster<'_>) -> Value {
    let kind = if cluster.host.parse::<IpAddr>().is_ok() { "STATIC" } else { "STRICT_DNS" };
    let protocol = if cluster.http2 {
        json!({"http2_protocol_options": {
            // A server that went away without a word is noticed within seconds.
            "connection_keepalive": {"interval": "30s", "timeout": "5s"},
        }})
    } else {
        json!({"http_protocol_options": {}})
    };
    let endpoint = json!({"endpoint": {"address": {
        "socket_address": {"address": cluster.host, "port_value": cluster.port},
    }}});
    let mut rendered = json!({
        "name": cluster.name,
        "type": kind,
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [{
            "max_connections": cluster.max_connections,
            "max_pending_requests": cluster.max_pending,
            "max_requests": cluster.max_connections.saturating_mul(100),
        }]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                json!({
                    "explicit_http_config": protocol,
                    "common_http_protocol_options": {"idle_timeout": "30s"},
                }),
            ),
        },
        "load_assignment": {
            "cluster_name": cluster.name,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    });
    if let (Value::Object(members), true) = (&mut rendered, cluster.tls) {
        members.insert("transport_socket".to_owned(), tls(cluster.host));
    }
    rendered
}

/// The name is sent (SNI) and verified against the certificate.
fn tls(host: &str) -> Value {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            json!({
                "sni": host,
                "common_tls_context": {
                    "validation_context": {
                        "trusted_ca": {"filename": TRUSTED_ROOTS},
                        "match_typed_subject_alt_names": [
                            {"san_type": "DNS", "matcher": {"exact": host}},
                        ],
                    },
                },
            }),
        ),
    })
}
