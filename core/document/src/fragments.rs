//! Joining fragments to the main file, each within what its owner may speak for.

mod services;

use crate::host::HostPattern;
use crate::problem::Problems;
use crate::raw::{RawDocument, RawFragment, RawOwner, RawRoute};

/// Joins the fragments to the main document; what a fragment says beyond its rights is
/// reported and left out.
pub(crate) fn join(
    document: &mut RawDocument,
    fragments: Vec<RawFragment>,
    problems: &mut Problems,
) {
    // Who owns which service, before any fragment is joined: the order of files says nothing.
    let services = services::owned(document, &fragments);
    for fragment in fragments {
        let owner = fragment.owner.value.clone();
        let Some(rights) = document.owners.get(&owner).cloned() else {
            problems.report(
                fragment.owner.at,
                format!("the main file has no owner `{owner}`; it says there what an owner may speak for"),
            );
            continue;
        };
        for route in &fragment.routes {
            check_rights(&owner, &rights, route, problems);
            services::check_route(&owner, &rights, route, &services, problems);
            let service = &route.service.value;
            let owners = services.iter().filter(|known| known.name == *service);
            let owners: Vec<&String> = owners.filter_map(|known| known.owner.as_ref()).collect();
            if !owners.is_empty() && !owners.contains(&&owner) {
                problems.report(
                    route.service.at,
                    format!("`{service}` belongs to another owner; ask for a route there, or for the service to move to the main file"),
                );
            }
        }
        for (.., service) in &fragment.services.0 {
            services::check(&owner, &rights, service, &services, problems);
        }
        add(&mut document.services.0, fragment.services.0, "service", problems);
        add(&mut document.limits.0, fragment.limits.0, "limit", problems);
        add(&mut document.transforms.0, fragment.transforms.0, "transform", problems);
        document.routes.extend(fragment.routes);
    }
}

type NamedValue<T> = (String, crate::problem::Position, T);

fn add<T>(
    to: &mut Vec<NamedValue<T>>,
    from: Vec<NamedValue<T>>,
    what: &str,
    problems: &mut Problems,
) {
    for (name, at, value) in from {
        if to.iter().any(|(known, ..)| *known == name) {
            problems.report(at, format!("there is a {what} `{name}` already, in another file"));
        } else {
            to.push((name, at, value));
        }
    }
}

/// A route is within an owner's rights when its path begins with one of the owner's prefixes
/// and all its hosts are covered, or when all its hosts are covered by hosts that are the
/// owner's alone (no paths given).
fn check_rights(owner: &str, rights: &RawOwner, route: &RawRoute, problems: &mut Problems) {
    let path = &route.matches.path;
    let in_paths = rights.paths.is_empty()
        || rights.paths.iter().any(|prefix| {
            prefix.ends_with('/')
                && (path.starts_with(prefix.as_str())
                    || prefix.trim_end_matches('/') == path.as_str())
        });
    if !in_paths {
        let allowed: Vec<&str> = rights.paths.iter().map(|prefix| prefix.as_str()).collect();
        problems.report(path.at, format!("`{owner}` may speak for {} only", allowed.join(", ")));
    }
    let allowed: Vec<HostPattern> =
        rights.hosts.iter().filter_map(|host| HostPattern::parse(host).ok()).collect();
    if allowed.is_empty() {
        return;
    }
    let hosts = &route.matches.hosts;
    let covered = |text: &str| {
        HostPattern::parse(text).is_ok_and(|host| allowed.iter().any(|wide| wide.covers(&host)))
    };
    if hosts.is_empty() || !hosts.iter().all(|host| covered(host)) {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        problems.report(
            route.matches.at,
            format!("`{owner}` may speak for the hosts {} only", allowed.join(", ")),
        );
    }
}
