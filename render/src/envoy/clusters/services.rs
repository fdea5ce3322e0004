//! The clusters of services: at the edge where they are, beside a workload its own program.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use postern_document::{Bulkhead, JwksSource, KeysBy, PreferredZone, Service, Version};
use serde_json::Value;

use super::{Cluster, Hosts};
use crate::envoy::names::{part_cluster, service_cluster};
use crate::envoy::rendering::{Place, Rendering};
use crate::envoy::{Kind, RenderError, Source, tls, traffic};
use crate::traffic::{Bounds, asked_host, walled};

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
            check_zones(service)?;
            clusters.push(whole(rendering, service, None)?);
            for version in &service.versions {
                clusters.push(part(rendering, service, version, None)?);
            }
            for (bulkhead, version) in walled(rendering.document, service) {
                clusters.push(match version {
                    Some(version) => part(rendering, service, version, Some(bulkhead))?,
                    None => whole(rendering, service, Some(bulkhead))?,
                });
            }
        } else if key_servers.contains(service.name.as_str()) {
            clusters.push(whole(rendering, service, None)?);
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
    let cluster = Cluster {
        hash: None,
        outliers: None,
        health_check: None,
        min_healthy: None,
        ..of(service, None, name, Hosts::One(LOCAL, port))
    };
    Ok(cluster.render())
}

/// All of a service.
fn whole(
    rendering: &Rendering<'_>,
    service: &Service,
    bulkhead: Option<&Bulkhead>,
) -> Result<Value, RenderError> {
    let near = near(rendering, service)?;
    let hosts = match (rendering.places(service), &service.discover, &rendering.options.source) {
        (Some(places), _, _) => Hosts::Endpoints(places, near),
        (None, None, _) => Hosts::One(&service.host, service.port),
        (None, Some(_), Source::Ads { .. }) => Hosts::Told,
        (None, Some(_), Source::Static | Source::Files { .. }) => {
            let problem = "a registry says where it is (`discover`), and only a server can tell an \
                           Envoy: render for one (--source ads), or name its places by `upstream` \
                           or `endpoints`";
            let (service, problem) = (service.name.clone(), problem.to_owned());
            return Err(RenderError::Service { service, problem });
        }
    };
    let name = part_cluster(service, None, bulkhead);
    outbound(rendering, service, of(service, bulkhead, name, hosts))
}

/// The zone whose endpoints come first; none where all are alike.
fn near<'r>(
    rendering: &'r Rendering<'_>,
    service: &Service,
) -> Result<Option<&'r str>, RenderError> {
    if service.prefer_zone != Some(PreferredZone::Own) {
        return Ok(None);
    }
    match &rendering.options.zone {
        Some(zone) => Ok(Some(zone.as_str())),
        // Beside a workload, who calls has chosen.
        None if rendering.sidecar.is_some() => Ok(None),
        None => Err(RenderError::Service {
            service: service.name.clone(),
            problem:
                "it prefers endpoints of the zone that Envoy is in (`zones`): say with --zone \
                      which that is"
                    .to_owned(),
        }),
    }
}

/// Behind a name, an Envoy without a mesh knows no zones.
fn check_zones(service: &Service) -> Result<(), RenderError> {
    let knows_zones = !service.endpoints.is_empty() || service.discover.is_some();
    if service.prefer_zone != Some(PreferredZone::Own) || knows_zones {
        return Ok(());
    }
    Err(RenderError::Service {
        service: service.name.clone(),
        problem:
            "an Envoy without a mesh knows the zones of `endpoints` and of what `discover` finds \
                  alone: name one of them, or write `zones: {prefer: any}`"
                .to_owned(),
    })
}

/// One version of a service. Labels tell endpoints apart; those of pods only a mesh knows.
fn part(
    rendering: &Rendering<'_>,
    service: &Service,
    version: &Version,
    bulkhead: Option<&Bulkhead>,
) -> Result<Value, RenderError> {
    let has = |place: &Place<'_>| {
        version.labels.iter().all(|(name, value)| place.endpoint.labels.get(name) == Some(value))
    };
    let labelled: Vec<Place<'_>> = if version.labels.is_empty() {
        Vec::new()
    } else {
        rendering.places(service).unwrap_or_default().into_iter().filter(has).collect()
    };
    let hosts = match &version.upstream {
        _ if !labelled.is_empty() => Hosts::Endpoints(labelled, near(rendering, service)?),
        Some(upstream) => Hosts::One(&upstream.host, upstream.port),
        // Whoever knows where the service is may know of none such at the moment.
        None if rendering.known_endpoints(service).is_some() => Hosts::Endpoints(Vec::new(), None),
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
    let name = part_cluster(service, Some(version), bulkhead);
    outbound(rendering, service, of(service, bulkhead, name, hosts))
}

fn outbound(
    rendering: &Rendering<'_>,
    service: &Service,
    cluster: Cluster<'_>,
) -> Result<Value, RenderError> {
    let mesh = &rendering.options.mesh_tls;
    let tls = match (identities(rendering, service)?, mesh, &cluster.hosts) {
        (Some(identities), Some(mesh), _) => Some(tls::to_mesh(mesh, &identities, service.http2)),
        // Endpoints have no name that could be verified; the document has no `tls` there.
        (_, _, Hosts::One(host, _)) if service.tls => Some(tls::public(host)),
        _ => None,
    };
    Ok(Cluster { tls, ..cluster }.render())
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
    let places = rendering.places(service).unwrap_or_default();
    let accounts: BTreeSet<&str> =
        places.iter().filter_map(|place| place.endpoint.service_account.as_deref()).collect();
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

/// A cluster with the bounds of a service, or of a bulkhead of it.
fn of<'a>(
    service: &'a Service,
    bulkhead: Option<&Bulkhead>,
    name: String,
    hosts: Hosts<'a>,
) -> Cluster<'a> {
    let bounds = Bounds::of(service, bulkhead);
    let upstream = match &hosts {
        Hosts::One(host, _) => Some(*host),
        Hosts::Endpoints(..) | Hosts::Socket(_) | Hosts::Told => None,
    };
    let host = asked_host(service, upstream);
    let check = service.health.as_ref();
    Cluster {
        name,
        hosts,
        tls: None,
        http2: service.http2,
        max_connections: bounds.max_connections,
        max_pending: bounds.max_pending,
        pool: bounds.pool,
        hash: service.hash.as_ref(),
        outliers: service.outlier_detection.as_ref(),
        health_check: check.map(|health| traffic::health_check(health, &host, service.http2)),
        min_healthy: service.min_healthy(),
        filters: Vec::new(),
    }
}
