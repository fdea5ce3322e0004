//! AuthorizationPolicy CUSTOM: which requests `ext_authz` is asked about.
//!
//! Istio matches paths by its own rules, the bundle and the server by the document's. Where the
//! two differ nothing opens: a request that `ext_authz` was asked about needlessly is judged by
//! the document as any other, and one that it was not asked about has no evidence, so that the
//! bundle refuses it. How the forms compare, on a path that Envoy has normalised:
//!
//! | document       | policy        | difference                                              |
//! |----------------|---------------|---------------------------------------------------------|
//! | `/a/b`         | `/a/b`        | none                                                    |
//! | `/a/{r=**}`    | `/a/*`        | none: a prefix, `/a/` included, `/a` not                |
//! | `/a/{x}/b`     | `/a/{*}/b`    | `{*}` stops at characters outside RFC 3986's `pchar`    |
//! |                |               | and at `*`; the bundle refuses such a request           |
//! | `/a/{x}/{r=**}`| `/a/{*}/{**}` | the same                                                |
//! | `/a/{x}/`      | `/a/{*}/{**}` | asks for everything below too: not every Envoy takes a  |
//! |                |               | template that ends in a slash                           |
//!
//! More specific routes below a prefix are not carved out: asking about them costs time only. Those
//! that a workload guards are, because it asks too, and their limits would count twice.

mod carved;

use postern_document::Route;
use serde_json::{Value, json};

use super::order::Order;
use super::resource::{self, annotate, set};
use super::{Context, Placed, RenderError, Rendering, mesh_config, policy_path};

/// What the policy is for.
const ABOUT: &str = "Has the server asked about the requests of routes that need its word.";

/// A policy for each place where a route needs `ext_authz`.
pub(super) fn resources(rendering: &Rendering<'_>) -> Result<Vec<Value>, RenderError> {
    let order = Order::of(rendering.document);
    let asking = rendering.guards().filter(|placed| placed.needs_ext_authz());
    asking.map(|placed| policy(rendering, &order, placed)).collect()
}

fn policy(
    rendering: &Rendering<'_>,
    order: &Order<'_>,
    placed: &Placed<'_>,
) -> Result<Value, RenderError> {
    let mut routes = placed.routes.clone();
    routes.retain(|route| route.needs_ext_authz());
    // The order means nothing here; by name, moving a route in the document moves nothing.
    routes.sort_by(|a, b| a.name.cmp(&b.name));
    let mut operations = Vec::with_capacity(routes.len());
    for route in &routes {
        operations.extend(operations_of(rendering, order, placed, route)?);
    }
    let mut rule = json!({});
    set(&mut rule, "to", Value::Array(operations));
    let mut spec = json!({
        "action": "CUSTOM",
        "provider": {"name": mesh_config::PROVIDER},
    });
    placed.attach.policy(&mut spec);
    set(&mut spec, "rules", Value::Array(vec![rule]));
    let kind = &resource::AUTHORIZATION_POLICY;
    let (document, name) = (rendering.document, placed.name("ext-authz"));
    let mut policy = resource::manifest(document, kind, &placed.namespace, &name, spec);
    annotate(&mut policy, "postern.dev/for", ABOUT);
    // Operations have no names, and reviewers look for them.
    let names: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
    annotate(&mut policy, "postern.dev/routes", &names.join(" "));
    Ok(policy)
}

/// One, or several where what is carved out depends on the method.
fn operations_of(
    rendering: &Rendering<'_>,
    order: &Order<'_>,
    placed: &Placed<'_>,
    route: &Route,
) -> Result<Vec<Value>, RenderError> {
    let path = policy_path::closest(route)?;
    let hosts = policy_path::hosts(route, rendering.options);
    let carved = match placed.context {
        Context::Gateway => carved::out_of(rendering, order, route)?,
        Context::SidecarInbound => carved::nothing(route),
    };
    let operations = carved.into_iter().map(|part| {
        let mut operation = json!({"paths": [path]});
        if !part.methods.is_empty() {
            set(&mut operation, "methods", json!(part.methods));
        }
        if !part.other_methods.is_empty() {
            set(&mut operation, "notMethods", json!(part.other_methods));
        }
        if !part.not_paths.is_empty() {
            set(&mut operation, "notPaths", json!(part.not_paths));
        }
        if !hosts.is_empty() {
            set(&mut operation, "hosts", json!(hosts));
        }
        // On a port that is no HTTP, a policy that asks drops what is HTTP's, and would ask about
        // everything.
        if !placed.ports.is_empty() {
            let ports: Vec<String> = placed.ports.iter().map(ToString::to_string).collect();
            set(&mut operation, "ports", json!(ports));
        }
        let mut whole = json!({});
        set(&mut whole, "operation", operation);
        whole
    });
    Ok(operations.collect())
}
