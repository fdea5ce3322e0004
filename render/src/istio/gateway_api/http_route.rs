//! HTTPRoutes: the rules of each host, as many of them as fit into one.

use std::collections::{BTreeMap, BTreeSet};

use postern_document::{CanaryPick, Document, HeaderRules, HeaderValue, HostPattern, Route};
use postern_request::headers;
use serde_json::{Value, json};

use super::super::destinations::Destinations;
use super::super::hosts::ServedHost;
use super::super::resource::{self, Kind, set};
use super::super::virtual_service::fixed_headers;
use super::super::{RenderError, Rendering};
use super::backend::Backends;
use super::gateway::{Listener, listener};
use super::order::{Candidate, MAX_BYTES, PathForm, forms};
use super::{GROUP, fallback_name, not_here, pick_name};
use crate::routing::escape;
use crate::security_headers::{self, Header};
use crate::traffic::fallback_service;

const HTTP_ROUTE: Kind = resource::kind("gateway.networking.k8s.io/v1", "HTTPRoute");

/// The most rules that an HTTPRoute has. It has 128 matches at most, too; with one for each method
/// of a document, sixteen rules never have as many.
const MOST_RULES: usize = 16;
/// The most hosts that it is for.
const MOST_HOSTS: usize = 16;
/// The most headers that are set, or removed, and the longest value of one.
const MOST_HEADERS: usize = 16;
const LONGEST_VALUE: usize = 4096;
/// The methods that a match can name. It could name CONNECT and TRACE too, but no document does.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// What all hosts have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'r, 'd> {
    pub(super) rendering: &'r Rendering<'d>,
    pub(super) listeners: &'r [Listener],
    pub(super) destinations: &'r Destinations,
}

/// The HTTPRoutes of a host. The rules of one route of the document are never parted: between
/// those that differ in a header alone, the order within an HTTPRoute decides.
pub(super) fn resources(
    context: &Context<'_, '_>,
    host: &ServedHost<'_>,
    backends: &mut Backends<'_, '_>,
) -> Result<Vec<Value>, RenderError> {
    let routes = host.routes.iter().copied().map(|route| &**route);
    let candidates = forms(routes).map_err(|found| RenderError::RouteOrder {
        route: found.route.to_owned(),
        other: found.other.to_owned(),
        host: host.pattern.to_string(),
    })?;
    let mut packed: Vec<Vec<Value>> = Vec::new();
    for candidate in &candidates {
        let Some(route) = host.routes.get(candidate.index) else { continue };
        let rules = rules(context, route, candidate, backends)?;
        match packed.last_mut().filter(|last| last.len() + rules.len() <= MOST_RULES) {
            Some(last) => last.extend(rules),
            None => packed.push(rules),
        }
    }
    let mut resources = Vec::new();
    for (listener, hostnames) in bindings(context.listeners, host)? {
        for rules in &packed {
            let name = format!("{}-{:03}", host.resource_name(), resources.len() + 1);
            resources.push(http_route(context.rendering, &name, listener, &hostnames, rules));
        }
    }
    Ok(resources)
}

/// The listeners that a host's domains belong to, with the names that HTTPRoutes have for them;
/// none for all that the listener is for.
fn bindings<'l>(
    listeners: &'l [Listener],
    host: &ServedHost<'_>,
) -> Result<Vec<(&'l str, Vec<String>)>, RenderError> {
    let mut by_listener: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for domain in &host.domains {
        let pattern = HostPattern::parse(domain).ok();
        let listener = pattern.as_ref().and_then(|pattern| listener(listeners, pattern));
        let Some(listener) = listener else {
            let route = host.routes.first().map_or_else(String::new, |route| route.name.clone());
            let problem = "is not among the hosts that the gateway serves (`--host`)";
            return Err(RenderError::RouteHost { route, host: domain.clone(), problem });
        };
        by_listener.entry(&listener.name).or_default().push(domain.clone());
    }
    let mut bindings = Vec::new();
    for (listener, domains) in by_listener {
        if domains.iter().any(|domain| domain == "*") {
            bindings.push((listener, Vec::new()));
            continue;
        }
        bindings.extend(domains.chunks(MOST_HOSTS).map(|domains| (listener, domains.to_vec())));
    }
    Ok(bindings)
}

fn http_route(
    rendering: &Rendering<'_>,
    name: &str,
    listener: &str,
    hostnames: &[String],
    rules: &[Value],
) -> Value {
    let mut spec = json!({
        "parentRefs": [{
            "group": GROUP,
            "kind": "Gateway",
            "name": rendering.options.gateway_name,
            "sectionName": listener,
        }],
        "rules": rules,
    });
    if !hostnames.is_empty() {
        set(&mut spec, "hostnames", json!(hostnames));
    }
    let namespace = &rendering.gateway.namespace;
    resource::manifest(rendering.document, &HTTP_ROUTE, namespace, name, spec)
}

/// A route, with those of its requests in front that a header sends somewhere else: of rules that
/// are equal in all else, Istio tries those with more headers first, and of these the first one.
fn rules(
    context: &Context<'_, '_>,
    route: &Route,
    candidate: &Candidate<'_>,
    backends: &mut Backends<'_, '_>,
) -> Result<Vec<Value>, RenderError> {
    let text = candidate.form.text();
    if text.len() > MAX_BYTES {
        let what = format!("a path that takes {} bytes, of {MAX_BYTES} at most,", text.len());
        return Err(not_here(&route.name, what));
    }
    let unknown = candidate.methods.iter().find(|method| !METHODS.contains(method));
    if let Some(method) = unknown {
        return Err(not_here(&route.name, format!("the method `{method}`")));
    }
    let document = context.rendering.document;
    let mut rules = Vec::with_capacity(route.canary.len() + 2);
    if let Some(other) = fallback_service(route) {
        let destination = context.destinations.of_fallback(route, other)?;
        let to = vec![backends.reference(destination, None)];
        let value = headers::TO_FALLBACK;
        let header = json!({"name": headers::FALLBACK, "type": "Exact", "value": value});
        // Only the gateway has any business with it.
        let filters = filters(document, route, &[headers::FALLBACK])?;
        let matches = matches(candidate, Some(header));
        rules.push(rule(route, &fallback_name(route), matches, &filters, to));
    }
    let filters = filters(document, route, &[])?;
    for (at, pick) in route.canary.iter().enumerate() {
        let destination = context.destinations.of_version(route, &pick.version)?;
        let to = vec![backends.reference(destination, None)];
        let matches = matches(candidate, Some(header_match(route, pick)?));
        rules.push(rule(route, &pick_name(route, at + 1), matches, &filters, to));
    }
    let to = backend_refs(context.destinations, route, backends)?;
    rules.push(rule(route, &route.name, matches(candidate, None), &filters, to));
    Ok(rules)
}

fn rule(
    route: &Route,
    name: &str,
    matches: Vec<Value>,
    filters: &[Value],
    to: Vec<Value>,
) -> Value {
    let mut rule = json!({
        "name": name,
        "timeouts": {"request": gateway_duration(route.timeout_ms)},
    });
    set(&mut rule, "matches", Value::Array(matches));
    set(&mut rule, "backendRefs", Value::Array(to));
    if !filters.is_empty() {
        set(&mut rule, "filters", json!(filters));
    }
    rule
}

/// Where a route's requests go, in which shares. What gets none is written all the same: a change
/// of shares then changes numbers alone.
fn backend_refs(
    destinations: &Destinations,
    route: &Route,
    backends: &mut Backends<'_, '_>,
) -> Result<Vec<Value>, RenderError> {
    if route.split.is_empty() {
        return Ok(vec![backends.reference(destinations.of_route(route)?, None)]);
    }
    let mut weighted = Vec::with_capacity(route.split.len());
    for (version, weight) in &route.split {
        let destination = destinations.of_version(route, version)?;
        weighted.push(backends.reference(destination, Some(*weight)));
    }
    Ok(weighted)
}

/// One for each method: a match names one, or all.
fn matches(candidate: &Candidate<'_>, header: Option<Value>) -> Vec<Value> {
    let kind = match candidate.form {
        PathForm::Exact(_) => "Exact",
        PathForm::Prefix(_) => "PathPrefix",
        PathForm::Regex(_) => "RegularExpression",
    };
    let mut matched = json!({"path": {"type": kind, "value": candidate.form.text()}});
    if let Some(header) = header {
        set(&mut matched, "headers", Value::Array(vec![header]));
    }
    if candidate.methods.is_empty() {
        return vec![matched];
    }
    let with_method = |method: &&str| {
        let mut matched = matched.clone();
        set(&mut matched, "method", json!(method));
        matched
    };
    candidate.methods.iter().map(with_method).collect()
}

fn header_match(route: &Route, pick: &CanaryPick) -> Result<Value, RenderError> {
    let (kind, value) = match &pick.value {
        HeaderValue::Exact(value) => ("Exact", value.clone()),
        HeaderValue::Prefix(value) => ("RegularExpression", format!("{}.*", escape(value))),
    };
    if !is_header_value(&value) {
        let what = format!("this value of the header `{}`, which chooses a version,", pick.header);
        return Err(not_here(&route.name, what));
    }
    Ok(json!({"name": pick.header, "type": kind, "value": value}))
}

/// Fixed values; what depends on the request is `ext_proc`'s.
fn filters(document: &Document, route: &Route, lost: &[&str]) -> Result<Vec<Value>, RenderError> {
    let mut filters = Vec::new();
    let own = security_headers::of_route(document, route);
    let (none, nothing): (&[Header], &[&str]) = (&[], &[]);
    let (request, response) = (&route.transform.request, &route.transform.response);
    for (kind, member, rules, own, lost) in [
        ("RequestHeaderModifier", "requestHeaderModifier", request, none, lost),
        ("ResponseHeaderModifier", "responseHeaderModifier", response, own.as_slice(), nothing),
    ] {
        let modifier = modifier(route, rules, own, lost)?;
        if modifier.as_object().is_some_and(|modifier| !modifier.is_empty()) {
            let mut filter = json!({"type": kind});
            set(&mut filter, member, modifier);
            filters.push(filter);
        }
    }
    Ok(filters)
}

fn modifier(
    route: &Route,
    rules: &HeaderRules,
    own: &[Header],
    lost: &[&str],
) -> Result<Value, RenderError> {
    let (fixed, removed) = fixed_headers(rules);
    // A percent sign begins one of Envoy's own placeholders.
    let fixed = fixed.into_iter().map(|(name, value)| (name, value.replace('%', "%%")));
    let own = own.iter().map(|(name, value)| ((*name).to_owned(), value.to_string()));
    let fixed: BTreeMap<String, String> = own.chain(fixed).collect();
    let removed = removed.iter().map(String::as_str).chain(lost.iter().copied());
    let removed: BTreeSet<&str> = removed.collect();
    if let Some((name, _)) = fixed.iter().find(|(_, value)| !is_header_value(value)) {
        return Err(not_here(&route.name, format!("this value of the header `{name}`")));
    }
    if fixed.len() > MOST_HEADERS || removed.len() > MOST_HEADERS {
        let what = format!("more than {MOST_HEADERS} headers that are set, or removed,");
        return Err(not_here(&route.name, what));
    }
    let mut modifier = json!({});
    if !fixed.is_empty() {
        let set_to = fixed.iter().map(|(name, value)| json!({"name": name, "value": value}));
        set(&mut modifier, "set", set_to.collect());
    }
    if !removed.is_empty() {
        set(&mut modifier, "remove", json!(removed));
    }
    Ok(modifier)
}

/// What the Gateway API takes for a header's value: words of visible ASCII, one space between two.
fn is_header_value(value: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic());
    value.len() <= LONGEST_VALUE && value.split([' ', '\t']).all(is_word)
}

/// As the Gateway API spells a duration: whole numbers of at most five digits with a unit each.
fn gateway_duration(millis: u64) -> String {
    let parts = [
        (millis / 3_600_000, "h"),
        (millis / 60_000 % 60, "m"),
        (millis / 1_000 % 60, "s"),
        (millis % 1_000, "ms"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0);
    parts.map(|(number, unit)| format!("{number}{unit}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spelled_with_units() {
        for (millis, text) in [
            (1, "1ms"),
            (1_500, "1s500ms"),
            (30_000, "30s"),
            (90_000, "1m30s"),
            (3_600_000, "1h"),
            (86_461_001, "24h1m1s1ms"),
        ] {
            assert_eq!(gateway_duration(millis), text);
        }
    }

    #[test]
    fn values_of_headers_are_words() {
        for value in ["a", "a b", "max-age=1; b", "100%%", "a\tb"] {
            assert!(is_header_value(value), "{value}");
        }
        let long = "a".repeat(LONGEST_VALUE + 1);
        for value in ["", " ", " a", "a ", "a  b", "é", "a\u{7f}", long.as_str()] {
            assert!(!is_header_value(value), "{value}");
        }
    }
}
