//! ServiceEntries: what lies outside the cluster. The gateway's namespace alone sees them.

use postern_document::Document;
use serde_json::{Value, json};

use super::IstioOptions;
use super::destinations::{Destinations, Host, Place};
use super::resource::{self, set};

pub(super) fn resources(
    document: &Document,
    options: &IstioOptions,
    destinations: &Destinations,
) -> Vec<Value> {
    destinations
        .hosts
        .iter()
        .filter(|(_, host)| host.place != Place::Registered)
        .map(|(name, host)| {
            resource::manifest(
                document,
                &resource::SERVICE_ENTRY,
                &options.gateway_namespace,
                &format!("postern-{name}"),
                spec(name, host),
            )
        })
        .collect()
}

fn spec(name: &str, host: &Host) -> Value {
    let ports: Vec<Value> = host
        .ports
        .iter()
        .map(|(port, tls)| {
            let (name, protocol) = if *tls { ("https", "HTTPS") } else { ("http", "HTTP") };
            json!({"number": port, "name": format!("{name}-{port}"), "protocol": protocol})
        })
        .collect();
    let mut spec = json!({
        "hosts": [name],
        "exportTo": ["."],
        "location": "MESH_EXTERNAL",
        "ports": ports,
        "resolution": "DNS",
    });
    if let Place::Address(address) = host.place {
        set(&mut spec, "resolution", json!("STATIC"));
        set(&mut spec, "endpoints", json!([{"address": address.to_string()}]));
    }
    spec
}
