//! PR231: MeshConfig that does not hold, because the cluster's own says otherwise. Everything else
//! in the review is told by what holds.

use super::super::catalogue::OTHER_MESH_CONFIG;
use super::super::inventory::{MeshConfig, Provider};
use super::super::model::Finding;
use super::view::View;

pub(super) fn look(view: &View<'_>, found: &mut Vec<Finding>) {
    let Some(counts) = view.configs.counts() else { return };
    for other in view.configs.others() {
        let differences = differences(&other.config, &counts.config);
        if !differences.is_empty() {
            let text = format!("{} counts instead: {}", counts.told(), differences.join("; "));
            let finding = Finding::new(&OTHER_MESH_CONFIG, other.told(), text);
            found.push(finding.at(Some(other.place.clone())));
        }
    }
}

/// What one says and the other does not.
fn differences(other: &MeshConfig, counts: &MeshConfig) -> Vec<String> {
    let mut all = Vec::new();
    for (what, here, there) in [
        ("the root namespace", &other.root_namespace, &counts.root_namespace),
        ("the trust domain", &other.trust_domain, &counts.trust_domain),
        ("normalization", &other.normalization, &counts.normalization),
    ] {
        if let Some(here) = here
            && Some(here) != there.as_ref()
        {
            let there = there.as_deref().unwrap_or("not said");
            all.push(format!("{what} is {here} here, and {there} there"));
        }
    }
    for (what, here, there) in [
        ("aliases of the trust domain", &other.aliases, &counts.aliases),
        ("further trust domains", &other.foreign_domains, &counts.foreign_domains),
    ] {
        if !here.is_empty() && here != there {
            all.push(format!("{what} are others there"));
        }
    }
    for provider in other.providers.iter().flatten() {
        let mut known = counts.providers.iter().flatten();
        match known.find(|known| known.name == provider.name) {
            None => all.push(format!("provider `{}` is not there", provider.name)),
            Some(known) if known != provider => {
                all.push(format!("provider `{}` is {} there", provider.name, told(known)));
            }
            Some(_) => {}
        }
    }
    all
}

fn told(provider: &Provider) -> String {
    let how = if provider.grpc { "asked by gRPC" } else { "asked by HTTP" };
    let how = format!("{how} at {}", provider.asked);
    let open = if provider.fail_open { ", open while it is away" } else { "" };
    let timeout = match provider.timeout_ms {
        Some(millis) => format!("for {millis} ms"),
        None => "without a timeout".to_owned(),
    };
    format!("{how} {timeout}{open}")
}
