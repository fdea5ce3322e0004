//! At the edge: faults, endpoints that fail, and services behind Envoys of their own.

use postern_document::{Document, Route};

use crate::envoy::EnvoyOptions;
use crate::places::is_loopback;
use crate::traffic::never_left_out;

pub(super) fn warnings(document: &Document, options: &EnvoyOptions) -> Vec<String> {
    let routes = || document.routes.iter().map(|route| &**route);
    let mut warnings: Vec<String> = routes().filter_map(long_delay).collect();
    warnings.extend(routes().filter_map(|route| nobody_at_the_edge(document, route)));
    warnings.extend(document.services.iter().filter_map(|service| never_left_out(service)));
    if options.mesh_tls.is_none() {
        warnings.extend(in_the_clear(document));
    }
    warnings.extend(issuer_elsewhere(document, options));
    warnings
}

/// Links to pages, cookies and `htu` of proofs are made of the issuer: on this machine it is the
/// listener itself that has to be there.
fn issuer_elsewhere(document: &Document, options: &EnvoyOptions) -> Option<String> {
    let issuer = document.issuer.as_deref()?;
    let authority = issuer.strip_prefix("http://")?.split('/').next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, 80_u16),
    };
    let listens = options.listen.port();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (is_loopback(host) && port != listens).then(|| {
        format!(
            "the document's issuer is `{issuer}`, and this Envoy listens on port {listens}: \
             pages and tokens lead to where nobody listens, unless something in front of it does"
        )
    })
}

/// Who tests a timeout by a delay does not see it.
fn long_delay(route: &Route) -> Option<String> {
    let delay = route.fault?.delay?;
    (delay.time_ms >= route.timeout_ms).then(|| {
        format!(
            "route `{}`: the delay of its fault ({} ms) comes before its timeout ({} ms) begins, \
             so that callers wait for both",
            route.name, delay.time_ms, route.timeout_ms
        )
    })
}

/// Whoever comes through the edge has the edge's certificate.
fn nobody_at_the_edge(document: &Document, route: &Route) -> Option<String> {
    let gateway = document.gateway()?;
    if route.peers.is_empty() || gateway.is_one_of(&route.peers, &document.mesh.trust_domain) {
        return None;
    }
    Some(format!(
        "route `{}`: `{}` is not among its `peers`, so that all calls from outside are refused",
        route.name, gateway.name
    ))
}

fn in_the_clear(document: &Document) -> Option<String> {
    let is_far = |host: &str| !is_loopback(host);
    let behind = document.services.iter().find(|service| {
        let upstreams = service.upstreams();
        service.guarded_by().is_some() && upstreams.iter().any(|to| is_far(&to.host))
    })?;
    Some(format!(
        "requests to `{}` and their tokens go to its workload's Envoy in clear text: name this \
         Envoy's certificate with --mesh-ca, --mesh-cert and --mesh-key, or --mesh-agent",
        behind.name
    ))
}
