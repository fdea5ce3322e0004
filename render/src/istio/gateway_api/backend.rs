//! What HTTPRoutes send requests to, and the leave that they need for it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::Rendering;
use super::super::destinations::Destination;
use super::super::options::names::is_dns_label;
use super::super::resource::{self, Kind, set};
use super::GROUP;

/// `v1beta1`: releases of the CRDs before 1.5 have no other.
const REFERENCE_GRANT: Kind = resource::kind("gateway.networking.k8s.io/v1beta1", "ReferenceGrant");

/// The group of Istio's `Hostname`, which stands for a host of the mesh's registry.
const ISTIO_GROUP: &str = "networking.istio.io";

/// The most names that a ReferenceGrant has.
const MOST: usize = 16;

/// What has been named so far.
#[derive(Debug)]
pub(super) struct Backends<'r, 'd> {
    rendering: &'r Rendering<'d>,
    /// Services of other namespaces, by namespace.
    elsewhere: BTreeMap<String, BTreeSet<String>>,
}

impl<'r, 'd> Backends<'r, 'd> {
    pub(super) const fn new(rendering: &'r Rendering<'d>) -> Self {
        Self { rendering, elsewhere: BTreeMap::new() }
    }

    /// A place as an HTTPRoute names it: a Service of the cluster, else a host that the gateway's
    /// namespace knows by a ServiceEntry.
    pub(super) fn reference(&mut self, destination: &Destination, weight: Option<u8>) -> Value {
        let mut reference = match self.service(&destination.host) {
            Some((name, namespace)) => {
                if namespace != self.rendering.gateway.namespace {
                    let names = self.elsewhere.entry(namespace.to_owned()).or_default();
                    names.insert(name.to_owned());
                }
                json!({"group": "", "kind": "Service", "name": name, "namespace": namespace})
            }
            None => json!({"group": ISTIO_GROUP, "kind": "Hostname", "name": destination.host}),
        };
        set(&mut reference, "port", json!(destination.port));
        if let Some(weight) = weight {
            set(&mut reference, "weight", json!(weight));
        }
        reference
    }

    /// Name and namespace of a host that is a Service of the cluster.
    fn service<'h>(&self, host: &'h str) -> Option<(&'h str, &'h str)> {
        let name = host.strip_suffix(self.rendering.options.cluster_domain.as_str())?;
        let (name, namespace) = name.strip_suffix(".svc.")?.split_once('.')?;
        (is_dns_label(name) && is_dns_label(namespace)).then_some((name, namespace))
    }

    /// In each namespace that Services were named of: HTTPRoutes of the gateway's may go to these,
    /// and to no others.
    pub(super) fn grants(&self) -> Vec<Value> {
        let mut grants = Vec::new();
        for (namespace, names) in &self.elsewhere {
            let names: Vec<&String> = names.iter().collect();
            for (at, names) in names.chunks(MOST).enumerate() {
                grants.push(self.grant(namespace, at + 1, names));
            }
        }
        grants
    }

    fn grant(&self, namespace: &str, number: usize, services: &[&String]) -> Value {
        let services: Vec<Value> = services
            .iter()
            .map(|name| json!({"group": "", "kind": "Service", "name": name}))
            .collect();
        let from = &self.rendering.gateway.namespace;
        let mut spec = json!({
            "from": [{"group": GROUP, "kind": "HTTPRoute", "namespace": from}],
        });
        set(&mut spec, "to", Value::Array(services));
        // Two gateways of one mesh may go to Services of one namespace.
        let name = format!("postern-{from}-{}-{number}", self.rendering.options.gateway_name);
        resource::manifest(self.rendering.document, &REFERENCE_GRANT, namespace, &name, spec)
    }
}
