//! Where a request is judged: at the edge, or beside the workload that guards its service.
//!
//! Each route is enforced in one place. At the edge there are all routes, and those that a workload
//! guards are open; beside a workload there are its own routes alone. That this is what filters
//! get in both places ([`Document::filter_config_for`]) is held by the tests below.

use std::sync::Arc;

use postern_document::{Document, Route, Workload};
use postern_request::path::PathProblem;

/// What the edge is called by documents that do not name it.
pub(crate) const EDGE: &str = "edge";

/// An Envoy of ours, by where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Here {
    /// As steps name it.
    pub(crate) name: String,
    /// The workload that it stands beside; none at the edge.
    beside: Option<Arc<Workload>>,
}

/// What is looked for among routes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'r> {
    pub(crate) authority: &'r str,
    pub(crate) method: &'r str,
    pub(crate) path: &'r str,
}

impl Here {
    pub(crate) fn edge(document: &Document) -> Self {
        let name = document.gateway().map_or(EDGE, |gateway| gateway.name.as_str());
        Self { name: name.to_owned(), beside: None }
    }

    pub(crate) fn beside(workload: &Arc<Workload>) -> Self {
        Self { name: workload.name.clone(), beside: Some(Arc::clone(workload)) }
    }

    pub(crate) const fn is_edge(&self) -> bool {
        self.beside.is_none()
    }

    /// The workload whose Envoy this is; none at the edge of a document that does not name it.
    pub(crate) fn workload<'w>(&'w self, document: &'w Document) -> Option<&'w Workload> {
        self.beside.as_ref().or_else(|| document.gateway()).map(|workload| &**workload)
    }

    /// Whether a route's rules are enforced here.
    pub(crate) fn enforces(&self, route: &Route) -> bool {
        match (route.guarded_by(), &self.beside) {
            (None, None) => true,
            (Some(guard), Some(here)) => guard.name == here.name,
            _ => false,
        }
    }

    /// The route that the filter here finds.
    pub(crate) fn find_route(
        &self,
        document: &Document,
        asked: Asked<'_>,
    ) -> Result<Option<Arc<Route>>, PathProblem> {
        let Asked { authority, method, path } = asked;
        let found = match self.guard() {
            None => document.find_route(authority, method, path),
            Some(workload) => document.find_route_beside(workload, authority, method, path),
        };
        found.map(|route| route.cloned())
    }

    /// The route that Envoy picks here, which says what filters are asked. Its order is that of the
    /// document's matcher, but it knows nothing of other spellings, which the matcher refuses: it
    /// compares texts.
    pub(crate) fn route_of(&self, document: &Document, asked: Asked<'_>) -> Option<Arc<Route>> {
        let Asked { authority, method, path } = asked;
        document.route_by_text(self.guard(), authority, method, path).cloned()
    }

    /// The workload whose routes alone are known here; none at the edge.
    fn guard(&self) -> Option<&str> {
        self.beside.as_ref().map(|workload| workload.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use postern_document::from_json;

    use super::*;

    const DOCUMENT: &str = r#"{
        "version": 1,
        "matrix_parameters": "allow",
        "workloads": {
            "in": {"gateway": true, "namespace": "i", "labels": {"app": "in"},
                   "service_account": "in"},
            "pay": {"namespace": "n", "labels": {"app": "pay"}, "service_account": "pay",
                    "ports": [1]},
            "buy": {"namespace": "n", "labels": {"app": "buy"}, "service_account": "buy",
                    "ports": [1]},
            "idle": {"namespace": "n", "labels": {"app": "idle"}, "service_account": "idle"}
        },
        "services": {
            "open": {"upstream": "open:1"},
            "pay": {"upstream": "pay:1", "workload": "pay", "guard": "workload"},
            "buy": {"upstream": "buy:1", "workload": "buy", "guard": "workload"}
        },
        "routes": [
            {"name": "all", "match": {"path": "/a/{rest=**}"}, "service": "pay", "auth": "none"},
            {"name": "one", "match": {"path": "/a/{id}"}, "service": "open", "auth": "none"},
            {"name": "colon", "match": {"path": "/a/x:y"}, "service": "buy", "auth": "none"},
            {"name": "spelled", "match": {"path": "/a/x%3Ay"}, "service": "pay", "auth": "none"},
            {"name": "get", "match": {"path": "/b", "methods": ["GET"]}, "service": "buy",
             "auth": "none"},
            {"name": "any", "match": {"path": "/b"}, "service": "pay", "auth": "none"},
            {"name": "host", "match": {"path": "/b", "hosts": ["b.test"]}, "service": "open",
             "auth": "none"}
        ]
    }"#;

    fn document() -> Document {
        from_json(DOCUMENT.as_bytes()).unwrap()
    }

    /// The document as the filter in a place has it.
    fn own_document(here: &Here, document: &Document) -> Document {
        from_json(document.filter_config_for(&here.name).as_bytes()).unwrap()
    }

    /// What a filter finds in one place is what its own part of the document says.
    #[test]
    fn routes_are_found_as_the_filter_of_a_place_finds_them() {
        let document = document();
        let beside = |name: &str| Here::beside(document.workload(name).unwrap());
        let places = [Here::edge(&document), beside("pay"), beside("buy")];
        let mut seen = std::collections::BTreeSet::new();
        for here in &places {
            let own = own_document(here, &document);
            for path in ["/a/7", "/a/", "/a/x:y", "/a/x%3Ay", "/a/x:y;z", "/a/b/c", "/b", "/c"] {
                for (method, authority) in [("GET", "a.test"), ("PUT", "a.test"), ("GET", "b.test")]
                {
                    let name = |found: Option<&Arc<Route>>| found.map(|route| route.name.clone());
                    let asked = Asked { authority, method, path };
                    let expected = own.find_route(authority, method, path).map(name);
                    let found = here.find_route(&document, asked);
                    let found = found.map(|found| name(found.as_ref()));
                    assert_eq!(found, expected, "{} {method} {authority}{path}", here.name);
                    seen.extend(found.ok().flatten().map(|name| (here.name.clone(), name)));
                }
            }
        }
        // `one` hides `all` at the edge, and is not there beside `pay`.
        for (place, route) in [("in", "one"), ("pay", "all"), ("pay", "any"), ("buy", "get")] {
            assert!(seen.contains(&(place.to_owned(), route.to_owned())), "{place} {route}");
        }
    }

    #[test]
    fn each_route_is_enforced_in_one_place() {
        let document = document();
        let places: Vec<Here> = document
            .workloads
            .iter()
            .filter(|workload| !workload.gateway)
            .map(Here::beside)
            .chain([Here::edge(&document)])
            .collect();
        for route in &document.routes {
            let count = places.iter().filter(|here| here.enforces(route)).count();
            assert_eq!(count, 1, "{}", route.name);
        }
    }

    #[test]
    fn beside_a_workload_that_enforces_nothing_there_is_no_route() {
        let document = document();
        let idle = Here::beside(document.workload("idle").unwrap());
        let asked = Asked { authority: "a.test", method: "GET", path: "/a/x%3Ay" };
        assert!(idle.find_route(&document, asked).unwrap().is_none());
        assert!(idle.route_of(&document, asked).is_none());
    }

    #[test]
    fn the_edge_has_the_name_of_the_gateway() {
        assert_eq!(Here::edge(&document()).name, "in");
        let text = DOCUMENT.replacen(r#""gateway": true, "#, "", 1);
        assert_eq!(Here::edge(&from_json(text.as_bytes()).unwrap()).name, EDGE);
    }
}
