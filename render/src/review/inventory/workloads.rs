//! Pods that run something, and services in front of them.

use core::fmt;
use std::collections::BTreeMap;

use serde_json::Value;

use super::bypass::Bypass;
use super::{Inventory, Resource, list, text};
use crate::review::model::Place;

/// Pods that are made alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::review) struct Workload {
    pub(in crate::review) namespace: String,
    pub(in crate::review) name: String,
    pub(in crate::review) labels: BTreeMap<String, String>,
    pub(in crate::review) ports: Vec<ContainerPort>,
    /// The service account that its certificates name.
    pub(in crate::review) account: String,
    /// How connections come past a sidecar.
    pub(in crate::review) bypass: Bypass,
    pub(in crate::review) place: Place,
}

/// A port of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::review) struct ContainerPort {
    pub(in crate::review) number: u16,
    pub(in crate::review) name: Option<String>,
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::review) struct Service {
    pub(in crate::review) namespace: String,
    pub(in crate::review) name: String,
    pub(in crate::review) selector: BTreeMap<String, String>,
    pub(in crate::review) ports: Vec<ServicePort>,
}

impl Service {
    /// `Service namespace/name`
    pub(in crate::review) fn subject(&self) -> String {
        format!("Service {}/{}", self.namespace, self.name)
    }
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::review) struct ServicePort {
    pub(in crate::review) number: u16,
    pub(in crate::review) target: Target,
    pub(in crate::review) spoken: Spoken,
}

/// The pods' port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::review) enum Target {
    Number(u16),
    /// What containers call it.
    Name(String),
}

/// The name, or the number.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What Istio takes for granted on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::review) enum Spoken {
    Http,
    Tcp,
    /// Nothing: it goes by what comes.
    Detected,
}

impl Inventory {
    /// All workloads, by namespace and name.
    pub(in crate::review) fn workloads(&self) -> Vec<Workload> {
        let kinds = ["Deployment", "StatefulSet", "DaemonSet", "Pod"];
        let one = |resource: &Resource| {
            let mut one = workload(resource);
            one.bypass.in_namespace(self.of(&["Namespace"]), &one.namespace);
            one
        };
        let mut all: Vec<Workload> = self.of(&kinds).map(one).collect();
        all.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        all
    }

    /// All services that select pods.
    pub(in crate::review) fn services(&self) -> Vec<Service> {
        let all = self.of(&["Service"]).map(service);
        all.filter(|service| !service.selector.is_empty()).collect()
    }
}

fn workload(resource: &Resource) -> Workload {
    let (meta, spec) = if resource.kind == "Pod" {
        ("/metadata", "/spec")
    } else {
        ("/spec/template/metadata", "/spec/template/spec")
    };
    let containers = resource.list(&format!("{spec}/containers")).iter();
    let ports = containers.flat_map(|container| list(container, "/ports"));
    // Sidecars take TCP alone.
    let ports = ports.filter(|port| text(port, "/protocol").is_none_or(|word| word == "TCP"));
    let mut ports: Vec<ContainerPort> = ports
        .filter_map(|port| {
            let name = text(port, "/name").map(str::to_owned);
            Some(ContainerPort { number: number(port.get("containerPort"))?, name })
        })
        .collect();
    ports.sort_unstable();
    ports.dedup();
    Workload {
        namespace: resource.namespace.clone(),
        name: resource.name.clone(),
        labels: resource.labels(&format!("{meta}/labels")),
        ports,
        // Kubernetes gives each namespace one of this name.
        account: resource
            .text(&format!("{spec}/serviceAccountName"))
            .unwrap_or("default")
            .to_owned(),
        bypass: Bypass::of(resource, meta, spec),
        place: resource.place.clone(),
    }
}

fn service(resource: &Resource) -> Service {
    let port = |value: &Value| {
        let number = number(value.get("port"))?;
        let target = match value.get("targetPort") {
            None => Target::Number(number),
            Some(Value::String(name)) => Target::Name(name.clone()),
            target => Target::Number(self::number(target)?),
        };
        Some(ServicePort { number, target, spoken: spoken(value, number) })
    };
    Service {
        namespace: resource.namespace.clone(),
        name: resource.name.clone(),
        selector: resource.labels("/spec/selector"),
        ports: resource.list("/spec/ports").iter().filter_map(port).collect(),
    }
}

fn number(value: Option<&Value>) -> Option<u16> {
    value?.as_u64().and_then(|number| u16::try_from(number).ok())
}

/// Ports on which the server speaks first, so that looking at what comes would wait for ever:
/// Istio takes them for TCP where nothing says otherwise (`wellKnownPorts`).
const SERVER_FIRST: [u16; 4] = [25, 53, 3306, 27017];

/// Istio goes by `appProtocol`, else by what stands in front of the first hyphen of the name
/// (`ConvertProtocol`). What says neither is looked at as it comes.
fn spoken(port: &Value, number: u16) -> Spoken {
    let word = text(port, "/appProtocol").or_else(|| text(port, "/name")).unwrap_or_default();
    let word = word.strip_prefix("kubernetes.io/").unwrap_or(word);
    let word = word.split('-').next().unwrap_or_default().to_ascii_lowercase();
    match word.as_str() {
        "http" | "http2" | "grpc" | "h2c" | "ws" | "hbone" => Spoken::Http,
        "tcp" | "tls" | "https" | "wss" | "mongo" | "mysql" | "redis" | "udp" | "postgres"
        | "postgresql" => Spoken::Tcp,
        _ if SERVER_FIRST.contains(&number) => Spoken::Tcp,
        _ => Spoken::Detected,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;
    use super::*;

    #[test]
    fn workloads_and_services_tell_ports_and_protocols() {
        let found = load(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: n}\n\
             spec: {template: {metadata: {labels: {app: a}}, spec: {containers: [\
             {name: c, ports: [{containerPort: 8080, name: web}, {containerPort: 6379}, \
             {containerPort: 53, protocol: UDP}]}]}}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: n}\n\
             spec: {selector: {app: a}, ports: [{name: http, port: 80, targetPort: 8080}, \
             {name: tcp-redis, port: 6379}, {name: x, port: 1, appProtocol: grpc, \
             targetPort: web}]}\n",
        );
        let workloads = found.inventory.workloads();
        let ports: Vec<u16> = workloads[0].ports.iter().map(|port| port.number).collect();
        assert_eq!(ports, [6379, 8080]);
        let services = found.inventory.services();
        let ports: Vec<_> = services[0]
            .ports
            .iter()
            .map(|port| (port.number, port.target.to_string(), port.spoken))
            .collect();
        let expected = [
            (80, "8080".to_owned(), Spoken::Http),
            (6379, "6379".to_owned(), Spoken::Tcp),
            (1, "web".to_owned(), Spoken::Http),
        ];
        assert_eq!(ports, expected);
    }

    #[test]
    fn what_is_spoken_is_what_istio_takes_for_granted() {
        for (port, expected) in [
            (r#"{"port": 80, "name": "http-web"}"#, Spoken::Http),
            (r#"{"port": 80, "name": "grpc-web-a"}"#, Spoken::Http),
            (r#"{"port": 80, "appProtocol": "kubernetes.io/h2c"}"#, Spoken::Http),
            (r#"{"port": 80, "appProtocol": "kubernetes.io/ws"}"#, Spoken::Http),
            (r#"{"port": 80, "appProtocol": "kubernetes.io/wss"}"#, Spoken::Tcp),
            (r#"{"port": 80, "appProtocol": "https", "name": "http"}"#, Spoken::Tcp),
            (r#"{"port": 80}"#, Spoken::Detected),
            (r#"{"port": 80, "name": "web"}"#, Spoken::Detected),
            (r#"{"port": 3306}"#, Spoken::Tcp),
            (r#"{"port": 27017, "name": "db"}"#, Spoken::Tcp),
            (r#"{"port": 3306, "name": "http-odd"}"#, Spoken::Http),
        ] {
            let value: Value = serde_json::from_str(port).unwrap();
            let number = number(value.get("port")).unwrap();
            assert_eq!(spoken(&value, number), expected, "{port}");
        }
    }
}
