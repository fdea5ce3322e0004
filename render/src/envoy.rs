//! An Envoy of the document, at the edge or beside a workload: one listener, its filters, routes
//! and clusters. They stand in the bootstrap, or in files beside it that Envoy watches.
//!
//! Deliberately absent: the server that a bootstrap for ADS asks. What it would say is what the
//! files say.

pub(crate) mod access_log;
mod clusters;
mod credential;
mod error;
mod filters;
pub(crate) mod listener;
pub(crate) mod local_reply;
mod names;
mod options;
mod rendering;
mod route_tree;
pub(crate) mod routes;
mod sources;
mod tls;
pub(crate) mod traffic;
mod warnings;

use std::net::SocketAddr;

use postern_document::Document;
use serde_json::{Value, json};

pub use self::error::RenderError;
pub use self::options::{
    ClientCertificate, EnvoyOptions, HostPort, Kind, MeshTls, ServerTls, Source,
};
pub use self::warnings::warnings;

use self::clusters::{Clusters, locality};
use self::rendering::Rendering;
use self::sources::Resources;

/// A file of a rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its text: JSON, which is YAML too.
    pub content: String,
}

/// The files of an Envoy: the bootstrap, `envoy.json`, and with [`Source::Files`] what it
/// watches: `cds.json`, `lds.json` and `rds.json`, in the order in which to replace them.
///
/// # Errors
/// When something cannot be expressed, or the options contradict the document.
pub fn render(
    document: &Document,
    options: &EnvoyOptions,
) -> Result<Vec<RenderedFile>, RenderError> {
    let rendering = Rendering::of(document, options)?;
    rendering.check_peers()?;
    let Clusters { services, own, keys } = Clusters::of(&rendering)?;
    let mut files = Vec::new();
    let mut bootstrap = bootstrap(&rendering);
    let (resources, dynamic) = match &options.source {
        Source::Static => {
            let routes = ("route_config", routes::render(&rendering));
            let listener = listener::render(&rendering, routes);
            let clusters = [services, own, keys].concat();
            (json!({"listeners": [listener], "clusters": clusters}), None)
        }
        Source::Files { folder } => {
            let clusters = [services, keys].concat();
            files.extend(Resources::of(&rendering, clusters, folder).files());
            (json!({"clusters": own}), Some(sources::from_files(folder)))
        }
        Source::Ads { .. } => (json!({"clusters": own}), Some(sources::from_server())),
    };
    if let Value::Object(members) = &mut bootstrap {
        let resources = with_secrets(resources, credential::secrets(document, options));
        members.insert("static_resources".to_owned(), resources);
        members.extend(dynamic.map(|dynamic| ("dynamic_resources".to_owned(), dynamic)));
    }
    files.insert(0, file("envoy.json", &bootstrap));
    Ok(files)
}

/// What does not depend on where the rest comes from.
fn bootstrap(rendering: &Rendering<'_>) -> Value {
    let options = rendering.options;
    let mut node = json!({"id": options.node_id, "cluster": "postern"});
    if let Value::Object(members) = &mut node {
        if options.source == Source::Static {
            // Elsewhere it changes while Envoy runs; the resources' version says it there.
            members.insert("metadata".to_owned(), json!({"document": rendering.document.digest}));
        }
        if let Some(zone) = &options.zone {
            members.insert("locality".to_owned(), locality(zone));
        }
    }
    json!({
        "node": node,
        "admin": {"address": socket_address(options.admin)},
        "overload_manager": overload_manager(),
    })
}

fn with_secrets(mut resources: Value, secrets: Vec<Value>) -> Value {
    if let (Value::Object(members), false) = (&mut resources, secrets.is_empty()) {
        members.insert("secrets".to_owned(), Value::Array(secrets));
    }
    resources
}

fn file(name: &str, content: &Value) -> RenderedFile {
    let mut content = serde_json::to_string_pretty(content).unwrap_or_default();
    content.push('\n');
    RenderedFile { name: name.to_owned(), content }
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
