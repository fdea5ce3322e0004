//! The Kubernetes Gateway API: a Gateway for which istiod runs the pods, an HTTPRoute for every
//! sixteen rules of a host, and leave for them to name Services of other namespaces.
//!
//! Which rule is tried first is not ours to say here: see `order`. What HTTPRoutes have no words
//! for, how often a request is tried again and what is made to go wrong, is merged into their rules
//! by an EnvoyFilter; how the gateway talks to services stays with DestinationRules, which Istio
//! follows behind HTTPRoutes too, but by host and port alone.
//!
//! Deliberately absent: `retry` of HTTPRoutes, which cannot say never and adds causes of its own to
//! those that it is given, and BackendTLSPolicy.

mod backend;
mod gateway;
mod http_route;
mod order;

use postern_document::{Document, Route};
use serde_json::{Map, Value, json};

use self::backend::Backends;
use super::destinations::Destinations;
use super::hosts::ServedHost;
use super::{Api, RenderError, Rendering};
use crate::envoy::traffic::{FAULT, fault, retry_policy};
use crate::traffic::fallback_service;

/// The group of what is rendered here.
const GROUP: &str = "gateway.networking.k8s.io";

/// The cause for which nothing is ever tried again: an answer with one of the headers that the
/// policy lists, where it lists none. A merge puts it in the place of Istio's causes; it could not
/// put a zero in the place of Istio's two more attempts.
const NEVER: &str = "retriable-headers";

/// The Gateway, the HTTPRoutes of the hosts that it serves, and ReferenceGrants.
///
/// # Errors
/// The first thing that this API has no words for.
pub(super) fn resources(
    rendering: &Rendering<'_>,
    hosts: &[ServedHost<'_>],
    destinations: &Destinations,
) -> Result<Vec<Value>, RenderError> {
    let listeners = gateway::listeners(rendering)?;
    gateway::check(&listeners, hosts)?;
    let mut backends = Backends::new(rendering);
    let mut resources = vec![gateway::resource(rendering, &listeners)];
    for host in hosts {
        let context = http_route::Context { rendering, listeners: &listeners, destinations };
        resources.extend(http_route::resources(&context, host, &mut backends)?);
    }
    resources.extend(backends.grants());
    Ok(resources)
}

/// What Envoy's routes are called that come of one of the document's: each rule of an HTTPRoute has
/// a name of its own, and Envoy's routes have those. Whatever is patched by a route's name is
/// patched for all of these.
pub(super) fn rule_names(route: &Route) -> Vec<String> {
    let fallback = fallback_service(route).map(|_| fallback_name(route));
    let picks = (1..=route.canary.len()).map(|pick| pick_name(route, pick));
    fallback.into_iter().chain(picks).chain([route.name.clone()]).collect()
}

fn fallback_name(route: &Route) -> String {
    format!("{}.fallback", route.name)
}

/// Routes' names hold no dots: no two rules are called the same.
fn pick_name(route: &Route, pick: usize) -> String {
    format!("{}.canary-{pick}", route.name)
}

/// What is merged into each rule, by its name: when a request is tried again, and what is made to
/// go wrong. Every rule is named, because Istio would try twice again what nobody mentions.
pub(super) fn route_patches(rendering: &Rendering<'_>) -> Vec<(String, Value)> {
    let mut patches = Vec::new();
    for route in sorted(rendering.document) {
        let value = route_patch(route);
        patches.extend(rule_names(route).into_iter().map(|name| (name, value.clone())));
    }
    patches
}

fn route_patch(route: &Route) -> Value {
    let mut patch = Map::new();
    let policy = match retry_policy(&route.retries) {
        Value::Null => json!({"retry_on": NEVER}),
        policy => policy,
    };
    patch.insert("route".to_owned(), json!({"retry_policy": policy}));
    if let Some(said) = &route.fault {
        patch.insert("typed_per_filter_config".to_owned(), json!({FAULT: fault(said)}));
    }
    Value::Object(patch)
}

fn sorted(document: &Document) -> Vec<&Route> {
    let mut routes: Vec<&Route> = document.routes.iter().map(AsRef::as_ref).collect();
    routes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    routes
}

/// Something of a route that HTTPRoutes cannot say.
fn not_here(route: &str, what: impl Into<String>) -> RenderError {
    RenderError::NotInThisApi {
        owner: format!("route `{route}`"),
        what: what.into(),
        api: Api::Gateway.as_str(),
        instead: "",
    }
}

#[cfg(test)]
mod tests;
