//! Routes, in the order in which the document's matcher tries them.

mod per_route;

use postern_document::{CanaryPick, HostPattern, Route, Service};
use postern_request::{RateLimitStatus, headers};
use serde_json::{Value, json};

use self::per_route::{add_header_rules, per_filter};
use super::names::{OWN, part_cluster, route_cluster, service_cluster};
use super::rendering::Rendering;
use super::{duration, route_tree, traffic};
use crate::routing::{PathMatch, path_match};
use crate::security_headers::{self, Header};
use crate::traffic::{fallback_service, header_value};

pub(super) fn render(rendering: &Rendering<'_>) -> Value {
    let mut names_all = false;
    let mut hosts = Vec::new();
    for host in rendering.document.virtual_hosts() {
        let routes = host.routes.iter().filter_map(|index| rendering.document.routes.get(*index));
        let routes = routes.map(|route| &**route).filter(|route| rendering.serves(route));
        let routes: Vec<(&Route, Value)> = routes
            .flat_map(|route| forms(rendering, route).into_iter().map(move |form| (route, form)))
            .collect();
        let is_any = host.host == HostPattern::Any;
        // A sidecar's routes need not have a host that others have.
        if routes.is_empty() && !is_any {
            continue;
        }
        let mut rendered = route_tree::members(&routes, &no_route(rendering));
        let domain = host.host.to_string();
        rendered.insert("name".to_owned(), json!(if is_any { "any" } else { domain.as_str() }));
        rendered.insert("domains".to_owned(), json!([domain]));
        hosts.push(Value::Object(rendered));
        names_all |= is_any;
    }
    if !names_all {
        hosts.push(json!({"name": "any", "domains": ["*"], "routes": [no_route(rendering)]}));
    }
    json!({
        "name": OWN,
        "virtual_hosts": hosts,
        // Hosts are compared without their port, as the document's matcher does.
        "ignore_port_in_host_matching": true,
        "most_specific_header_mutations_wins": true,
        "response_headers_to_remove": response_headers_to_remove(rendering),
        "response_headers_to_add":
            overwriting(&security_headers::of(rendering.document.security_headers)),
    })
}

/// What upstreams must not say, and what the bundle says itself: it counts on that to be gone.
/// Limit headers are taken away by the routes themselves where some come from a bundle behind
/// this one.
fn response_headers_to_remove(rendering: &Rendering<'_>) -> Vec<&'static str> {
    let mut names = vec!["server", "x-powered-by"];
    names.extend([headers::CORRELATION_ID, headers::RESPONSE_TIME]);
    if !rendering.asked.guards_behind {
        names.extend(RateLimitStatus::HEADERS);
    }
    names
}

/// Which of a route's requests go somewhere of their own, by a header.
#[derive(Debug, Clone, Copy)]
enum Pick<'r> {
    /// To a version of the service.
    Version(&'r CanaryPick),
    /// To the service that answers while the circuit is open.
    Fallback,
}

/// A route, as often as there are places to choose by a header: those first, the one that the
/// bundle chooses before those that callers may. All have one name and ask the same filters, so
/// that a header which the bundle writes, or takes away, changes nothing but where the request
/// goes.
fn forms(rendering: &Rendering<'_>, route: &Route) -> Vec<Value> {
    let mut forms = Vec::new();
    // Whose turn it is has been decided in front of a sidecar.
    if let (Some(service), None) = (&route.service, rendering.sidecar) {
        if let Some(other) = fallback_service(route) {
            forms.push(form(rendering, route, Some(Pick::Fallback), whole(other)));
        }
        for pick in &route.canary {
            let cluster = part_cluster(service, Some(&pick.version), route.bulkhead.as_deref());
            let cluster = json!({"cluster": cluster});
            forms.push(form(rendering, route, Some(Pick::Version(pick)), cluster));
        }
    }
    forms.push(form(rendering, route, None, destination(rendering, route)));
    forms
}

fn whole(service: &Service) -> Value {
    json!({"cluster": service_cluster(&service.name)})
}

/// Where a route's requests go that no header has sent elsewhere.
fn destination(rendering: &Rendering<'_>, route: &Route) -> Value {
    let bulkhead = route.bulkhead.as_deref();
    match (&route.service, rendering.sidecar) {
        (Some(service), None) if !route.split.is_empty() => {
            let parts = route.split.iter().map(|(version, percent)| {
                json!({"name": part_cluster(service, Some(version), bulkhead), "weight": percent})
            });
            json!({"weighted_clusters": {"clusters": parts.collect::<Vec<_>>()}})
        }
        (Some(service), None) => json!({"cluster": part_cluster(service, None, bulkhead)}),
        _ => json!({"cluster": route_cluster(route)}),
    }
}

fn form(
    rendering: &Rendering<'_>,
    route: &Route,
    pick: Option<Pick<'_>>,
    destination: Value,
) -> Value {
    let is_elsewhere = matches!(pick, Some(Pick::Fallback));
    let mut action = destination;
    if let Value::Object(members) = &mut action {
        members.insert("timeout".to_owned(), duration(route.timeout_ms));
        // What a sidecar tries again, its caller would try again as well.
        let retries = match rendering.sidecar {
            Some(_) => Value::Null,
            None => traffic::retry_policy(&route.retries),
        };
        members.insert("retry_policy".to_owned(), retries);
        let hash = traffic::hash_policy(route).filter(|_| !is_elsewhere);
        if let (Some(policy), None) = (hash, rendering.sidecar) {
            members.insert("hash_policy".to_owned(), policy);
        }
    }
    let mut rendered = json!({
        "name": route.name,
        "match": route_match(route, pick),
        "route": action,
        "typed_per_filter_config": per_filter(rendering, Some(route)),
    });
    if let Value::Object(members) = &mut rendered {
        let (request, response) = (&route.transform.request, &route.transform.response);
        // Only this Envoy has any business with it.
        let chosen_by: &[&str] = if is_elsewhere { &[headers::FALLBACK] } else { &[] };
        add_header_rules(members, "request", request, &[], chosen_by);
        let own = overwriting(&security_headers::of_route(rendering.document, route));
        let lost = lost_limit_headers(rendering, route);
        add_header_rules(members, "response", response, &own, lost);
    }
    rendered
}

/// Limit headers of upstreams, where not every route loses them: those of a bundle behind this
/// one are for the caller.
fn lost_limit_headers(rendering: &Rendering<'_>, route: &Route) -> &'static [&'static str] {
    let is_lost = rendering.asked.guards_behind && rendering.guards(route);
    if is_lost { &RateLimitStatus::HEADERS } else { &[] }
}

/// What no route is for. The bundle answers first; this one is for an Envoy that runs without.
fn no_route(rendering: &Rendering<'_>) -> Value {
    json!({
        "name": "postern-no-route",
        "match": {"prefix": "/"},
        "direct_response": {"status": 404},
        "typed_per_filter_config": per_filter(rendering, None),
    })
}

fn route_match(route: &Route, pick: Option<Pick<'_>>) -> Value {
    let mut matches = match path_match(&route.path) {
        PathMatch::Exact(path) => json!({"path": path}),
        PathMatch::Prefix(prefix) => json!({"prefix": prefix}),
        PathMatch::Regex(regex) => json!({"safe_regex": {"regex": regex}}),
    };
    // One method is compared as it is; Envoy tries headers before it gives a route up.
    let methods = match route.methods.as_slice() {
        [] => None,
        [one] => Some(json!({"exact": one})),
        several => Some(json!({"safe_regex": {"regex": several.join("|")}})),
    };
    let methods = methods.map(|methods| json!({"name": ":method", "string_match": methods}));
    let pick = pick.map(|pick| match pick {
        Pick::Version(pick) => json!({"name": pick.header, "string_match": header_value(pick)}),
        Pick::Fallback => {
            json!({"name": headers::FALLBACK, "string_match": {"exact": headers::TO_FALLBACK}})
        }
    });
    let headers: Vec<Value> = methods.into_iter().chain(pick).collect();
    if let (Value::Object(members), false) = (&mut matches, headers.is_empty()) {
        members.insert("headers".to_owned(), json!(headers));
    }
    matches
}

fn overwrite(name: &str, value: &str) -> Value {
    json!({
        "header": {"key": name, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    })
}

/// Headers that take the place of what is there, as Envoy writes them.
pub(crate) fn overwriting(headers: &[Header]) -> Vec<Value> {
    headers.iter().map(|(name, value)| overwrite(name, value)).collect()
}
