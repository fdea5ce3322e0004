//! PR232: endpoints that others add to the document's services.

use super::enforced::{found_of, guarded};
use super::*;

#[test]
fn endpoints_of_others_behind_a_service() {
    let entry = |id: &str, spec: &str| resource("WorkloadEntry", id, spec);
    let evil = "PR232 high WorkloadEntry default/evil";
    let bad = entry("default/evil", "{address: 192.0.2.6, labels: {app: shop, more: x}}");
    for harmless in [
        entry("default/evil", "{address: 192.0.2.6, labels: {app: other}}"),
        entry("other/evil", "{address: 192.0.2.6, labels: {app: shop}}"),
        "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {namespace: \
         default, name: evil, labels: {app: other}}\nspec: {address: a, labels: {app: shop}}\n"
            .to_owned(),
    ] {
        added(evil, &bad, &harmless);
    }
    let of = |kind: &str, name: &str, labels: &str| {
        format!(
            "---\napiVersion: v1\nkind: {kind}\nmetadata: {{namespace: default, name: {name}, \
             labels: {{{labels}}}}}\n"
        )
    };
    let ours = "kubernetes.io/service-name: shop";
    let kept = "endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io";
    let slice = |labels: &str| of("EndpointSlice", "theirs", labels);
    let id = "PR232 high EndpointSlice default/theirs";
    added(id, &slice(ours), &slice("kubernetes.io/service-name: other"));
    // Kubernetes takes away what it has not made, and pods of a Service are its affair.
    added(id, &slice(ours), &slice(&format!("{ours}, {kept}")));
    assert!(!has(&found_in(&(good() + &of("Endpoints", "shop", ""))), "PR232"));
    // Of a Service without a selector, somebody says by hand where it is.
    let by_hand = good().replace("{selector: {app: shop}, ports", "{ports");
    for more in [of("Endpoints", "shop", ""), slice(&format!("{ours}, {kept}"))] {
        assert!(!has(&found_in(&by_hand), "PR232"), "{by_hand}");
        assert!(has(&found_in(&(by_hand.clone() + &more)), "PR232 high"), "{more}");
    }
}

#[test]
fn the_labels_of_a_workload_of_the_document_are_its_own() {
    let entry = |labels: &str| {
        resource("WorkloadEntry", "default/evil", &format!("{{address: a, labels: {labels}}}"))
    };
    let document = guarded();
    // No Service is known: whichever goes by the labels sends requests there.
    let service = "kind: Service\n";
    let mesh = good().replace(service, "kind: Unknown\n");
    let found = |labels: &str| found_of(&document, &(mesh.clone() + &entry(labels)));
    assert!(mesh.contains("kind: Unknown"));
    assert!(has(&found("{app: shop}"), "PR232 high WorkloadEntry default/evil"));
    assert!(!has(&found("{app: shops}"), "PR232"));
}
