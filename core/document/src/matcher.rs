//! Which route a request belongs to: one piece of code for filters, server and tools.
//!
//! The most specific route wins, wherever it stands in the document: first by host (exact, then
//! the longest wildcard, then any), then segment by segment of the path (literal, then
//! parameter, then rest), then by method (listed before all). Only routes of one host, one path
//! shape and a common method could hide each other, and the document's check refuses those.

use postern_request::path::{self, PathProblem};

use crate::host::{HostPattern, host_of};
use crate::model::Route;
use crate::template::{PathTemplate, Segment};

/// What the matcher needs of a route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) hosts: &'a [HostPattern],
    pub(crate) path: &'a PathTemplate,
    pub(crate) methods: &'a [String],
}

impl<'a> Entry<'a> {
    pub(crate) fn of(route: &'a Route) -> Self {
        Self { hosts: &route.hosts, path: &route.path, methods: &route.methods }
    }
}

/// The index of a route, or why none is looked for.
type Found = Result<Option<usize>, PathProblem>;

/// Finds routes, by their index in the document.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    hosts: Vec<(HostPattern, Node)>,
}

/// A host pattern and the routes that can apply to it, in the order in which they are tried:
/// what Envoy's virtual hosts are rendered from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualHost {
    /// The hosts.
    pub host: HostPattern,
    /// Indices of routes, the first match wins.
    pub routes: Vec<usize>,
}

#[derive(Debug, Clone, Default)]
struct Node {
    /// Sorted by text.
    literals: Vec<(String, Node)>,
    /// The canonical form of those literals that are not in theirs, sorted; mostly there are none.
    spelled: Vec<Vec<u8>>,
    param: Option<Box<Node>>,
    /// Routes whose path ends here.
    here: Vec<Leaf>,
    /// Routes that take all that follows.
    rest: Vec<Leaf>,
}

#[derive(Debug, Clone)]
struct Leaf {
    route: usize,
    /// Empty: all methods.
    methods: Vec<String>,
}

impl Matcher {
    pub(crate) fn new<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Self {
        let mut hosts: Vec<(HostPattern, Node)> = Vec::new();
        for (route, entry) in entries.into_iter().enumerate() {
            let any = [HostPattern::Any];
            for pattern in if entry.hosts.is_empty() { &any } else { entry.hosts } {
                let at = hosts.iter().position(|(known, _)| known == pattern);
                let at = at.unwrap_or_else(|| {
                    let at = hosts.partition_point(|(known, _)| known.rank() <= pattern.rank());
                    hosts.insert(at, (pattern.clone(), Node::default()));
                    at
                });
                if let Some((_, root)) = hosts.get_mut(at) {
                    let leaf = Leaf { route, methods: entry.methods.to_vec() };
                    root.insert(entry.path.segments(), leaf);
                }
            }
        }
        Self { hosts }
    }

    /// The route of a request. `path` comes without its query and has passed
    /// [`postern_request::path::check`].
    ///
    /// # Errors
    /// When a segment is another spelling of a route's literal (`%3A` for `:`, `a;v` for `a`):
    /// a server that decodes it would serve that route, whose rules would not have been asked.
    pub fn find(
        &self,
        authority: &str,
        method: &str,
        path: &str,
    ) -> Result<Option<usize>, PathProblem> {
        self.search::<true>(authority, method, path)
    }

    /// The route whose text fits a path first, in the order of [`Matcher::virtual_hosts`]: what a
    /// proxy finds, which knows nothing of other spellings.
    pub(crate) fn find_text(&self, authority: &str, method: &str, path: &str) -> Option<usize> {
        self.search::<false>(authority, method, path).ok().flatten()
    }

    /// With `SPELLED`, other spellings of a route's literals are refused.
    fn search<const SPELLED: bool>(&self, authority: &str, method: &str, path: &str) -> Found {
        let Some(rest) = path.strip_prefix('/') else { return Ok(None) };
        // Lower-casing costs an allocation, which documents without hosts need not pay.
        let host = if self.names_hosts() { host_of(authority) } else { String::new() };
        for (_, root) in self.hosts.iter().filter(|(pattern, _)| pattern.matches(&host)) {
            if let Some(route) = root.find::<SPELLED>(rest, method)? {
                return Ok(Some(route));
            }
        }
        Ok(None)
    }

    fn names_hosts(&self) -> bool {
        self.hosts.iter().any(|(pattern, _)| *pattern != HostPattern::Any)
    }

    /// All hosts with their routes in the order of [`Matcher::find`].
    #[must_use]
    pub fn virtual_hosts(&self) -> Vec<VirtualHost> {
        self.hosts
            .iter()
            .map(|(host, _)| {
                let covering = self.hosts.iter().filter(|(wider, _)| wider.covers(host));
                let mut routes = Vec::new();
                covering.for_each(|(_, root)| root.in_order(&mut routes));
                VirtualHost { host: host.clone(), routes }
            })
            .collect()
    }
}

impl Node {
    fn insert(&mut self, segments: &[Segment], leaf: Leaf) {
        let Some((first, others)) = segments.split_first() else {
            return Self::add(&mut self.here, leaf);
        };
        match first {
            Segment::Rest(_) => Self::add(&mut self.rest, leaf),
            Segment::Param(_) => self.param.get_or_insert_default().insert(others, leaf),
            Segment::Literal(text) => {
                match self.literals.binary_search_by(|(known, _)| known.as_str().cmp(text)) {
                    Ok(at) => {
                        if let Some((_, node)) = self.literals.get_mut(at) {
                            node.insert(others, leaf);
                        }
                    }
                    Err(at) => {
                        let mut node = Self::default();
                        node.insert(others, leaf);
                        self.literals.insert(at, (text.clone(), node));
                        self.remember_spelling(text);
                    }
                }
            }
        }
    }

    /// Routes that list their methods stand before those that take all.
    fn add(leaves: &mut Vec<Leaf>, leaf: Leaf) {
        let takes_all = leaf.methods.is_empty();
        let at = leaves.partition_point(|known| known.methods.is_empty() <= takes_all);
        leaves.insert(at, leaf);
    }

    /// A node is visited at most once a request, because its depth is its segment's index: the
    /// cost is bounded by the number of nodes, whatever the path.
    fn find<const SPELLED: bool>(&self, rest: &str, method: &str) -> Found {
        let (head, tail) = match rest.split_once('/') {
            Some((head, tail)) => (head, Some(tail)),
            None => (rest, None),
        };
        let literal = self
            .literals
            .binary_search_by(|(known, _)| known.as_str().cmp(head))
            .ok()
            .and_then(|at| self.literals.get(at))
            .map(|(_, node)| node);
        if SPELLED && literal.is_none() {
            self.refuse_other_spellings(head)?;
        }
        let param = self.param.as_deref().filter(|_| !head.is_empty());
        for node in literal.into_iter().chain(param) {
            let found = match tail {
                Some(tail) => node.find::<SPELLED>(tail, method)?,
                None => Self::pick(&node.here, method),
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(Self::pick(&self.rest, method))
    }

    fn remember_spelling(&mut self, literal: &str) {
        if !is_spelled(literal) {
            return;
        }
        let canonical = path::canonical_segment(literal);
        if let Err(at) = self.spelled.binary_search(&canonical) {
            self.spelled.insert(at, canonical);
        }
    }

    /// Whoever sends a request chooses how often this happens, so it looks at few literals, however
    /// many there are.
    fn refuse_other_spellings(&self, segment: &str) -> Result<(), PathProblem> {
        if !is_spelled(segment) && self.spelled.is_empty() {
            return Ok(());
        }
        let canonical = path::canonical_segment(segment);
        // A literal that says this is in its canonical form, unless it means something else.
        let of_literal =
            self.literals.binary_search_by(|(known, _)| known.as_bytes().cmp(canonical.as_slice()));
        let literal = of_literal.ok().and_then(|at| self.literals.get(at));
        let is_literal = literal.is_some_and(|(known, _)| !is_spelled(known));
        if is_literal || self.spelled.binary_search(&canonical).is_ok() {
            return Err(PathProblem::OtherSpelling);
        }
        Ok(())
    }

    fn pick(leaves: &[Leaf], method: &str) -> Option<usize> {
        leaves
            .iter()
            .find(|leaf| leaf.methods.is_empty() || leaf.methods.iter().any(|m| m == method))
            .map(|leaf| leaf.route)
    }

    /// In the order of `find`: what lies deeper along a literal, then along a parameter, then
    /// what takes the rest.
    fn in_order(&self, routes: &mut Vec<usize>) {
        routes.extend(self.here.iter().map(|leaf| leaf.route));
        self.literals.iter().for_each(|(_, node)| node.in_order(routes));
        if let Some(param) = &self.param {
            param.in_order(routes);
        }
        routes.extend(self.rest.iter().map(|leaf| leaf.route));
    }
}

/// Whether a segment may mean something else than it says, to a server that decodes it and cuts
/// parameters off.
fn is_spelled(segment: &str) -> bool {
    segment.contains(['%', ';'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Fixture(Vec<(Vec<HostPattern>, PathTemplate, Vec<String>)>);

    impl Fixture {
        fn new(routes: &[(&str, &str, &[&str])]) -> Self {
            let read = |(host, path, methods): &(&str, &str, &[&str])| {
                let hosts = if host.is_empty() {
                    Vec::new()
                } else {
                    vec![HostPattern::parse(host).unwrap()]
                };
                let methods = methods.iter().map(|m| (*m).to_owned()).collect();
                (hosts, PathTemplate::parse(path).unwrap(), methods)
            };
            Self(routes.iter().map(read).collect())
        }

        fn matcher(&self) -> Matcher {
            Matcher::new(self.0.iter().map(|(hosts, path, methods)| Entry { hosts, path, methods }))
        }
    }

    #[test]
    fn the_most_specific_route_wins() {
        let fixture = Fixture::new(&[
            ("", "/{rest=**}", &[]),
            ("", "/a/{rest=**}", &[]),
            ("", "/a/{id}", &[]),
            ("", "/a/{id}", &["POST"]),
            ("", "/a/b", &["GET"]),
            ("", "/a/b/{x}/d", &[]),
            ("", "/a/{id}/c/e", &[]),
            ("*.example.test", "/a/b", &[]),
            ("api.example.test", "/z", &[]),
        ]);
        let matcher = fixture.matcher();
        for (host, method, path, expected) in [
            ("x", "GET", "/", Some(0)),
            ("x", "GET", "/a", Some(0)),
            ("x", "GET", "/a/", Some(1)),
            ("x", "GET", "/a/7", Some(2)),
            ("x", "POST", "/a/7", Some(3)),
            ("x", "GET", "/a/b", Some(4)),
            ("x", "DELETE", "/a/b", Some(2)),
            ("x", "GET", "/a/b/c/d", Some(5)),
            ("x", "GET", "/a/b/c/e", Some(6)),
            ("x", "GET", "/a/b/c/f", Some(1)),
            ("API.example.test:443", "GET", "/a/b", Some(7)),
            ("api.example.test", "GET", "/z", Some(8)),
            ("b.example.test", "GET", "/z", Some(0)),
            ("x", "GET", "a", None),
        ] {
            assert_eq!(matcher.find(host, method, path), Ok(expected), "{method} {host}{path}");
        }
    }

    #[test]
    fn another_spelling_of_a_route_is_refused() {
        let fixture = Fixture::new(&[
            ("", "/v1/{rest=**}", &[]),
            ("", "/v1/users:delete", &[]),
            ("", "/caf%C3%A9", &[]),
        ]);
        let matcher = fixture.matcher();
        for (path, expected) in [
            ("/v1/users:delete", Ok(Some(1))),
            ("/v1/users%3Adelete", Err(PathProblem::OtherSpelling)),
            ("/v1/users%3adelete", Err(PathProblem::OtherSpelling)),
            ("/v1/users:delete;x=1", Err(PathProblem::OtherSpelling)),
            ("/v1/users%3Alist", Ok(Some(0))),
            ("/caf%C3%A9", Ok(Some(2))),
            ("/caf%c3%a9", Err(PathProblem::OtherSpelling)),
        ] {
            assert_eq!(matcher.find("h", "GET", path), expected, "{path}");
        }
    }

    proptest! {
        /// Looking a spelling up finds what looking at every literal finds.
        #[test]
        fn spellings_are_found_among_all_literals(
            literals in prop::collection::vec("(a|b|;|%3[aAbB]|:|%61|%25){0,3}", 0..6),
            segment in "(a|b|;|%3[aAbB]|:|%61|%25|%){0,3}",
        ) {
            let mut node = Node::default();
            for literal in &literals {
                let leaf = Leaf { route: 0, methods: Vec::new() };
                node.insert(&[Segment::Literal(literal.clone())], leaf);
            }
            let canonical = path::canonical_segment(&segment);
            let spelled = |text: &str| text.contains(['%', ';']);
            let expected = (spelled(&segment) || literals.iter().any(|known| spelled(known)))
                && literals.iter().any(|known| path::canonical_segment(known) == canonical);
            prop_assert_eq!(node.refuse_other_spellings(&segment).is_err(), expected);
        }

        /// Trying the routes of a virtual host one by one, as Envoy does, finds what the tree
        /// finds.
        #[test]
        fn envoys_order_gives_the_same_route(
            routes in prop::collection::vec("(/(a|b|\\{x\\})){1,3}(/\\{r=\\*\\*\\})?", 1..8),
            path in "(/(a|b|c)){1,4}/?",
        ) {
            let templates: Vec<_> = routes.iter().enumerate()
                .map(|(at, text)| text.replacen("{x}", "{x0}", 1).replacen("{x}", "{x1}", 1)
                    .replacen("{x}", &format!("{{y{at}}}"), 1))
                .map(|text| PathTemplate::parse(&text).unwrap())
                .collect();
            let entries = templates.iter().map(|path| Entry { hosts: &[], path, methods: &[] });
            let matcher = Matcher::new(entries);
            let order = matcher.virtual_hosts().remove(0).routes;
            let one_by_one = order.into_iter().find(|at| matches(&templates[*at], &path));
            let found = matcher.find("h", "GET", &path).unwrap();
            prop_assert_eq!(
                found.map(|at| templates[at].segments().len()),
                one_by_one.map(|at| templates[at].segments().len())
            );
            if let (Some(a), Some(b)) = (found, one_by_one) {
                prop_assert!(templates[a].same_shape(&templates[b]));
            }
        }
    }

    fn matches(template: &PathTemplate, path: &str) -> bool {
        let texts: Vec<&str> = path.split('/').skip(1).collect();
        let mut at = 0;
        for segment in template.segments() {
            match segment {
                Segment::Rest(_) => return at < texts.len(),
                Segment::Literal(text) if texts.get(at) == Some(&text.as_str()) => at += 1,
                Segment::Param(_) if texts.get(at).is_some_and(|t| !t.is_empty()) => at += 1,
                _ => return false,
            }
        }
        at == texts.len()
    }
}
