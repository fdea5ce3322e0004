//! What all resources have in common, and how they become files.

use postern_document::Document;
use serde_json::{Value, json};

use super::{RenderError, RenderedFile};
use crate::yaml::to_yaml;

/// The first line of every file that is rendered.
pub const WRITTEN_BY: &str =
    "# Written by `postern render istio`: change the gateway document, not this file.\n";

/// A kind of resource.
#[derive(Debug)]
pub(super) struct Kind {
    api_version: &'static str,
    kind: &'static str,
}

pub(super) const fn kind(api_version: &'static str, kind: &'static str) -> Kind {
    Kind { api_version, kind }
}

pub(super) const AUTHORIZATION_POLICY: Kind = kind("security.istio.io/v1", "AuthorizationPolicy");
pub(super) const DESTINATION_RULE: Kind = kind("networking.istio.io/v1", "DestinationRule");
pub(super) const ENVOY_FILTER: Kind = kind("networking.istio.io/v1alpha3", "EnvoyFilter");
pub(super) const GATEWAY: Kind = kind("networking.istio.io/v1", "Gateway");
pub(super) const PEER_AUTHENTICATION: Kind = kind("security.istio.io/v1", "PeerAuthentication");
pub(super) const REQUEST_AUTHENTICATION: Kind =
    kind("security.istio.io/v1", "RequestAuthentication");
pub(super) const SERVICE_ENTRY: Kind = kind("networking.istio.io/v1", "ServiceEntry");
pub(super) const TELEMETRY: Kind = kind("telemetry.istio.io/v1", "Telemetry");
pub(super) const TRAFFIC_EXTENSION: Kind = kind("extensions.istio.io/v1alpha1", "TrafficExtension");
pub(super) const VIRTUAL_SERVICE: Kind = kind("networking.istio.io/v1", "VirtualService");
pub(super) const WASM_PLUGIN: Kind = kind("extensions.istio.io/v1alpha1", "WasmPlugin");
pub(super) const WORKLOAD_ENTRY: Kind = kind("networking.istio.io/v1", "WorkloadEntry");

/// The most that one object may have: etcd takes 1.5 MiB of a request, and the API server adds to
/// what it is sent.
const MAX_BYTES: usize = 1 << 20;

/// A resource, marked with the document that it was made from.
pub(super) fn manifest(
    document: &Document,
    kind: &Kind,
    namespace: &str,
    name: &str,
    spec: Value,
) -> Value {
    let mut resource = json!({
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "postern"},
            "annotations": {"postern.dev/document": document.digest},
        },
    });
    set(&mut resource, "spec", spec);
    resource
}

/// Says in one sentence what a resource is for, where somebody meets it in the cluster.
pub(super) fn annotate(resource: &mut Value, name: &str, text: &str) {
    if let Some(annotations) = resource.pointer_mut("/metadata/annotations") {
        set(annotations, name, json!(text));
    }
}

/// Sorts the resources of a file by what they are called.
///
/// # Errors
/// When the API server would not keep one of them, by its size or because another is called so.
pub(super) fn sorted(mut resources: Vec<Value>) -> Result<Vec<Value>, RenderError> {
    resources.sort_by_cached_key(id);
    let mut pairs = resources.iter().zip(resources.iter().skip(1));
    if let Some((one, _)) = pairs.find(|(one, next)| id(one) == id(next)) {
        return Err(RenderError::SameName { resource: shown(one) });
    }
    for resource in &resources {
        let bytes = resource.to_string().len();
        if bytes > MAX_BYTES {
            return Err(RenderError::TooLarge { resource: shown(resource), bytes });
        }
    }
    Ok(resources)
}

/// Kind, namespace, name.
fn id(resource: &Value) -> (String, String, String) {
    let text = |pointer| resource.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
    (text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

/// As errors name it.
fn shown(resource: &Value) -> String {
    let (kind, namespace, name) = id(resource);
    format!("{kind} {namespace}/{name}")
}

/// Resources as one file, with a comment that says what they are for.
pub(super) fn file(name: &str, about: &str, resources: &[Value]) -> RenderedFile {
    let mut content = WRITTEN_BY.to_owned();
    for line in about.lines() {
        content.push_str("# ");
        content.push_str(line);
        content.push('\n');
    }
    for (at, resource) in resources.iter().enumerate() {
        if at > 0 {
            content.push_str("---\n");
        }
        content.push_str(&to_yaml(resource));
    }
    RenderedFile { name: name.to_owned(), content }
}

/// Sets a member of an object, without copying the value.
pub(super) fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: &str, name: &str, text: &str) -> Value {
        json!({"kind": kind, "metadata": {"name": name, "namespace": "n"}, "spec": {"text": text}})
    }

    #[test]
    fn resources_are_sorted_by_kind_and_name() {
        let names = [("Gateway", "b"), ("VirtualService", "a"), ("Gateway", "a")];
        let resources = names.map(|(kind, name)| named(kind, name, "")).to_vec();
        let sorted = sorted(resources).unwrap();
        let names: Vec<_> = sorted.iter().map(|r| (&r["kind"], &r["metadata"]["name"])).collect();
        assert_eq!(
            names,
            [
                (&json!("Gateway"), &json!("a")),
                (&json!("Gateway"), &json!("b")),
                (&json!("VirtualService"), &json!("a")),
            ]
        );
    }

    #[test]
    fn two_resources_of_one_name_are_refused() {
        let twice =
            vec![named("Gateway", "a", "1"), named("Gateway", "b", ""), named("Gateway", "a", "2")];
        let error = sorted(twice).unwrap_err();
        assert_eq!(error, RenderError::SameName { resource: "Gateway n/a".to_owned() });
        let apart = vec![named("Gateway", "a", ""), named("VirtualService", "a", "")];
        assert!(sorted(apart).is_ok(), "another kind");
    }

    #[test]
    fn what_the_api_server_would_not_keep_is_refused_by_name() {
        let large = "x".repeat(MAX_BYTES);
        let error = sorted(vec![named("WasmPlugin", "postern", &large)]).unwrap_err();
        let RenderError::TooLarge { resource, bytes } = error else { panic!("{error}") };
        assert_eq!(resource, "WasmPlugin n/postern");
        assert!(bytes > MAX_BYTES);
        assert!(sorted(vec![named("WasmPlugin", "postern", "x")]).is_ok());
    }
}
