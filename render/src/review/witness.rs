//! Requests that stand for many: one for each host and method of a route.

use postern_document::{Document, HostPattern, Route, Segment, host_of};

use crate::path_tree::PathTree;

/// Methods that a route without a list is tried with. The last one is nobody's, so that what is
/// found for it holds for every method that somebody may think of.
pub(super) const METHODS: [&str; 8] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"];

/// What parameters are filled with. The further ones are for paths where another route has just
/// that literal.
const FILLERS: [&str; 3] = [FILLER, "postern-1", "q9"];
const FILLER: &str = "x";

/// The host of routes that take all hosts.
const ANY_HOST: &str = "api.example.test";

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) method: String,
    pub(super) host: String,
    pub(super) path: String,
}

impl Target {
    /// The same with another path.
    pub(super) fn with_path(&self, path: String) -> Self {
        Self { path, ..self.clone() }
    }

    /// The same with another method.
    pub(super) fn with_method(&self, method: &str) -> Self {
        Self { method: method.to_owned(), ..self.clone() }
    }

    /// `METHOD https://host/path`, as `postern explain` takes it; without TLS on the machine itself.
    pub(super) fn line(&self) -> String {
        let scheme = if is_loopback(&self.host) { "http" } else { "https" };
        format!("{} {scheme}://{}{}", self.method, self.host, self.path)
    }
}

/// The first target of a route; none where every path that was tried is another route's.
pub(super) fn first(document: &Document, route: &Route) -> Option<Target> {
    let (hosts, methods) = (hosts(route), methods(route));
    let mut pairs = hosts.iter().flat_map(|host| methods.iter().map(move |method| (host, method)));
    pairs.find_map(|(host, method)| target(document, route, host, method))
}

/// A target on the host of the document's issuer, which can be tried out; the first one where the
/// route takes no requests there.
pub(super) fn example(document: &Document, route: &Route) -> Option<Target> {
    let own = document.issuer.as_deref().and_then(authority).and_then(|host| {
        let methods = methods(route);
        methods.iter().find_map(|method| target(document, route, host, method))
    });
    own.or_else(|| first(document, route))
}

/// Host and port of a URL.
fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

/// The host of the document's issuer, in lower case and without a port.
pub(super) fn issuer_host(document: &Document) -> Option<String> {
    document.issuer.as_deref().and_then(authority).map(host_of)
}

/// Whether a host is the machine itself, where an issuer may be without TLS.
fn is_loopback(host: &str) -> bool {
    matches!(host_of(host).as_str(), "localhost" | "127.0.0.1" | "::1" | "[::1]")
}

/// A target for each host and method.
pub(super) fn all(document: &Document, route: &Route) -> Vec<Target> {
    let methods = methods(route);
    let mut targets = Vec::new();
    for host in hosts(route) {
        targets.extend(methods.iter().filter_map(|method| target(document, route, &host, method)));
    }
    targets
}

/// A target on a host and by a method; none where another route takes every path that was tried.
pub(super) fn target(
    document: &Document,
    route: &Route,
    host: &str,
    method: &str,
) -> Option<Target> {
    FILLERS.iter().find_map(|filler| {
        let path = path(route, filler);
        let found = document.find_route(host, method, &path).ok().flatten();
        let is_its = found.is_some_and(|found| found.name == route.name);
        let (method, host) = (method.to_owned(), host.to_owned());
        is_its.then_some(Target { method, host, path })
    })
}

fn methods(route: &Route) -> Vec<&str> {
    if route.methods.is_empty() {
        return METHODS.to_vec();
    }
    route.methods.iter().map(String::as_str).collect()
}

/// A host for each of the hosts of a route.
pub(super) fn hosts(route: &Route) -> Vec<String> {
    let one = |host: &HostPattern| match host {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Suffix(suffix) => format!("x{suffix}"),
        HostPattern::Any => ANY_HOST.to_owned(),
    };
    if route.hosts.is_empty() {
        return vec![ANY_HOST.to_owned()];
    }
    route.hosts.iter().map(one).collect()
}

fn path(route: &Route, filler: &str) -> String {
    let mut path = String::new();
    route.path.segments().iter().for_each(|segment| push(&mut path, segment, filler));
    path
}

fn push(path: &mut String, segment: &Segment, filler: &str) {
    path.push('/');
    match segment {
        Segment::Literal(text) => path.push_str(text),
        Segment::Param(_) => path.push_str(filler),
        Segment::Rest(_) => {
            path.push_str(filler);
            path.push_str("/y");
        }
    }
}

/// Most requests of a route that are looked for where others cross its path.
const MOST_CROSSINGS: usize = 64;

/// Requests of a route that another route would take if this one did not, and that are not like the
/// route's other requests: of `/a/b/{x}`, where there is `/a/{x}/c`, that is `/a/b/c`.
pub(super) fn crossings(document: &Document, route: &Route, paths: &PathTree<'_>) -> Vec<Target> {
    let mut all: Vec<Target> = Vec::new();
    let others = paths.meeting(route.path.segments()).into_iter();
    for other in others.filter_map(|place| document.routes.get(place)) {
        let Some(path) = crossing(route.path.segments(), other.path.segments()) else { continue };
        for (host, method) in in_both(route, other) {
            let found = document.find_route(&host, &method, &path).ok().flatten();
            if found.is_some_and(|found| found.name == route.name) {
                all.push(Target { method, host, path: path.clone() });
            }
        }
        if all.len() >= MOST_CROSSINGS {
            break;
        }
    }
    all
}

/// Hosts and methods that two routes take; of methods that nobody lists the first and the last.
fn in_both(route: &Route, other: &Route) -> Vec<(String, String)> {
    let takes_host = |of: &Route, host: &str| {
        of.hosts.is_empty() || of.hosts.iter().any(|pattern| pattern.matches(host))
    };
    let takes_method =
        |of: &Route, method: &str| of.methods.is_empty() || of.methods.iter().any(|m| m == method);
    let mut of_both: Vec<String> = hosts(route);
    of_both.extend(hosts(other));
    of_both.retain(|host| takes_host(route, host) && takes_host(other, host));
    of_both.sort_unstable();
    of_both.dedup();
    let mut methods: Vec<&str> =
        route.methods.iter().chain(&other.methods).map(String::as_str).collect();
    if methods.is_empty() {
        methods.extend(METHODS.first().into_iter().chain(METHODS.last()));
    }
    methods.retain(|method| takes_method(route, method) && takes_method(other, method));
    methods.sort_unstable();
    methods.dedup();
    let pair = |host: &String| {
        let methods = methods.iter();
        methods.map(|method| (host.clone(), (*method).to_owned())).collect::<Vec<_>>()
    };
    of_both.iter().flat_map(pair).collect()
}

/// A path of both; none where they have none, or where the other one has all of this one's.
fn crossing(own: &[Segment], other: &[Segment]) -> Option<String> {
    let (mut own, mut other) = (own, other);
    let (mut path, mut has_more) = (String::new(), false);
    loop {
        let ((first, own_rest), (second, other_rest)) =
            match (own.split_first(), other.split_first()) {
                (None, None) => return has_more.then_some(path),
                (Some(first), Some(second)) => (first, second),
                _ => return None,
            };
        let segment = match (first, second) {
            (_, Segment::Rest(_)) => {
                own.iter().for_each(|segment| push(&mut path, segment, FILLER));
                return has_more.then_some(path);
            }
            (Segment::Rest(_), _) => {
                other.iter().for_each(|segment| push(&mut path, segment, FILLER));
                return Some(path);
            }
            (Segment::Literal(text), Segment::Literal(named)) if text != named => return None,
            // No parameter is empty.
            (Segment::Literal(text), Segment::Param(_))
            | (Segment::Param(_), Segment::Literal(text))
                if text.is_empty() =>
            {
                return None;
            }
            (Segment::Param(_), Segment::Literal(_)) => {
                has_more = true;
                second
            }
            _ => first,
        };
        push(&mut path, segment, FILLER);
        (own, other) = (own_rest, other_rest);
    }
}

/// Other spellings of a path that some server takes for the same one: what proxies and frameworks
/// are known to decode, cut off, merge or fold.
pub(super) fn spellings(path: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::with_capacity(24);
    let (before, last) = path.rsplit_once('/').unwrap_or(("", path));
    for end in ["/", "/.", "/..;/", ";", ";x=1", "%20", "%00", "%2f", "%09", ".", "?", "#", ".json"]
    {
        all.push(format!("{path}{end}"));
    }
    all.push(format!("/{path}"));
    all.push(format!("/.{path}"));
    all.push(format!("/x/..{path}"));
    all.push(format!("/%2e{path}"));
    all.push(format!("/;x{path}"));
    all.push(format!("{before}//{last}"));
    all.push(format!("{before}\\{last}"));
    all.push(format!("{before}%2f{last}"));
    all.push(format!("{before}%252f{last}"));
    all.push(folded(path));
    all.extend(escaped(path, ""));
    all.extend(escaped(path, "25"));
    all.retain(|other| other != path);
    all.sort();
    all.dedup();
    all
}

/// The same with the first letter's case changed.
fn folded(path: &str) -> String {
    let mut done = false;
    let fold = |c: char| {
        if done || !c.is_ascii_alphabetic() {
            return c;
        }
        done = true;
        if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
    };
    path.chars().map(fold).collect()
}

/// The same with the first letter escaped, once or twice.
fn escaped(path: &str, again: &str) -> Option<String> {
    let (at, letter) = path.char_indices().find(|(_, c)| c.is_ascii_alphanumeric())?;
    let (before, rest) = path.split_at_checked(at)?;
    let behind = rest.strip_prefix(letter)?;
    Some(format!("{before}%{again}{:02x}{behind}", u32::from(letter)))
}

#[cfg(test)]
mod tests {
    use postern_document::PathTemplate;

    use super::*;

    #[test]
    fn paths_that_cross_have_one_in_common() {
        let read = |text: &str| PathTemplate::parse(text).unwrap();
        for (own, other, expected) in [
            ("/a/b/{x}", "/a/{x}/c", Some("/a/b/c")),
            ("/a/{x}/c", "/a/b/{x}", Some("/a/b/c")),
            ("/a/b/{x=**}", "/a/{x}/c", Some("/a/b/c")),
            ("/{x}/b", "/a/{x=**}", Some("/a/b")),
            ("/a/{x}", "/a/b", Some("/a/b")),
            ("/{x=**}", "/a/{y}", Some("/a/x")),
            // The other one has all of them.
            ("/a/b", "/a/{x}", None),
            ("/a/{x}", "/a/{y}", None),
            ("/a/{x}", "/{x=**}", None),
            // They have none in common.
            ("/a/{x}", "/b/{x}", None),
            ("/a/{x}", "/a/", None),
            ("/a/", "/a/{x}", None),
            ("/a", "/a/{x=**}", None),
        ] {
            let (own, other) = (read(own), read(other));
            let met = crossing(own.segments(), other.segments());
            assert_eq!(met.as_deref(), expected, "{own} {other}");
        }
    }

    #[test]
    fn a_path_has_many_spellings_and_none_is_itself() {
        let all = spellings("/admin/users");
        assert!(all.len() >= 20, "{}", all.len());
        assert!(!all.contains(&"/admin/users".to_owned()));
        for expected in [
            "/admin/users/",
            "/admin//users",
            "/./admin/users",
            "/Admin/users",
            "/%61dmin/users",
            "/%2561dmin/users",
            "/admin\\users",
            "/admin/users;x=1",
        ] {
            assert!(all.contains(&expected.to_owned()), "{expected}: {all:?}");
        }
        assert!(spellings("/").iter().all(|other| other != "/"));
    }
}
