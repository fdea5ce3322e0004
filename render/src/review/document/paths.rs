//! Ways past a route: narrower routes, methods that it does not list, other spellings of its paths
//! and hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use postern_document::{Auth, Document, HostPattern, Route};
use postern_request::normalize::{Normalization, normalize};
use postern_request::path::without_query;

use super::super::ask::{Caller, Oracle};
use super::super::catalogue::{HOLE_BELOW, METHOD_HOLE, PATH_TRICK};
use super::super::model::{Finding, Severity};
use super::super::witness::{METHODS, Target, spellings};
use super::super::{place, witness};
use super::asks_less;
use crate::path_tree::PathTree;

pub(super) fn look(document: &Document, oracle: &Oracle<'_>, found: &mut Vec<Finding>) {
    let paths = PathTree::of(document.routes.iter().map(|route| &route.path));
    for wide in &document.routes {
        if wide.auth == Auth::None {
            continue;
        }
        below(document, wide, &paths, found);
        if let Some(target) = witness::first(document, wide) {
            methods(document, wide, &target, oracle, found);
            tricks(document, wide, &target, oracle, found);
        }
    }
}

/// Routes within this one that ask less.
fn below(document: &Document, wide: &Route, paths: &PathTree<'_>, found: &mut Vec<Finding>) {
    let within = paths.covered_by(wide.path.segments()).into_iter();
    for narrow in within.filter_map(|place| document.routes.get(place)) {
        let may_be_below =
            narrow.name != wide.name && hosts_meet(wide, narrow) && methods_meet(wide, narrow);
        if !may_be_below || !asks_less(narrow, wide) {
            continue;
        }
        let (severity, text) = if !narrow.path.same_shape(&wide.path) {
            let text = format!("it lies within {} of route `{}`", wide.path, wide.name);
            (Severity::High, text)
        } else if let Some(host) = narrower_host(wide, narrow) {
            let text = format!("it has the path of route `{}` on {host}", wide.name);
            (Severity::High, text)
        } else if wide.methods.is_empty() && !narrow.methods.is_empty() {
            let methods = narrow.methods.join(", ");
            let text = format!("it has the path of route `{}` for {methods}", wide.name);
            // That reading is asked less than writing is how it usually is meant.
            let reads = narrow.methods.iter().all(|m| READING.contains(&m.as_str()));
            (if reads { Severity::Medium } else { Severity::High }, text)
        } else {
            // The wide one wins wherever both match.
            continue;
        };
        let subject = format!("routes.{}", narrow.name);
        let at = place::of(document, &subject);
        let text = format!("{text}, and asks less of callers");
        found.push(Finding::new(&HOLE_BELOW, subject, text).graded(severity).at(at));
    }
}

/// Methods that change nothing.
const READING: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// A host of one route that lies within a wider host of the other.
fn narrower_host(wide: &Route, narrow: &Route) -> Option<HostPattern> {
    let wide = hosts(wide);
    let is_within = |host: &HostPattern| wide.iter().any(|a| a != host && a.covers(host));
    hosts(narrow).into_iter().find(is_within)
}

/// Methods that a route does not list, and that a weaker route without a list takes.
fn methods(
    document: &Document,
    route: &Route,
    target: &Target,
    oracle: &Oracle<'_>,
    found: &mut Vec<Finding>,
) {
    if route.methods.is_empty() {
        return;
    }
    let mut by_route: BTreeMap<&str, (Vec<&str>, String)> = BTreeMap::new();
    for method in METHODS.iter().filter(|method| !route.methods.iter().any(|m| m == *method)) {
        let other = document.find_route(&target.host, method, &target.path).ok().flatten();
        // Who lists a method has thought of it.
        let by_chance = |other: &&Arc<Route>| other.methods.is_empty() && is_weaker(other, route);
        let Some(other) = other.filter(by_chance) else { continue };
        let Some(shown) = passes(oracle, other, &target.with_method(method)) else { continue };
        let (methods, _) =
            by_route.entry(other.name.as_str()).or_insert_with(|| (Vec::new(), shown));
        methods.push(method);
    }
    for (other, (methods, shown)) in by_route {
        let subject = format!("routes.{}", route.name);
        let text = format!(
            "what is not on its list of methods ({}) falls on {} to route `{other}`, which asks \
             less",
            methods.join(", "),
            route.path
        );
        let at = place::of(document, &subject);
        found.push(Finding::new(&METHOD_HOLE, subject, text).at(at).shown_by(shown));
    }
}

/// Who gets through by a route, of those who show nothing and those who show what it asks for.
fn passes(oracle: &Oracle<'_>, route: &Route, target: &Target) -> Option<String> {
    [Caller::Nobody, Caller::best(route)].into_iter().find_map(|caller| {
        let answer = oracle.ask(route, caller, target);
        let is_its = answer.allowed && answer.route.as_ref() == Some(&route.name);
        is_its.then(|| format!("{}, by {}: {}", target.line(), caller.told(route), answer.text))
    })
}

/// Spellings of a protected path or host that reach its service by a weaker route.
fn tricks(
    document: &Document,
    route: &Route,
    target: &Target,
    oracle: &Oracle<'_>,
    found: &mut Vec<Finding>,
) {
    let mut others = BTreeSet::new();
    let paths = spellings(&target.path).into_iter();
    let paths = paths.map(|spelling| (target.with_path(spelling), "another spelling of"));
    let hosts = other_hosts(route, target).into_iter();
    let hosts = hosts.map(|host| (Target { host, ..target.clone() }, "another host with"));
    for (target, what) in paths.chain(hosts) {
        let goes_past = |other: &&Arc<Route>| {
            other.name != route.name
                && other.service_name() == route.service_name()
                && is_weaker(other, route)
        };
        // Nearly all belong to nobody or to the route itself: only the others are asked about.
        let Some(other) = found_by(document, &target).filter(goes_past) else { continue };
        let Some(shown) = passes(oracle, other, &target) else { continue };
        // One spelling shows it; the others of the same route show nothing more.
        if others.insert(other.name.clone()) {
            let subject = format!("routes.{}", route.name);
            let text = format!(
                "{what} {} reaches `{}` by route `{}`, which asks less",
                route.path,
                route.service_name(),
                other.name
            );
            let at = place::of(document, &subject);
            found.push(Finding::new(&PATH_TRICK, subject, text).at(at).shown_by(shown));
        }
    }
}

/// The route that requests belong to, as far as they are not refused for their path.
fn found_by<'d>(document: &'d Document, target: &Target) -> Option<&'d Arc<Route>> {
    let path = normalize(without_query(&target.path), Normalization::ENVOY).ok()?;
    document.find_route(&target.host, &target.method, &path).ok().flatten()
}

/// Hosts that are none of a route's, or are not told from them by everybody: a name that nobody
/// has, the dot that may end a name, and a port.
fn other_hosts(route: &Route, target: &Target) -> Vec<String> {
    if hosts(route).contains(&HostPattern::Any) {
        return Vec::new();
    }
    let host = &target.host;
    vec!["anything.test".to_owned(), format!("{host}."), format!("{host}:8443")]
}

/// Asks less in one thing and more in none.
fn is_weaker(weak: &Route, strong: &Route) -> bool {
    asks_less(weak, strong) && !asks_less(strong, weak)
}

fn methods_meet(a: &Route, b: &Route) -> bool {
    a.methods.is_empty()
        || b.methods.is_empty()
        || a.methods.iter().any(|method| b.methods.contains(method))
}

fn hosts_meet(wide: &Route, narrow: &Route) -> bool {
    let narrow = hosts(narrow);
    hosts(wide).iter().any(|a| narrow.iter().any(|b| a.covers(b) || b.covers(a)))
}

/// A route's hosts; where it names none, that is any.
fn hosts(route: &Route) -> Vec<HostPattern> {
    if route.hosts.is_empty() { vec![HostPattern::Any] } else { route.hosts.clone() }
}
