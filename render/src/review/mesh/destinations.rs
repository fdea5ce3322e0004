//! PR232: what others say of where a service of the document is, and how it is spoken to.

mod endpoints;

use serde_json::Value;

use super::super::catalogue::FOREIGN_DESTINATION;
use super::super::inventory::{Resource, list, text};
use super::super::model::Finding;
use super::beside::is_foreign;
use super::view::View;

pub(super) fn look(view: &View<'_>, found: &mut Vec<Finding>) {
    endpoints::look(view, found);
    let kinds = ["DestinationRule", "ServiceEntry"];
    for resource in view.inventory.of(&kinds).filter(|one| is_foreign(one)) {
        if !is_exported(view, resource) {
            continue;
        }
        let Some(says) = says(resource) else { continue };
        for service in &view.document.services {
            let upstreams = service.upstreams();
            let is_its = |host: &str| names(resource, host) && (service.tls || says.is_weak);
            if let Some(upstream) = upstreams.iter().find(|upstream| is_its(&upstream.host)) {
                let text = format!(
                    "{} for `{}`, which is where requests of services.{} go",
                    says.what, upstream.host, service.name
                );
                let finding = Finding::new(&FOREIGN_DESTINATION, resource.subject(), text);
                found.push(finding.at(Some(resource.place.clone())));
            }
        }
    }
}

struct Says {
    what: String,
    /// Also where the document leaves TLS to the mesh.
    is_weak: bool,
}

/// What it says of TLS, or of places; none where it says nothing of that.
fn says(resource: &Resource) -> Option<Says> {
    if resource.kind == "ServiceEntry" {
        // Without either, the name itself says it.
        let adds = !resource.list("/spec/endpoints").is_empty()
            || resource.value.pointer("/spec/workloadSelector").is_some();
        let what = "it says which addresses there are".to_owned();
        return adds.then_some(Says { what, is_weak: true });
    }
    let mut modes = Vec::new();
    modes_in(resource.value.get("spec").unwrap_or(&Value::Null), &mut modes);
    // What the mesh does by itself is no weaker, unless the service has a certificate of its own.
    let is_weak = modes.iter().any(|mode| *mode != "ISTIO_MUTUAL");
    modes.sort_unstable();
    modes.dedup();
    (!modes.is_empty())
        .then(|| Says { what: format!("it sets TLS to {}", modes.join(" and ")), is_weak })
}

/// The modes of all its policies: for the whole host, for ports, for subsets.
fn modes_in<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(members) => {
            if let Some(tls) = members.get("tls") {
                found.push(text(tls, "/mode").unwrap_or("DISABLE"));
            }
            members.values().for_each(|member| modes_in(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| modes_in(item, found)),
        _ => {}
    }
}

/// Whether Envoys of the document's hear of it: its own namespace does, and others unless it says
/// for whom it is.
fn is_exported(view: &View<'_>, resource: &Resource) -> bool {
    let to = resource.list("/spec/exportTo");
    let ours = |namespace: &str| namespace == view.gateway_namespace;
    to.is_empty()
        || ours(&resource.namespace)
        || to.iter().filter_map(Value::as_str).any(|to| to == "*" || ours(to))
}

/// Whether a resource is for a host.
fn names(resource: &Resource, host: &str) -> bool {
    let one = resource.text("/spec/host").into_iter();
    let hosts = list(&resource.value, "/spec/hosts").iter().filter_map(Value::as_str);
    one.chain(hosts).any(|named| is_of(named, &resource.namespace, host))
}

const CLUSTER: &str = ".svc.cluster.local";

/// Whether a name in a namespace is a host's, or takes it in. Names of one word are Services of
/// the namespace.
fn is_of(named: &str, namespace: &str, host: &str) -> bool {
    let host = whole(host);
    match named.to_ascii_lowercase().strip_prefix('*') {
        Some(suffix) => host.ends_with(suffix),
        None if !named.contains('.') => {
            host == format!("{}.{namespace}{CLUSTER}", named.to_ascii_lowercase())
        }
        None => host == whole(named),
    }
}

/// A name with the cluster's domain, where it is that of a Service.
fn whole(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    match host.strip_suffix(".svc") {
        Some(short) => format!("{short}{CLUSTER}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_several_names() {
        let host = "shop.default.svc.cluster.local";
        for (named, namespace, expected) in [
            (host, "other", true),
            ("Shop.Default.svc", "other", true),
            ("shop", "default", true),
            ("shop", "other", false),
            ("*", "other", true),
            ("*.local", "other", true),
            ("*.default.svc.cluster.local", "other", true),
            ("*.other.svc.cluster.local", "default", false),
            ("shop.default.svc.example.test", "default", false),
        ] {
            assert_eq!(is_of(named, namespace, host), expected, "{named} {namespace}");
        }
        assert!(is_of("api.partner.test", "a", "API.partner.test."));
        assert!(!is_of("api", "partner", "api.partner"));
    }
}
