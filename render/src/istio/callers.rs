//! AuthorizationPolicies that say who may call workloads, by who they are in the mesh.
//!
//! The gateway may call every workload of the document; others may call the routes that list them
//! as `peers`, and nothing else. A namespace of the document's workloads lets nobody in whom no
//! policy names. The suite's own namespace has that from `istio/base`; added here is what only the
//! document knows: which workloads ask the server.

use std::collections::{BTreeMap, BTreeSet};

use postern_document::{Document, JwksSource, KeysBy, Route, from_json};
use postern_request::peers::PeerPattern;
use serde_json::{Value, json};

use super::destinations::OWN_SERVICE;
use super::resource::{self, annotate, set};
use super::{Context, Placed, RenderError, Rendering, feed_peers, policy_path};

const CALLERS: &str = "Lets the gateway in, and those whom routes of this workload name as peers.";
const DEFAULT_DENY: &str = "Lets nobody in: whom other policies of this namespace name may come.";
const SERVER: &str = "Lets the Envoys of the document's workloads ask the server.";

/// Paths of the server's services, each behind the label of the role that has it.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const FEED: &str = "/postern.feed.v1.Feed/*";
const SHOULD_RATE_LIMIT: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
const PROCESS: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
const ACCESS_LOGS: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
const KEYS: &str = "/oauth2/jwks";

pub(super) fn resources(rendering: &Rendering<'_>) -> Result<Vec<Value>, RenderError> {
    let mut policies: Vec<Value> =
        rendering.workloads.iter().map(|placed| callers(rendering, placed)).collect();
    policies.extend(closed(rendering).into_iter().map(|namespace| {
        // An ALLOW policy without rules allows nothing.
        policy(rendering, namespace, "postern-default-deny", json!({}), DEFAULT_DENY)
    }));
    policies.extend(to_the_server(rendering)?);
    Ok(policies)
}

/// Namespaces of the document's workloads that let nobody in whom no policy names.
pub(super) fn closed<'r>(rendering: &'r Rendering<'_>) -> BTreeSet<&'r str> {
    if !rendering.options.default_deny {
        return BTreeSet::new();
    }
    let ours = rendering.namespaces();
    let workloads = rendering.workloads.iter().map(|placed| placed.namespace.as_str());
    workloads.filter(|namespace| ours.contains(namespace)).collect()
}

/// Who may call a workload.
fn callers(rendering: &Rendering<'_>, placed: &Placed<'_>) -> Value {
    let ports: Vec<String> = placed.ports.iter().map(ToString::to_string).collect();
    // With a path, which every request has: Istio leaves such a rule out where it takes a port for
    // TCP, and there no bundle would have looked.
    let mut operation = json!({"paths": ["/*"]});
    if !ports.is_empty() {
        set(&mut operation, "ports", json!(ports));
    }
    let mut rules = vec![json!({
        "from": [{"source": {"principals": [rendering.gateway.principal]}}],
        "to": [{"operation": operation}],
    })];
    for (peers, routes) in by_peers(placed) {
        let operations = routes.iter().map(|route| {
            let mut operation = json!({"paths": [policy_path::widest(route)]});
            if !route.methods.is_empty() {
                set(&mut operation, "methods", json!(route.methods));
            }
            if !ports.is_empty() {
                set(&mut operation, "ports", json!(ports));
            }
            json!({"operation": operation})
        });
        rules.push(json!({
            "from": [{"source": {"principals": peers}}],
            "to": operations.collect::<Vec<_>>(),
        }));
    }
    let mut spec = json!({"action": "ALLOW"});
    placed.attach.policy(&mut spec);
    set(&mut spec, "rules", Value::Array(rules));
    policy(rendering, &placed.namespace, &placed.name("callers"), spec, CALLERS)
}

/// Routes by who may call them besides the gateway; those that say nothing of it are left out.
fn by_peers<'d>(placed: &Placed<'d>) -> BTreeMap<Vec<String>, Vec<&'d Route>> {
    let mut by_peers: BTreeMap<Vec<String>, Vec<&'d Route>> = BTreeMap::new();
    for route in placed.routes.iter().copied().filter(|route| !route.peers.is_empty()) {
        let mut peers: Vec<String> = route.peers.iter().map(PeerPattern::to_istio).collect();
        peers.sort_unstable();
        by_peers.entry(peers).or_default().push(route);
    }
    for routes in by_peers.values_mut() {
        routes.sort_by(|a, b| a.name.cmp(&b.name));
    }
    by_peers
}

/// Policies in the suite's namespace, one a role. The gateway is in them where the document says
/// which one it is; else `istio/base` names the one of Istio's own charts.
fn to_the_server(rendering: &Rendering<'_>) -> Result<Vec<Value>, RenderError> {
    // Paths by principal, for each role.
    let mut roles: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    let is_named = rendering.document.gateway().is_some();
    for placed in rendering.guards() {
        if placed.context == Context::Gateway && !is_named {
            continue;
        }
        let text = rendering.document.filter_config_for(&placed.workload);
        let narrowed = from_json(text.as_bytes())
            .map_err(|problems| RenderError::FilterConfig { problem: format!("{problems:?}") })?;
        for (role, path) in asked(rendering, placed, &narrowed) {
            // Workloads may share a service account.
            let callers = roles.entry(role).or_default();
            callers.entry(placed.principal.as_str()).or_default().insert(path);
        }
    }
    let options = rendering.options;
    let policies = roles.into_iter().map(|(role, callers)| {
        let port = if role == "identity" { options.public_port } else { options.grpc_port };
        let rules = callers.iter().map(|(principal, paths)| {
            json!({
                "from": [{"source": {"principals": [principal]}}],
                "to": [{"operation": {"ports": [port.to_string()], "paths": paths}}],
            })
        });
        let rules: Vec<Value> = rules.collect();
        let mut label = json!({});
        set(&mut label, &format!("postern.dev/{role}"), json!("true"));
        let spec = json!({
            "action": "ALLOW",
            "selector": {"matchLabels": label},
            "rules": rules,
        });
        let name = format!("postern-workloads-{role}");
        policy(rendering, &options.namespace, &name, spec, SERVER)
    });
    Ok(policies.collect())
}

/// Namespaces with workloads, other than the gateway, whose Envoys ask the server.
pub(super) fn namespaces_that_ask<'r>(rendering: &'r Rendering<'_>) -> BTreeSet<&'r str> {
    let asks = |placed: &&Placed<'_>| {
        let text = rendering.document.filter_config_for(&placed.workload);
        // What cannot be read, the rendering has told.
        let narrowed = from_json(text.as_bytes());
        narrowed.is_ok_and(|narrowed| !asked(rendering, placed, &narrowed).is_empty())
    };
    let beside = rendering.guards().filter(|placed| placed.context == Context::SidecarInbound);
    beside.filter(asks).map(|placed| placed.namespace.as_str()).collect()
}

/// What the Envoys of a place ask of which role.
fn asked(
    rendering: &Rendering<'_>,
    placed: &Placed<'_>,
    narrowed: &Document,
) -> Vec<(&'static str, &'static str)> {
    let fetched = narrowed.issuers.iter().filter(|issuer| issuer.keys_by == KeysBy::Envoy);
    let mut own = fetched.filter(|issuer| {
        matches!(&issuer.jwks, JwksSource::Service { service, .. } if service == OWN_SERVICE)
    });
    let fetches_keys = placed.takes_tokens() && own.next().is_some();
    let is_gateway = placed.context == Context::Gateway;
    let routes_there = is_gateway && placed.routes.iter().any(|route| route.service.is_none());
    let limits = is_gateway && rendering.document.rate_limit_filter.is_some();
    let wanted = [
        ("decide", CHECK, placed.needs_ext_authz()),
        ("decide", FEED, feed_peers::asks(rendering.document, placed, narrowed)),
        ("decide", SHOULD_RATE_LIMIT, limits),
        ("identity", "/*", routes_there),
        ("identity", KEYS, fetches_keys && !routes_there),
        ("message", ACCESS_LOGS, placed.needs_settlement()),
        ("message", PROCESS, placed.needs_ext_proc()),
    ];
    let wanted = wanted.into_iter().filter(|(_, _, is_wanted)| *is_wanted);
    wanted.map(|(role, path, _)| (role, path)).collect()
}

fn policy(
    rendering: &Rendering<'_>,
    namespace: &str,
    name: &str,
    spec: Value,
    about: &str,
) -> Value {
    let kind = &resource::AUTHORIZATION_POLICY;
    let mut policy = resource::manifest(rendering.document, kind, namespace, name, spec);
    annotate(&mut policy, "postern.dev/for", about);
    policy
}
