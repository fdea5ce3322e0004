//! What others have put beside the document: patches that take filters away, pods that connections
//! reach past their sidecar, routes on its gateway.

use serde_json::Value;

use super::super::catalogue::{FILTER_REMOVED, FOREIGN_ROUTE, SIDECAR_BYPASSED};
use super::super::inventory::{Resource, list, text};
use super::super::model::{Finding, Severity};
use super::known::Known;
use super::plugins::{DOCUMENT, selects};
use super::view::View;
use crate::istio::Api;
use crate::review::Input;

pub(super) fn look(view: &View<'_>, input: &Input<'_>, found: &mut Vec<Finding>) {
    for known in view.ours() {
        for filter in view.inventory.of(&["EnvoyFilter"]).filter(|one| is_foreign(one)) {
            if selects(view, filter, known) {
                found.extend(removed(filter, known));
            }
        }
        if !known.is_gateway() {
            bypassed(known, found);
        }
    }
    routes(view, input, found);
}

/// What was rendered is compared with the rendering instead.
fn is_foreign(resource: &Resource) -> bool {
    resource.annotation(DOCUMENT).is_none()
}

const CONNECTION_MANAGER: &str = "envoy.filters.network.http_connection_manager";
/// Filters without which nothing is decided, by the beginnings of their names.
const DECIDING: [&str; 9] = [
    "envoy.filters.http.rbac",
    "envoy.filters.network.rbac",
    "envoy.filters.http.ext_authz",
    "envoy.filters.network.ext_authz",
    "envoy.filters.http.jwt_authn",
    "envoy.filters.http.wasm",
    CONNECTION_MANAGER,
    // What Istio calls a plugin's filter, with its own spelling first.
    "extenstions.istio.io/wasmplugin/",
    "extensions.istio.io/",
];

fn decides(name: &str) -> bool {
    DECIDING.iter().any(|known| name.starts_with(known))
}

/// PR228: a patch that takes away, replaces or changes what decides.
fn removed(filter: &Resource, known: &Known) -> Option<Finding> {
    let context = if known.is_gateway() { "GATEWAY" } else { "SIDECAR_INBOUND" };
    let is_for_it = |patch: &&Value| {
        let named = text(patch, "/match/context").unwrap_or("ANY");
        named == context || named == "ANY"
    };
    let mut worst: Option<(Severity, String)> = None;
    for patch in filter.list("/spec/configPatches").iter().filter(is_for_it) {
        let Some((severity, what)) = effect(patch) else { continue };
        if worst.as_ref().is_none_or(|(known, _)| severity < *known) {
            worst = Some((severity, what));
        }
    }
    let (severity, what) = worst?;
    let text = format!("on {}, {what}", known.name());
    let finding = Finding::new(&FILTER_REMOVED, filter.subject(), text).graded(severity);
    Some(finding.at(Some(filter.place.clone())))
}

/// What a patch does to filters that decide.
fn effect(patch: &Value) -> Option<(Severity, String)> {
    let operation = text(patch, "/patch/operation").unwrap_or("INVALID");
    let apply_to = text(patch, "/applyTo").unwrap_or_default();
    let filter = text(patch, "/match/listener/filterChain/filter/name");
    let inner = text(patch, "/match/listener/filterChain/filter/subFilter/name");
    let named = match apply_to {
        "HTTP_FILTER" => inner,
        "NETWORK_FILTER" => filter,
        "LISTENER" | "FILTER_CHAIN" | "LISTENER_FILTER" => Some(""),
        "EXTENSION_CONFIG" => text(patch, "/patch/value/name").or(inner),
        "HTTP_ROUTE" | "VIRTUAL_HOST" | "ROUTE_CONFIGURATION" => return of_route(patch),
        _ => return None,
    };
    // Without a name, a patch is for all of them.
    let is_meant = match (apply_to, named) {
        ("LISTENER" | "FILTER_CHAIN" | "LISTENER_FILTER", _) => operation == "REMOVE",
        (_, Some(name)) => decides(name),
        (_, None) => matches!(operation, "REMOVE" | "REPLACE" | "MERGE"),
    };
    if !is_meant {
        return None;
    }
    let name = named
        .filter(|name| !name.is_empty())
        .map_or_else(|| format!("what is of {apply_to}"), |name| format!("`{name}`"));
    match operation {
        "REMOVE" => Some((Severity::Critical, format!("it takes {name} away"))),
        "REPLACE" => Some((Severity::Critical, format!("it puts something in place of {name}"))),
        // Much of what people set there decides nothing.
        "MERGE" if named == Some(CONNECTION_MANAGER) => {
            Some((Severity::Medium, format!("it changes {name}")))
        }
        "MERGE" => Some((Severity::High, format!("it changes {name}"))),
        _ => None,
    }
}

/// Settings of routes can switch filters off.
fn of_route(patch: &Value) -> Option<(Severity, String)> {
    let settings = patch.pointer("/patch/value/typed_per_filter_config")?.as_object()?;
    let name = settings.keys().find(|name| decides(name))?;
    Some((Severity::Critical, format!("it changes `{name}` for some routes, or switches it off")))
}

/// PR229: a port of the document's that is reached without the sidecar.
fn bypassed(known: &Known, found: &mut Vec<Finding>) {
    let ports: Vec<Option<u16>> = if known.served.is_empty() {
        vec![None]
    } else {
        known.served.iter().map(|port| Some(*port)).collect()
    };
    for port in ports {
        let Some(why) = known.bypass.of_port(port) else { continue };
        let which = port.map_or_else(String::new, |port| format!(" on port {port}"));
        let text = format!("no policy and no bundle holds{which}: {why}");
        let finding = Finding::new(&SIDECAR_BYPASSED, known.subject(), text);
        found.push(finding.at(known.place.clone()));
    }
}

/// PR230: somebody else's routes on our gateway.
fn routes(view: &View<'_>, input: &Input<'_>, found: &mut Vec<Finding>) {
    let name = input.options.gateway_name.as_str();
    let gateway = view
        .inventory
        .of(&["Gateway"])
        .find(|gateway| gateway.name == name && gateway.namespace == view.gateway_namespace);
    let kinds: &[&str] = match input.options.api {
        Api::Istio => &["VirtualService"],
        Api::Gateway => &["HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute"],
    };
    for route in view.inventory.of(kinds).filter(|route| is_foreign(route)) {
        let binds = match input.options.api {
            Api::Istio => by_name(route, name, &view.gateway_namespace),
            Api::Gateway => by_parent(route, name, &view.gateway_namespace),
        };
        if !binds || !may_bind(route, gateway, &view.gateway_namespace) {
            continue;
        }
        let hosts: Vec<&str> = ["/spec/hosts", "/spec/hostnames"]
            .iter()
            .flat_map(|pointer| route.list(pointer))
            .filter_map(Value::as_str)
            .collect();
        let hosts = if hosts.is_empty() { "all hosts".to_owned() } else { hosts.join(", ") };
        let text = format!(
            "it is bound to the gateway `{name}` for {hosts}: where its requests go, it says, \
             whatever route the bundle has judged them by"
        );
        let finding = Finding::new(&FOREIGN_ROUTE, route.subject(), text);
        found.push(finding.at(Some(route.place.clone())));
    }
}

/// A VirtualService names gateways as `name` or `namespace/name`.
fn by_name(route: &Resource, name: &str, namespace: &str) -> bool {
    let mut names = route.list("/spec/gateways").iter().filter_map(Value::as_str);
    names.any(|text| {
        let (own, text) = text.split_once('/').unwrap_or((route.namespace.as_str(), text));
        text == name && own == namespace
    })
}

fn by_parent(route: &Resource, name: &str, namespace: &str) -> bool {
    route.list("/spec/parentRefs").iter().any(|parent| {
        let kind = text(parent, "/kind").unwrap_or("Gateway");
        let own = text(parent, "/namespace").unwrap_or(route.namespace.as_str());
        kind == "Gateway" && text(parent, "/name") == Some(name) && own == namespace
    })
}

/// Whether the gateway takes routes of a namespace. As it is rendered, it takes its own's alone.
fn may_bind(route: &Resource, gateway: Option<&Resource>, namespace: &str) -> bool {
    if route.namespace == namespace {
        return true;
    }
    let Some(gateway) = gateway else { return false };
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
