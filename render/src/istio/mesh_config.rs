//! The part of MeshConfig that the suite needs. It is no resource: a mesh has one MeshConfig,
//! and it belongs to whoever installs Istio.

use postern_document::OnFailure;
use serde_json::{Value, json};

use super::resource::{WRITTEN_BY, set};
use super::{RenderedFile, Rendering};
use crate::envoy::{access_log, duration};
use crate::yaml::to_yaml;

/// The fragment's file.
pub(super) const FILE_NAME: &str = "mesh-config.fragment.yaml";
/// The name that AuthorizationPolicies know the server by.
pub(super) const PROVIDER: &str = "postern";
/// The name that Telemetry knows the access log by.
pub(super) const LOG_PROVIDER: &str = "postern-log";
/// Longest time for the server's answer. Its own budgets (the store's 20 ms) are far below.
pub(super) const SERVER_TIMEOUT_MS: u64 = 250;

/// Where a pod's log is collected from.
const LOG_PATH: &str = "/dev/stdout";

const ABOUT: &str = "\
# Not a Kubernetes resource. Merge it into MeshConfig: `meshConfig` of the Helm values of istiod
# or of the IstioOperator, or the key `mesh` of the ConfigMap `istio`. Lists are replaced as a
# whole, so add the providers to the extensionProviders that are there.
#
# istiod's variable PILOT_FILTER_GATEWAY_CLUSTER_CONFIG stays off: it would take clusters away from
# the gateway that no route goes to, and that ext_proc, the feed and keys are asked by.
";

pub(super) fn fragment(rendering: &Rendering<'_>) -> RenderedFile {
    let mesh_config = to_yaml(&mesh_config(rendering));
    let digest = &rendering.document.digest;
    let content = format!("{WRITTEN_BY}# Document {digest}.\n{ABOUT}{mesh_config}");
    RenderedFile { name: FILE_NAME.to_owned(), content }
}

pub(super) fn mesh_config(rendering: &Rendering<'_>) -> Value {
    let mut providers = Vec::new();
    if rendering.document.needs_ext_authz() {
        providers.push(ext_authz(rendering));
    }
    providers.push(log());
    let mut mesh_config = json!({
        // Not DECODE_AND_MERGE_SLASHES: that turns %2F into a slash for every workload, so that
        // a path means one thing to the client and another to the service. The gateway refuses
        // escaped slashes instead, and merging is all that is left to do.
        "pathNormalization": {"normalization": "MERGE_SLASHES"},
    });
    set(&mut mesh_config, "extensionProviders", Value::Array(providers));
    mesh_config
}

fn ext_authz(rendering: &Rendering<'_>) -> Value {
    let (document, options) = (rendering.document, rendering.options);
    json!({
        "name": PROVIDER,
        "envoyExtAuthzGrpc": {
            // With its namespace, so that a ServiceEntry of the same host elsewhere cannot make
            // it ambiguous: an ambiguous provider denies everything.
            "service": format!("{}/{}", options.namespace, options.server_host()),
            "port": options.grpc_port,
            // Istio's default is ten minutes.
            "timeout": duration(SERVER_TIMEOUT_MS),
            "failOpen": document.failures.ext_authz == OnFailure::Allow,
            "statusOnError": "503",
        },
    })
}

/// A line for each request, the same as the Envoy rendering's: only this one names the bundle's
/// reasons, and leaves the query out.
fn log() -> Value {
    let log = access_log::render(LOG_PATH);
    let labels = log.pointer("/typed_config/log_format/json_format").cloned().unwrap_or_default();
    let mut format = json!({});
    set(&mut format, "labels", labels);
    let mut file = json!({"path": LOG_PATH});
    set(&mut file, "logFormat", format);
    let mut provider = json!({"name": LOG_PROVIDER});
    set(&mut provider, "envoyFileAccessLog", file);
    provider
}
