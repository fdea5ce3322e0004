//! Which hosts the gateway serves, and the routes of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use postern_document::{HostPattern, Route, Segment};

use super::options::names::is_servable;
use super::{RenderError, Rendering};

/// One of the document's virtual hosts, as far as the gateway serves it.
#[derive(Debug)]
pub(super) struct ServedHost<'d> {
    /// The document's host.
    pub(super) pattern: HostPattern,
    /// What the gateway calls it: the host itself, or the narrower ones that the options offer.
    pub(super) domains: Vec<String>,
    /// The routes in the order in which they are tried.
    pub(super) routes: Vec<&'d Arc<Route>>,
    /// Whether the last of them takes everything that the others left.
    pub(super) takes_everything: bool,
}

impl ServedHost<'_> {
    /// A name for its resource; different hosts have different names.
    pub(super) fn resource_name(&self) -> String {
        match &self.pattern {
            HostPattern::Exact(name) => format!("postern-host-{name}"),
            // The suffix begins with a dot.
            HostPattern::Suffix(suffix) => format!("postern-below{suffix}"),
            HostPattern::Any => "postern".to_owned(),
        }
    }

    /// A name for its resource beside one more Gateway, which is called by this: no dot is in it,
    /// and no name of [`Self::resource_name`] begins so.
    pub(super) fn resource_name_at(&self, gateway: &str) -> String {
        match &self.pattern {
            HostPattern::Exact(name) => format!("{gateway}.host.{name}"),
            HostPattern::Suffix(suffix) => format!("{gateway}.below{suffix}"),
            HostPattern::Any => format!("{gateway}.any"),
        }
    }

    /// The route by which an error names it.
    pub(super) fn example(&self) -> String {
        let own = self.routes.iter().find(|route| route.hosts.contains(&self.pattern));
        own.or(self.routes.first()).map_or_else(String::new, |route| route.name.clone())
    }
}

/// Of several hosts that cover one, the narrowest is the greatest.
pub(super) fn narrowness(host: &HostPattern) -> (u8, usize) {
    match host {
        HostPattern::Any => (0, 0),
        HostPattern::Suffix(suffix) => (1, suffix.len()),
        HostPattern::Exact(name) => (2, name.len()),
    }
}

/// Deals the hosts out: each goes to the narrowest virtual host of the document that covers it,
/// as the document's matcher would have it.
pub(super) fn served<'d>(rendering: &Rendering<'d>) -> Result<Vec<ServedHost<'d>>, RenderError> {
    let document = rendering.document;
    let offered = rendering.options.host_patterns()?;
    // From the narrowest to the widest.
    let hosts = document.virtual_hosts();
    let named = hosts.iter().map(|host| host.host.clone());
    let named = named.filter(|host| offered.iter().any(|offer| offer.covers(host)));
    let wanted: BTreeSet<HostPattern> = offered.iter().cloned().chain(named).collect();

    let mut domains: Vec<Vec<String>> = vec![Vec::new(); hosts.len()];
    for domain in &wanted {
        let mut dealt = hosts.iter().zip(domains.iter_mut());
        // A host that no route is for is left to Istio, which answers 404.
        if let Some((_, found)) = dealt.find(|(host, _)| host.host.covers(domain)) {
            found.push(domain.to_string());
        }
    }

    let mut served = Vec::with_capacity(hosts.len());
    for (host, mut domains) in hosts.into_iter().zip(domains) {
        let routes = host.routes.iter().filter_map(|index| document.routes.get(*index));
        if domains.is_empty() && host.host == HostPattern::Any {
            // Its routes are part of every narrower host.
            continue;
        }
        if domains.is_empty() || !is_servable(&host.host) {
            let mut routes = routes;
            let route = routes.find(|route| route.hosts.contains(&host.host));
            return Err(RenderError::RouteHost {
                route: route.map_or_else(String::new, |route| route.name.clone()),
                host: host.host.to_string(),
                problem: if domains.is_empty() {
                    "is not among the hosts that the gateway serves (`--host`)"
                } else {
                    "is no DNS name"
                },
            });
        }
        domains.sort_unstable();
        let (routes, takes_everything) = reachable(routes);
        served.push(ServedHost { pattern: host.host, domains, routes, takes_everything });
    }
    Ok(served)
}

/// The routes up to the first that takes everything. What follows belongs to wider hosts and
/// could never be reached; Istio, which stops there too, must not be given the chance to order
/// it differently.
fn reachable<'d>(routes: impl Iterator<Item = &'d Arc<Route>>) -> (Vec<&'d Arc<Route>>, bool) {
    let mut reachable = Vec::new();
    for route in routes {
        reachable.push(route);
        let everything = matches!(route.path.segments(), [Segment::Rest(_)]);
        if everything && route.methods.is_empty() {
            return (reachable, true);
        }
    }
    (reachable, false)
}
