//! What stands in the files beside policies: services, pods, routes of the mesh, rate limits.

use std::collections::BTreeMap;

use postern_document::yaml::{Kind, Node, Problems, parse_all};
use postern_document::{Position, Source};

use super::node::{below, items, member, pairs, port, text};
use super::report::{Origin, Report};
use super::virtual_service::{self, VirtualService};
use crate::manifests::{TEMPLATE, template};
use crate::review::{is_mesh_config, without_documents};

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// Texts that hold resources.
    pub(super) resources: Vec<Source>,
    /// Texts that are configuration of envoyproxy/ratelimit.
    pub(super) rate_limits: Vec<Source>,
    pub(super) services: Vec<Service>,
    pub(super) pods: Vec<Pods>,
    pub(super) gateways: Vec<Gateway>,
    pub(super) virtual_services: Vec<VirtualService>,
    /// How many of each other kind, by file.
    others: BTreeMap<(String, String), usize>,
}

/// A Service that selects pods.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) origin: Origin,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) selector: BTreeMap<String, String>,
    pub(super) ports: Vec<Port>,
}

/// A port of a Service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Port {
    pub(super) number: u16,
    /// The pods' port; none where it goes by name.
    pub(super) target: Option<u16>,
    pub(super) is_http: bool,
}

/// Pods that are made alike.
#[derive(Debug)]
pub(super) struct Pods {
    pub(super) namespace: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) account: String,
    pub(super) ports: Vec<u16>,
}

/// A Gateway of Istio's.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) selector: BTreeMap<String, String>,
}

const ISTIO: &str = "networking.istio.io";

impl Inventory {
    /// Reads all texts. What is no YAML is reported as a problem; what is not understood gets a
    /// remark.
    pub(super) fn read(sources: &[Source], problems: &mut Problems, report: &mut Report) -> Self {
        let mut inventory = Self::default();
        for (file, source) in sources.iter().enumerate() {
            if let Some(line) = template(source) {
                problems.report(Position { file, line }, TEMPLATE);
                continue;
            }
            let nodes = parse_all(&source.text, file, problems);
            if nodes.iter().any(is_rate_limit) {
                inventory.rate_limits.push(source.clone());
                continue;
            }
            let mut none = Vec::new();
            for node in &nodes {
                if is_mesh_config(node) {
                    keep_mesh_config(node, &source.name, report);
                    none.push(node.at.line);
                } else if is_no_resource(node) {
                    problems.report(node.at, NO_RESOURCE);
                    none.push(node.at.line);
                } else {
                    inventory.add(node, &source.name, report);
                }
            }
            let text = without_documents(&source.text, &none);
            let name = source.name.clone();
            inventory.resources.push(Source { name, text });
        }
        inventory.remark(report);
        inventory
    }

    fn add(&mut self, node: &Node, file: &str, report: &mut Report) {
        let kind = text(member(node, "kind")).unwrap_or_default();
        if kind.ends_with("List") {
            for item in items(member(node, "items")) {
                self.add(item, file, report);
            }
            return;
        }
        let api_version = text(member(node, "apiVersion")).unwrap_or_default();
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let id = |name| text(below(node, &["metadata", name])).unwrap_or_default().to_owned();
        let (namespace, name) = (id("namespace"), id("name"));
        let subject = format!("{kind} {namespace}/{name}");
        let origin =
            Origin { file: file.to_owned(), line: node.at.line, subject, field: String::new() };
        match (group, kind) {
            ("", "Service") | ("apps", _) | ("", "Pod") | (ISTIO, "VirtualService" | "Gateway")
                if namespace.is_empty() =>
            {
                let why = "it has no namespace, and which policies count depends on that";
                report.left_out(&origin, why, "write `metadata.namespace`");
            }
            ("", "Service") => {
                self.services.extend(service(node, origin, namespace, name, report));
            }
            ("", "Pod") => self.pods.push(pods(node, &["metadata", "labels"], &[], namespace)),
            ("apps", "Deployment" | "StatefulSet" | "DaemonSet") => {
                let labels = ["spec", "template", "metadata", "labels"];
                self.pods.push(pods(node, &labels, &["spec", "template"], namespace));
            }
            (ISTIO, "Gateway") => {
                let why = "its ports, hosts and certificates are options of `postern render istio`";
                report.note(&origin, why, "give them there");
                let selector = pairs(below(node, &["spec", "selector"]));
                self.gateways.push(Gateway { namespace, name, selector });
            }
            (ISTIO, "VirtualService") => {
                let found = virtual_service::read(node, &origin, &namespace, report);
                self.virtual_services.extend(found);
            }
            (
                "security.istio.io",
                "AuthorizationPolicy" | "PeerAuthentication" | "RequestAuthentication",
            ) => {}
            (group, _) if group.ends_with("istio.io") || group.starts_with("gateway.net") => {
                let why = "nothing of it is in the document";
                report.left_out(&origin, why, "look at what it does, and write that by hand");
            }
            _ => *self.others.entry((file.to_owned(), kind.to_owned())).or_default() += 1,
        }
    }

    /// What says nothing here is told too, by kind.
    fn remark(&self, report: &mut Report) {
        for ((file, kind), count) in &self.others {
            let (file, field) = (file.clone(), String::new());
            let origin = Origin { file, line: 1, subject: format!("{count} × {kind}"), field };
            report.note(&origin, "says nothing about who may call what", "nothing to do");
        }
    }
}

const NO_RESOURCE: &str = "neither a resource (`apiVersion`, `kind`) nor MeshConfig: leave it out; \
                           for Helm values, give what `helm template` prints";

/// A mapping that does not say what it is.
fn is_no_resource(node: &Node) -> bool {
    let says = |name: &str| text(member(node, name)).is_some_and(|text| !text.is_empty());
    matches!(node.kind, Kind::Map(_)) && !(says("apiVersion") && says("kind"))
}

fn keep_mesh_config(node: &Node, file: &str, report: &mut Report) {
    let (file, subject) = (file.to_owned(), "MeshConfig".to_owned());
    let origin = Origin { file, line: node.at.line, subject, field: String::new() };
    let why = "it says how the mesh is run, and stays as it is there";
    report.note(&origin, why, "keep it; give its trust domain as --trust-domain");
}

/// A document of envoyproxy/ratelimit is no resource, and names a domain.
fn is_rate_limit(node: &Node) -> bool {
    member(node, "domain").is_some() && member(node, "kind").is_none()
}

fn service(
    node: &Node,
    origin: Origin,
    namespace: String,
    name: String,
    report: &mut Report,
) -> Option<Service> {
    let selector = pairs(below(node, &["spec", "selector"]));
    if selector.is_empty() {
        let why = "it selects no pods, so that no policy is known to be for it";
        report.left_out(&origin, why, "write the service and its routes by hand");
        return None;
    }
    let one = |node: &Node| {
        let number = port(member(node, "port"))?;
        let target = match member(node, "targetPort") {
            None => Some(number),
            named => port(named),
        };
        Some(Port { number, target, is_http: is_http(node) })
    };
    let ports = items(below(node, &["spec", "ports"])).iter().filter_map(one).collect();
    Some(Service { origin, namespace, name, selector, ports })
}

/// Istio goes by `appProtocol`, else by what stands before the first hyphen of the name. Where
/// neither says anything, it looks.
fn is_http(port: &Node) -> bool {
    let word = text(member(port, "appProtocol")).or_else(|| text(member(port, "name")));
    let word = word.unwrap_or_default().trim_start_matches("kubernetes.io/");
    let word = word.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let is_other = ["tcp", "tls", "https", "mongo", "mysql", "redis", "udp"].contains(&&*word)
        || word.starts_with("postgres");
    !is_other
}

fn pods(node: &Node, labels: &[&str], spec: &[&str], namespace: String) -> Pods {
    let spec = below(node, spec).and_then(|node| member(node, "spec"));
    let account = spec.and_then(|spec| text(member(spec, "serviceAccountName")));
    let containers = items(spec.and_then(|spec| member(spec, "containers")));
    let ports = containers.iter().flat_map(|container| items(member(container, "ports")));
    let mut ports: Vec<u16> = ports.filter_map(|one| port(member(one, "containerPort"))).collect();
    ports.sort_unstable();
    ports.dedup();
    Pods {
        namespace,
        labels: pairs(below(node, labels)),
        // Kubernetes' own default.
        account: account.unwrap_or("default").to_owned(),
        ports,
    }
}
