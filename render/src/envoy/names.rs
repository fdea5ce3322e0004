//! Names of clusters and filters.

use postern_document::{Bulkhead, Route, Service, Version};

use crate::traffic::part_name;

/// The server's gRPC services.
pub(super) const GRPC_CLUSTER: &str = "postern-grpc";
/// The server's feed, on the port of its gRPC services.
pub(super) const FEED_CLUSTER: &str = "postern_feed";
/// The server's public HTTP.
pub(super) const PUBLIC_CLUSTER: &str = "postern-public";
/// Who tells Envoy of listeners, clusters and routes.
pub(super) const XDS_CLUSTER: &str = "postern-xds";
/// Who gives Envoy its certificate.
pub(super) const SDS_CLUSTER: &str = "postern-sds";
/// Envoy's filters, by the names that per-route configuration and metadata use.
pub(super) const EXT_AUTHZ: &str = "envoy.filters.http.ext_authz";
pub(super) const EXT_PROC: &str = "envoy.filters.http.ext_proc";
pub(super) const BUNDLE: &str = "postern";
/// The listener, the routes in it and what they count under.
pub(super) const OWN: &str = "postern";

/// The cluster of a service.
pub(super) fn service_cluster(name: &str) -> String {
    format!("service-{name}")
}

/// The cluster of a part of a service, or of all of it.
pub(super) fn part_cluster(
    service: &Service,
    version: Option<&Version>,
    bulkhead: Option<&Bulkhead>,
) -> String {
    service_cluster(&part_name(service, version, bulkhead))
}

/// The cluster that a route goes to, whatever its version and bulkhead.
pub(super) fn route_cluster(route: &Route) -> String {
    match &route.service {
        Some(service) => service_cluster(&service.name),
        None => PUBLIC_CLUSTER.to_owned(),
    }
}

/// The cluster that an issuer's keys are fetched from.
pub(super) fn jwks_cluster(issuer: usize) -> String {
    format!("jwks-{issuer}")
}
