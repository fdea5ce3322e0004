//! Workloads, the mesh that they are part of, and what Kubernetes takes for a name.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::routes::report_dangling;
use crate::decode::{NAME_RULE, is_name};
use crate::model::{Mesh, Workload};
use crate::problem::Problems;
use crate::raw::{Entries, Positive, RawDocument, RawOwner, RawWorkload, Text};

/// Where Istio's own listeners are: what is sent there is no request to the workload.
const OF_ISTIO: RangeInclusive<u16> = 15_000..=15_090;
/// The most characters of a label's name, without what stands before a slash, and of its value.
const MAX_LABEL: usize = 63;
const MAX_SUBDOMAIN: usize = 253;

pub(super) fn check(raw: &RawDocument, problems: &mut Problems) -> Vec<Arc<Workload>> {
    let Some(named) = raw.workloads.get() else {
        return Vec::new();
    };
    let mut workloads: Vec<Arc<Workload>> = Vec::with_capacity(named.0.len());
    for (name, at, raw) in &named.0 {
        let path = format!("workloads.{name}");
        let workload = check_workload(name, raw, &path, problems);
        if workload.gateway
            && let Some(other) = workloads.iter().find(|known| known.gateway)
        {
            let message =
                format!("`{}` is the gateway already; this release knows one", other.name);
            problems.report_as(*at, &format!("{path}.gateway"), message);
        }
        if let Some(other) = workloads.iter().find(|known| overlap(known, &workload)) {
            let message = format!(
                "these labels and those of `{}` take the same pods of one namespace, which would \
                 be both workloads",
                other.name
            );
            problems.report_as(*at, &format!("{path}.labels"), message);
        }
        workloads.push(Arc::new(workload));
    }
    workloads
}

/// Whether the labels of one cover those of the other.
fn overlap(a: &Workload, b: &Workload) -> bool {
    let covers = |wide: &Workload, narrow: &Workload| {
        wide.labels.iter().all(|(name, value)| narrow.labels.get(name) == Some(value))
    };
    // Without labels nothing could be read, and that was said.
    let is_known = !a.labels.is_empty() && !b.labels.is_empty();
    is_known && a.namespace == b.namespace && (covers(a, b) || covers(b, a))
}

fn check_workload(name: &str, raw: &RawWorkload, path: &str, problems: &mut Problems) -> Workload {
    if !is_name(&raw.namespace) {
        problems.report_as(raw.namespace.at, &format!("{path}.namespace"), NAME_RULE);
    }
    let labels_path = format!("{path}.labels");
    let labels = labels(Some(&raw.labels), &labels_path, problems);
    if labels.is_empty() && !problems.any_below(&labels_path) {
        let message =
            "name at least one label: without any, these would be all pods of the namespace";
        problems.report_as(raw.at, &labels_path, message);
    }
    check_service_account(&raw.service_account, path, problems);
    Workload {
        name: name.to_owned(),
        gateway: raw.gateway.unwrap_or(false),
        namespace: raw.namespace.value.clone(),
        labels,
        service_account: raw.service_account.value.clone(),
        ports: check_ports(&raw.ports, &format!("{path}.ports"), problems),
    }
}

/// The workloads that an owner may speak for.
pub(super) fn check_owned(
    raw: &RawDocument,
    owner: &RawOwner,
    path: &str,
    problems: &mut Problems,
) {
    let known = raw.workloads.get();
    for (at, name) in owner.workloads.iter().enumerate() {
        if !known.is_some_and(|known| known.has(name)) {
            let known = known.map(|known| known.names()).unwrap_or_default();
            report_dangling("workload", name, &known, path, problems);
        } else if owner.workloads.iter().take(at).any(|other| other.value == name.value) {
            problems.report_as(name.at, path, "this workload is there twice");
        }
    }
}

fn check_ports(raw: &[Positive], path: &str, problems: &mut Problems) -> Vec<u16> {
    let mut ports: Vec<u16> = Vec::with_capacity(raw.len());
    for raw in raw {
        let message = match port(raw) {
            None => "expected 1 to 65535",
            Some(port) if OF_ISTIO.contains(&port) => "15000 to 15090 are Istio's own ports",
            Some(port) if ports.contains(&port) => "this port is there twice",
            Some(port) => {
                ports.push(port);
                continue;
            }
        };
        problems.report_as(raw.at, path, message);
    }
    ports
}

pub(super) fn port(raw: &Positive) -> Option<u16> {
    u16::try_from(raw.value).ok().filter(|port| *port > 0)
}

/// A service account, by the field of this name below `path`.
pub(super) fn check_service_account(raw: &Text, path: &str, problems: &mut Problems) {
    if !is_subdomain(raw) {
        let message =
            "a service account's name is lower-case letters, digits, `.` and inner hyphens";
        problems.report_as(raw.at, &format!("{path}.service_account"), message);
    }
}

/// The mesh, by default Istio's names.
pub(super) fn mesh(raw: &RawDocument, problems: &mut Problems) -> Mesh {
    let mut mesh = Mesh::default();
    let Some(raw) = raw.mesh.get() else {
        return mesh;
    };
    if let Some(trust_domain) = &raw.trust_domain {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
        let fits = (1..=255).contains(&trust_domain.len()) && trust_domain.bytes().all(known);
        if !fits {
            let message = "a trust domain is lower-case letters, digits, `-`, `.` and `_`";
            problems.report_as(trust_domain.at, "mesh.trust_domain", message);
        }
        mesh.trust_domain.clone_from(&trust_domain.value);
    }
    if let Some(root) = &raw.root_namespace {
        if !is_name(root) {
            problems.report_as(root.at, "mesh.root_namespace", NAME_RULE);
        }
        mesh.root_namespace.clone_from(&root.value);
    }
    mesh
}

/// Labels, those that Kubernetes would not take reported and left out.
pub(super) fn labels(
    raw: Option<&Entries<Text>>,
    path: &str,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (name, value) in raw.into_iter().flat_map(|raw| &raw.0) {
        if !is_label_name(name) {
            let message = format!(
                "`{}` is no label's name: at most {MAX_LABEL} letters, digits, `-`, `_` and `.`, \
                 perhaps behind a domain and a slash",
                name.escape_debug()
            );
            problems.report_as(name.at, path, message);
        } else if !(value.is_empty() || is_label_part(value)) {
            let message = format!(
                "a label's value is at most {MAX_LABEL} letters, digits, `-`, `_` and `.`; it is \
                 compared as it is, and `*` stands for nothing else"
            );
            problems.report_as(value.at, &format!("{path}.{}", name.value), message);
        } else {
            labels.insert(name.value.clone(), value.value.clone());
        }
    }
    labels
}

fn is_label_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => is_subdomain(domain) && is_label_part(name),
        None => is_label_part(text),
    }
}

/// Letters, digits, and between them `-`, `_` and `.`.
fn is_label_part(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let outer = |end: Option<char>| end.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= MAX_LABEL
        && text.bytes().all(inner)
        && outer(text.chars().next())
        && outer(text.chars().next_back())
}

/// RFC 1123.
fn is_subdomain(text: &str) -> bool {
    text.len() <= MAX_SUBDOMAIN && text.split('.').all(is_name)
}
