//! Envoy's own rate limit filter, on the gateway.
//!
//! It stands behind the bundle and Istio's policies, and in front of the fault filter, which Istio
//! has in every chain: what is refused is not counted, and what is made to go wrong is. What a
//! route tells the service is said by the route's name, and a sidecar's routes have none.

use postern_document::RateLimitFilter;
use serde_json::{Value, json};

use super::super::resource::set;
use super::super::{IstioOptions, RenderError, Rendering};
use crate::rate_limit;

/// Refuses descriptors that nobody would send.
pub(super) fn check(rendering: &Rendering<'_>) -> Result<(), RenderError> {
    let mut routes = rendering
        .workloads
        .iter()
        .flat_map(|placed| placed.routes.iter().map(move |route| (placed, *route)));
    match routes.find(|(_, route)| !route.descriptors.is_empty()) {
        Some((placed, route)) => Err(RenderError::Workload {
            workload: placed.workload.clone(),
            problem: format!(
                "its route `{}` has descriptors, and a sidecar's routes have no names to say them \
                 by: use a limit, or let the edge guard the service",
                route.name
            ),
        }),
        None => Ok(()),
    }
}

pub(super) fn filter(options: &IstioOptions, settings: &RateLimitFilter) -> Value {
    rate_limit::filter(settings, &super::grpc(options, &options.server_host()))
}

/// What each route tells the service, by name.
pub(super) fn routes(rendering: &Rendering<'_>) -> Vec<(String, Value)> {
    let mut told = Vec::new();
    for route in &rendering.document.routes {
        let Some(per_route) = rate_limit::per_route(route) else { continue };
        let mut filters = json!({});
        set(&mut filters, rate_limit::FILTER, per_route);
        let mut value = json!({});
        set(&mut value, "typed_per_filter_config", filters);
        let names = super::envoy_routes(rendering, route);
        told.extend(names.into_iter().map(|name| (name, value.clone())));
    }
    told.sort_by(|(a, _), (b, _)| a.cmp(b));
    told
}
