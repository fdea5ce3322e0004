//! An Envoy bootstrap of the document: one listener, its filters, routes and clusters.

pub(crate) mod access_log;
mod clusters;
mod credential;
mod filters;
pub(crate) mod listener;
pub(crate) mod local_reply;
mod names;
mod options;
mod route_tree;
pub(crate) mod routes;
mod tls;
mod warnings;

use std::net::SocketAddr;

use postern_document::Document;
use serde_json::{Value, json};

pub use self::options::{ClientCertificate, EnvoyOptions, HostPort, ServerTls};
pub use self::warnings::warnings;

/// The bootstrap, as JSON (which is YAML too).
#[must_use]
pub fn render(document: &Document, options: &EnvoyOptions) -> String {
    let mut text = serde_json::to_string_pretty(&bootstrap(document, options)).unwrap_or_default();
    text.push('\n');
    text
}

fn bootstrap(document: &Document, options: &EnvoyOptions) -> Value {
    let mut resources = json!({
        "listeners": [listener::render(document, options)],
        "clusters": clusters::render(document, options),
    });
    let secrets = credential::secrets(document, options);
    if let (Value::Object(members), false) = (&mut resources, secrets.is_empty()) {
        members.insert("secrets".to_owned(), json!(secrets));
    }
    json!({
        "node": {
            "id": options.node_id,
            "cluster": "postern",
            "metadata": {"document": document.digest},
        },
        "admin": {"address": socket_address(options.admin)},
        "overload_manager": overload_manager(),
        "static_resources": resources,
    })
}

/// Memory and connections are bounded before anything else is decided: first heap is given
/// back, then requests are refused.
fn overload_manager() -> Value {
    const MAX_HEAP_BYTES: u64 = 1 << 30;
    const MAX_CONNECTIONS: u64 = 20_000;
    let heap = |name: &str, threshold: f64| {
        json!({
            "name": name,
            "triggers": [{
                "name": "envoy.resource_monitors.fixed_heap",
                "threshold": {"value": threshold},
            }],
        })
    };
    json!({
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": "envoy.resource_monitors.fixed_heap",
                "typed_config": typed(
                    "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
                    json!({"max_heap_size_bytes": MAX_HEAP_BYTES}),
                ),
            },
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": typed(
                    "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    json!({"max_active_downstream_connections": MAX_CONNECTIONS}),
                ),
            },
        ],
        "actions": [
            heap("envoy.overload_actions.shrink_heap", 0.9),
            heap("envoy.overload_actions.stop_accepting_requests", 0.95),
        ],
    })
}

/// A message with its type URL.
pub(crate) fn typed(name: &str, mut message: Value) -> Value {
    if let Value::Object(members) = &mut message {
        members.insert("@type".to_owned(), json!(format!("type.googleapis.com/{name}")));
    }
    message
}

fn socket_address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

/// Milliseconds as protobuf's JSON spells a duration.
pub(crate) fn duration(millis: u64) -> Value {
    if millis.is_multiple_of(1000) {
        json!(format!("{}s", millis / 1000))
    } else {
        json!(format!("{}.{:03}s", millis / 1000, millis % 1000))
    }
}

#[cfg(test)]
mod tests;
