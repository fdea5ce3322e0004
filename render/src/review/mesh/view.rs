//! The mesh as a review sees it: which workloads there are, and which of them are the document's.

use std::collections::BTreeMap;

use postern_document::Document;
use postern_policies::{Mesh, Port, Protocol, Proxy, Resources};
use postern_request::normalize::Normalization;

use super::super::Input;
use super::super::inventory::{self, Inventory, MeshConfig, Policies};
use super::super::model::Place;
use crate::istio::Api;

/// Istio's own gateway, where neither document nor options say otherwise.
const GATEWAY_NAMESPACE: &str = "istio-system";
const GATEWAY_ACCOUNT: &str = "istio-ingressgateway-service-account";
/// The label by which pods of a Gateway of the Gateway API are told.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// All that is known.
pub(super) struct View<'a> {
    pub(super) document: &'a Document,
    pub(super) resources: &'a Resources,
    pub(super) inventory: &'a Inventory,
    pub(super) mesh: Mesh,
    /// Sorted by namespace and name.
    pub(super) workloads: Vec<Known>,
    pub(super) reads_paths: Normalization,
    pub(super) trust_domain: String,
    /// The gateway's name in certificates.
    pub(super) gateway: String,
    /// How the normalisation of paths is called that was taken.
    pub(super) normalization: String,
    without_mesh_config: bool,
}

/// A workload, and what it is to the document.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) workload: postern_policies::Workload,
    pub(super) place: Option<Place>,
    /// The document names it, or a service of the document is run by it.
    pub(super) is_ours: bool,
    /// Services of the document that it runs.
    pub(super) services: Vec<String>,
}

impl Known {
    /// `Workload namespace/name`, as findings call it.
    pub(super) fn subject(&self) -> String {
        format!("Workload {}", self.name())
    }

    /// `namespace/name`, by which `postern-policies` calls it too.
    pub(super) fn name(&self) -> String {
        self.workload.name.clone()
    }

    pub(super) fn is_gateway(&self) -> bool {
        self.workload.proxy == Proxy::Gateway
    }

    fn add_port(&mut self, number: u16, protocol: Protocol) {
        let known = self.workload.ports.iter_mut().find(|port| port.number == number);
        match known {
            Some(port) => port.protocol = protocol,
            None => self.workload.ports.push(Port { number, protocol }),
        }
        self.workload.ports.sort_by_key(|port| port.number);
    }
}

impl<'a> View<'a> {
    pub(super) fn new(input: &Input<'a>, policies: &'a Policies) -> Self {
        let document = input.document;
        let config = policies.inventory.mesh.clone().unwrap_or_default();
        let mesh = policies.mesh(document);
        let trust_domain = mesh.trust_domains.first().cloned().unwrap_or_default();
        let word = input.normalization.map(str::to_owned).or(config.normalization);
        let word = word.unwrap_or_else(|| "BASE".to_owned());
        let reads_paths = MeshConfig::reads_paths(&word).unwrap_or(Normalization::ENVOY);
        let gateway = gateway(input);
        let principal = format!("{trust_domain}/ns/{}/sa/{}", gateway.namespace, gateway.account);
        Self {
            document,
            resources: &policies.resources,
            inventory: &policies.inventory,
            mesh,
            workloads: workloads(document, &policies.inventory, &gateway),
            reads_paths,
            trust_domain,
            gateway: principal,
            normalization: word,
            without_mesh_config: policies.inventory.mesh.is_none(),
        }
    }

    /// What is not known, and what is taken for granted instead.
    pub(super) fn unknown(&self) -> Vec<String> {
        let mut unknown = Vec::new();
        if self.without_mesh_config {
            unknown.push(format!(
                "no MeshConfig was given: providers are taken to be there, paths to be read by \
                 {}, policies of `{}` to be for all namespaces",
                self.normalization, self.mesh.root_namespace
            ));
        }
        for service in &self.document.services {
            if !self.workloads.iter().any(|known| known.services.contains(&service.name)) {
                unknown.push(format!(
                    "services.{}: no workload behind {} is known",
                    service.name, service.host
                ));
            }
        }
        unknown
    }

    /// The workloads of the document, the gateway included.
    pub(super) fn ours(&self) -> impl Iterator<Item = &Known> {
        self.workloads.iter().filter(|known| known.is_ours)
    }
}

/// The gateway of document and options.
struct Gateway {
    namespace: String,
    labels: BTreeMap<String, String>,
    account: String,
    name: String,
}

fn gateway(input: &Input<'_>) -> Gateway {
    if let Some(workload) = input.document.gateway() {
        return Gateway {
            namespace: workload.namespace.clone(),
            labels: workload.labels.clone(),
            account: workload.service_account.clone(),
            name: workload.name.clone(),
        };
    }
    let options = input.options;
    let namespace = options.gateway_namespace.clone();
    let namespace = namespace.unwrap_or_else(|| GATEWAY_NAMESPACE.to_owned());
    let name = options.workload.clone().unwrap_or_else(|| "edge".to_owned());
    if options.api == Api::Gateway {
        // The pods are istiod's, and so are their names.
        let labels = BTreeMap::from([(GATEWAY_NAME.to_owned(), options.gateway_name.clone())]);
        let account = format!("{}-istio", options.gateway_name);
        return Gateway { namespace, labels, account, name };
    }
    let default = || BTreeMap::from([("istio".to_owned(), "ingressgateway".to_owned())]);
    Gateway {
        namespace,
        labels: options.gateway_selector.clone().unwrap_or_else(default),
        account: GATEWAY_ACCOUNT.to_owned(),
        name,
    }
}

fn workloads(document: &Document, inventory: &Inventory, gateway: &Gateway) -> Vec<Known> {
    let services = inventory.services();
    let mut all: Vec<Known> =
        inventory.workloads().iter().map(|one| found(one, &services)).collect();
    let edge = Wanted {
        namespace: &gateway.namespace,
        name: &gateway.name,
        labels: &gateway.labels,
        ports: &[],
        proxy: Proxy::Gateway,
    };
    claim(&mut all, &edge, None);
    for workload in document.workloads.iter().filter(|workload| !workload.gateway) {
        let runs = |service: &&std::sync::Arc<postern_document::Service>| {
            service.workload.as_ref().is_some_and(|by| by.name == workload.name)
        };
        let wanted = Wanted {
            namespace: &workload.namespace,
            name: &workload.name,
            labels: &workload.labels,
            ports: &workload.ports,
            proxy: Proxy::Sidecar,
        };
        claim(&mut all, &wanted, None);
        for service in document.services.iter().filter(runs) {
            claim(&mut all, &wanted, Some(&service.name));
        }
    }
    for service in &document.services {
        by_host(service, &services, &mut all);
    }
    all.sort_by_key(Known::name);
    all
}

/// A workload as manifests have it.
fn found(one: &inventory::Workload, services: &[inventory::Service]) -> Known {
    let ports = one.ports.iter().map(|number| Port { number: *number, protocol: Protocol::Http });
    let mut known = Known {
        workload: postern_policies::Workload {
            name: format!("{}/{}", one.namespace, one.name),
            namespace: one.namespace.clone(),
            labels: one.labels.clone(),
            proxy: if one.labels.contains_key(GATEWAY_NAME) {
                Proxy::Gateway
            } else {
                Proxy::Sidecar
            },
            service: None,
            ports: ports.collect(),
        },
        place: Some(one.place.clone()),
        is_ours: false,
        services: Vec::new(),
    };
    let in_front: Vec<&inventory::Service> =
        services.iter().filter(|service| selects(service, &known.workload)).collect();
    for service in in_front {
        for port in &service.ports {
            let Some(target) = port.target else { continue };
            known.add_port(target, if port.is_tcp { Protocol::Tcp } else { Protocol::Http });
        }
    }
    known
}

fn selects(service: &inventory::Service, workload: &postern_policies::Workload) -> bool {
    service.namespace == workload.namespace && covers(&workload.labels, &service.selector)
}

fn covers(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}

/// A workload as the document or the options name it.
struct Wanted<'w> {
    namespace: &'w str,
    name: &'w str,
    labels: &'w BTreeMap<String, String>,
    ports: &'w [u16],
    proxy: Proxy,
}

/// Marks the workloads that are meant; where no manifest has them, there is one all the same.
fn claim(all: &mut Vec<Known>, wanted: &Wanted<'_>, service: Option<&String>) {
    let is_meant = |known: &Known| {
        known.workload.namespace == wanted.namespace
            && covers(&known.workload.labels, wanted.labels)
    };
    if !all.iter().any(is_meant) {
        all.push(Known {
            workload: postern_policies::Workload {
                name: format!("{}/{}", wanted.namespace, wanted.name),
                namespace: wanted.namespace.to_owned(),
                labels: wanted.labels.clone(),
                ..postern_policies::Workload::default()
            },
            place: None,
            is_ours: true,
            services: Vec::new(),
        });
    }
    for known in all.iter_mut().filter(|known| is_meant(known)) {
        known.is_ours = true;
        known.workload.proxy = wanted.proxy;
        for port in wanted.ports {
            known.add_port(*port, Protocol::Http);
        }
        if let Some(name) = service
            && !known.services.contains(name)
        {
            known.services.push(name.clone());
        }
    }
}

/// Marks the workloads behind the Service that an upstream names.
fn by_host(
    service: &postern_document::Service,
    services: &[inventory::Service],
    all: &mut [Known],
) {
    let mut parts = service.host.split('.');
    let (name, namespace) = (parts.next().unwrap_or_default(), parts.next());
    let is_service = matches!(parts.next(), None | Some("svc"));
    let Some(namespace) = namespace.filter(|_| is_service) else { return };
    let Some(front) = services.iter().find(|s| s.name == name && s.namespace == namespace) else {
        return;
    };
    let port = front.ports.iter().find(|port| port.number == service.port);
    for known in all.iter_mut().filter(|known| selects(front, &known.workload)) {
        known.is_ours = true;
        if let Some(target) = port.and_then(|port| port.target) {
            known.add_port(target, Protocol::Http);
        }
        if !known.services.contains(&service.name) {
            known.services.push(service.name.clone());
        }
    }
}
