//! How requests reach services: endpoints, versions, hashing, outliers, checks, zones, connections,
//! bulkheads, and which workload guards them. Nothing of it is in the filters' module.

mod bulkheads;
mod endpoints;
mod hash;
mod health;
mod pool;
mod together;
mod versions;
mod zones;

use std::sync::Arc;

use postern_request::headers::IDENTITY_PREFIX;

use super::discovery;
use super::numbers::milliseconds;
use super::routes::report_dangling;
use super::services::Context;
use crate::model::{
    Bulkhead, Discover, Endpoint, Guard, Hash, Health, Outliers, Pool, PreferredZone,
    RateLimitFilter, Route, Service, TokenPlace, Version, Workload, is_credential_header,
};
use crate::problem::Problems;
use crate::raw::{RawDocument, RawService};

pub(super) use pool::Bounds;
pub(super) use together::check as check_together;

/// Who is at the other end, as Envoy tells it.
const CLIENT_CERTIFICATE: &str = "x-forwarded-client-cert";

/// What of a service only Envoy's configuration is made of.
pub(super) struct OfService {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) discover: Option<Discover>,
    pub(super) versions: Vec<Arc<Version>>,
    pub(super) hash: Option<Hash>,
    pub(super) outlier_detection: Option<Outliers>,
    pub(super) health: Option<Health>,
    pub(super) prefer_zone: Option<PreferredZone>,
    pub(super) pool: Pool,
    pub(super) bulkheads: Vec<Arc<Bulkhead>>,
    pub(super) workload: Option<Arc<Workload>>,
    pub(super) guard: Guard,
}

pub(super) fn of_service(
    context: &Context<'_>,
    raw: &RawService,
    bounds: Bounds,
    path: &str,
    problems: &mut Problems,
) -> OfService {
    let endpoints = endpoints::check(raw, path, problems);
    let versions = versions::check(raw, &endpoints, path, problems);
    let hash = raw.hash.get();
    let hash = hash
        .and_then(|hash| hash::check(context, hash, &endpoints, &format!("{path}.hash"), problems));
    let (workload, guard) = check_guard(context, raw, path, problems);
    if let (Guard::Workload, Some(header)) =
        (guard, raw.hash.get().and_then(|hash| hash.header.as_ref()))
        && is_of_bundle(context.raw, header)
    {
        let message = format!(
            "whoever sends requests here chooses the endpoint, and `{}` is written behind that, by \
             the workload that guards this service: nothing would be hashed",
            header.value
        );
        problems.report_as(header.at, &format!("{path}.hash.header"), message);
    }
    let prefer_zone = zones::check(raw, &endpoints, path, problems);
    OfService {
        endpoints,
        discover: discovery::of_service(raw, path, problems),
        versions,
        hash,
        outlier_detection: pool::outliers(raw, path, problems),
        health: health::check(raw, guard, path, problems),
        prefer_zone,
        pool: pool::check(raw, bounds, path, problems),
        bulkheads: bulkheads::check(raw, bounds, path, problems),
        workload,
        guard,
    }
}

/// Parts of services that no route goes to. Not asked while a route has problems, which may be
/// what goes there.
pub(super) fn check_used(
    raw: &RawDocument,
    services: &[Arc<Service>],
    routes: &[Arc<Route>],
    problems: &mut Problems,
) {
    if problems.any_below("routes") {
        return;
    }
    versions::check_used(raw, services, routes, problems);
    bulkheads::check_used(raw, services, routes, problems);
}

fn check_guard(
    context: &Context<'_>,
    raw: &RawService,
    path: &str,
    problems: &mut Problems,
) -> (Option<Arc<Workload>>, Guard) {
    let guard = raw.guard.get().copied().unwrap_or(Guard::Edge);
    let Some(name) = raw.workload.get() else {
        if guard == Guard::Workload && !problems.any_below(&format!("{path}.workload")) {
            let message = "say which pods enforce its routes: `workload`";
            problems.report_as(raw.at, &format!("{path}.guard"), message);
        }
        return (None, guard);
    };
    let path_of_workload = format!("{path}.workload");
    let found = context.workloads.iter().find(|workload| workload.name == name.value).cloned();
    let Some(workload) = found else {
        let known = context.raw.workloads.get();
        if !known.is_some_and(|known| known.has(name)) {
            let known = known.map(|known| known.names()).unwrap_or_default();
            report_dangling("workload", name, &known, &path_of_workload, problems);
        }
        return (None, guard);
    };
    if workload.gateway {
        let message = format!("`{}` is the gateway, which runs no service", workload.name);
        problems.report_as(name.at, &path_of_workload, message);
        return (None, guard);
    }
    if guard == Guard::Workload && raw.tls == Some(true) {
        let message = "the workload's Envoy must see requests, not a TLS that the service itself \
                       ends: leave `tls` out, the mesh encrypts on the way";
        problems.report_as(raw.at, &format!("{path}.tls"), message);
    }
    (Some(workload), guard)
}

/// Whether the workload of a service that it guards listens where the service is asked: what it
/// does not listen on, nobody would enforce.
pub(super) fn check_ports(service: &Service, raw: &RawService, problems: &mut Problems) {
    let Some(workload) = service.guarded_by() else { return };
    let missing = service.upstreams().into_iter().find(|to| !workload.ports.contains(&to.port));
    if let Some(missing) = missing {
        let message = format!(
            "`{}` does not list port {} among its `ports`, where this service is asked: nobody \
             would enforce its routes there",
            workload.name, missing.port
        );
        problems.report_as(raw.at, &format!("services.{}.guard", service.name), message);
    }
}

/// Whether the bundle writes a header, and takes it from whoever else does.
pub(super) fn is_of_bundle(raw: &RawDocument, header: &str) -> bool {
    let jwt = raw.credentials.as_ref().and_then(|credentials| credentials.jwt.as_ref());
    let issuers = jwt.map(|jwt| jwt.issuers.as_slice()).unwrap_or_default();
    let mut of_claims = issuers.iter().filter_map(|issuer| issuer.claim_headers.as_ref());
    header.starts_with(IDENTITY_PREFIX)
        || of_claims.any(|headers| headers.0.iter().any(|(name, _)| name.as_str() == header))
}

/// Envoy's own rate limit filter.
pub(super) fn rate_limit_filter(
    raw: &RawDocument,
    problems: &mut Problems,
) -> Option<RateLimitFilter> {
    let raw = raw.rate_limit_filter.get()?;
    if !is_domain(&raw.domain) {
        let message =
            "a domain is 1 to 255 characters, no control characters, no space at its ends";
        problems.report_as(raw.domain.at, "rate_limit_filter.domain", message);
    }
    let path = "rate_limit_filter.timeout";
    let timeout_ms = milliseconds(raw.timeout.as_ref(), 1..=5_000, "1ms to 5s", path, problems);
    Some(RateLimitFilter {
        domain: raw.domain.value.clone(),
        timeout_ms: timeout_ms.unwrap_or(100),
        on_failure: raw.on_failure,
    })
}

fn is_domain(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.trim() == text && !text.chars().any(char::is_control)
}

/// Whether routing may go by a header: it ends up in configuration, statistics or the rate limit
/// service, where no secret may be.
///
/// # Errors
/// Why not.
pub(super) fn check_header(name: &str, places: &[TokenPlace]) -> Result<(), &'static str> {
    if !postern_request::headers::is_lowercase_name(name) {
        return Err("write a header's name in lower case, without spaces or colons");
    }
    if name.contains('_') {
        return Err("Envoy drops headers with `_`; write `-`");
    }
    if name == CLIENT_CERTIFICATE || is_credential_header(name, places) {
        return Err(
            "credentials stand in this header, and do not belong where this would put them",
        );
    }
    if name == "host" {
        return Err("routes tell hosts apart: list them in `match.hosts`");
    }
    Ok(())
}
