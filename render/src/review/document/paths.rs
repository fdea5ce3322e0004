//! Ways past a route: narrower routes, methods that it does not list, other spellings.

use std::collections::BTreeSet;

use postern_document::{Auth, Document, HostPattern, PathTemplate, Route, Segment};

use super::super::ask::{Caller, Oracle};
use super::super::catalogue::{HOLE_BELOW, METHOD_HOLE, PATH_TRICK};
use super::super::model::Finding;
use super::super::witness::{METHODS, spellings};
use super::super::{place, witness};
use super::asks_less;

pub(super) fn look(document: &Document, oracle: &Oracle<'_>, found: &mut Vec<Finding>) {
    for wide in &document.routes {
        if wide.auth == Auth::None {
            continue;
        }
        below(document, wide, found);
        if let Some(target) = witness::first(document, wide) {
            methods(document, wide, &target, oracle, found);
            tricks(document, wide, &target, oracle, found);
        }
    }
}

/// Routes within this one that ask less.
fn below(document: &Document, wide: &Route, found: &mut Vec<Finding>) {
    for narrow in &document.routes {
        let is_below = narrow.name != wide.name
            && !narrow.path.same_shape(&wide.path)
            && covers(&wide.path, &narrow.path)
            && hosts_meet(wide, narrow)
            && methods_meet(wide, narrow);
        if is_below && asks_less(narrow, wide) {
            let subject = format!("routes.{}", narrow.name);
            let text = format!(
                "it lies within {} of route `{}`, and asks less of callers",
                wide.path, wide.name
            );
            let at = place::of(document, &subject);
            found.push(Finding::new(&HOLE_BELOW, subject, text).at(at));
        }
    }
}

/// Methods that a route does not list, and that a weaker route without a list takes.
fn methods(
    document: &Document,
    route: &Route,
    target: &witness::Target,
    oracle: &Oracle<'_>,
    found: &mut Vec<Finding>,
) {
    if route.methods.is_empty() {
        return;
    }
    for method in METHODS.iter().filter(|method| !route.methods.iter().any(|m| m == *method)) {
        let other = document.find_route(&target.host, method, &target.path).ok().flatten();
        let Some(other) = other else { continue };
        // Who lists a method has thought of it.
        let by_chance = other.methods.is_empty() && is_weaker(other, route);
        let target = target.with_method(method);
        let answer = oracle.ask(other, Caller::Nobody, &target);
        if by_chance && (answer.allowed || other.auth != Auth::None) {
            let subject = format!("routes.{}", route.name);
            let text = format!(
                "{method} on {} is not on its list, and falls to route `{}`, which asks less",
                route.path, other.name
            );
            let at = place::of(document, &subject);
            let shown = format!("{}, by nobody: {}", target.line(), answer.text);
            found.push(Finding::new(&METHOD_HOLE, subject, text).at(at).shown_by(shown));
        }
    }
}

/// Spellings of a protected path that reach its service by a weaker route.
fn tricks(
    document: &Document,
    route: &Route,
    target: &witness::Target,
    oracle: &Oracle<'_>,
    found: &mut Vec<Finding>,
) {
    let mut others = BTreeSet::new();
    for spelling in spellings(&target.path) {
        let target = target.with_path(spelling);
        let answer = oracle.ask(route, Caller::Nobody, &target);
        let Some(by) = answer.route.as_deref().filter(|_| answer.allowed) else { continue };
        let Some(other) = document.routes.iter().find(|other| other.name == by) else { continue };
        let goes_past = other.name != route.name
            && other.service_name() == route.service_name()
            && is_weaker(other, route);
        // One spelling shows it; the others of the same route show nothing more.
        if goes_past && others.insert(other.name.clone()) {
            let subject = format!("routes.{}", route.name);
            let text = format!(
                "another spelling of {} reaches `{}` by route `{}`, which asks less",
                route.path,
                route.service_name(),
                other.name
            );
            let at = place::of(document, &subject);
            let shown = format!("{}, by nobody: {}", target.line(), answer.text);
            found.push(Finding::new(&PATH_TRICK, subject, text).at(at).shown_by(shown));
        }
    }
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
    let any = [HostPattern::Any];
    let of = |route: &Route| {
        if route.hosts.is_empty() { any.to_vec() } else { route.hosts.clone() }
    };
    let narrow = of(narrow);
    of(wide).iter().any(|a| narrow.iter().any(|b| a.covers(b) || b.covers(a)))
}

/// Whether every path of `narrow` is one of `wide`, if no narrower route takes it.
fn covers(wide: &PathTemplate, narrow: &PathTemplate) -> bool {
    let mut theirs = narrow.segments().iter();
    for segment in wide.segments() {
        let fits = match (segment, theirs.next()) {
            (Segment::Rest(_), Some(_)) => return true,
            (Segment::Literal(a), Some(Segment::Literal(b))) => a == b,
            (Segment::Param(_), Some(Segment::Param(_))) => true,
            (Segment::Param(_), Some(Segment::Literal(text))) => !text.is_empty(),
            _ => false,
        };
        if !fits {
            return false;
        }
    }
    theirs.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_covers_what_lies_within_it() {
        let read = |text: &str| PathTemplate::parse(text).unwrap();
        for (wide, narrow, expected) in [
            ("/{rest=**}", "/a", true),
            ("/a/{rest=**}", "/a/b/{c}", true),
            ("/a/{rest=**}", "/a", false),
            ("/a/{b}", "/a/c", true),
            ("/a/{b}", "/a/", false),
            ("/a/{b}", "/a/c/d", false),
            ("/a/c", "/a/{b}", false),
            ("/a/{b}", "/a/{rest=**}", false),
        ] {
            assert_eq!(covers(&read(wide), &read(narrow)), expected, "{wide} {narrow}");
        }
    }
}
