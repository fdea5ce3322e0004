//! DestinationRules: how the gateway talks to services.
//!
//! Services may share a host without sharing connections or limits on them, and statistics carry
//! the service's name, because each is a subset. Without a `tls` block Istio goes on choosing
//! mutual TLS by itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Rendering;
use super::destinations::{Destinations, Host};
use super::resource::{self, set};
use super::subsets::tls;

pub(super) fn resources(rendering: &Rendering<'_>, destinations: &Destinations) -> Vec<Value> {
    destinations
        .hosts
        .iter()
        .filter_map(|(name, host)| Some((name, spec(name, host)?)))
        .map(|(name, spec)| {
            resource::manifest(
                rendering.document,
                &resource::DESTINATION_RULE,
                &rendering.gateway.namespace,
                &format!("postern-{name}"),
                spec,
            )
        })
        .collect()
}

/// None where there is nothing to say: a server of keys without TLS.
fn spec(name: &str, host: &Host) -> Option<Value> {
    let ports = port_settings(host);
    if host.subsets.is_empty() && ports.is_empty() {
        return None;
    }
    let mut spec = json!({"host": name, "exportTo": ["."]});
    if !host.subsets.is_empty() {
        let subsets = host.subsets.iter().map(|(name, subset)| {
            let mut subset = subset.clone();
            set(&mut subset, "name", json!(name));
            subset
        });
        set(&mut spec, "subsets", Value::Array(subsets.collect()));
    }
    if !ports.is_empty() {
        set(&mut spec, "trafficPolicy", json!({"portLevelSettings": ports}));
    }
    Some(spec)
}

/// What holds for ports as a whole: settings of services, where routes cannot name a part of a
/// host; and how keys are fetched, from the host's plain cluster, which no subset speaks for.
fn port_settings(host: &Host) -> Vec<Value> {
    let mut ports: BTreeMap<u16, Value> = BTreeMap::new();
    for (port, (_, policy)) in &host.ports_policies {
        ports.insert(*port, policy.clone());
    }
    for (port, verified) in &host.key_servers {
        let settings = ports.entry(*port).or_insert_with(|| json!({}));
        if settings.get("tls").is_none() {
            set(settings, "tls", tls(verified));
        }
    }
    let numbered = ports.into_iter().map(|(port, mut settings)| {
        set(&mut settings, "port", json!({"number": port}));
        settings
    });
    numbered.collect()
}
