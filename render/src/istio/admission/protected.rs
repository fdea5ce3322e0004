//! AuthorizationPolicy DENY: nobody takes a protected route by another one's rule.
//!
//! Rules that allow are alternatives: a route that is open to everybody and lies above a protected
//! one lets its requests in too. So what has not the headers that the bundle writes for a route's
//! callers is denied, wherever the document would have asked for them.
//!
//! What is denied is said too narrowly rather than too widely: a path's own form or less of it,
//! without what belongs to routes that the document tries first and that ask for less.

use std::collections::{BTreeMap, BTreeSet};

use postern_document::Route;
use serde_json::{Value, json};

use super::super::order::{Order, meet};
use super::super::packed::{self, Head, Rule};
use super::super::resource::set;
use super::super::{Context, Placed, Rendering, policy_path};
use super::{Condition, conditions};

/// What the policy is for.
const HEAD: Head<'static> = Head {
    name: "protected",
    action: "DENY",
    about: "Refuses requests of protected routes that do not carry the identity that the bundle \
            writes, also where an open route's rule would let them in.",
};

/// Policies at each place where routes are enforced.
pub(super) fn resources(rendering: &Rendering<'_>) -> Vec<Value> {
    let order = Order::of(rendering.document);
    rendering.guards().flat_map(|placed| at(rendering, &order, placed)).collect()
}

fn at(rendering: &Rendering<'_>, order: &Order<'_>, placed: &Placed<'_>) -> Vec<Value> {
    // To a sidecar come its own routes alone, and its bundle knows no others.
    let routes: Vec<&Route> = match placed.context {
        Context::Gateway => rendering.document.routes.iter().map(AsRef::as_ref).collect(),
        Context::SidecarInbound => placed.routes.clone(),
    };
    let mut routes: Vec<(&Route, Vec<Condition>)> = routes
        .into_iter()
        .map(|route| (route, conditions(rendering.document, placed, route)))
        .collect();
    routes.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    // Conditions of one rule must all hold, and one that does not is enough here: a rule for each.
    let mut rules: BTreeMap<&Condition, Vec<(&str, Value)>> = BTreeMap::new();
    for (route, wanted) in &routes {
        let Some(path) = policy_path::narrowest(route) else { continue };
        for condition in wanted {
            let asks_less = routes.iter().filter(|(other, theirs)| {
                !theirs.contains(condition)
                    && meet(other, route)
                    && policy_path::overlap(&other.path, &route.path)
                    && order.may_precede(other, route)
            });
            let not_paths: BTreeSet<String> =
                asks_less.map(|(other, _)| policy_path::widest(other)).collect();
            let operation = operation(rendering, placed, route, &path, &not_paths);
            rules.entry(condition).or_default().push((route.name.as_str(), operation));
        }
    }
    let rules = rules.into_iter().map(|((name, value), operations)| {
        let key = format!("request.headers[{name}]");
        Rule { operations, when: vec![json!({"key": key, "notValues": [value]})] }
    });
    packed::policies(rendering, placed, HEAD, rules.collect())
}

fn operation(
    rendering: &Rendering<'_>,
    placed: &Placed<'_>,
    route: &Route,
    path: &str,
    not_paths: &BTreeSet<String>,
) -> Value {
    let mut operation = json!({"paths": [path]});
    if !not_paths.is_empty() {
        set(&mut operation, "notPaths", json!(not_paths));
    }
    if !route.methods.is_empty() {
        set(&mut operation, "methods", json!(route.methods));
    }
    let hosts = policy_path::hosts(route, rendering.options);
    if !hosts.is_empty() {
        set(&mut operation, "hosts", json!(hosts));
    }
    // On a port that is no HTTP, a policy that denies drops what is HTTP's, and would deny
    // everything there.
    if !placed.ports.is_empty() {
        let ports: Vec<String> = placed.ports.iter().map(ToString::to_string).collect();
        set(&mut operation, "ports", json!(ports));
    }
    operation
}
