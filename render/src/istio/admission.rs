//! AuthorizationPolicies ALLOW and DENY: what a request must look like once the bundle has passed
//! it.
//!
//! They say less than the document and can only refuse more: whoever brings a route to the gateway
//! past the document, or takes the bundle from a listener, meets them. They are no wall where
//! `postern-connection-manager` is gone too: then nobody removes identity headers that callers
//! made up.
//!
//! What is let in is said too widely rather than too narrowly, by path and method at the gateway
//! alone: sidecars have a policy that goes by the caller. What no route is for needs no rule: the
//! bundle has answered 404 before.

mod protected;

use std::collections::BTreeMap;

use postern_document::{Auth, Document, OnFailure, Route};
use postern_request::headers;
use postern_request::principal::{Credential, IdentityHeader, Principal};
use serde_json::{Value, json};

use super::packed::{self, Head, Rule};
use super::resource::set;
use super::{Placed, Rendering, policy_path};

/// What the policy is for.
const HEAD: Head<'static> = Head {
    name: "routes",
    action: "ALLOW",
    about: "Lets in what belongs to a route of the document and carries the identity that the \
            bundle writes.",
};

/// A header that the bundle writes, and its value; `*` for any.
type Condition = (String, String);

/// Who is let in at the gateway, then who is refused wherever routes are enforced.
pub(super) fn resources(rendering: &Rendering<'_>) -> Vec<Value> {
    let mut policies = allowed(rendering);
    policies.extend(protected::resources(rendering));
    policies
}

/// Every route of the document: those that workloads guard too, whose requests pass here on their
/// way. Routes with the same conditions share a rule, because rules are few.
fn allowed(rendering: &Rendering<'_>) -> Vec<Value> {
    let gateway = &rendering.gateway;
    let mut routes: Vec<&Route> = rendering.document.routes.iter().map(AsRef::as_ref).collect();
    routes.sort_by(|a, b| a.name.cmp(&b.name));
    let mut rules: BTreeMap<Vec<Condition>, Vec<(&str, Value)>> = BTreeMap::new();
    for route in routes {
        let wanted = conditions(rendering.document, gateway, route);
        let operation = operation(rendering, route);
        rules.entry(wanted).or_default().push((route.name.as_str(), operation));
    }
    let rules = rules.into_iter().map(|(wanted, operations)| {
        let when = wanted.into_iter().map(
            |(name, value)| json!({"key": format!("request.headers[{name}]"), "values": [value]}),
        );
        Rule { operations, when: when.collect() }
    });
    packed::policies(rendering, gateway, HEAD, rules.collect())
}

fn operation(rendering: &Rendering<'_>, route: &Route) -> Value {
    let mut operation = json!({"paths": [policy_path::widest(route)]});
    if !route.methods.is_empty() {
        set(&mut operation, "methods", json!(route.methods));
    }
    let hosts = policy_path::widest_hosts(route, rendering.options);
    if !hosts.is_empty() {
        set(&mut operation, "hosts", json!(hosts));
    }
    operation
}

/// The headers that a request of the route carries behind the bundle of a place in any case: one
/// for each scope, or at least whose it is. None where the document lets some of them through
/// without, or has them judged elsewhere.
fn conditions(document: &Document, placed: &Placed<'_>, route: &Route) -> Vec<Condition> {
    let Auth::Rules { scopes, optional, .. } = &route.auth else { return Vec::new() };
    let by_server = route.auth.accepts(Credential::ApiKey) || route.needs_ext_authz();
    let passes_without = *optional
        || route.enforce.percent() < 100
        || !placed.routes.iter().any(|judged| judged.name == route.name)
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
    wanted
}
