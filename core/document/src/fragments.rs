//! Joining fragments to the main file, each within what its owner may speak for.

mod services;

use crate::decode::Decode as _;
use crate::host::HostPattern;
use crate::parts::Parts;
use crate::problem::{Position, Problems};
use crate::raw::{RawDocument, RawFragment, RawOwner, RawRoute};

/// The fragments of a document.
pub(crate) struct Fragments {
    owned: Vec<RawFragment>,
    /// Without an owner, which was reported.
    ownerless: Vec<RawFragment>,
}

impl Fragments {
    /// Reads them; what cannot be read is reported.
    pub(crate) fn decode(parts: &Parts, problems: &mut Problems) -> Self {
        let mut decode = |nodes: &[crate::node::Node]| {
            let read = nodes.iter().filter_map(|node| RawFragment::decode(node, problems));
            read.collect::<Vec<_>>()
        };
        Self { owned: decode(&parts.fragments), ownerless: decode(&parts.ownerless) }
    }

    /// Whether one of them is an owner's.
    pub(crate) fn are_of(&self, owner: &str) -> bool {
        self.owned.iter().any(|fragment| fragment.owner.value == owner)
    }

    /// Joins the fragments to the main document; what a fragment says beyond its rights is
    /// reported. What stands in one without rights is joined all the same, so that it is checked
    /// for itself and others may name it: a document with a problem is none.
    pub(crate) fn join(self, document: &mut RawDocument, problems: &mut Problems) {
        // Who owns which service, before any fragment is joined: the order of files says nothing.
        let services = services::owned(document, &self.owned);
        for fragment in self.owned {
            let owner = fragment.owner.value.clone();
            match document.owners.get(&owner).cloned() {
                Some(rights) => check(&owner, &rights, &fragment, &services, problems),
                None => problems.report(
                    fragment.owner.at,
                    format!("the main file has no owner `{owner}`; it says there what an owner may speak for"),
                ),
            }
            add_all(document, fragment, problems);
        }
        for fragment in self.ownerless {
            add_all(document, fragment, problems);
        }
    }
}

/// Checks what an owner's fragment says against what the owner may speak for.
fn check(
    owner: &str,
    rights: &RawOwner,
    fragment: &RawFragment,
    services: &[services::Owned],
    problems: &mut Problems,
) {
    for route in &fragment.routes {
        check_rights(owner, rights, route, problems);
        services::check_route(owner, rights, route, services, problems);
        let service = &route.service.value;
        let owners = services.iter().filter(|known| known.name == *service);
        let owners: Vec<&str> = owners.filter_map(|known| known.owner.as_deref()).collect();
        if let Some(other) = owners.first()
            && !owners.contains(&owner)
        {
            problems.report_as(
                route.service.at,
                &format!("routes.{}.service", route.name.value),
                format!("`{service}` belongs to `{other}`; ask for a route there, or for the service to move to the main file"),
            );
        }
    }
    for (name, _, service) in &fragment.services.0 {
        services::check(&services::Mine { owner, rights, name }, service, services, problems);
    }
}

fn add_all(document: &mut RawDocument, fragment: RawFragment, problems: &mut Problems) {
    add(&mut document.services.0, fragment.services.0, "service", problems);
    add(&mut document.limits.0, fragment.limits.0, "limit", problems);
    add(&mut document.transforms.0, fragment.transforms.0, "transform", problems);
    document.routes.extend(fragment.routes);
}

type NamedValue<T> = (String, Position, T);

fn add<T>(
    to: &mut Vec<NamedValue<T>>,
    from: Vec<NamedValue<T>>,
    what: &str,
    problems: &mut Problems,
) {
    for (name, at, value) in from {
        if let Some((_, known, _)) = to.iter().find(|(known, ..)| *known == name) {
            let message = format!("there is a {what} `{name}` already, {}", problems.at(*known));
            problems.report_as(at, &format!("{what}s.{name}"), message);
        } else {
            to.push((name, at, value));
        }
    }
}

/// A route is within an owner's rights when its path begins with one of the owner's prefixes
/// and all its hosts are covered, or when all its hosts are covered by hosts that are the
/// owner's alone (no paths given).
fn check_rights(owner: &str, rights: &RawOwner, route: &RawRoute, problems: &mut Problems) {
    let place = format!("routes.{}.match", route.name.value);
    let path = &route.matches.path;
    let in_paths = rights.paths.is_empty()
        || rights.paths.iter().any(|prefix| {
            prefix.ends_with('/')
                && (path.starts_with(prefix.as_str())
                    || prefix.trim_end_matches('/') == path.as_str())
        });
    if !in_paths {
        let allowed: Vec<&str> = rights.paths.iter().map(|prefix| prefix.as_str()).collect();
        let message = format!(
            "{} is not `{owner}`'s, who may speak for {} only",
            path.value,
            allowed.join(", ")
        );
        problems.report_as(path.at, &format!("{place}.path"), message);
    }
    let allowed: Vec<HostPattern> =
        rights.hosts.iter().filter_map(|host| HostPattern::parse(host).ok()).collect();
    if allowed.is_empty() {
        return;
    }
    let covered = |text: &str| {
        HostPattern::parse(text).is_ok_and(|host| allowed.iter().any(|wide| wide.covers(&host)))
    };
    let names: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    let only = format!("`{owner}`'s, who may speak for the hosts {} only", names.join(", "));
    let place = format!("{place}.hosts");
    if route.matches.hosts.is_empty() {
        let message = format!("a route for all hosts is not {only}");
        problems.report_as(route.matches.at, &place, message);
    }
    for (at, host) in route.matches.hosts.iter().enumerate() {
        if !covered(host) {
            let message = format!("{} is not {only}", host.value);
            problems.report_as(host.at, &format!("{place}[{at}]"), message);
        }
    }
}

#[cfg(test)]
mod tests;
