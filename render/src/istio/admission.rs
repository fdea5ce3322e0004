//! AuthorizationPolicy ALLOW on the gateway: what a request must look like once the bundle has
//! passed it.
//!
//! It says less than the document and can only refuse more: whoever brings a route to the gateway
//! past the document, or takes the bundle from a listener, meets it. It is no wall where the
//! plugin's resource itself is gone: then nobody removes identity headers that callers made up.
//!
//! Paths are said too widely rather than too narrowly. What no route is for needs no rule: the
//! bundle has answered 404 before.

use postern_document::{Auth, OnFailure, Route};
use postern_request::headers;
use postern_request::principal::{Credential, IdentityHeader, Principal};
use serde_json::{Value, json};

use super::resource::{self, annotate, set};
use super::{Rendering, policy_path};

/// What the policy is for.
const ABOUT: &str = "Lets in what belongs to a route of the document and carries the identity \
                     that the bundle writes.";

/// One rule a route of the document, by name: those that workloads guard too, whose requests pass
/// here on their way.
pub(super) fn resources(rendering: &Rendering<'_>) -> Vec<Value> {
    let mut routes: Vec<&Route> = rendering.document.routes.iter().map(AsRef::as_ref).collect();
    if routes.is_empty() {
        return Vec::new();
    }
    routes.sort_by(|a, b| a.name.cmp(&b.name));
    let rules = routes.iter().map(|route| rule(rendering, route)).collect();
    let mut spec = json!({"action": "ALLOW"});
    rendering.gateway.attach.policy(&mut spec);
    set(&mut spec, "rules", Value::Array(rules));
    let namespace = &rendering.gateway.namespace;
    let kind = &resource::AUTHORIZATION_POLICY;
    let mut policy =
        resource::manifest(rendering.document, kind, namespace, "postern-routes", spec);
    annotate(&mut policy, "postern.dev/for", ABOUT);
    let names: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
    annotate(&mut policy, "postern.dev/routes", &names.join(" "));
    vec![policy]
}

fn rule(rendering: &Rendering<'_>, route: &Route) -> Value {
    let mut operation = json!({"paths": [policy_path::widest(route)]});
    if !route.methods.is_empty() {
        set(&mut operation, "methods", json!(route.methods));
    }
    let hosts = policy_path::widest_hosts(route, rendering.options);
    if !hosts.is_empty() {
        set(&mut operation, "hosts", json!(hosts));
    }
    let mut rule = json!({"to": [{"operation": operation}]});
    let conditions = conditions(rendering, route);
    if !conditions.is_empty() {
        set(&mut rule, "when", Value::Array(conditions));
    }
    rule
}

/// The headers that a request of the route carries in any case: one for each scope, or at least
/// whose it is. None where the document lets some of them through without.
fn conditions(rendering: &Rendering<'_>, route: &Route) -> Vec<Value> {
    let document = rendering.document;
    let Auth::Rules { scopes, optional, .. } = &route.auth else { return Vec::new() };
    let by_server = route.auth.accepts(Credential::ApiKey) || route.needs_ext_authz();
    let passes_without = *optional
        || route.enforce.percent() < 100
        // Judged behind the gateway.
        || route.guarded_by().is_some()
        || (by_server && document.failures.ext_authz == OnFailure::Allow);
    if passes_without {
        return Vec::new();
    }
    let is_written = |header| document.identity_headers.contains(&header);
    let mut wanted = Vec::new();
    if is_written(IdentityHeader::ScopeNames) {
        // Some scopes have no header of their own.
        let holder = Principal { scopes: scopes.clone(), ..Principal::default() };
        wanted = holder.headers(&[IdentityHeader::ScopeNames]);
    }
    if wanted.is_empty() && is_written(IdentityHeader::Subject) {
        wanted.push((headers::SUBJECT.to_owned(), "*".to_owned()));
    }
    wanted.sort_unstable();
    let wanted = wanted
        .into_iter()
        .map(|(name, value)| json!({"key": format!("request.headers[{name}]"), "values": [value]}));
    wanted.collect()
}
