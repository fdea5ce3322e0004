//! A VirtualService for each of the document's hosts, at each Gateway that serves it.

use postern_document::{CanaryPick, Document, Fault, HeaderRules, Route};
use postern_request::headers;
use serde_json::{Map, Value, json};

use super::destinations::Destinations;
use super::hosts::ServedHost;
use super::resource::{self, set};
use super::{RenderError, Rendering, gateway};
use crate::envoy::duration;
use crate::routing::{PathMatch, path_match};
use crate::security_headers::{self, Header};
use crate::traffic::{Repeats, fallback_service, header_value, percent};

/// The name of the last route, which answers what no route of the document is for.
pub(super) const NO_ROUTE: &str = "postern-no-route";

pub(super) fn resources(
    rendering: &Rendering<'_>,
    hosts: &[ServedHost<'_>],
    destinations: &Destinations,
) -> Result<Vec<Value>, RenderError> {
    let gateways = gateway::all(rendering)?;
    let mut resources: Vec<Value> =
        gateways.iter().map(|gateway| gateway.resource(rendering)).collect();
    for host in hosts {
        let routes = routes(rendering.document, host, destinations)?;
        for gateway in &gateways {
            let domains = gateway.part_of(host);
            if !domains.is_empty() {
                let name = gateway.virtual_service(host);
                resources.push(virtual_service(rendering, &name, &gateway.name, &domains, &routes));
            }
        }
    }
    Ok(resources)
}

/// A VirtualService of one Gateway: with two, hosts of the one would be cut down to narrower ones
/// of the other.
fn virtual_service(
    rendering: &Rendering<'_>,
    name: &str,
    gateway: &str,
    domains: &[String],
    routes: &[Value],
) -> Value {
    let namespace = &rendering.gateway.namespace;
    let spec = json!({
        "hosts": domains,
        "gateways": [format!("{namespace}/{gateway}")],
        "exportTo": ["."],
        "http": routes,
    });
    resource::manifest(rendering.document, &resource::VIRTUAL_SERVICE, namespace, name, spec)
}

/// What a host's requests are matched against, in order, and what answers the rest.
fn routes(
    document: &Document,
    host: &ServedHost<'_>,
    destinations: &Destinations,
) -> Result<Vec<Value>, RenderError> {
    let mut routes = Vec::new();
    for route in &host.routes {
        routes.extend(http_routes(document, route, destinations)?);
    }
    if !host.takes_everything {
        routes.push(json!({
            "name": NO_ROUTE,
            "match": [{"uri": {"prefix": "/"}}],
            "directResponse": {"status": 404},
        }));
    }
    Ok(routes)
}

/// Which of a route's requests go somewhere of their own, by a header.
#[derive(Debug, Clone, Copy)]
enum Pick<'r> {
    /// To a version of the service.
    Version(&'r CanaryPick),
    /// To the service that answers while the circuit is open.
    Fallback,
}

/// A route, with those of its requests in front that a header sends somewhere else: by the bundle's
/// word, then to versions. All have the route's name: to logs and to patches they are one route.
fn http_routes(
    document: &Document,
    route: &Route,
    destinations: &Destinations,
) -> Result<Vec<Value>, RenderError> {
    let mut rendered = Vec::with_capacity(route.canary.len() + 2);
    if let Some(other) = fallback_service(route) {
        let destination = destinations.of_fallback(route, other)?.to_value();
        let to = vec![json!({"destination": destination})];
        rendered.push(http_route(document, route, Some(Pick::Fallback), to));
    }
    for pick in &route.canary {
        let destination = destinations.of_version(route, &pick.version)?.to_value();
        let to = vec![json!({"destination": destination})];
        rendered.push(http_route(document, route, Some(Pick::Version(pick)), to));
    }
    rendered.push(http_route(document, route, None, destinations_of(route, destinations)?));
    Ok(rendered)
}

/// Where a route's requests go, in which shares. What gets none is written all the same: a change
/// of shares then changes numbers alone.
fn destinations_of(route: &Route, destinations: &Destinations) -> Result<Vec<Value>, RenderError> {
    if route.split.is_empty() {
        return Ok(vec![json!({"destination": destinations.of_route(route)?.to_value()})]);
    }
    let weighted = route.split.iter().map(|(version, weight)| {
        let destination = destinations.of_version(route, version)?.to_value();
        Ok(json!({"destination": destination, "weight": weight}))
    });
    weighted.collect()
}

fn http_route(
    document: &Document,
    route: &Route,
    pick: Option<Pick<'_>>,
    destinations: Vec<Value>,
) -> Value {
    let mut rendered = json!({
        "name": route.name,
        "timeout": duration(route.timeout_ms),
        "retries": retries(route),
    });
    set(&mut rendered, "match", Value::Array(vec![http_match(route, pick)]));
    set(&mut rendered, "route", Value::Array(destinations));
    let own = security_headers::of_route(document, route);
    let none: &[Header] = &[];
    // Only the gateway has any business with it.
    let is_elsewhere = matches!(pick, Some(Pick::Fallback));
    let lost: &[&str] = if is_elsewhere { &[headers::FALLBACK] } else { &[] };
    let nothing: &[&str] = &[];
    let directions = [
        ("request", &route.transform.request, none, lost),
        ("response", &route.transform.response, own.as_slice(), nothing),
    ];
    let mut operations = json!({});
    for (direction, rules, own, lost) in directions {
        if let Some(of_direction) = header_operations(rules, own, lost) {
            set(&mut operations, direction, of_direction);
        }
    }
    if operations.as_object().is_some_and(|operations| !operations.is_empty()) {
        set(&mut rendered, "headers", operations);
    }
    if let Some(fault) = &route.fault {
        set(&mut rendered, "fault", self::fault(fault));
    }
    rendered
}

/// The three forms of a path mean in a VirtualService what they mean in Envoy: this path,
/// everything that begins so, and RE2 over the whole path without its query.
fn http_match(route: &Route, pick: Option<Pick<'_>>) -> Value {
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
    let header = pick.map(|pick| match pick {
        Pick::Version(pick) => (pick.header.as_str(), header_value(pick)),
        Pick::Fallback => (headers::FALLBACK, json!({"exact": headers::TO_FALLBACK})),
    });
    if let Some((name, value)) = header {
        let mut picked = json!({});
        set(&mut picked, name, value);
        set(&mut matched, "headers", picked);
    }
    matched
}

/// Always written, because Istio's default tries twice again, on 503 too: that would repeat work.
/// The document counts attempts, Istio what follows the first.
fn retries(route: &Route) -> Value {
    let Some(repeats) = Repeats::of(&route.retries) else { return json!({"attempts": 0}) };
    let mut retries = json!({"attempts": repeats.times, "retryOn": repeats.on});
    if let Some(per_try_timeout_ms) = repeats.per_try_timeout_ms {
        set(&mut retries, "perTryTimeout", duration(per_try_timeout_ms));
    }
    if let Some(backoff_ms) = repeats.backoff_ms {
        set(&mut retries, "backoff", duration(backoff_ms));
    }
    retries
}

/// Before the router: a delay is no part of the route's timeout, and nothing of it is tried again.
fn fault(fault: &Fault) -> Value {
    let mut rendered = json!({});
    if let Some(delay) = &fault.delay {
        let delay = json!({
            "percentage": {"value": percent(delay.parts_per_million)},
            "fixedDelay": duration(delay.time_ms),
        });
        set(&mut rendered, "delay", delay);
    }
    if let Some(abort) = &fault.abort {
        let abort = json!({
            "percentage": {"value": percent(abort.parts_per_million)},
            "httpStatus": abort.status,
        });
        set(&mut rendered, "abort", abort);
    }
    rendered
}

/// Headers of one direction that need nobody's word: what is set, and what is removed. What
/// depends on the request is `ext_proc`'s.
pub(super) fn fixed_headers(rules: &HeaderRules) -> (Vec<(String, String)>, &[String]) {
    let fixed = rules.set.iter().filter(|(_, value)| value.is_fixed());
    (fixed.map(|(name, value)| (name.clone(), value.render(|_| None))).collect(), &rules.remove)
}

/// `own` are headers that are set besides those of the rules, `lost` those that go besides them.
fn header_operations(rules: &HeaderRules, own: &[Header], lost: &[&str]) -> Option<Value> {
    let (fixed, removed) = fixed_headers(rules);
    let removed: Vec<&str> =
        removed.iter().map(String::as_str).chain(lost.iter().copied()).collect();
    let own = own.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
    // A percent sign begins one of Envoy's own placeholders.
    let fixed = fixed.into_iter().map(|(name, value)| (name, json!(value.replace('%', "%%"))));
    let fixed: Map<String, Value> = own.chain(fixed).collect();
    let mut operations = json!({});
    if !fixed.is_empty() {
        set(&mut operations, "set", Value::Object(fixed));
    }
    if !removed.is_empty() {
        set(&mut operations, "remove", json!(removed));
    }
    operations.as_object().is_some_and(|operations| !operations.is_empty()).then_some(operations)
}
