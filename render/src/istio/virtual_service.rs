//! The Gateway, and a VirtualService for each of the document's hosts.

use postern_document::{Document, HeaderRules, Route};
use serde_json::{Map, Value, json};

use super::destinations::Destinations;
use super::hosts::ServedHost;
use super::resource::{self, set};
use super::{IstioOptions, RenderError};
use crate::envoy::duration;
use crate::routing::{PathMatch, path_match};

/// The name of the last route, which answers what no route of the document is for.
pub(super) const NO_ROUTE: &str = "postern-no-route";

/// The Gateway's name.
const GATEWAY: &str = "postern";

pub(super) fn resources(
    document: &Document,
    options: &IstioOptions,
    hosts: &[ServedHost<'_>],
    destinations: &Destinations,
) -> Result<Vec<Value>, RenderError> {
    let mut resources = vec![gateway(document, options)];
    for host in hosts {
        resources.push(virtual_service(document, options, host, destinations)?);
    }
    Ok(resources)
}

fn gateway(document: &Document, options: &IstioOptions) -> Value {
    // `./`: only VirtualServices of this namespace may bind, so that nobody can put a route
    // beside the document's.
    let hosts: Vec<String> = options.hosts.iter().map(|host| format!("./{host}")).collect();
    let number = options.gateway_port();
    let server = match &options.gateway_tls_secret {
        Some(secret) => json!({
            "port": {"number": number, "name": "https", "protocol": "HTTPS"},
            "hosts": hosts,
            "tls": {"mode": "SIMPLE", "credentialName": secret, "minProtocolVersion": "TLSV1_2"},
        }),
        None => json!({
            "port": {"number": number, "name": "http", "protocol": "HTTP"},
            "hosts": hosts,
        }),
    };
    let spec = json!({"selector": options.gateway_selector, "servers": [server]});
    resource::manifest(document, &resource::GATEWAY, &options.gateway_namespace, GATEWAY, spec)
}

fn virtual_service(
    document: &Document,
    options: &IstioOptions,
    host: &ServedHost<'_>,
    destinations: &Destinations,
) -> Result<Value, RenderError> {
    let routes = host.routes.iter().map(|route| http_route(route, destinations));
    let mut routes = routes.collect::<Result<Vec<Value>, _>>()?;
    if !host.takes_everything {
        routes.push(json!({
            "name": NO_ROUTE,
            "match": [{"uri": {"prefix": "/"}}],
            "directResponse": {"status": 404},
        }));
    }
    let namespace = &options.gateway_namespace;
    let mut spec = json!({
        "hosts": host.domains,
        "gateways": [format!("{namespace}/{GATEWAY}")],
        "exportTo": ["."],
    });
    set(&mut spec, "http", Value::Array(routes));
    let name = host.resource_name();
    Ok(resource::manifest(document, &resource::VIRTUAL_SERVICE, namespace, &name, spec))
}

fn http_route(route: &Route, destinations: &Destinations) -> Result<Value, RenderError> {
    let destination = destinations.of_route(route)?.to_value();
    let mut rendered = json!({
        "name": route.name,
        "match": [http_match(route)],
        "route": [{"destination": destination}],
        "timeout": duration(route.timeout_ms),
        "retries": retries(route),
    });
    let directions =
        [("request", &route.transform.request), ("response", &route.transform.response)];
    let mut headers = json!({});
    for (direction, rules) in directions {
        if let Some(operations) = header_operations(rules) {
            set(&mut headers, direction, operations);
        }
    }
    if headers.as_object().is_some_and(|headers| !headers.is_empty()) {
        set(&mut rendered, "headers", headers);
    }
    Ok(rendered)
}

/// The three forms of a path mean in a VirtualService what they mean in Envoy: this path,
/// everything that begins so, and RE2 over the whole path without its query.
fn http_match(route: &Route) -> Value {
    let uri = match path_match(&route.path) {
        PathMatch::Exact(path) => json!({"exact": path}),
        PathMatch::Prefix(prefix) => json!({"prefix": prefix}),
        PathMatch::Regex(regex) => json!({"regex": regex}),
    };
    let mut matched = json!({"uri": uri});
    match route.methods.as_slice() {
        [] => {}
        [method] => set(&mut matched, "method", json!({"exact": method})),
        methods => set(&mut matched, "method", json!({"regex": methods.join("|")})),
    }
    matched
}

/// Always written, because Istio's default tries twice again, on 503 too: that would repeat work.
/// The document counts attempts, Istio what follows the first.
fn retries(route: &Route) -> Value {
    match route.service.as_ref().map(|service| &service.retries) {
        Some(retries) if retries.attempts > 1 => {
            json!({"attempts": retries.attempts - 1, "retryOn": retries.on.join(",")})
        }
        _ => json!({"attempts": 0}),
    }
}

/// Fixed values; what depends on the request is `ext_proc`'s.
fn header_operations(rules: &HeaderRules) -> Option<Value> {
    let fixed = rules.set.iter().filter(|(_, value)| value.is_fixed());
    let fixed: Map<String, Value> = fixed
        // A percent sign begins one of Envoy's own placeholders.
        .map(|(name, value)| (name.clone(), json!(value.render(|_| None).replace('%', "%%"))))
        .collect();
    let mut operations = json!({});
    if !fixed.is_empty() {
        set(&mut operations, "set", Value::Object(fixed));
    }
    if !rules.remove.is_empty() {
        set(&mut operations, "remove", json!(rules.remove));
    }
    operations.as_object().is_some_and(|operations| !operations.is_empty()).then_some(operations)
}
