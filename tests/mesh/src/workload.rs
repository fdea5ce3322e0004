//! Pods without Kubernetes: who they are, where they listen, and what Istio is told of them.
//!
//! Nothing redirects traffic here, so that a sidecar listens in two places: on the workload's own
//! address for what others call, and on another one for what the workload calls. A
//! `WorkloadEntry` stands in for the pod; Services select it by labels, as they would the pod, and
//! find ports by the names that it gives them. A `Sidecar` says where to listen.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Map, Value, json};

use crate::block::Block;

/// How far the address that a workload calls from is from its own.
const OUTBOUND: u8 = 100;
/// Where an Envoy's admin interface listens, on the workload's own address.
const ADMIN: u16 = 15000;

/// What an Envoy is in the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It stands beside a program, and answers and calls for it.
    Sidecar,
    /// It stands alone, and gateways are configured in it.
    Gateway,
}

/// A port that others call.
#[derive(Debug, Clone)]
pub struct Port {
    /// Its number on the workload's address.
    pub number: u16,
    /// Its name, as Services find it.
    pub name: &'static str,
    /// What is spoken there, as Istio names it.
    pub protocol: &'static str,
    /// Where the program itself listens, on 127.0.0.1.
    pub program: u16,
}

/// A pod.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Its name, alone in the mesh.
    pub name: &'static str,
    /// Its namespace.
    pub namespace: &'static str,
    /// Its service account.
    pub service_account: &'static str,
    /// Its labels.
    pub labels: Vec<(&'static str, &'static str)>,
    /// What its Envoy is.
    pub kind: Kind,
    /// The last part of its address.
    pub last: u8,
    /// What others call.
    pub ports: Vec<Port>,
    /// What its sidecar knows of: `NAMESPACE/HOST`.
    pub sees: Vec<&'static str>,
}

impl Workload {
    /// Where others call it.
    #[must_use]
    pub fn address(&self, block: &Block) -> Ipv4Addr {
        block.address(self.last)
    }

    /// Where a program beside it calls a Service's port.
    #[must_use]
    pub fn outbound(&self, block: &Block, port: u16) -> SocketAddr {
        block.socket(self.last + OUTBOUND, port)
    }

    /// Its Envoy's admin interface.
    #[must_use]
    pub fn admin(&self, block: &Block) -> SocketAddr {
        block.socket(self.last, ADMIN)
    }

    /// Its labels, as Kubernetes has them.
    #[must_use]
    pub fn labels(&self) -> Value {
        let label = |(name, value): &(&str, &str)| ((*name).to_owned(), json!(value));
        Value::Object(self.labels.iter().map(label).collect())
    }

    /// How Envoy names itself to istiod.
    #[must_use]
    pub fn node(&self, block: &Block, istio_version: &str) -> Value {
        let kind = match self.kind {
            Kind::Sidecar => "sidecar",
            Kind::Gateway => "router",
        };
        let (name, namespace, address) = (self.name, self.namespace, self.address(block));
        let mut metadata = json!({
            "CLUSTER_ID": "Kubernetes",
            "INSTANCE_IPS": address.to_string(),
            // EnvoyFilters match by it.
            "ISTIO_VERSION": istio_version,
            "LABELS": self.labels(),
            "MESH_ID": "cluster.local",
            "NAMESPACE": namespace,
            "PROXY_CONFIG": {},
            "SERVICE_ACCOUNT": self.service_account,
            "WORKLOAD_NAME": name,
        });
        if self.kind == Kind::Sidecar {
            metadata["INTERCEPTION_MODE"] = json!("NONE");
        }
        json!({
            "id": format!("{kind}~{address}~{name}.{namespace}~{namespace}.svc.cluster.local"),
            "cluster": format!("{name}.{namespace}"),
            "metadata": metadata,
        })
    }

    /// What Istio is told of it.
    #[must_use]
    pub fn objects(&self, block: &Block) -> Vec<Value> {
        let mut objects = vec![self.entry(block)];
        if self.kind == Kind::Sidecar {
            objects.push(self.sidecar(block));
        }
        objects
    }

    fn entry(&self, block: &Block) -> Value {
        let mut labels = self.labels();
        // Without it, callers that choose by themselves would speak plain text.
        labels["security.istio.io/tlsMode"] = json!("istio");
        let ports: Map<String, Value> =
            self.ports.iter().map(|port| (port.name.to_owned(), json!(port.number))).collect();
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "WorkloadEntry",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "address": self.address(block).to_string(),
                "labels": labels,
                "ports": ports,
                "serviceAccount": self.service_account,
            },
        })
    }

    fn sidecar(&self, block: &Block) -> Value {
        let ingress: Vec<Value> = self
            .ports
            .iter()
            .map(|port| {
                json!({
                    "bind": self.address(block).to_string(),
                    "defaultEndpoint": format!("127.0.0.1:{}", port.program),
                    // The protocol always: without Istio's own filter for ALPN, Envoy would take
                    // what it has to guess for TCP.
                    "port": {
                        "name": port.name, "number": port.number, "protocol": port.protocol,
                    },
                })
            })
            .collect();
        let outbound = block.address(self.last + OUTBOUND).to_string();
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "Sidecar",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "egress": [{"bind": outbound, "hosts": self.sees}],
                "ingress": ingress,
                "workloadSelector": {"labels": self.labels()},
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(kind: Kind) -> Workload {
        Workload {
            name: "payments",
            namespace: "shop",
            service_account: "till",
            labels: vec![("app", "payments")],
            kind,
            last: 30,
            ports: vec![Port { number: 8080, name: "http-api", protocol: "HTTP", program: 29_195 }],
            sees: vec!["./*"],
        }
    }

    #[test]
    fn nothing_listens_where_something_else_does() {
        let block = Block::take();
        let objects = workload(Kind::Sidecar).objects(&block);
        let [entry, sidecar] = objects.as_slice() else { panic!("{objects:?}") };
        let inbound = &sidecar["spec"]["ingress"][0]["bind"];
        assert_eq!(inbound, &entry["spec"]["address"]);
        assert_ne!(inbound, &sidecar["spec"]["egress"][0]["bind"]);
    }

    #[test]
    fn a_gateway_listens_where_gateways_say() {
        let block = Block::take();
        let gateway = workload(Kind::Gateway);
        let kinds: Vec<Value> =
            gateway.objects(&block).iter().map(|one| one["kind"].clone()).collect();
        assert_eq!(kinds, ["WorkloadEntry"]);
        let node = gateway.node(&block, "1.31.0");
        assert!(node["id"].as_str().unwrap().starts_with("router~127."), "{node}");
        assert_eq!(node["metadata"].get("INTERCEPTION_MODE"), None);
    }
}
