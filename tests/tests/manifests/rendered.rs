//! What `postern render istio` writes, with nothing but its defaults, finds the suite that the
//! manifests install.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use postern_e2e::server;
use serde_json::{Value, json};

use crate::manifests::kustomize::{Resource, items, read_yaml, text};
use crate::manifests::network::{behind, of_kind};
use crate::manifests::pods::Pod;

/// What Kubernetes appends to the names of Services.
const DOMAIN: &str = "svc.cluster.local";
/// The label by which istiod's pods say for which Gateway they are.
const OF_GATEWAY: &str = "gateway.networking.k8s.io/gateway-name";

/// A call from the gateway to the suite.
#[derive(Debug)]
struct Call {
    /// For what.
    what: String,
    /// The role that answers it.
    role: &'static str,
    host: String,
    port: u64,
}

/// A rendering.
pub struct Rendered {
    files: Vec<(String, Value)>,
}

impl Rendered {
    /// Of a document, in one of the mesh's APIs.
    pub async fn of(document: &Path, api: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (document, out) = (document.display().to_string(), folder.path().display().to_string());
        let words = ["render", "istio", &document, "--out", &out, "--api", api];
        server::run(words).await.expect_success();
        let mut files = Vec::new();
        for entry in fs::read_dir(folder.path()).expect("the rendering") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().to_string_lossy().into_owned();
            files.extend(read_yaml(&entry.path()).into_iter().map(|one| (name.clone(), one)));
        }
        Self { files }
    }

    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.files.iter().map(|(_, value)| value).filter(move |value| text(value, "/kind") == kind)
    }

    /// Everything that it calls of the suite.
    fn calls(&self) -> Vec<Call> {
        let mut calls = Vec::new();
        let fragments = self.files.iter().filter(|(name, _)| name.ends_with(".fragment.yaml"));
        for provider in fragments.flat_map(|(_, value)| items(&value["extensionProviders"])) {
            let Some(asked) = provider.get("envoyExtAuthzGrpc") else { continue };
            let (_, host) = text(asked, "/service").split_once('/').expect("NAMESPACE/HOST");
            let port = asked["port"].as_u64().expect("a port");
            calls.push(Call { what: "ext_authz".into(), role: "decide", host: host.into(), port });
        }
        for kind in ["TrafficExtension", "WasmPlugin"] {
            for plugin in self.of_kind(kind) {
                calls.extend(clusters(plugin).into_iter().map(|(host, port)| Call {
                    what: "the feed or keys".into(),
                    // Keys that the gateway fetches itself come by the public port.
                    role: if port == 9192 { "identity" } else { "decide" },
                    host,
                    port,
                }));
            }
        }
        for filter in self.of_kind("EnvoyFilter") {
            let what = text(filter, "/metadata/name").to_owned();
            calls.extend(clusters(filter).into_iter().map(|(host, port)| Call {
                what: what.clone(),
                role: "message",
                host,
                port,
            }));
        }
        for service in self.of_kind("VirtualService") {
            for route in items(&service["spec"]["http"]) {
                for destination in items(&route["route"]).map(|one| &one["destination"]) {
                    calls.push(Call {
                        what: format!("route {}", text(route, "/name")),
                        role: "identity",
                        host: text(destination, "/host").to_owned(),
                        port: destination["port"]["number"].as_u64().expect("a port"),
                    });
                }
            }
        }
        for route in self.of_kind("HTTPRoute") {
            for rule in items(&route["spec"]["rules"]) {
                for backend in items(&rule["backendRefs"]) {
                    let (name, namespace) = (text(backend, "/name"), text(backend, "/namespace"));
                    let is_service = text(backend, "/kind") == "Service";
                    calls.push(Call {
                        what: format!("rule {}", text(rule, "/name")),
                        role: "identity",
                        host: if is_service {
                            format!("{name}.{namespace}.{DOMAIN}")
                        } else {
                            name.to_owned()
                        },
                        port: backend["port"].as_u64().expect("a port"),
                    });
                }
            }
        }
        calls
    }

    /// What it expects of the suite and does not find there.
    pub fn problems(
        &self,
        resources: &[Resource],
        pods: &[Pod<'_>],
        upstreams: &[String],
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let mut roles = BTreeSet::new();
        for call in self.calls().into_iter().filter(|call| !upstreams.contains(&call.host)) {
            roles.insert(call.role);
            let Call { what, role, host, port } = &call;
            let service = of_kind(resources, "Service")
                .find(|one| *host == format!("{}.{}.{DOMAIN}", one.name(), one.namespace()));
            let Some(service) = service else {
                problems.push(format!(
                    "`render istio` asks {host}:{port} for {what}, and the base has no such \
                     Service: their names must be the same by default"
                ));
                continue;
            };
            let named = items(&service.value["spec"]["ports"]);
            let behind = named
                .filter(|one| one["port"] == *port)
                .flat_map(|one| behind(pods, &service.value, one));
            let behind: Vec<&Pod<'_>> = behind.collect();
            if behind.is_empty() {
                problems.push(format!("{what}: nobody is behind {host}:{port}"));
            }
            let label = format!("postern.dev/{role}");
            for pod in behind.iter().filter(|pod| pod.label(&label) != Some("true")) {
                problems.push(format!(
                    "`render istio` asks {host}:{port} for {what}, and {} there has not the role \
                     {role}",
                    pod.owner.shown()
                ));
            }
        }
        let all: BTreeSet<&str> = ["decide", "identity", "message"].into();
        if roles != all {
            problems.push(format!("the example document asks only {roles:?}"));
        }
        problems
    }

    /// Where the gateway's pods are, and by which labels they are known.
    pub fn gateway(&self) -> (String, Value) {
        let gateway = self.of_kind("Gateway").next().expect("a Gateway");
        let namespace = text(gateway, "/metadata/namespace").to_owned();
        // istiod runs pods for a Gateway of the Gateway API, and labels them so.
        let of_istiod = || json!({OF_GATEWAY: text(gateway, "/metadata/name")});
        let selector = &gateway["spec"]["selector"];
        (namespace, if selector.is_null() { of_istiod() } else { selector.clone() })
    }

    /// Who a gateway is that istiod runs; none where somebody else does.
    pub fn principal(&self) -> Option<String> {
        let gateway = self.of_kind("Gateway").next().expect("a Gateway");
        let class = gateway.pointer("/spec/gatewayClassName")?.as_str()?;
        let (name, namespace) =
            (text(gateway, "/metadata/name"), text(gateway, "/metadata/namespace"));
        Some(format!("cluster.local/ns/{namespace}/sa/{name}-{class}"))
    }

    /// The Secret with the gateway's certificate.
    pub fn certificate(&self) -> String {
        let gateway = self.of_kind("Gateway").next().expect("a Gateway");
        let of_istio = text(gateway, "/spec/servers/0/tls/credentialName");
        let of_gateway_api = text(gateway, "/spec/listeners/0/tls/certificateRefs/0/name");
        [of_istio, of_gateway_api].concat()
    }

    /// Namespaces that it puts under mutual TLS.
    pub fn strict_namespaces(&self) -> BTreeSet<String> {
        self.of_kind("PeerAuthentication")
            .map(|one| text(one, "/metadata/namespace").to_owned())
            .collect()
    }

    /// Labels that its resources carry, by which users find what is left over.
    pub fn labels(&self) -> BTreeSet<String> {
        let labels = self.files.iter().filter_map(|(_, one)| one.pointer("/metadata/labels"));
        labels.map(Value::to_string).collect()
    }
}

/// Hosts and ports of Istio's clusters (`outbound|PORT|SUBSET|HOST`), wherever they are named.
fn clusters(value: &Value) -> Vec<(String, u64)> {
    match value {
        Value::Object(members) => members.values().flat_map(clusters).collect(),
        Value::Array(items) => items.iter().flat_map(clusters).collect(),
        Value::String(text) => {
            let mut parts = text.split('|');
            if parts.next() != Some("outbound") {
                return Vec::new();
            }
            let port = parts.next().and_then(|port| port.parse().ok()).expect("a port");
            let host = parts.nth(1).expect("a host").to_owned();
            vec![(host, port)]
        }
        _ => Vec::new(),
    }
}

/// Who the gateway is, as `render istio` tells somebody who forgot to say so in the document.
pub async fn gateway_principal() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let document = folder.path().join("gateway.yaml");
    let text = "version: 1\nrevocation: {max_staleness: 30s, when_stale: deny}\nroutes:\n  \
                - {name: r, match: {path: /r}, service: postern, auth: none}\n";
    fs::write(&document, text).expect("the document");
    let (document, out) = (document.display().to_string(), folder.path().display().to_string());
    let told = server::run(["render", "istio", &document, "--out", &out]).await.expect_code(1);
    let (_, after) = told.split_once("spiffe://").expect("an example of a SPIFFE id");
    after.split(',').next().expect("its end").to_owned()
}

/// Hosts of the document's services.
pub fn upstreams(document: &Value) -> Vec<String> {
    let services = document["services"].as_object().expect("services");
    let host = |service: &Value| {
        let (host, _) = text(service, "/upstream").split_once(':').expect("HOST:PORT");
        host.to_owned()
    };
    services.values().map(host).collect()
}

/// SPIFFE ids that the document lets ask the feed.
pub fn peers(document: &Value) -> Vec<&str> {
    items(&document["feed"]["peers"]).map(|peer| text(peer, "/spiffe")).collect()
}
