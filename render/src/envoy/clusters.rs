//! Clusters: services, the server itself, and hosts that keys are fetched from.

use std::net::IpAddr;

use postern_document::{Document, JwksSource, KeysBy, Service};
use serde_json::{Value, json};

use super::names::{FEED_CLUSTER, GRPC_CLUSTER, PUBLIC_CLUSTER, jwks_cluster, service_cluster};
use super::{EnvoyOptions, HostPort, credential, tls, typed};

/// What differs between clusters.
struct Cluster<'a> {
    name: String,
    host: &'a str,
    port: u16,
    tls: Option<Value>,
    http2: bool,
    max_connections: u32,
    max_pending: u32,
    /// Filters of its own, the last of which sends; none for Envoy's default.
    filters: Vec<Value>,
}

pub(super) fn render(document: &Document, options: &EnvoyOptions) -> Vec<Value> {
    let mut clusters: Vec<Value> =
        document.services.iter().map(|service| service_cluster_of(service)).collect();
    clusters.push(cluster(grpc(GRPC_CLUSTER, options)));
    if document.needs_feed() {
        clusters.push(cluster(feed(options)));
    }
    clusters.push(cluster(own(PUBLIC_CLUSTER, &options.server_public)));
    for (issuer, source) in document.issuers.iter().enumerate() {
        let (JwksSource::Uri { authority, tls, .. }, KeysBy::Envoy) =
            (&source.jwks, source.keys_by)
        else {
            continue;
        };
        let Ok(place) = authority.parse::<HostPort>() else { continue };
        clusters.push(cluster(Cluster {
            name: jwks_cluster(issuer),
            host: &place.host,
            port: place.port,
            tls: tls.then(|| tls::public(&place.host)),
            http2: false,
            max_connections: 4,
            max_pending: 16,
            filters: Vec::new(),
        }));
    }
    clusters
}

fn service_cluster_of(service: &Service) -> Value {
    cluster(Cluster {
        name: service_cluster(&service.name),
        host: &service.host,
        port: service.port,
        tls: service.tls.then(|| tls::public(&service.host)),
        http2: service.http2,
        max_connections: service.max_connections,
        max_pending: service.max_pending,
        filters: Vec::new(),
    })
}

fn own<'a>(name: &str, place: &'a HostPort) -> Cluster<'a> {
    Cluster {
        name: name.to_owned(),
        host: &place.host,
        port: place.port,
        tls: None,
        http2: false,
        max_connections: 1024,
        max_pending: 4096,
        filters: Vec::new(),
    }
}

fn grpc<'a>(name: &str, options: &'a EnvoyOptions) -> Cluster<'a> {
    let place = &options.server_grpc;
    let tls = options.server_tls.as_ref().map(|tls| tls::server(tls, &place.host));
    Cluster { tls, http2: true, ..own(name, place) }
}

/// The same port once more: connections and calls are counted by cluster, and what waits for
/// revocations must not take the place of a decision. One worker of an Envoy asks at a time.
fn feed(options: &EnvoyOptions) -> Cluster<'_> {
    let filters = options.feed_credential.as_ref().map_or_else(Vec::new, |_| credential::filters());
    Cluster { max_connections: 16, max_pending: 64, filters, ..grpc(FEED_CLUSTER, options) }
}

fn cluster(cluster: Cluster<'_>) -> Value {
    let kind = if cluster.host.parse::<IpAddr>().is_ok() { "STATIC" } else { "STRICT_DNS" };
    let protocol = if cluster.http2 {
        json!({"http2_protocol_options": {
            // A server that went away without a word is noticed within seconds.
            "connection_keepalive": {"interval": "30s", "timeout": "5s"},
        }})
    } else {
        json!({"http_protocol_options": {}})
    };
    let mut options = json!({
        "explicit_http_config": protocol,
        "common_http_protocol_options": {"idle_timeout": "30s"},
    });
    if let (Value::Object(members), false) = (&mut options, cluster.filters.is_empty()) {
        members.insert("http_filters".to_owned(), json!(cluster.filters));
    }
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
                options,
            ),
        },
        "load_assignment": {
            "cluster_name": cluster.name,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    });
    if let (Value::Object(members), Some(tls)) = (&mut rendered, cluster.tls) {
        members.insert("transport_socket".to_owned(), tls);
    }
    rendered
}
