//! What all resources have in common, and how they become files.

use postern_document::Document;
use serde_json::{Value, json};

use super::RenderedFile;
use crate::yaml::to_yaml;

/// The first line of every file.
pub(super) const WRITTEN_BY: &str =
    "# Written by `postern render istio`: change the gateway document, not this file.\n";

/// A kind of resource.
#[derive(Debug)]
pub(super) struct Kind {
    api_version: &'static str,
    kind: &'static str,
}

const fn kind(api_version: &'static str, kind: &'static str) -> Kind {
    Kind { api_version, kind }
}

pub(super) const AUTHORIZATION_POLICY: Kind = kind("security.istio.io/v1", "AuthorizationPolicy");
pub(super) const DESTINATION_RULE: Kind = kind("networking.istio.io/v1", "DestinationRule");
pub(super) const ENVOY_FILTER: Kind = kind("networking.istio.io/v1alpha3", "EnvoyFilter");
pub(super) const GATEWAY: Kind = kind("networking.istio.io/v1", "Gateway");
pub(super) const PEER_AUTHENTICATION: Kind = kind("security.istio.io/v1", "PeerAuthentication");
pub(super) const SERVICE_ENTRY: Kind = kind("networking.istio.io/v1", "ServiceEntry");
pub(super) const TRAFFIC_EXTENSION: Kind = kind("extensions.istio.io/v1alpha1", "TrafficExtension");
pub(super) const VIRTUAL_SERVICE: Kind = kind("networking.istio.io/v1", "VirtualService");
pub(super) const WASM_PLUGIN: Kind = kind("extensions.istio.io/v1alpha1", "WasmPlugin");

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
