//! Endpoints that others add to the Services behind which the document's services are: by labels, as
//! a pod would, or by hand. Requests go there as they go to the pods, with their tokens, and no
//! bundle and no policy of the pods' sees them.

use std::collections::BTreeMap;

use postern_document::Service;

use super::super::super::catalogue::FOREIGN_DESTINATION;
use super::super::super::inventory::{self, Resource};
use super::super::super::model::Finding;
use super::super::beside::is_foreign;
use super::super::known::covers;
use super::super::view::View;
use super::is_of;

/// The label by which EndpointSlices name their Service, and the one that names who keeps them.
const SERVICE: &str = "kubernetes.io/service-name";
const KEPT_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// Kubernetes itself: what it has not made itself of a Service's pods, it takes away again.
const KUBERNETES: &str = "endpointslice-controller.k8s.io";

pub(super) fn look(view: &View<'_>, found: &mut Vec<Finding>) {
    let services = view.inventory.services();
    let kinds = ["WorkloadEntry", "EndpointSlice", "Endpoints"];
    for resource in view.inventory.of(&kinds).filter(|one| is_foreign(one)) {
        let text = match resource.kind.as_str() {
            "WorkloadEntry" => by_labels(view, &services, resource),
            _ => by_hand(view, &services, resource),
        };
        if let Some(text) = text {
            let finding = Finding::new(&FOREIGN_DESTINATION, resource.subject(), text);
            found.push(finding.at(Some(resource.place.clone())));
        }
    }
}

/// What is said of a WorkloadEntry that has the labels of a workload. Services select it as they
/// select pods (`pilot/pkg/serviceregistry`, `PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES`).
fn by_labels(view: &View<'_>, services: &[inventory::Service], entry: &Resource) -> Option<String> {
    // Of two labels of one name, Istio takes that of the metadata.
    let mut labels: BTreeMap<String, String> = entry.labels("/spec/labels");
    labels.extend(entry.labels("/metadata/labels"));
    let address = entry.text("/spec/address").unwrap_or("no address");
    let selects = |service: &&inventory::Service| {
        service.namespace == entry.namespace && covers(&labels, &service.selector)
    };
    let fronts = services.iter().filter(selects);
    let ours = fronts.filter_map(|front| behind(view, &front.name, &front.namespace)).next();
    if let Some((host, service)) = ours {
        return Some(format!(
            "by its labels, `{address}` is an endpoint of `{host}`, which is where requests of \
             services.{service} go"
        ));
    }
    let workload = view.document.workloads.iter().find(|workload| {
        workload.namespace == entry.namespace && covers(&labels, &workload.labels)
    })?;
    Some(format!(
        "it has the labels of workloads.{}: a Service that goes by these sends requests to \
         `{address}`, too",
        workload.name
    ))
}

/// What is said of endpoints that name the Service themselves.
fn by_hand(view: &View<'_>, services: &[inventory::Service], slice: &Resource) -> Option<String> {
    let labels = slice.labels("/metadata/labels");
    let name: &str = match slice.kind.as_str() {
        "Endpoints" => slice.name.as_str(),
        _ => labels.get(SERVICE)?,
    };
    let has_selector = || {
        let mut all = services.iter();
        all.any(|service| service.name == name && service.namespace == slice.namespace)
    };
    let keeper = labels.get(KEPT_BY).map(String::as_str);
    let is_kubernetes = slice.kind == "Endpoints" || keeper == Some(KUBERNETES);
    if is_kubernetes && has_selector() {
        return None;
    }
    let (host, service) = behind(view, name, &slice.namespace)?;
    Some(format!(
        "it says which addresses there are behind `{host}`, which is where requests of \
         services.{service} go"
    ))
}

/// The document's service whose requests go to a Service, and by which of its names.
fn behind<'v>(view: &'v View<'_>, name: &str, namespace: &str) -> Option<(String, &'v str)> {
    let all = view.document.services.iter();
    let mut hosts = all.flat_map(|service| {
        let service: &Service = service;
        let upstreams = service.upstreams();
        let hosts: Vec<String> = upstreams.iter().map(|upstream| upstream.host.clone()).collect();
        hosts.into_iter().map(move |host| (host, service.name.as_str()))
    });
    hosts.find(|(host, _)| is_of(name, namespace, host))
}
