//! Workloads: as manifests have them, and what they are to the document.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use postern_document::{Document, Service};
use postern_policies::{Port, Protocol, Proxy};

use super::super::inventory::{self, Bypass, Inventory, Spoken, Target};
use super::super::model::Place;
use super::view::Gateway;

/// The label by which pods of a Gateway of the Gateway API are told.
pub(super) const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// A workload, and what it is to the document.
#[derive(Debug, Clone)]
pub(in crate::review) struct Known {
    pub(super) workload: postern_policies::Workload,
    pub(super) place: Option<Place>,
    /// The document names it, or a service of the document is run by it.
    pub(super) is_ours: bool,
    /// Services of the document that it runs.
    pub(super) services: Vec<String>,
    /// Ports by which it runs them, as far as they are known.
    pub(super) served: BTreeSet<u16>,
    /// By which of the document's workloads it is meant.
    pub(super) named: Option<String>,
    /// The service account that its certificates name; none where no manifest says.
    pub(super) account: Option<String>,
    /// How connections may come past its sidecar.
    pub(super) bypass: Bypass,
    /// What has this in common with others, by number: see [`super::kinds`].
    pub(super) kind: usize,
    /// The ports that its containers name.
    names: BTreeMap<String, u16>,
    /// Ports of services in front of it that go by names which none of its containers has.
    pub(super) unnamed: BTreeSet<String>,
    /// Ports of which nothing says what is spoken there: Istio goes by what comes.
    detected: BTreeSet<u16>,
}

impl Known {
    fn new(workload: postern_policies::Workload, place: Option<Place>, bypass: Bypass) -> Self {
        Self {
            workload,
            place,
            is_ours: false,
            services: Vec::new(),
            served: BTreeSet::new(),
            named: None,
            account: None,
            bypass,
            kind: usize::MAX,
            names: BTreeMap::new(),
            unnamed: BTreeSet::new(),
            detected: BTreeSet::new(),
        }
    }

    /// `Workload namespace/name`, as findings call it.
    pub(in crate::review) fn subject(&self) -> String {
        format!("Workload {}", self.name())
    }

    /// `namespace/name`
    pub(in crate::review) fn called(&self) -> &str {
        &self.workload.name
    }

    /// Its number among kinds of workloads.
    pub(in crate::review) const fn number(&self) -> usize {
        self.kind
    }

    pub(in crate::review) const fn is_of_document(&self) -> bool {
        self.is_ours
    }

    /// `namespace/name`, by which `postern-policies` calls it too.
    pub(super) fn name(&self) -> String {
        self.workload.name.clone()
    }

    pub(in crate::review) fn is_gateway(&self) -> bool {
        self.workload.proxy == Proxy::Gateway
    }

    /// Its ports; where none is known, one that no policy names.
    pub(in crate::review) fn ports(&self) -> Vec<Port> {
        if self.workload.ports.is_empty() {
            return vec![Port { number: 0, protocol: Protocol::Http }];
        }
        self.workload.ports.clone()
    }

    /// What may be spoken on a port.
    pub(super) fn spoken(&self, port: u16) -> Vec<Protocol> {
        if self.detected.contains(&port) {
            return vec![Protocol::Http, Protocol::Tcp];
        }
        vec![self.speaks(port, Protocol::Http)]
    }

    /// What is spoken on a port when somebody speaks this; that, unless it is known better.
    pub(super) fn speaks(&self, port: u16, spoken: Protocol) -> Protocol {
        let known = self.workload.ports.iter().find(|known| known.number == port);
        match known {
            Some(known) if !self.detected.contains(&port) => known.protocol,
            _ => spoken,
        }
    }

    /// How reports call what is spoken on a port.
    pub(super) fn told_protocol(&self, port: u16) -> &'static str {
        match self.spoken(port).as_slice() {
            [Protocol::Http] => "http",
            [Protocol::Tcp] => "tcp",
            _ => "http or tcp",
        }
    }

    /// What manifests say of a port. What says nothing takes nothing back.
    fn say(&mut self, number: u16, spoken: Spoken) {
        let protocol = if spoken == Spoken::Tcp { Protocol::Tcp } else { Protocol::Http };
        let known = self.workload.ports.iter_mut().find(|port| port.number == number);
        match (known, spoken) {
            (Some(_), Spoken::Detected) => return,
            (Some(port), _) => port.protocol = protocol,
            (None, _) => self.workload.ports.push(Port { number, protocol }),
        }
        if spoken == Spoken::Detected {
            self.detected.insert(number);
        } else {
            self.detected.remove(&number);
        }
        self.workload.ports.sort_by_key(|port| port.number);
    }

    /// A port by which it runs what is the document's. What is spoken there, manifests say.
    fn serve(&mut self, number: u16) {
        self.served.insert(number);
        if !self.workload.ports.iter().any(|port| port.number == number) {
            self.say(number, Spoken::Http);
        }
    }

    /// The number of the port that a Service goes to.
    fn number_of(&self, target: &Target) -> Option<u16> {
        match target {
            Target::Number(number) => Some(*number),
            Target::Name(name) => self.names.get(name).copied(),
        }
    }

    fn run(&mut self, service: &str) {
        if !self.services.iter().any(|name| name == service) {
            self.services.push(service.to_owned());
        }
    }
}

/// All workloads that manifests or the document know of, by namespace and name.
pub(super) fn all(document: &Document, inventory: &Inventory, gateway: &Gateway) -> Vec<Known> {
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
        let runs = |service: &&Arc<Service>| {
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
    let workload = postern_policies::Workload {
        name: format!("{}/{}", one.namespace, one.name),
        namespace: one.namespace.clone(),
        labels: one.labels.clone(),
        proxy: if one.labels.contains_key(GATEWAY_NAME) { Proxy::Gateway } else { Proxy::Sidecar },
        service: None,
        ports: Vec::new(),
    };
    let mut known = Known::new(workload, Some(one.place.clone()), one.bypass.clone());
    known.account = Some(one.account.clone());
    for port in &one.ports {
        known.say(port.number, Spoken::Detected);
        known.names.extend(port.name.iter().map(|name| (name.clone(), port.number)));
    }
    let in_front: Vec<&inventory::Service> =
        services.iter().filter(|service| selects(service, &known.workload)).collect();
    for service in in_front {
        for port in &service.ports {
            match known.number_of(&port.target) {
                Some(number) => known.say(number, port.spoken),
                None => {
                    let (service, number) = (service.subject(), port.number);
                    let told = format!("port {number} of {service} goes to `{}`", port.target);
                    known.unnamed.insert(told);
                }
            }
        }
    }
    known
}

fn selects(service: &inventory::Service, workload: &postern_policies::Workload) -> bool {
    service.namespace == workload.namespace && covers(&workload.labels, &service.selector)
}

pub(super) fn covers(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
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
        let workload = postern_policies::Workload {
            name: format!("{}/{}", wanted.namespace, wanted.name),
            namespace: wanted.namespace.to_owned(),
            labels: wanted.labels.clone(),
            ..postern_policies::Workload::default()
        };
        all.push(Known::new(workload, None, Bypass::default()));
    }
    for known in all.iter_mut().filter(|known| is_meant(known)) {
        known.is_ours = true;
        known.workload.proxy = wanted.proxy;
        known.named = Some(wanted.name.to_owned());
        for port in wanted.ports {
            known.serve(*port);
        }
        if let Some(name) = service {
            known.run(name);
        }
    }
}

/// Marks the workloads behind the Service that an upstream names.
fn by_host(service: &Service, services: &[inventory::Service], all: &mut [Known]) {
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
        if let Some(target) = port.and_then(|port| known.number_of(&port.target)) {
            known.serve(target);
        }
        known.run(&service.name);
    }
}
