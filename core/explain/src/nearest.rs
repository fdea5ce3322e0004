//! Where no route is found: the one that was probably meant.

use std::sync::Arc;

use postern_document::{Document, HostPattern, Route};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Most other hosts that are tried.
const MOST_HOSTS: usize = 32;

/// What to look at, for a path that was checked; none where nothing is near.
pub(crate) fn nearest(
    document: &Document,
    authority: &str,
    method: &str,
    path: &str,
) -> Option<String> {
    // Then another Envoy holds it.
    if found(document, authority, method, path).is_some() {
        return None;
    }
    let by_method = || {
        METHODS.iter().find_map(|other| {
            let route = found(document, authority, other, path)?;
            Some(format!("by {other} it is {}", shown(route)))
        })
    };
    let bare = path.trim_end_matches('/');
    let without_slash = || {
        let route = found(document, authority, method, bare).filter(|_| bare.len() < path.len())?;
        Some(format!("without its last slash it is {}", shown(route)))
    };
    let below = || {
        let route = found(document, authority, method, &format!("{bare}/x"))?;
        Some(format!("{} begins with {bare}/", shown(route)))
    };
    let at_another_host = || {
        let mut hosts = document.routes.iter().flat_map(|route| &route.hosts).take(MOST_HOSTS);
        hosts.find_map(|host| {
            let HostPattern::Exact(name) = host else { return None };
            let route = found(document, name, method, path)?;
            Some(format!("at {name} it is {}", shown(route)))
        })
    };
    by_method().or_else(without_slash).or_else(below).or_else(at_another_host)
}

fn found<'d>(
    document: &'d Document,
    authority: &str,
    method: &str,
    path: &str,
) -> Option<&'d Arc<Route>> {
    document.find_route(authority, method, path).ok().flatten()
}

fn shown(route: &Route) -> String {
    format!("`{}`, {}", route.name, route.path)
}

#[cfg(test)]
mod tests {
    use postern_document::from_json;

    use super::*;

    #[test]
    fn what_was_probably_meant_is_named() {
        let text = r#"{"version": 1,
            "services": {"s": {"upstream": "s:80"}},
            "routes": [
                {"name": "list", "match": {"path": "/ships", "methods": ["POST"]}, "service": "s",
                 "auth": "none"},
                {"name": "tree", "match": {"path": "/boats/{rest=**}"}, "service": "s",
                 "auth": "none"},
                {"name": "far", "match": {"path": "/far", "hosts": ["b.test"]}, "service": "s",
                 "auth": "none"}
            ]}"#;
        let document = from_json(text.as_bytes()).unwrap();
        for (method, path, expected) in [
            ("GET", "/ships", Some("by POST it is `list`, /ships")),
            ("POST", "/ships/", Some("without its last slash it is `list`, /ships")),
            ("GET", "/boats", Some("`tree`, /boats/{rest=**} begins with /boats/")),
            ("GET", "/far", Some("at b.test it is `far`, /far")),
            ("GET", "/nothing", None),
            ("POST", "/ships", None),
        ] {
            let found = nearest(&document, "a.test", method, path);
            assert_eq!(found.as_deref(), expected, "{method} {path}");
        }
    }
}
