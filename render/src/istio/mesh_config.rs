//! The part of MeshConfig that the suite needs. It is no resource: a mesh has one MeshConfig,
//! and it belongs to whoever installs Istio.

use postern_document::{Document, OnFailure};
use serde_json::{Value, json};

use super::resource::{WRITTEN_BY, set};
use super::{IstioOptions, RenderedFile};
use crate::envoy::duration;
use crate::yaml::to_yaml;

/// The fragment's file.
pub(super) const FILE_NAME: &str = "mesh-config.fragment.yaml";
/// The name that AuthorizationPolicies know the server by.
pub(super) const PROVIDER: &str = "postern";
/// Longest time for the server's answer. Its own budgets (the store's 20 ms) are far below.
pub(super) const SERVER_TIMEOUT_MS: u64 = 250;

const ABOUT: &str = "\
# Not a Kubernetes resource. Merge it into MeshConfig: `meshConfig` of the Helm values of istiod
# or of the IstioOperator, or the key `mesh` of the ConfigMap `istio`. Lists are replaced as a
# whole, so add the provider to the extensionProviders that are there.
";

pub(super) fn fragment(document: &Document, options: &IstioOptions) -> RenderedFile {
    let mesh_config = to_yaml(&mesh_config(document, options));
    let content = format!("{WRITTEN_BY}# Document {}.\n{ABOUT}{mesh_config}", document.digest);
    RenderedFile { name: FILE_NAME.to_owned(), content }
}

pub(super) fn mesh_config(document: &Document, options: &IstioOptions) -> Value {
    let mut mesh_config = json!({
        // Not DECODE_AND_MERGE_SLASHES: that turns %2F into a slash for every workload, so that
        // a path means one thing to the client and another to the service. The gateway refuses
        // escaped slashes instead, and merging is all that is left to do.
        "pathNormalization": {"normalization": "MERGE_SLASHES"},
    });
    if document.needs_ext_authz() {
        let providers = json!([provider(document, options)]);
        set(&mut mesh_config, "extensionProviders", providers);
    }
    mesh_config
}

fn provider(document: &Document, options: &IstioOptions) -> Value {
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
