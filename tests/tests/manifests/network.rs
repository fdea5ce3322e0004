//! Services, NetworkPolicies and AuthorizationPolicies: what they open is what is served, for
//! whom the gateway is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::manifests::kustomize::{Resource, items, text, texts};
use crate::manifests::pods::Pod;

/// The sidecar's port for scrapers, which no container of ours names.
const OF_SIDECAR: u64 = 15020;

/// The ports that a policy opens.
type Opened = fn(&Value) -> BTreeSet<u64>;

/// Resources of a kind.
pub fn of_kind<'a>(resources: &'a [Resource], kind: &'a str) -> impl Iterator<Item = &'a Resource> {
    resources.iter().filter(move |resource| resource.kind() == kind)
}

/// Pods behind a port of a Service: those that it selects and that name its target.
pub fn behind<'a>(pods: &'a [Pod<'a>], service: &Value, port: &Value) -> Vec<&'a Pod<'a>> {
    let target = text(port, "/targetPort");
    pods.iter()
        .filter(|pod| pod.has_labels(&service["spec"]["selector"]))
        .filter(|pod| pod.ports().get(target).copied() == port["port"].as_u64())
        .collect()
}

/// What is wrong with a Service.
pub fn problems_of_service(service: &Resource, pods: &[Pod<'_>]) -> Vec<String> {
    let mut problems = Vec::new();
    let spec = &service.value["spec"];
    if spec["type"] != "ClusterIP" || !spec["clusterIP"].is_null() {
        problems.push(format!("{}: not a plain ClusterIP", service.shown()));
    }
    for port in items(&spec["ports"]) {
        let name = text(port, "/name");
        if !["grpc-", "http-", "tcp-", "tls-"].iter().any(|protocol| name.starts_with(protocol)) {
            problems.push(format!("{}: `{name}` tells Istio no protocol", service.shown()));
        }
        if behind(pods, &service.value, port).is_empty() {
            problems.push(format!("{}: no pod is behind `{name}`", service.shown()));
        }
    }
    problems
}

/// Whether a policy with such a selector is about a pod.
fn selects(selector: &Value, pod: &Pod<'_>) -> bool {
    assert!(selector["matchExpressions"].is_null(), "{selector}: teach this test");
    selector["matchLabels"].is_null() || pod.has_labels(&selector["matchLabels"])
}

/// Ports that NetworkPolicies open to others.
fn opened_below(policy: &Value) -> BTreeSet<u64> {
    let rules = items(&policy["spec"]["ingress"]);
    let ports = rules.flat_map(|rule| {
        assert!(items(&rule["from"]).next().is_some(), "open to everybody: {rule}");
        items(&rule["ports"])
    });
    ports.map(|port| port["port"].as_u64().expect("a number")).collect()
}

/// Ports that AuthorizationPolicies open to others.
fn opened_in_mesh(policy: &Value) -> BTreeSet<u64> {
    let rules = items(&policy["spec"]["rules"]);
    let operations = rules.flat_map(|rule| {
        assert!(items(&rule["from"]).next().is_some(), "open to everybody: {rule}");
        assert!(items(&rule["to"]).next().is_some(), "opens every port: {rule}");
        items(&rule["to"])
    });
    operations
        .flat_map(|one| texts(&one["operation"]["ports"]))
        .map(|port| port.parse().expect("a port"))
        .collect()
}

/// What is wrong with who may reach which port: everything that a pod serves is open to somebody,
/// nothing else is, and there is a policy that denies the rest.
pub fn problems_of_policies(resources: &[Resource], pods: &[Pod<'_>]) -> Vec<String> {
    let mut problems = Vec::new();
    let below: Vec<&Resource> = of_kind(resources, "NetworkPolicy").collect();
    let in_mesh: Vec<&Resource> = of_kind(resources, "AuthorizationPolicy").collect();
    let denies_below = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    if !below.iter().any(|policy| policy.value["spec"] == denies_below) {
        problems.push("no NetworkPolicy denies everything".to_owned());
    }
    if !in_mesh.iter().any(|policy| policy.value["spec"] == json!({})) {
        problems.push("no AuthorizationPolicy denies everything".to_owned());
    }
    for pod in pods {
        let served: BTreeSet<u64> = pod.ports().into_values().collect();
        let excluded = "/metadata/annotations/traffic.sidecar.istio.io~1excludeInboundPorts";
        let past_sidecar: Option<u64> = text(pod.template, excluded).parse().ok();
        for (policies, selector, opened) in [
            (&below, "podSelector", opened_below as Opened),
            (&in_mesh, "selector", opened_in_mesh as Opened),
        ] {
            let is_mesh = selector == "selector";
            let about = policies.iter().filter(|one| selects(&one.value["spec"][selector], pod));
            let mut open: BTreeSet<u64> = about.flat_map(|one| opened(&one.value)).collect();
            open.remove(&OF_SIDECAR);
            let wanted = served.iter().copied().filter(|port| {
                let is_past = past_sidecar == Some(*port);
                !(is_mesh && is_past)
            });
            let wanted: BTreeSet<u64> = wanted.collect();
            if open != wanted {
                let owner = pod.owner.shown();
                problems.push(format!("{owner}: {selector}s open {open:?}, it serves {wanted:?}"));
            }
        }
    }
    problems
}

/// Namespaces all of whose workloads take mutual TLS and nothing else.
pub fn strict_namespaces(resources: &[Resource]) -> BTreeSet<&str> {
    let strict = json!({"mtls": {"mode": "STRICT"}});
    let peers = of_kind(resources, "PeerAuthentication");
    peers.filter(|peer| peer.value["spec"] == strict).map(Resource::namespace).collect()
}

/// What is wrong with whom AuthorizationPolicies name: workloads that are there, and the gateway.
pub fn problems_of_principals(
    resources: &[Resource],
    namespace: &str,
    gateway: &str,
) -> Vec<String> {
    let accounts = of_kind(resources, "ServiceAccount")
        .map(|one| format!("cluster.local/ns/{}/sa/{}", one.namespace(), one.name()));
    let accounts: BTreeSet<String> = accounts.collect();
    let ours = format!("cluster.local/ns/{namespace}/");
    let mut problems = Vec::new();
    let mut named = BTreeSet::new();
    for policy in of_kind(resources, "AuthorizationPolicy") {
        let sources = items(&policy.value["spec"]["rules"]).flat_map(|rule| items(&rule["from"]));
        for principal in sources.flat_map(|from| texts(&from["source"]["principals"])) {
            named.insert(principal);
            let is_there = if principal.starts_with(&ours) {
                accounts.contains(principal)
            } else {
                principal == gateway
            };
            if !is_there {
                problems.push(format!("{}: nobody is {principal}", policy.shown()));
            }
        }
    }
    if !named.contains(gateway) {
        problems.push(format!("no AuthorizationPolicy names {gateway}"));
    }
    problems
}
