//! Connections of their own for some routes: each for itself, and whether any route uses them.

use std::sync::Arc;

use super::super::numbers::whole;
use super::pool::{Bounds, max_requests};
use crate::model::{Bulkhead, Pool, Route, Service};
use crate::problem::Problems;
use crate::raw::{Positive, RawBulkhead, RawDocument, RawService};

/// Each is a cluster of its own in Envoy, with versions one for each of them.
const MAX_BULKHEADS: usize = 16;

pub(super) fn check(
    raw: &RawService,
    bounds: Bounds,
    path: &str,
    problems: &mut Problems,
) -> Vec<Arc<Bulkhead>> {
    let Some(named) = raw.bulkheads.get() else {
        return Vec::new();
    };
    let path = format!("{path}.bulkheads");
    if named.0.is_empty() && named.1.is_empty() {
        let message = "name at least one bulkhead, or leave `bulkheads` out";
        problems.report_as(raw.at, &path, message);
    }
    if let Some((_, at, _)) = named.0.get(MAX_BULKHEADS) {
        problems.report_as(*at, &path, format!("at most {MAX_BULKHEADS} bulkheads"));
    }
    // Where the service bounds its requests, a bulkhead is not to have more of them.
    let of_pool = raw.pool.get().and_then(|pool| pool.max_requests.as_ref());
    let of_pool = of_pool.and_then(|most| u32::try_from(most.value).ok());
    let bulkheads = named.0.iter().map(|(name, _, raw)| {
        let path = format!("{path}.{name}");
        Arc::new(check_one(name, raw, (bounds, of_pool), &path, problems))
    });
    bulkheads.collect()
}

fn check_one(
    name: &str,
    raw: &RawBulkhead,
    (bounds, of_pool): (Bounds, Option<u32>),
    path: &str,
    problems: &mut Problems,
) -> Bulkhead {
    let fields = [&raw.max_connections, &raw.max_pending, &raw.max_requests];
    if fields.iter().all(|field| field.is_none()) && !problems.any_below(path) {
        let message = "say what it bounds: `max_connections`, `max_pending` or `max_requests`";
        problems.report_as(raw.at, path, message);
    }
    let mut bound = |field: &Option<Positive>, name: &str| {
        whole(field.as_ref(), 1..=1_000_000, &format!("{path}.{name}"), problems)
    };
    let connections = bound(&raw.max_connections, "max_connections");
    let connections = connections.unwrap_or(bounds.max_connections);
    let max_pending = bound(&raw.max_pending, "max_pending").unwrap_or(bounds.max_pending);
    let requests = max_requests(raw.max_requests.as_ref(), connections, path, problems);
    Bulkhead {
        name: name.to_owned(),
        max_connections: connections,
        max_pending,
        max_requests: requests.or(of_pool).unwrap_or_else(|| Pool::of(connections).max_requests),
    }
}

/// Bulkheads that no route uses.
pub(super) fn check_used(
    raw: &RawDocument,
    services: &[Arc<Service>],
    routes: &[Arc<Route>],
    problems: &mut Problems,
) {
    let uses = |route: &Route, bulkhead: &Arc<Bulkhead>| {
        route.bulkhead.as_ref().is_some_and(|used| Arc::ptr_eq(used, bulkhead))
    };
    for service in services {
        let named = raw.services.get(&service.name).and_then(|raw| raw.bulkheads.get());
        for bulkhead in &service.bulkheads {
            if routes.iter().any(|route| uses(route, bulkhead)) {
                continue;
            }
            let place = named.and_then(|named| {
                named.0.iter().find(|(name, ..)| *name == bulkhead.name).map(|(_, at, _)| *at)
            });
            let message = "no route uses it: name it in a route, `bulkhead: NAME`";
            let path = format!("services.{}.bulkheads.{}", service.name, bulkhead.name);
            problems.report_as(place.unwrap_or_default(), &path, message);
        }
    }
}
