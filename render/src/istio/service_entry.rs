//! ServiceEntries: what lies outside the cluster. The gateway's namespace alone sees them.

use serde_json::{Value, json};

use super::Rendering;
use super::destinations::{Destinations, Host, Place};
use super::resource::{self, set};
use super::workload_entry;

pub(super) fn resources(rendering: &Rendering<'_>, destinations: &Destinations) -> Vec<Value> {
    destinations
        .hosts
        .iter()
        .filter(|(_, host)| host.place != Place::Registered)
        .map(|(name, host)| {
            resource::manifest(
                rendering.document,
                &resource::SERVICE_ENTRY,
                &rendering.gateway.namespace,
                &format!("postern-{name}"),
                spec(name, host),
            )
        })
        .collect()
}

/// A port's name, by which the mesh knows what is spoken on it.
pub(super) fn port_name(port: u16, tls: bool) -> String {
    format!("{}-{port}", if tls { "https" } else { "http" })
}

fn spec(name: &str, host: &Host) -> Value {
    let ports: Vec<Value> = host
        .ports
        .iter()
        .map(|(port, tls)| {
            let protocol = if *tls { "HTTPS" } else { "HTTP" };
            json!({"number": port, "name": port_name(*port, *tls), "protocol": protocol})
        })
        .collect();
    let mut spec = json!({
        "hosts": [name],
        "exportTo": ["."],
        "location": "MESH_EXTERNAL",
        "ports": ports,
        "resolution": "DNS",
    });
    match &host.place {
        Place::Registered | Place::Dns => {}
        Place::Address(address) => {
            set(&mut spec, "resolution", json!("STATIC"));
            set(&mut spec, "endpoints", json!([{"address": address.to_string()}]));
        }
        Place::Endpoints { service, endpoints } => {
            set(&mut spec, "resolution", json!("STATIC"));
            let selected = workload_entry::selected_by(service);
            set(&mut spec, "workloadSelector", json!({"labels": selected}));
            // Only who has a certificate of the mesh can be spoken to by mutual TLS.
            if endpoints.iter().any(|endpoint| endpoint.service_account.is_some()) {
                set(&mut spec, "location", json!("MESH_INTERNAL"));
            }
        }
    }
    spec
}
