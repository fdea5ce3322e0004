//! Listeners, clusters and routes outside the bootstrap: as files that Envoy watches, or from a
//! server.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::names::{OWN, XDS_CLUSTER};
use super::rendering::Rendering;
use super::{RenderedFile, XdsProtocol, duration, file, listener, routes, typed};

const LISTENERS: &str = "lds.json";
const CLUSTERS: &str = "cds.json";
const ROUTES: &str = "rds.json";

/// How long Envoy waits for the first answer before it goes on without one: its own default,
/// written out. Files are there or they are not.
const FIRST_ANSWER_MS: u64 = 15_000;
/// As long as it takes. A listener that goes on without routes answers 404; until it has them,
/// the one before it stays.
const FIRST_ROUTES_MS: u64 = 0;
/// Bytes of a digest in the name of routes.
const NAME_BYTES: usize = 8;

/// What a bootstrap leaves out.
pub(super) struct Resources {
    version: String,
    listener: Value,
    clusters: Vec<Value>,
    routes: Value,
}

impl Resources {
    /// Everything that depends on the document, for an Envoy that watches this folder.
    pub(super) fn of(rendering: &Rendering<'_>, clusters: Vec<Value>, folder: &str) -> Self {
        let (listener, routes) = apart(rendering, &file_source(folder, ROUTES));
        Self { version: rendering.document.digest.clone(), listener, clusters, routes }
    }

    /// Each kind in a file of its own, as xDS has them.
    pub(super) fn files(self) -> Vec<RenderedFile> {
        let cluster = |cluster| typed("envoy.config.cluster.v3.Cluster", cluster);
        let listener = typed("envoy.config.listener.v3.Listener", self.listener);
        let routes = typed("envoy.config.route.v3.RouteConfiguration", self.routes);
        let clusters: Vec<Value> = self.clusters.into_iter().map(cluster).collect();
        // In the order in which Envoy should hear of them: what is named before who names it. A
        // listener that finds routes of another name in their file goes on without any.
        [(CLUSTERS, clusters), (ROUTES, vec![routes]), (LISTENERS, vec![listener])]
            .into_iter()
            .map(|(name, resources)| {
                // Which document it is of is what Envoy's statistics tell (`version_text`).
                let response = json!({"version_info": self.version, "resources": resources});
                file(name, &response)
            })
            .collect()
    }
}

/// `dynamic_resources` of a bootstrap that watches files.
pub(super) fn from_files(folder: &str) -> Value {
    json!({
        "lds_config": file_source(folder, LISTENERS),
        "cds_config": file_source(folder, CLUSTERS),
    })
}

/// `dynamic_resources` of a bootstrap that asks a server, for everything over one stream.
pub(super) fn from_server(protocol: XdsProtocol) -> Value {
    let api_type = match protocol {
        XdsProtocol::Delta => "DELTA_GRPC",
        XdsProtocol::StateOfTheWorld => "GRPC",
    };
    json!({
        "ads_config": {
            "api_type": api_type,
            "transport_api_version": "V3",
            "set_node_on_first_message_only": true,
            "grpc_services": [{"envoy_grpc": {"cluster_name": XDS_CLUSTER}}],
        },
        "lds_config": ads_source(),
        "cds_config": ads_source(),
    })
}

/// The listener, and its routes by another way than in it.
pub(super) fn apart(rendering: &Rendering<'_>, config_source: &Value) -> (Value, Value) {
    let mut routes = routes::render(rendering);
    let name = routes_name(&routes);
    if let Value::Object(members) = &mut routes {
        members.insert("name".to_owned(), json!(name));
    }
    let rds = json!({"route_config_name": name, "config_source": config_source});
    (listener::render(rendering, ("rds", rds)), routes)
}

/// Routes are named by what they say, so that under a name they never change: a connection that
/// goes on with the filters of an earlier listener goes on with its routes, too.
fn routes_name(routes: &Value) -> String {
    let digest = Sha256::digest(routes.to_string());
    let digits = digest.iter().take(NAME_BYTES).map(|byte| format!("{byte:02x}"));
    format!("{OWN}-{}", digits.collect::<String>())
}

/// Takes the hosts of clusters at addresses out of them. They are told apart (EDS), so that they
/// may change while the cluster stays. Also the names of those whose hosts were told apart already:
/// nobody knows yet where those are.
pub(super) fn assignments(clusters: &mut [Value]) -> (Vec<Value>, Vec<String>) {
    let (mut assignments, mut awaited) = (Vec::new(), Vec::new());
    for cluster in clusters {
        let Value::Object(members) = cluster else { continue };
        match members.get("type").and_then(Value::as_str) {
            Some("STATIC") => {
                let Some(assignment) = members.remove("load_assignment") else { continue };
                assignments.push(assignment);
                members.insert("type".to_owned(), json!("EDS"));
                members.insert("eds_cluster_config".to_owned(), told_apart());
            }
            Some("EDS") => {
                let name = members.get("name").and_then(Value::as_str);
                awaited.extend(name.map(str::to_owned));
            }
            _ => {}
        }
    }
    (assignments, awaited)
}

/// `eds_cluster_config` of a cluster whose hosts come by the stream that it came by, under its own
/// name.
pub(super) fn told_apart() -> Value {
    json!({"eds_config": ads_source()})
}

/// From the server of the bootstrap.
fn ads_source() -> Value {
    from_ads(FIRST_ANSWER_MS)
}

/// The same, for routes.
pub(super) fn ads_routes() -> Value {
    from_ads(FIRST_ROUTES_MS)
}

fn from_ads(first_answer_ms: u64) -> Value {
    json!({
        "ads": {},
        "resource_api_version": "V3",
        "initial_fetch_timeout": duration(first_answer_ms),
    })
}

/// The folder is watched, not the file: whoever replaces files all at once moves a folder's link,
/// as Kubernetes does with a ConfigMap.
fn file_source(folder: &str, name: &str) -> Value {
    let path = format!("{}/{name}", folder.trim_end_matches('/'));
    json!({
        "resource_api_version": "V3",
        "path_config_source": {"path": path, "watched_directory": {"path": folder}},
    })
}
