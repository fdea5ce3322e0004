//! WorkloadEntries: machines outside the cluster that run a service of the document.

use std::collections::BTreeMap;

use postern_document::Endpoint;
use serde_json::{Value, json};

use super::Rendering;
use super::destinations::{Destinations, Host, Place};
use super::resource::{self, set};
use super::service_entry::port_name;

/// The label by which a service finds its machines.
const SERVICE_LABEL: &str = "postern.dev/service";
/// The label that has Istio speak mutual TLS to a machine: without it, it would speak plain text
/// to one that has a certificate all the same.
const TLS_LABEL: (&str, &str) = ("security.istio.io/tlsMode", "istio");

pub(super) fn resources(rendering: &Rendering<'_>, destinations: &Destinations) -> Vec<Value> {
    let mut entries = Vec::new();
    for host in destinations.hosts.values() {
        let Place::Endpoints { service, endpoints } = &host.place else { continue };
        let mut endpoints: Vec<&Endpoint> = endpoints.iter().collect();
        endpoints.sort_by_key(|endpoint| (endpoint.address, endpoint.port));
        for (at, endpoint) in endpoints.into_iter().enumerate() {
            entries.push(resource::manifest(
                rendering.document,
                &resource::WORKLOAD_ENTRY,
                &rendering.gateway.namespace,
                &format!("postern-{service}-{}", at + 1),
                spec(service, host, endpoint),
            ));
        }
    }
    entries
}

/// What a service's machines are told by.
pub(super) fn selected_by(service: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(SERVICE_LABEL.to_owned(), service.to_owned())])
}

fn spec(service: &str, host: &Host, endpoint: &Endpoint) -> Value {
    let mut labels = endpoint.labels.clone();
    labels.extend(selected_by(service));
    if endpoint.service_account.is_some() {
        let (name, value) = TLS_LABEL;
        labels.insert(name.to_owned(), value.to_owned());
    }
    // All ports of the host lead to the machine's one.
    let ports = host.ports.iter().map(|(port, tls)| (port_name(*port, *tls), endpoint.port));
    let ports: BTreeMap<String, u16> = ports.collect();
    let mut spec = json!({
        "address": endpoint.address.to_string(),
        "ports": ports,
        "labels": labels,
        "weight": endpoint.weight,
    });
    if let Some(zone) = &endpoint.zone {
        set(&mut spec, "locality", json!(zone));
    }
    if let Some(account) = &endpoint.service_account {
        set(&mut spec, "serviceAccount", json!(account));
    }
    spec
}
