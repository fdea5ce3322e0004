//! An Envoy of the document, at the edge or beside a workload: one listener, its filters, routes
//! and clusters. They stand in the bootstrap, in files beside it that Envoy watches, or are told
//! by a server ([`discovered`]).
//!
//! Deliberately absent: that server. What it needs to know of an Envoy, a bootstrap says to it
//! ([`EnvoyOptions::of_node`]).

pub(crate) mod access_log;
mod clusters;
mod credential;
mod error;
mod filters;
pub(crate) mod listener;
pub(crate) mod local_reply;
mod names;
mod node;
mod options;
mod rendering;
mod route_tree;
pub(crate) mod routes;
mod sources;
mod tls;
pub(crate) mod traffic;
mod warnings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use postern_document::{Document, Endpoint};
use serde_json::{Value, json};

pub use self::error::RenderError;
pub use self::node::NodeError;
pub use self::options::{
    ClientCertificate, EnvoyOptions, HostPort, Kind, MAX_NODE_ID_BYTES, MeshTls, ServerTls, Source,
    XdsProtocol, is_node_id,
};
pub use self::rendering::workload;
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
/// watches: `cds.json`, `rds.json` and `lds.json`, in the order in which to replace them.
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
        Source::Ads { protocol, .. } => {
            (json!({"clusters": own}), Some(sources::from_server(*protocol)))
        }
    };
    if let Value::Object(members) = &mut bootstrap {
        let resources = with_secrets(resources, credential::secrets(document, options));
        members.insert("static_resources".to_owned(), resources);
        members.extend(dynamic.map(|dynamic| ("dynamic_resources".to_owned(), dynamic)));
    }
    files.insert(0, file("envoy.json", &bootstrap));
    Ok(files)
}

/// Where services are that the document does not place, or not at the moment: by their names. A
/// service that is not in it is where the document has it; one without an endpoint is nowhere.
pub type Endpoints = BTreeMap<String, Arc<[KnownEndpoint]>>;

/// An endpoint that somebody else than the document knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownEndpoint {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Whether it works. One that does not is told all the same: where few do, Envoy asks all.
    pub is_healthy: bool,
}

/// What a server tells an Envoy that asks it for everything (ADS): messages as JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovered {
    /// `Cluster`, but for those of the bootstrap.
    pub clusters: Vec<Value>,
    /// `ClusterLoadAssignment` of clusters at addresses.
    pub assignments: Vec<Value>,
    /// Names of those that there will be, once somebody knows where the service is.
    pub awaited: Vec<String>,
    /// `Listener`
    pub listeners: Vec<Value>,
    /// `RouteConfiguration`, by a name of their own for all that they can say.
    pub routes: Vec<Value>,
}

/// What an Envoy with these options is told.
///
/// # Errors
/// As [`render`].
pub fn discovered(
    document: &Document,
    options: &EnvoyOptions,
    endpoints: &Endpoints,
) -> Result<Discovered, RenderError> {
    let rendering = Rendering::of(document, options)?.with_endpoints(endpoints);
    rendering.check_peers()?;
    let Clusters { mut services, keys, .. } = Clusters::of(&rendering)?;
    let (assignments, awaited) = sources::assignments(&mut services);
    let (listener, routes) = sources::apart(&rendering, &sources::ads_routes());
    Ok(Discovered {
        clusters: [services, keys].concat(),
        assignments,
        awaited,
        listeners: vec![listener],
        routes: vec![routes],
    })
}

/// What does not depend on where the rest comes from.
fn bootstrap(rendering: &Rendering<'_>) -> Value {
    let options = rendering.options;
    let mut node = json!({"id": options.node_id, "cluster": "postern"});
    let metadata = match &options.source {
        Source::Static => Some(json!({"document": rendering.document.digest})),
        // The document changes while Envoy runs; the resources' version says it there.
        Source::Files { .. } => None,
        Source::Ads { .. } => Some(json!({node::METADATA: node::told(options)})),
    };
    if let Value::Object(members) = &mut node {
        members.extend(metadata.map(|metadata| ("metadata".to_owned(), metadata)));
        let locality = options.zone.as_deref().map(locality);
        members.extend(locality.map(|locality| ("locality".to_owned(), locality)));
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
