//! Names of clusters and filters.

use postern_document::Route;

/// The server's gRPC services.
pub(super) const GRPC_CLUSTER: &str = "postern-grpc";
/// The server's feed, on the port of its gRPC services.
pub(super) const FEED_CLUSTER: &str = "postern_feed";
/// The server's public HTTP.
pub(super) const PUBLIC_CLUSTER: &str = "postern-public";
/// Envoy's filters, by the names that per-route configuration and metadata use.
pub(super) const EXT_AUTHZ: &str = "envoy.filters.http.ext_authz";
pub(super) const EXT_PROC: &str = "envoy.filters.http.ext_proc";
pub(super) const BUNDLE: &str = "postern";

/// The cluster of a service.
pub(super) fn service_cluster(name: &str) -> String {
    format!("service-{name}")
}

/// The cluster that a route goes to.
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
