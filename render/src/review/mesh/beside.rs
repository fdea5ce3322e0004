//! What others have put beside the document: patches that take filters away, pods that connections
//! reach past their sidecar, routes on its gateway.

use serde_json::Value;

use super::super::catalogue::{FOREIGN_ROUTE, SIDECAR_BYPASSED};
use super::super::inventory::{Resource, list, text};
use super::super::model::{Finding, Severity};
use super::known::{Known, covers};
use super::patches::effect_on;
use super::plugins::{DOCUMENT, selects};
use super::view::View;
use crate::istio::Api;
use crate::review::Input;

pub(super) fn look(view: &View<'_>, input: &Input<'_>, found: &mut Vec<Finding>) {
    for known in view.ours() {
        for filter in view.inventory.of(&["EnvoyFilter"]).filter(|one| is_foreign(one)) {
            if selects(view, filter, known) {
                found.extend(effect_on(view, filter, known));
            }
        }
        if !known.is_gateway() {
            bypassed(known, found);
        }
    }
    routes(view, input, found);
}

/// What was rendered is compared with the rendering instead.
pub(super) fn is_foreign(resource: &Resource) -> bool {
    resource.annotation(DOCUMENT).is_none()
}

/// PR229: a port of the document's that is reached without the sidecar.
fn bypassed(known: &Known, found: &mut Vec<Finding>) {
    let ports: Vec<Option<u16>> = if known.served.is_empty() {
        vec![None]
    } else {
        known.served.iter().map(|port| Some(*port)).collect()
    };
    for port in ports {
        let Some(past) = known.bypass.of_port(port) else { continue };
        let which = port.map_or_else(String::new, |port| format!(" on port {port}"));
        let text = format!("no policy and no bundle holds{which}: {}", past.why);
        let severity = if past.is_sure { Severity::Critical } else { Severity::High };
        let finding = Finding::new(&SIDECAR_BYPASSED, known.subject(), text).graded(severity);
        found.push(finding.at(known.place.clone()));
    }
}

/// PR230: somebody else's routes on our gateway.
fn routes(view: &View<'_>, input: &Input<'_>, found: &mut Vec<Finding>) {
    let name = input.options.gateway_name.as_str();
    let ours = Listens {
        namespace: &view.gateway_namespace,
        name,
        resource: view
            .inventory
            .of(&["Gateway"])
            .find(|gateway| gateway.name == name && gateway.namespace == view.gateway_namespace),
    };
    let is_bound = |gateway: &Listens<'_>, route: &Resource| match input.options.api {
        Api::Istio => by_name(route, gateway) && may_bind(route, gateway),
        Api::Gateway => by_parent(route, gateway) && may_bind(route, gateway),
    };
    let kinds: &[&str] = match input.options.api {
        Api::Istio => &["VirtualService"],
        Api::Gateway => &["HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute"],
    };
    for route in view.inventory.of(kinds).filter(|route| is_foreign(route)) {
        if is_bound(&ours, route) {
            found.push(foreign(route, &format!("the gateway `{name}`")));
        }
    }
    let others = beside_ours(view, &ours);
    for route in view.inventory.of(&["VirtualService"]).filter(|route| is_foreign(route)) {
        let bound = |gateway: &&Listens<'_>| by_name(route, gateway) && may_bind(route, gateway);
        if let Some(Listens { namespace, name, .. }) = others.iter().find(bound) {
            let gateway = format!(
                "`{namespace}/{name}`, which listens on the pods of the document's gateway,"
            );
            found.push(foreign(route, &gateway));
        }
    }
}

fn foreign(route: &Resource, bound_to: &str) -> Finding {
    let hosts: Vec<&str> = ["/spec/hosts", "/spec/hostnames"]
        .iter()
        .flat_map(|pointer| route.list(pointer))
        .filter_map(Value::as_str)
        .collect();
    let hosts = if hosts.is_empty() { "all hosts".to_owned() } else { hosts.join(", ") };
    let text = format!(
        "it is bound to {bound_to} for {hosts}: where its requests go, it says, whatever route the \
         bundle has judged them by"
    );
    Finding::new(&FOREIGN_ROUTE, route.subject(), text).at(Some(route.place.clone()))
}

/// A Gateway.
struct Listens<'v> {
    namespace: &'v str,
    name: &'v str,
    /// None where no manifest has it.
    resource: Option<&'v Resource>,
}

impl Listens<'_> {
    fn is(&self, other: &Self) -> bool {
        self.namespace == other.namespace && self.name == other.name
    }
}

/// What else listens on our gateway's pods. Gateways may select them from every namespace, and one
/// without a selector selects all gateways there are (`pilot/pkg/model/push_context.go`,
/// `mergeGateways`).
fn beside_ours<'v>(view: &'v View<'_>, ours: &Listens<'_>) -> Vec<Listens<'v>> {
    let is_istios = |one: &&Resource| {
        let group = one.text("/apiVersion").unwrap_or_default();
        !group.starts_with("gateway.networking.k8s.io/")
    };
    let all = view.inventory.of(&["Gateway"]).filter(is_istios);
    let selecting = all.filter(|gateway| {
        let wanted = gateway.labels("/spec/selector");
        let mut pods = view.ours().filter(|known| known.is_gateway());
        pods.any(|known| covers(&known.workload.labels, &wanted))
    });
    let all = selecting.map(|gateway| Listens {
        namespace: &gateway.namespace,
        name: &gateway.name,
        resource: Some(gateway),
    });
    all.filter(|gateway| !gateway.is(ours)).collect()
}

/// A VirtualService names gateways as `name` or `namespace/name`.
fn by_name(route: &Resource, gateway: &Listens<'_>) -> bool {
    let mut names = route.list("/spec/gateways").iter().filter_map(Value::as_str);
    names.any(|text| {
        let (own, text) = text.split_once('/').unwrap_or((route.namespace.as_str(), text));
        text == gateway.name && own == gateway.namespace
    })
}

fn by_parent(route: &Resource, gateway: &Listens<'_>) -> bool {
    route.list("/spec/parentRefs").iter().any(|parent| {
        let kind = text(parent, "/kind").unwrap_or("Gateway");
        let own = text(parent, "/namespace").unwrap_or(route.namespace.as_str());
        let name = text(parent, "/name");
        kind == "Gateway" && name == Some(gateway.name) && own == gateway.namespace
    })
}

/// Whether a gateway takes routes of a namespace. As ours is rendered, it takes its own's alone.
fn may_bind(route: &Resource, gateway: &Listens<'_>) -> bool {
    if route.namespace == gateway.namespace {
        return true;
    }
    let Some(gateway) = gateway.resource else { return false };
    let takes = |host: &Value| {
        let own = host.as_str().and_then(|host| host.split_once('/'));
        own.is_none_or(|(own, _)| own == "*" || own == route.namespace)
    };
    let servers = gateway.list("/spec/servers").iter();
    let mut hosts = servers.flat_map(|server| list(server, "/hosts"));
    let of_all = |listener: &Value| {
        let from = text(listener, "/allowedRoutes/namespaces/from").unwrap_or("Same");
        from == "All" || from == "Selector"
    };
    hosts.any(takes) || gateway.list("/spec/listeners").iter().any(of_all)
}
