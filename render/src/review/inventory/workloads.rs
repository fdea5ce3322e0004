//! Pods that run something, and services in front of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Inventory, Resource, list, text};
use crate::review::model::Place;

/// Pods that are made alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::review) struct Workload {
    pub(in crate::review) namespace: String,
    pub(in crate::review) name: String,
    pub(in crate::review) labels: BTreeMap<String, String>,
    /// Ports of its containers.
    pub(in crate::review) ports: Vec<u16>,
    pub(in crate::review) place: Place,
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::review) struct Service {
    pub(in crate::review) namespace: String,
    pub(in crate::review) name: String,
    pub(in crate::review) selector: BTreeMap<String, String>,
    pub(in crate::review) ports: Vec<ServicePort>,
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::review) struct ServicePort {
    pub(in crate::review) number: u16,
    /// The pods' port; none where it goes by name.
    pub(in crate::review) target: Option<u16>,
    /// Whether Istio takes something else than HTTP for granted there.
    pub(in crate::review) is_tcp: bool,
}

impl Inventory {
    /// All workloads, by namespace and name.
    pub(in crate::review) fn workloads(&self) -> Vec<Workload> {
        let kinds = ["Deployment", "StatefulSet", "DaemonSet", "Pod"];
        let mut all: Vec<Workload> = self.of(&kinds).map(workload).collect();
        all.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        all
    }

    /// All services that select pods.
    pub(in crate::review) fn services(&self) -> Vec<Service> {
        let all = self.of(&["Service"]).map(service);
        all.filter(|service| !service.selector.is_empty()).collect()
    }

    /// Whether istiod is started so that it takes several CUSTOM providers.
    pub(in crate::review) fn takes_several_providers(&self) -> bool {
        let env = |container: &Value| {
            list(container, "/env").iter().any(|variable| {
                text(variable, "/name") == Some("PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS")
                    && text(variable, "/value") == Some("true")
            })
        };
        let mut all = self.of(&["Deployment"]);
        all.any(|resource| resource.list("/spec/template/spec/containers").iter().any(env))
    }
}

fn workload(resource: &Resource) -> Workload {
    let (labels, containers) = if resource.kind == "Pod" {
        ("/metadata/labels", "/spec/containers")
    } else {
        ("/spec/template/metadata/labels", "/spec/template/spec/containers")
    };
    let ports = resource.list(containers).iter().flat_map(|container| list(container, "/ports"));
    let mut ports: Vec<u16> = ports.filter_map(|one| number(one.get("containerPort"))).collect();
    ports.sort_unstable();
    ports.dedup();
    Workload {
        namespace: resource.namespace.clone(),
        name: resource.name.clone(),
        labels: resource.labels(labels),
        ports,
        place: resource.place.clone(),
    }
}

fn service(resource: &Resource) -> Service {
    let port = |value: &Value| {
        let number = number(value.get("port"))?;
        let target = match value.get("targetPort") {
            None => Some(number),
            target => self::number(target),
        };
        Some(ServicePort { number, target, is_tcp: is_tcp(value) })
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

/// Istio goes by `appProtocol`, else by what stands in front of the first hyphen of the name. What
/// says neither is looked at as it comes, and so may be HTTP.
fn is_tcp(port: &Value) -> bool {
    let word = text(port, "/appProtocol").or_else(|| text(port, "/name")).unwrap_or_default();
    let word = word.strip_prefix("kubernetes.io/").unwrap_or(word);
    let word = word.split('-').next().unwrap_or_default().to_ascii_lowercase();
    matches!(
        word.as_str(),
        "tcp" | "tls" | "https" | "mongo" | "mysql" | "redis" | "udp" | "postgres" | "postgresql"
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;

    #[test]
    fn workloads_and_services_tell_ports_and_protocols() {
        let found = load(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: n}\n\
             spec: {template: {metadata: {labels: {app: a}}, spec: {containers: [\
             {name: c, ports: [{containerPort: 8080}, {containerPort: 6379}]}]}}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: n}\n\
             spec: {selector: {app: a}, ports: [{name: http, port: 80, targetPort: 8080}, \
             {name: tcp-redis, port: 6379}, {name: x, port: 1, appProtocol: grpc, \
             targetPort: web}]}\n",
        );
        let workloads = found.inventory.workloads();
        assert_eq!(workloads[0].ports, [6379, 8080]);
        let services = found.inventory.services();
        let ports: Vec<_> =
            services[0].ports.iter().map(|port| (port.number, port.target, port.is_tcp)).collect();
        assert_eq!(ports, [(80, Some(8080), false), (6379, Some(6379), true), (1, None, false)]);
    }
}
