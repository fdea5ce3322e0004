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
//! More specific routes below a prefix are not carved out: asking about them costs time only.

use postern_document::{Document, HostPattern, PathTemplate, Route, Segment};
use serde_json::{Value, json};

use super::resource::{self, set};
use super::{IstioOptions, RenderError, mesh_config};
use crate::routing::{PathMatch, path_match};

const TEMPLATE_TEXT: &str =
    "beside a parameter, text is letters, digits and -._~%!$&'()+,;:@= only";

/// The policy; none where no route needs `ext_authz`.
pub(super) fn resources(
    document: &Document,
    options: &IstioOptions,
) -> Result<Vec<Value>, RenderError> {
    let mut routes: Vec<&Route> = document.routes.iter().map(AsRef::as_ref).collect();
    routes.retain(|route| route.needs_ext_authz());
    if routes.is_empty() {
        return Ok(Vec::new());
    }
    // The order means nothing here; by name, moving a route in the document moves nothing.
    routes.sort_by(|a, b| a.name.cmp(&b.name));
    let operations = routes.iter().map(|route| operation(route, options));
    let operations = operations.collect::<Result<Vec<Value>, _>>()?;
    let mut rule = json!({});
    set(&mut rule, "to", Value::Array(operations));
    let mut spec = json!({
        "action": "CUSTOM",
        "provider": {"name": mesh_config::PROVIDER},
        "selector": {"matchLabels": options.gateway_selector},
    });
    set(&mut spec, "rules", Value::Array(vec![rule]));
    let namespace = &options.gateway_namespace;
    let kind = &resource::AUTHORIZATION_POLICY;
    let mut policy = resource::manifest(document, kind, namespace, "postern-ext-authz", spec);
    // Operations have no names, and reviewers look for them.
    let names: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
    if let Some(annotations) = policy.pointer_mut("/metadata/annotations") {
        set(annotations, "postern.dev/routes", json!(names.join(" ")));
    }
    Ok(vec![policy])
}

fn operation(route: &Route, options: &IstioOptions) -> Result<Value, RenderError> {
    let path = policy_path(&route.path).map_err(|problem| RenderError::RoutePath {
        route: route.name.clone(),
        path: route.path.to_string(),
        problem,
    })?;
    let mut operation = json!({"paths": [path]});
    if !route.methods.is_empty() {
        set(&mut operation, "methods", json!(route.methods));
    }
    if !route.hosts.is_empty() && !route.hosts.contains(&HostPattern::Any) {
        let hosts: Vec<String> =
            route.hosts.iter().flat_map(|host| policy_hosts(host, options)).collect();
        set(&mut operation, "hosts", json!(hosts));
    }
    Ok(json!({"operation": operation}))
}

/// A path in an AuthorizationPolicy's terms; see the table above.
fn policy_path(template: &PathTemplate) -> Result<String, &'static str> {
    match path_match(template) {
        PathMatch::Exact(path) => return Ok(path),
        PathMatch::Prefix(prefix) => return Ok(format!("{prefix}*")),
        PathMatch::Regex(_) => {}
    }
    let mut path = String::new();
    for segment in template.segments() {
        path.push('/');
        match segment {
            // What follows a last slash.
            Segment::Literal(text) if text.is_empty() => path.push_str("{**}"),
            Segment::Literal(text) if text.bytes().all(is_template_byte) => path.push_str(text),
            Segment::Literal(_) => return Err(TEMPLATE_TEXT),
            Segment::Param(_) => path.push_str("{*}"),
            Segment::Rest(_) => path.push_str("{**}"),
        }
    }
    Ok(path)
}

/// What Istio and Envoy take as literal text of a template.
fn is_template_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&byte)
}

/// The document compares hosts without their port, a policy compares the header as it came.
/// Behind a wildcard only the gateway's own port can be named; with any other the request is
/// not asked about, and refused.
fn policy_hosts(host: &HostPattern, options: &IstioOptions) -> [String; 2] {
    match host {
        HostPattern::Suffix(_) => [host.to_string(), format!("{host}:{}", options.gateway_port())],
        HostPattern::Exact(_) | HostPattern::Any => [host.to_string(), format!("{host}:*")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_their_closest_form() {
        for (template, expected) in [
            ("/", Ok("/")),
            ("/a/b/", Ok("/a/b/")),
            ("/{rest=**}", Ok("/*")),
            ("/a/{rest=**}", Ok("/a/*")),
            ("/a/{id}", Ok("/a/{*}")),
            ("/a/{id}/b", Ok("/a/{*}/b")),
            ("/a/{id}/", Ok("/a/{*}/{**}")),
            ("/a/{id}/{rest=**}", Ok("/a/{*}/{**}")),
            ("/a|b", Ok("/a|b")),
            ("/a|b/{id}", Err(())),
        ] {
            let path = policy_path(&PathTemplate::parse(template).unwrap());
            assert_eq!(path.as_deref().map_err(|_| ()), expected, "{template}");
        }
    }

    #[test]
    fn hosts_match_with_and_without_a_port() {
        let options = IstioOptions::default();
        let hosts = |text| policy_hosts(&HostPattern::parse(text).unwrap(), &options);
        assert_eq!(hosts("api.example.test"), ["api.example.test", "api.example.test:*"]);
        assert_eq!(hosts("*.example.test"), ["*.example.test", "*.example.test:443"]);
    }
}
