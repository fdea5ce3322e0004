//! Routes, in the order in which the document's matcher tries them.

use postern_document::{Document, HeaderRules, HostPattern, Retries, Route, SecurityHeaders};
use postern_request::{RateLimitStatus, headers};
use serde_json::{Map, Value, json};

use super::names::{EXT_AUTHZ, EXT_PROC, route_cluster};
use super::{duration, route_tree, typed};
use crate::routing::{PathMatch, path_match};

pub(crate) fn render(document: &Document) -> Value {
    let mut hosts: Vec<Value> = document
        .virtual_hosts()
        .iter()
        .map(|host| {
            let routes = host.routes.iter().filter_map(|index| document.routes.get(*index));
            let routes = routes.map(|route| &**route);
            let routes: Vec<(&Route, Value)> =
                routes.map(|route| (route, render_route(document, route))).collect();
            let mut rendered = route_tree::members(&routes, &no_route(document));
            let domain = host.host.to_string();
            let name = if host.host == HostPattern::Any { "any" } else { domain.as_str() };
            rendered.insert("name".to_owned(), json!(name));
            rendered.insert("domains".to_owned(), json!([domain]));
            Value::Object(rendered)
        })
        .collect();
    let names_all = document.virtual_hosts().iter().any(|host| host.host == HostPattern::Any);
    if !names_all {
        hosts.push(json!({"name": "any", "domains": ["*"], "routes": [no_route(document)]}));
    }
    json!({
        "name": "postern",
        "virtual_hosts": hosts,
        // Hosts are compared without their port, as the document's matcher does.
        "ignore_port_in_host_matching": true,
        "most_specific_header_mutations_wins": true,
        "response_headers_to_remove": response_headers_to_remove(),
        "response_headers_to_add": security_headers(document.security_headers),
    })
}

/// What upstreams must not say, and what the bundle says itself: it counts on that to be gone.
fn response_headers_to_remove() -> Vec<&'static str> {
    let mut names = vec!["server", "x-powered-by"];
    names.extend([headers::CORRELATION_ID, headers::RESPONSE_TIME]);
    names.extend(RateLimitStatus::HEADERS);
    names
}

fn render_route(document: &Document, route: &Route) -> Value {
    let mut rendered = json!({
        "name": route.name,
        "match": route_match(route),
        "route": {
            "cluster": route_cluster(route),
            "timeout": duration(route.timeout_ms),
            "retry_policy": retry_policy(route),
        },
        "typed_per_filter_config": per_filter(document, route.needs_ext_authz(), route.needs_ext_proc()),
    });
    if let Value::Object(members) = &mut rendered {
        add_header_rules(members, "request", &route.transform.request);
        add_header_rules(members, "response", &route.transform.response);
    }
    rendered
}

/// What no route is for. The bundle answers first; this one is for an Envoy that runs without.
fn no_route(document: &Document) -> Value {
    json!({
        "name": "postern-no-route",
        "match": {"prefix": "/"},
        "direct_response": {"status": 404},
        "typed_per_filter_config": per_filter(document, false, false),
    })
}

fn route_match(route: &Route) -> Value {
    let mut matches = match path_match(&route.path) {
        PathMatch::Exact(path) => json!({"path": path}),
        PathMatch::Prefix(prefix) => json!({"prefix": prefix}),
        PathMatch::Regex(regex) => json!({"safe_regex": {"regex": regex}}),
    };
    if let (Value::Object(members), false) = (&mut matches, route.methods.is_empty()) {
        // One method is compared as it is; Envoy tries headers before it gives a route up.
        let methods = match route.methods.as_slice() {
            [one] => json!({"exact": one}),
            several => json!({"safe_regex": {"regex": several.join("|")}}),
        };
        members.insert("headers".to_owned(), json!([{"name": ":method", "string_match": methods}]));
    }
    matches
}

fn retry_policy(route: &Route) -> Value {
    let default = Retries { attempts: 1, on: Vec::new() };
    let retries = route.service.as_ref().map_or(&default, |service| &service.retries);
    if retries.attempts <= 1 {
        return Value::Null;
    }
    json!({"retry_on": retries.on.join(","), "num_retries": retries.attempts - 1})
}

/// The server is asked only where a route needs it: `ext_authz` is switched off elsewhere,
/// `ext_proc` switched on there. A filter that is not in the chain must not be named here.
fn per_filter(document: &Document, needs_ext_authz: bool, needs_ext_proc: bool) -> Value {
    let mut filters = Map::new();
    if document.needs_ext_authz() && !needs_ext_authz {
        let message = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute";
        filters.insert(EXT_AUTHZ.to_owned(), typed(message, json!({"disabled": true})));
    }
    if needs_ext_proc {
        let message = "envoy.config.route.v3.FilterConfig";
        filters.insert(EXT_PROC.to_owned(), typed(message, json!({"config": {}})));
    }
    Value::Object(filters)
}

/// Fixed values are Envoy's own business; what depends on the request is `ext_proc`'s.
fn add_header_rules(members: &mut Map<String, Value>, direction: &str, rules: &HeaderRules) {
    let set: Vec<Value> = rules
        .set
        .iter()
        .filter(|(_, value)| value.is_fixed())
        .map(|(name, value)| {
            // A percent sign begins one of Envoy's own placeholders.
            overwrite(name, &value.render(|_| None).replace('%', "%%"))
        })
        .collect();
    if !set.is_empty() {
        members.insert(format!("{direction}_headers_to_add"), json!(set));
    }
    if !rules.remove.is_empty() {
        members.insert(format!("{direction}_headers_to_remove"), json!(rules.remove));
    }
}

fn overwrite(name: &str, value: &str) -> Value {
    json!({
        "header": {"key": name, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    })
}

/// The contract's profile `api`. Expect-CT and HTTP/2 push are dead and left out.
pub(crate) fn security_headers(profile: SecurityHeaders) -> Vec<Value> {
    let headers = match profile {
        SecurityHeaders::None => return Vec::new(),
        SecurityHeaders::Api => [
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("permissions-policy", "geolocation=(), microphone=(), camera=(), payment=()"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("cross-origin-resource-policy", "same-origin"),
            ("origin-agent-cluster", "?1"),
            ("x-dns-prefetch-control", "off"),
            ("x-permitted-cross-domain-policies", "none"),
            ("x-xss-protection", "0"),
        ],
    };
    headers.iter().map(|(name, value)| overwrite(name, value)).collect()
}
