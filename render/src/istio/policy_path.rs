//! Paths and hosts of routes as AuthorizationPolicies say them.

use postern_document::{HostPattern, PathTemplate, Route, Segment};

use super::{IstioOptions, RenderError};
use crate::routing::{PathMatch, path_match};

const TEMPLATE_TEXT: &str =
    "beside a parameter, text is letters, digits and -._~%!$&'()+,;:@= only";

/// A route's path in its closest form; the table is in `authorization`.
pub(super) fn closest(route: &Route) -> Result<String, RenderError> {
    closest_to(&route.path).map_err(|problem| RenderError::RoutePath {
        route: route.name.clone(),
        path: route.path.to_string(),
        problem,
    })
}

fn closest_to(template: &PathTemplate) -> Result<String, &'static str> {
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

/// A route's path, or more: never a template, whose alphabet is narrower than a URL's, so that
/// good requests would not match.
pub(super) fn widest(route: &Route) -> String {
    match path_match(&route.path) {
        PathMatch::Exact(path) => path,
        PathMatch::Prefix(prefix) => format!("{prefix}*"),
        PathMatch::Regex(_) => format!("{}*", route.path.literal_prefix()),
    }
}

/// A route's path, or less; none where a policy can say only more.
pub(super) fn narrowest(route: &Route) -> Option<String> {
    let ends_in_slash = matches!(
        route.path.segments().last(),
        Some(Segment::Literal(text)) if text.is_empty()
    );
    if ends_in_slash && matches!(path_match(&route.path), PathMatch::Regex(_)) {
        return None;
    }
    closest_to(&route.path).ok()
}

/// What Istio and Envoy take as literal text of a template.
fn is_template_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&byte)
}

/// A route's hosts; none for all. The document compares hosts without their port, a policy
/// compares the header as it came. Behind a wildcard only the gateway's own port can be named.
pub(super) fn hosts(route: &Route, options: &IstioOptions) -> Vec<String> {
    if route.hosts.contains(&HostPattern::Any) {
        return Vec::new();
    }
    route.hosts.iter().flat_map(|host| with_port(host, options)).collect()
}

/// The same, or all of them where not every port could be named.
pub(super) fn widest_hosts(route: &Route, options: &IstioOptions) -> Vec<String> {
    let is_exact = |host: &HostPattern| matches!(host, HostPattern::Exact(_));
    if route.hosts.iter().all(is_exact) { hosts(route, options) } else { Vec::new() }
}

fn with_port(host: &HostPattern, options: &IstioOptions) -> [String; 2] {
    match host {
        HostPattern::Suffix(_) => [host.to_string(), format!("{host}:{}", options.gateway_port())],
        HostPattern::Exact(_) | HostPattern::Any => [host.to_string(), format!("{host}:*")],
    }
}

/// Whether one request may match both paths.
pub(super) fn overlap(a: &PathTemplate, b: &PathTemplate) -> bool {
    let (mut a, mut b) = (a.segments().iter(), b.segments().iter());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (None, _) | (_, None) => return false,
            // It takes one segment at least, and the other has one left.
            (Some(Segment::Rest(_)), _) | (_, Some(Segment::Rest(_))) => return true,
            (Some(Segment::Literal(a)), Some(Segment::Literal(b))) if a != b => return false,
            (Some(Segment::Param(_)), Some(Segment::Literal(text)))
            | (Some(Segment::Literal(text)), Some(Segment::Param(_)))
                if text.is_empty() =>
            {
                return false;
            }
            _ => {}
        }
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
            ("/a\"b", Ok("/a\"b")),
            ("/a\"b/{id}", Err(())),
        ] {
            let path = closest_to(&PathTemplate::parse(template).unwrap());
            assert_eq!(path.as_deref().map_err(|_| ()), expected, "{template}");
        }
    }

    #[test]
    fn hosts_match_with_and_without_a_port() {
        let options = IstioOptions::default();
        let hosts = |text| with_port(&HostPattern::parse(text).unwrap(), &options);
        assert_eq!(hosts("api.example.test"), ["api.example.test", "api.example.test:*"]);
        assert_eq!(hosts("*.example.test"), ["*.example.test", "*.example.test:443"]);
    }

    #[test]
    fn paths_overlap_where_one_request_may_match_both() {
        for (a, b, expected) in [
            ("/a", "/a", true),
            ("/a", "/b", false),
            ("/a", "/a/", false),
            ("/a/{id}", "/a/b", true),
            ("/a/{id}", "/a/", false),
            ("/a/{id}", "/{x}/b", true),
            ("/a/{id}/c", "/a/b", false),
            ("/{rest=**}", "/a/b", true),
            ("/a/{rest=**}", "/a/", true),
            ("/a/{rest=**}", "/a", false),
            ("/a/{rest=**}", "/b/{rest=**}", false),
        ] {
            let parse = |text| PathTemplate::parse(text).unwrap();
            assert_eq!(overlap(&parse(a), &parse(b)), expected, "{a} {b}");
            assert_eq!(overlap(&parse(b), &parse(a)), expected, "{b} {a}");
        }
    }
}
