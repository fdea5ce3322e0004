//! Beside a workload.

use postern_document::{DescriptorEntry, Document, Route};

use crate::envoy::EnvoyOptions;
use crate::envoy::rendering::workload;

pub(super) fn warnings(document: &Document, options: &EnvoyOptions) -> Vec<String> {
    let here = workload(document, options);
    let is_here =
        |route: &&Route| route.guarded_by().is_some_and(|guard| guard.name.as_str() == here);
    let routes = || document.routes.iter().map(|route| &**route).filter(is_here);
    let mut warnings = Vec::new();
    if options.mesh_tls.is_none() && !options.listen.ip().is_loopback() {
        warnings.push(format!(
            "the sidecar of `{here}` speaks plain HTTP at {}: whoever reaches it is asked for what \
             routes ask callers, and for no certificate: name one with --mesh-ca, --mesh-cert and \
             --mesh-key, or --mesh-agent",
            options.listen
        ));
    }
    warnings.extend(routes().filter(|route| !route.hosts.is_empty()).map(|route| {
        format!(
            "route `{}` names hosts: calls through the edge come with the host that was asked \
             there, calls from inside must send it too, or they meet another route or none",
            route.name
        )
    }));
    warnings.extend(routes().filter(|route| tells_addresses(route)).map(|route| {
        format!(
            "route `{}` tells the rate limit service a `remote_address`: beside `{here}` that is \
             the edge's, for all who call through it",
            route.name
        )
    }));
    warnings
}

fn tells_addresses(route: &Route) -> bool {
    route.descriptors.iter().flatten().any(|entry| *entry == DescriptorEntry::RemoteAddress)
}
