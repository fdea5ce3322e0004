//! The document's rules that can decide on a request, by name: what coverage counts.

use std::fmt;
use std::sync::Arc;

use postern_document::{AppliedLimit, Auth, Document, Fallback, LimitMode, Proof, Route};
use postern_request::principal::Credential;

use crate::traffic::picked;

/// One thing that a document's rule can do to a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// The rule's path in the document, by names: `routes.payments-read.auth.scopes`.
    pub path: String,
    /// Which of several at that path: a scope, a claim, a kind of credential, a version, a header
    /// that chooses one.
    pub item: Option<String>,
    /// What it did.
    pub effect: Effect,
}

/// What a rule did to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// The request belongs to it.
    Reached,
    /// It let the request through.
    Passed,
    /// It turned the request away.
    Refused,
    /// It let the request through without a credential.
    PassedWithout,
    /// It would have turned the request away, which is not of the share that is held to it.
    Shadowed,
    /// It answered for a part that had failed.
    Failed,
}

impl Effect {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::PassedWithout => "passed without a credential",
            Self::Shadowed => "shadowed",
            Self::Failed => "answered for what failed",
        }
    }
}

impl Rule {
    pub(crate) fn new(path: String, effect: Effect) -> Self {
        Self { path, item: None, effect }
    }

    /// A rule of a route; `member` is empty for the route itself.
    pub(crate) fn route(route: &Route, member: &str, effect: Effect) -> Self {
        let dot = if member.is_empty() { "" } else { "." };
        Self::new(["routes.", &route.name, dot, member].concat(), effect)
    }

    /// One of several of a route.
    pub(crate) fn route_item(route: &Route, member: &str, item: &str, effect: Effect) -> Self {
        Self { item: Some(item.to_owned()), ..Self::route(route, member, effect) }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(item) = &self.item {
            write!(f, "[{item}]")?;
        }
        write!(f, " {}", self.effect.as_str())
    }
}

/// Every rule of a document that a request can meet, each once, in the document's order.
#[must_use]
pub fn rules_of(document: &Document) -> Vec<Rule> {
    let mut rules = Vec::new();
    for route in &document.routes {
        of_route(route, &mut rules);
    }
    of_parts(document, &mut rules);
    let mut known = std::collections::BTreeSet::new();
    rules.retain(|rule| known.insert(rule.clone()));
    rules
}

fn of_route(route: &Route, rules: &mut Vec<Rule>) {
    rules.push(Rule::route(route, "", Effect::Reached));
    if let Auth::Rules { any, scopes, optional, token, mfa } = &route.auth {
        for kind in any {
            rules.push(Rule::route_item(route, "auth.any", kind.as_str(), Effect::Passed));
        }
        if *optional {
            rules.push(Rule::route(route, "auth.optional", Effect::PassedWithout));
        } else {
            rules.push(Rule::route(route, "auth.any", Effect::Refused));
        }
        for scope in scopes {
            rules.push(Rule::route_item(route, "auth.scopes", scope, Effect::Refused));
        }
        if !token.issuers.is_empty() {
            rules.push(Rule::route(route, "auth.issuers", Effect::Refused));
        }
        if !token.audiences.is_empty() {
            rules.push(Rule::route(route, "auth.audiences", Effect::Refused));
        }
        for rule in &token.claims {
            rules.push(Rule::route_item(route, "auth.claims", &rule.claim, Effect::Refused));
        }
        if let Some(Proof::Dpop | Proof::Certificate) = token.proof {
            rules.push(Rule::route(route, "auth.proof", Effect::Refused));
        }
        if mfa.is_some() {
            rules.push(Rule::route(route, "auth.mfa", Effect::Passed));
            rules.push(Rule::route(route, "auth.mfa", Effect::Refused));
        }
        if route.login().is_some() {
            rules.push(Rule::route(route, "auth.login", Effect::Refused));
        }
    }
    if !route.peers.is_empty() {
        rules.push(Rule::route(route, "peers", Effect::Passed));
        rules.push(Rule::route(route, "peers", Effect::Refused));
    }
    for applied in limits_of(route) {
        let name = &applied.limit.name;
        rules.push(Rule::route_item(route, "limits", name, Effect::Passed));
        if !applied.limit.shadow {
            rules.push(Rule::route_item(route, "limits", name, Effect::Refused));
        }
    }
    rules.extend(of_circuit(route));
    rules.extend(of_stand_in(route));
    if route.enforce.percent() < 100 {
        if route.enforce.percent() > 0 {
            rules.push(Rule::route(route, "enforce", Effect::Refused));
        }
        rules.push(Rule::route(route, "enforce", Effect::Shadowed));
    }
    of_traffic(route, rules);
}

/// What decides while the circuit of a route's service is open: the circuit, or what the route
/// says of it.
pub(crate) fn of_circuit(route: &Route) -> Option<Rule> {
    route.circuit()?;
    let fallback = |effect| Rule::route(route, "fallback", effect);
    Some(match &route.fallback {
        None | Some(Fallback::Stale(_)) => refused_for(route.service_name()),
        Some(Fallback::Answer(_)) => fallback(Effect::Refused),
        Some(Fallback::Service(_) | Fallback::Shadow) => fallback(Effect::Passed),
    })
}

/// What decides where the circuit of the service that would answer instead is open as well.
pub(crate) fn of_stand_in(route: &Route) -> Option<Rule> {
    let Some(Fallback::Service(other)) = &route.fallback else { return None };
    other.circuit.map(|_| refused_for(&other.name))
}

fn refused_for(service: &str) -> Rule {
    Rule::new(["services.", service, ".circuit"].concat(), Effect::Refused)
}

/// What is done with a request that may pass.
fn of_traffic(route: &Route, rules: &mut Vec<Rule>) {
    if !route.descriptors.is_empty() {
        rules.push(Rule::route(route, "descriptors", Effect::Passed));
    }
    if let Some(fault) = route.fault {
        if fault.delay.is_some() {
            rules.push(Rule::route(route, "fault.delay", Effect::Passed));
        }
        if fault.abort.is_some() {
            rules.push(Rule::route(route, "fault.abort", Effect::Refused));
        }
    }
    for pick in &route.canary {
        rules.push(Rule::route_item(route, "canary", &picked(pick), Effect::Passed));
    }
    // A version with a share of nothing is nobody's turn.
    for (version, _) in route.split.iter().filter(|(_, percent)| *percent > 0) {
        rules.push(Rule::route_item(route, "split", &version.name, Effect::Passed));
    }
}

/// The answers for parts that fail.
fn of_parts(document: &Document, rules: &mut Vec<Rule>) {
    let mut failed = |path: String| rules.push(Rule::new(path, Effect::Failed));
    if document.needs_ext_authz() {
        failed("failures.ext_authz".to_owned());
    }
    if document.needs_ext_proc() {
        failed("failures.ext_proc".to_owned());
    }
    if document.routes.iter().any(|route| !route.descriptors.is_empty()) {
        failed("rate_limit_filter.on_failure".to_owned());
    }
    let named = [Credential::ApiKey, Credential::Session];
    let is_asked = |route: &Arc<Route>| named.iter().any(|kind| route.auth.accepts(*kind));
    let is_asked = !document.issuers.is_empty() || document.routes.iter().any(is_asked);
    if document.revocation.is_some() && is_asked {
        failed("revocation.when_stale".to_owned());
    }
    for applied in document.routes.iter().flat_map(|route| limits_of(route)) {
        if !matches!(applied.limit.mode, LimitMode::Local) {
            failed(format!("limits.{}.when_store_fails", applied.limit.name));
        }
    }
}

/// In the order in which they are asked.
pub(crate) fn limits_of(route: &Route) -> impl Iterator<Item = &AppliedLimit> {
    route.exact_limits.iter().chain(&route.local_limits).chain(&route.leased_limits)
}
