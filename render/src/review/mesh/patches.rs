//! PR228: patches of others (EnvoyFilters) that take away, replace or change what decides, or what
//! becomes of a request once it was decided.

use postern_document::Document;
use serde_json::Value;

use super::super::catalogue::FILTER_REMOVED;
use super::super::document::writes;
use super::super::inventory::{Resource, list, text};
use super::super::model::{Finding, Severity};
use super::known::Known;
use super::view::View;

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

/// The gravest thing that a patch does to a workload.
pub(super) fn effect_on(view: &View<'_>, filter: &Resource, known: &Known) -> Option<Finding> {
    let context = if known.is_gateway() { "GATEWAY" } else { "SIDECAR_INBOUND" };
    let is_for_it = |patch: &&Value| {
        let named = text(patch, "/match/context").unwrap_or("ANY");
        // A sidecar asks the server by a cluster of its outbound side.
        let asks = applies_to(patch) == CLUSTER && named == "SIDECAR_OUTBOUND";
        named == "ANY" || named == context || asks && !known.is_gateway()
    };
    let mut worst: Option<(Severity, String)> = None;
    for patch in filter.list("/spec/configPatches").iter().filter(is_for_it) {
        let Some((severity, what)) = effect(view.document, patch) else { continue };
        if worst.as_ref().is_none_or(|(known, _)| severity < *known) {
            worst = Some((severity, what));
        }
    }
    let (severity, what) = worst?;
    let text = format!("on {}, {what}", known.name());
    let finding = Finding::new(&FILTER_REMOVED, filter.subject(), text).graded(severity);
    Some(finding.at(Some(filter.place.clone())))
}

const CLUSTER: &str = "CLUSTER";

fn applies_to(patch: &Value) -> &str {
    text(patch, "/applyTo").unwrap_or_default()
}

fn operation(patch: &Value) -> &str {
    text(patch, "/patch/operation").unwrap_or("INVALID")
}

/// What a patch does to filters that decide.
fn effect(document: &Document, patch: &Value) -> Option<(Severity, String)> {
    let (apply_to, operation) = (applies_to(patch), operation(patch));
    let filter = text(patch, "/match/listener/filterChain/filter/name");
    let inner = text(patch, "/match/listener/filterChain/filter/subFilter/name");
    let named = match apply_to {
        "HTTP_FILTER" => inner,
        "NETWORK_FILTER" => filter,
        "LISTENER" | "FILTER_CHAIN" | "LISTENER_FILTER" => Some(""),
        "EXTENSION_CONFIG" => text(patch, "/patch/value/name").or(inner),
        "HTTP_ROUTE" | "VIRTUAL_HOST" | "ROUTE_CONFIGURATION" => return of_route(document, patch),
        CLUSTER => return of_cluster(patch),
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

/// Routes can switch filters off, and come behind all of them: what they write or rewrite, no
/// filter sees, and where they lead, the bundle has not judged.
fn of_route(document: &Document, patch: &Value) -> Option<(Severity, String)> {
    let value = patch.pointer("/patch/value").unwrap_or(&Value::Null);
    let settings = value.get("typed_per_filter_config").and_then(Value::as_object);
    if let Some(name) = settings.and_then(|all| all.keys().find(|name| decides(name))) {
        let what = format!("it changes `{name}` for some routes, or switches it off");
        return Some((Severity::Critical, what));
    }
    let mut headers = Vec::new();
    added_headers(value, &mut headers);
    if let Some(header) = headers.iter().find(|header| writes(document, header)) {
        let what = format!("it writes `{header}` behind the bundle");
        return Some((Severity::Critical, what));
    }
    let of_whole = applies_to(patch) == "ROUTE_CONFIGURATION";
    let what = match operation(patch) {
        "REMOVE" => "it takes routes away, so that their requests go where others lead",
        "ADD" | "INSERT_BEFORE" | "INSERT_AFTER" | "INSERT_FIRST" if !of_whole => {
            "it adds routes of its own, which lead where it says"
        }
        "MERGE" | "REPLACE" if leads(value) => "it changes where the requests of some routes go",
        _ => return None,
    };
    Some((Severity::High, what.to_owned()))
}

/// The names of headers that are added to requests, in lower case.
fn added_headers(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for added in list(value, "/request_headers_to_add") {
                found.extend(text(added, "/header/key").map(str::to_ascii_lowercase));
            }
            members.values().for_each(|member| added_headers(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| added_headers(item, found)),
        _ => {}
    }
}

/// Whether settings of routes say which cluster they lead to, or what is asked there.
fn leads(value: &Value) -> bool {
    let is_it = |name: &String| name.contains("cluster") || name.contains("rewrite");
    match value {
        Value::Object(members) => members.iter().any(|(name, member)| is_it(name) || leads(member)),
        Value::Array(items) => items.iter().any(leads),
        _ => false,
    }
}

/// Members of a cluster that say where it is, and how that is known for certain.
const WHERE: [&str; 6] = [
    "type",
    "cluster_type",
    "load_assignment",
    "eds_cluster_config",
    "transport_socket",
    "transport_socket_matches",
];

/// Whoever answers in the server's place decides.
fn of_cluster(patch: &Value) -> Option<(Severity, String)> {
    let value = patch.pointer("/patch/value")?;
    if operation(patch) != "MERGE" || !WHERE.iter().any(|name| value.get(name).is_some()) {
        return None;
    }
    let named = ["/match/cluster/service", "/match/cluster/name"];
    let named = named.into_iter().find_map(|place| text(patch, place));
    let what = named.map_or_else(|| "all clusters".to_owned(), |name| format!("`{name}`"));
    Some((Severity::Medium, format!("it changes where {what} is, or whom it takes for that")))
}
