//! Listeners, clusters and routes outside the bootstrap: as files that Envoy watches, or from a
//! server.

use serde_json::{Value, json};

use super::names::{OWN, XDS_CLUSTER};
use super::rendering::Rendering;
use super::{RenderedFile, XdsProtocol, duration, file, listener, routes, typed};

const LISTENERS: &str = "lds.json";
const CLUSTERS: &str = "cds.json";
const ROUTES: &str = "rds.json";

/// How long Envoy waits for the first answer before it goes on without one: its own default,
/// written out. Files are there or they are not.
const FIRST_ANSWER_MS: u64 = 15_000;

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
        let rds = routes_from(&file_source(folder, ROUTES));
        Self {
            version: rendering.document.digest.clone(),
            listener: listener::render(rendering, rds),
            clusters,
            routes: routes::render(rendering),
        }
    }

    /// Each kind in a file of its own, as xDS has them.
    pub(super) fn files(self) -> Vec<RenderedFile> {
        let cluster = |cluster| typed("envoy.config.cluster.v3.Cluster", cluster);
        let listener = typed("envoy.config.listener.v3.Listener", self.listener);
        let routes = typed("envoy.config.route.v3.RouteConfiguration", self.routes);
        let clusters: Vec<Value> = self.clusters.into_iter().map(cluster).collect();
        // In the order in which Envoy should hear of them: what is named before who names it.
        [(CLUSTERS, clusters), (LISTENERS, vec![listener]), (ROUTES, vec![routes])]
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

/// A connection manager's routes by another way than in it.
pub(super) fn routes_from(config_source: &Value) -> (&'static str, Value) {
    ("rds", json!({"route_config_name": OWN, "config_source": config_source}))
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
pub(super) fn ads_source() -> Value {
    json!({
        "ads": {},
        "resource_api_version": "V3",
        "initial_fetch_timeout": duration(FIRST_ANSWER_MS),
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
