//! Finding routes otherwise than a filter at the edge does: by name, beside a workload, and as a
//! proxy that compares texts. Tools ask all three of every route, so none of them looks at all
//! routes.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_request::path::PathProblem;

use crate::matcher::{Entry, Matcher};
use crate::model::{Document, Route};

/// Made once, with the document.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lookup {
    by_name: BTreeMap<String, usize>,
    /// By the workload that enforces them.
    beside: BTreeMap<String, Part>,
}

/// The routes of one workload.
#[derive(Debug, Clone, Default)]
struct Part {
    matcher: Matcher,
    /// Where each stands in the document.
    routes: Vec<usize>,
}

impl Lookup {
    pub(crate) fn of(routes: &[Arc<Route>]) -> Self {
        let by_name = routes.iter().enumerate().map(|(at, route)| (route.name.clone(), at));
        let mut guarded: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, route) in routes.iter().enumerate() {
            if let Some(workload) = route.guarded_by() {
                guarded.entry(workload.name.as_str()).or_default().push(at);
            }
        }
        let part = |own: Vec<usize>| {
            let entries = own.iter().filter_map(|at| routes.get(*at));
            let matcher = Matcher::new(entries.map(|route| Entry::of(route)));
            Part { matcher, routes: own }
        };
        let beside = guarded.into_iter().map(|(name, own)| (name.to_owned(), part(own)));
        Self { by_name: by_name.collect(), beside: beside.collect() }
    }

    /// Where the route of a name stands.
    pub(crate) fn at(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

impl Document {
    /// A route by its name.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.get(self.lookup.at(name)?)
    }

    /// The route that the filter beside a workload finds, which knows no others than those that
    /// the workload enforces; see [`Document::filter_config_for`].
    ///
    /// # Errors
    /// When the path is another spelling of one of these routes; see [`Matcher::find`].
    pub fn find_route_beside(
        &self,
        workload: &str,
        authority: &str,
        method: &str,
        path: &str,
    ) -> Result<Option<&Arc<Route>>, PathProblem> {
        let Some(part) = self.lookup.beside.get(workload) else { return Ok(None) };
        let found = part.matcher.find(authority, method, path)?;
        Ok(found.and_then(|at| self.of_part(part, at)))
    }

    /// The route that a proxy picks: in the order of [`Document::virtual_hosts`] the first whose
    /// text fits, whatever else the path might mean. Beside a workload, or at the edge where it is
    /// none.
    #[must_use]
    pub fn route_by_text(
        &self,
        workload: Option<&str>,
        authority: &str,
        method: &str,
        path: &str,
    ) -> Option<&Arc<Route>> {
        let Some(workload) = workload else {
            return self.routes.get(self.matcher.find_text(authority, method, path)?);
        };
        let part = self.lookup.beside.get(workload)?;
        self.of_part(part, part.matcher.find_text(authority, method, path)?)
    }

    fn of_part(&self, part: &Part, at: usize) -> Option<&Arc<Route>> {
        self.routes.get(*part.routes.get(at)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::from_json;
    use crate::template::Segment;

    /// What a proxy does with the routes of its virtual host.
    fn one_by_one<'d>(document: &'d Document, host: &str, path: &str) -> Option<&'d Arc<Route>> {
        let hosts = document.virtual_hosts();
        let host = hosts.iter().find(|known| known.host.matches(host))?;
        let mut routes = host.routes.iter().map(|at| &document.routes[*at]);
        routes.find(|route| fits(route, path))
    }

    fn fits(route: &Route, path: &str) -> bool {
        let mut texts = path.split('/').skip(1);
        for segment in route.path.segments() {
            match (segment, texts.next()) {
                (Segment::Rest(_), text) => return text.is_some(),
                (Segment::Literal(known), Some(text)) if known == text => {}
                (Segment::Param(_), Some(text)) if !text.is_empty() => {}
                _ => return false,
            }
        }
        texts.next().is_none()
    }

    fn document(routes: &[(String, &str)]) -> Option<Document> {
        let route = |(at, (path, host)): (usize, &(String, &str))| {
            let hosts = if host.is_empty() { String::new() } else { format!("\"{host}\"") };
            format!(
                r#"{{"name": "r{at}", "match": {{"path": "{path}", "hosts": [{hosts}]}},
                    "service": "postern", "auth": "none"}}"#
            )
        };
        let routes: Vec<String> = routes.iter().enumerate().map(route).collect();
        let text = format!(
            r#"{{"version": 1, "matrix_parameters": "allow", "routes": [{}]}}"#,
            routes.join(", ")
        );
        // Some of these would hide each other.
        from_json(text.replace(r#", "hosts": []"#, "").as_bytes()).ok()
    }

    proptest! {
        #[test]
        fn a_proxy_compares_texts(
            routes in prop::collection::vec(
                (
                    "(/(a|b|a%3Ab|\\{x\\})){1,2}(/\\{r=\\*\\*\\})?",
                    prop::sample::select(vec!["", "a.test", "*.test", "*.a.test"]),
                ),
                1..7,
            ),
            path in "(/(a|b|c|a;v|a;w|a%3Ab|a%3ab)?){1,3}",
            host in prop::sample::select(vec!["a.test", "b.test", "x.a.test", "c"]),
        ) {
            // No parameter twice.
            let routes = routes.into_iter().map(|(path, host)| (path.replacen("{x}", "{y}", 1), host));
            let routes: Vec<(String, &str)> = routes.collect();
            let Some(document) = document(&routes) else { return Ok(()) };
            let name = |route: Option<&Arc<Route>>| route.map(|route| route.name.clone());
            let found = document.route_by_text(None, host, "GET", &path);
            prop_assert_eq!(name(found), name(one_by_one(&document, host, &path)));
        }
    }

    #[test]
    fn other_spellings_are_for_proxies_no_routes_at_all() {
        let paths = ["/{rest=**}", "/a/{b}", "/a/c"].map(|path| (path.to_owned(), ""));
        let document = document(&paths).unwrap();
        let by_text = |path: &str| {
            let authority = "A.test:443";
            document.route_by_text(None, authority, "GET", path).map(|route| route.name.as_str())
        };
        assert!(document.find_route("a.test", "GET", "/a/c;v=1").is_err());
        for (path, expected) in
            [("/a/c;v=1", Some("r1")), ("/a/c", Some("r2")), ("/a;v", Some("r0")), ("a", None)]
        {
            assert_eq!(by_text(path), expected, "{path}");
        }
        assert!(document.route_by_text(Some("nobody"), "a.test", "GET", "/a/c").is_none());
    }

    #[test]
    fn routes_go_by_their_names() {
        let paths = ["/b", "/a"].map(|path| (path.to_owned(), ""));
        let document = document(&paths).unwrap();
        assert_eq!(document.route("r1").map(|route| route.path.to_string()).as_deref(), Some("/a"));
        assert!(document.route("r2").is_none());
    }
}
