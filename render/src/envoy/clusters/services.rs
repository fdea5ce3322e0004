//! The clusters of services: at the edge where they are, beside a workload its own program.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use postern_document::{Endpoint, JwksSource, KeysBy, Service, Version};
use serde_json::Value;

use super::{Cluster, Hosts};
use crate::envoy::names::{service_cluster, version_cluster};
use crate::envoy::rendering::Rendering;
use crate::envoy::{Kind, RenderError, tls};

/// Where the program of a sidecar's workload listens.
const LOCAL: &str = "127.0.0.1";

pub(super) fn render(rendering: &Rendering<'_>) -> Result<Vec<Value>, RenderError> {
    let key_servers = key_servers(rendering);
    let mut clusters = Vec::new();
    for service in &rendering.document.services {
        let is_here = rendering.sidecar.zip(service.guarded_by());
        let is_here = is_here.is_some_and(|(here, guard)| here.name == guard.name);
        if is_here {
            clusters.push(local(rendering, service)?);
        } else if rendering.sidecar.is_none() {
            clusters.push(whole(rendering, service)?);
            for version in &service.versions {
                clusters.push(part(rendering, service, version)?);
            }
        } else if key_servers.contains(service.name.as_str()) {
            clusters.push(whole(rendering, service)?);
        }
    }
    Ok(clusters)
}

/// Services that the bundle fetches keys from.
fn key_servers<'r>(rendering: &'r Rendering<'_>) -> BTreeSet<&'r str> {
    let fetched = rendering.issuers.iter().filter(|issuer| issuer.keys_by == KeysBy::Envoy);
    fetched
        .filter_map(|issuer| match &issuer.jwks {
            JwksSource::Service { service, .. } => Some(service.as_str()),
            _ => None,
        })
        .collect()
}

/// The program that the sidecar stands beside. What callers decide (versions, endpoints, which
/// of them gets whom) has been decided by now.
fn local(rendering: &Rendering<'_>, service: &Service) -> Result<Value, RenderError> {
    let chosen = match rendering.options.kind {
        Kind::Sidecar { upstream_port } => upstream_port,
        Kind::Edge => None,
    };
    let port = chosen.unwrap_or(service.port);
    let listen = rendering.options.listen;
    let is_taken = listen.ip().is_unspecified() || listen.ip() == Ipv4Addr::LOCALHOST;
    if is_taken && listen.port() == port {
        let problem = format!(
            "the sidecar listens at {listen} itself: say with --upstream-port where on {LOCAL} \
             the program does"
        );
        return Err(RenderError::Service { service: service.name.clone(), problem });
    }
    let name = service_cluster(&service.name);
    let cluster =
        Cluster { hash: None, outliers: None, ..of(service, name, Hosts::One(LOCAL, port)) };
    Ok(cluster.render())
}

/// All of a service.
fn whole(rendering: &Rendering<'_>, service: &Service) -> Result<Value, RenderError> {
    let name = service_cluster(&service.name);
    let hosts = match rendering.endpoints(service) {
        Some(endpoints) => Hosts::Endpoints(endpoints.iter().collect()),
        None => Hosts::One(&service.host, service.port),
    };
    outbound(rendering, service, name, hosts)
}

/// One version of a service. Labels tell endpoints apart; those of pods only a mesh knows.
fn part(
    rendering: &Rendering<'_>,
    service: &Service,
    version: &Version,
) -> Result<Value, RenderError> {
    let has = |endpoint: &&Endpoint| {
        version.labels.iter().all(|(name, value)| endpoint.labels.get(name) == Some(value))
    };
    let labelled: Vec<&Endpoint> = if version.labels.is_empty() {
        Vec::new()
    } else {
        rendering.endpoints(service).unwrap_or_default().iter().filter(has).collect()
    };
    let hosts = match &version.upstream {
        _ if !labelled.is_empty() => Hosts::Endpoints(labelled),
        Some(upstream) => Hosts::One(&upstream.host, upstream.port),
        // Whoever knows where the service is may know of none such at the moment.
        None if rendering.known_endpoints(service).is_some() => Hosts::Endpoints(Vec::new()),
        None => {
            let problem = if service.endpoints.is_empty() {
                "an Envoy without a mesh cannot tell pods by their labels: give the version an \
                 `upstream`, or the service `endpoints` with these labels"
            } else {
                "no endpoint of the service has these labels"
            };
            let version = version.name.clone();
            let (service, problem) = (service.name.clone(), problem.to_owned());
            return Err(RenderError::Version { service, version, problem });
        }
    };
    outbound(rendering, service, version_cluster(&service.name, version), hosts)
}

fn outbound(
    rendering: &Rendering<'_>,
    service: &Service,
    name: String,
    hosts: Hosts<'_>,
) -> Result<Value, RenderError> {
    let tls = match (identities(rendering, service)?, &rendering.options.mesh_tls, &hosts) {
        (Some(identities), Some(mesh), _) => Some(tls::to_mesh(mesh, &identities, service.http2)),
        // Endpoints have no name that could be verified; the document has no `tls` there.
        (_, _, Hosts::One(host, _)) if service.tls => Some(tls::public(host)),
        _ => None,
    };
    Ok(Cluster { tls, ..of(service, name, hosts) }.render())
}

/// Whom the other end's certificate must name; none where nobody of the mesh is there.
fn identities(
    rendering: &Rendering<'_>,
    service: &Service,
) -> Result<Option<Vec<String>>, RenderError> {
    let trust_domain = &rendering.document.mesh.trust_domain;
    let has_certificate = rendering.options.mesh_tls.is_some();
    if let Some(guard) = service.guarded_by() {
        // Both ends are rendered with certificates, or both without.
        return Ok(has_certificate.then(|| vec![guard.spiffe_id(trust_domain)]));
    }
    let endpoints = rendering.endpoints(service).unwrap_or_default().iter();
    let accounts: BTreeSet<&str> =
        endpoints.filter_map(|end| end.service_account.as_deref()).collect();
    if accounts.is_empty() {
        return Ok(None);
    }
    let problem = |problem: &str| RenderError::Service {
        service: service.name.clone(),
        problem: problem.to_owned(),
    };
    let Some(workload) = &service.workload else {
        return Err(problem(
            "the certificates of its endpoints name a service account, and only a `workload` \
             says of which namespace",
        ));
    };
    if !has_certificate {
        return Err(problem(
            "its endpoints take mutual TLS (`service_account`): name this Envoy's certificate \
             with --mesh-ca, --mesh-cert and --mesh-key, or --mesh-agent",
        ));
    }
    let namespace = &workload.namespace;
    let identity = |account: &str| format!("spiffe://{trust_domain}/ns/{namespace}/sa/{account}");
    Ok(Some(accounts.into_iter().map(identity).collect()))
}

/// A cluster with a service's own bounds.
fn of<'a>(service: &'a Service, name: String, hosts: Hosts<'a>) -> Cluster<'a> {
    Cluster {
        name,
        hosts,
        tls: None,
        http2: service.http2,
        max_connections: service.max_connections,
        max_pending: service.max_pending,
        pool: service.pool,
        hash: service.hash.as_ref(),
        outliers: service.outlier_detection.as_ref(),
        filters: Vec::new(),
    }
}
