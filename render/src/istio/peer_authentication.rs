//! PeerAuthentication: workloads take mutual TLS and nothing else.

use serde_json::{Value, json};

use super::{Rendering, resource};

/// Namespace-wide, by the name that Istio's own tools look for; for a workload that shares the
/// namespace of the gateway or of the suite, for its pods alone. The gateway's own listeners end
/// another TLS, and the suite has what it needs.
pub(super) fn resources(rendering: &Rendering<'_>) -> Vec<Value> {
    let (document, kind) = (rendering.document, &resource::PEER_AUTHENTICATION);
    let strict = || json!({"mtls": {"mode": "STRICT"}});
    let namespaces = rendering.namespaces();
    let mut resources: Vec<Value> = namespaces
        .iter()
        .map(|namespace| resource::manifest(document, kind, namespace, "default", strict()))
        .collect();
    for placed in &rendering.workloads {
        if !namespaces.contains(placed.namespace.as_str()) {
            let mut spec = strict();
            placed.attach.policy(&mut spec);
            let name = placed.name("");
            resources.push(resource::manifest(document, kind, &placed.namespace, &name, spec));
        }
    }
    resources
}
