//! What a route cannot ask for in the place where it is enforced. At the edge nobody shows a
//! certificate of the mesh; beside a service, the connection and its address are the gateway's.

use postern_limits::key::KeyPart;
use postern_request::principal::Credential;

use super::super::traffic::is_of_bundle;
use super::Context;
use crate::host::{HostPattern, host_of};
use crate::model::{CertificateSource, Guard, OWN_SERVICE, Route};
use crate::problem::Problems;
use crate::raw::RawRoute;

pub(super) fn check(
    context: &Context<'_>,
    raw: &RawRoute,
    route: &Route,
    path: &str,
    problems: &mut Problems,
) {
    let Some(workload) = route.guarded_by() else {
        check_at_edge(context, raw, route, path, problems);
        return;
    };
    let name = &workload.name;
    for applied in &raw.limits {
        let limit = context.limits.iter().find(|limit| limit.name == applied.name.value);
        if limit.is_some_and(|limit| limit.key.contains(&KeyPart::Ip)) {
            let message = format!(
                "`{}` counts by ip, and `{name}`, which enforces this route, sees the gateway's \
                 address alone: all callers would share one count",
                applied.name.value
            );
            problems.report_as(applied.name.at, &format!("{path}.limits"), message);
        }
    }
    check_choices(context, raw, route, path, problems);
    if route.auth.accepts(Credential::Session) {
        let message = format!(
            "the edge takes the cookie of a session away from every request, so `{name}`, which \
             enforces this route, would never see one: let the edge guard this service"
        );
        problems.report_as(raw.service.at, &format!("{path}.auth.any"), message);
    }
    if !route.auth.accepts(Credential::Jwt) {
        return;
    }
    let path = format!("{path}.service");
    if let Some(source) = context.bound.certificate {
        let (source, looks_at) = match source {
            CertificateSource::Connection => ("connection", "the connection"),
            CertificateSource::Forwarded => ("forwarded", "what the proxy in front forwards"),
        };
        let message = format!(
            "`bound.certificate: {source}` looks at {looks_at}, and `{name}`, which enforces this \
             route, sees the gateway's: let the edge guard this service"
        );
        problems.report_as(raw.service.at, &path, message);
    }
    if context.bound.dpop.is_some()
        && route.needs_ext_authz()
        && !is_named_as_outside(context, route)
    {
        let message = format!(
            "a DPoP proof names the URL outside, and `{name}`, which enforces this route, may be \
             asked by other names: list the host of the document's `issuer`, and no other, in \
             `match.hosts`, or let the edge guard this service"
        );
        problems.report_as(raw.service.at, &path, message);
    }
}

/// What is decided of a request before its caller is known, or by what the caller chooses.
fn check_choices(
    context: &Context<'_>,
    raw: &RawRoute,
    route: &Route,
    path: &str,
    problems: &mut Problems,
) {
    if let Some(text) = &raw.enforce
        && (1..100).contains(&route.enforce.percent())
    {
        let message = "callers inside the mesh choose the `x-request-id` by which a share is drawn, \
                       and so whether they are held to the rules: write shadow or 100%, or let the \
                       edge guard this service";
        problems.report_as(text.at, &format!("{path}.enforce"), message);
    }
    for (at, pick) in raw.canary.get().into_iter().flatten().enumerate() {
        if is_of_bundle(context.raw, &pick.header) {
            let message = format!(
                "the edge chooses the version, and `{}` is written behind it, by the workload that \
                 enforces this route: no request would be picked",
                pick.header.value
            );
            problems.report_as(pick.header.at, &format!("{path}.canary[{at}].header"), message);
        }
    }
}

fn check_at_edge(
    context: &Context<'_>,
    raw: &RawRoute,
    route: &Route,
    path: &str,
    problems: &mut Problems,
) {
    // Not where the service or its workload is what is wrong, nor in what is made for a workload.
    let is_the_edges = match &route.service {
        Some(service) => service.guard == Guard::Edge,
        None => raw.service.value == OWN_SERVICE,
    };
    let Some(peers) = raw.peers.as_ref().filter(|_| is_the_edges && context.is_whole) else {
        return;
    };
    let message = "no caller from outside has a certificate of the mesh, so none would pass: peers \
                   are for services with `guard: workload`";
    let at = peers.first().map_or(raw.at, |first| first.at);
    problems.report_as(at, &format!("{path}.peers"), message);
}

/// Whether requests come by the host alone under which clients know the suite.
fn is_named_as_outside(context: &Context<'_>, route: &Route) -> bool {
    let issuer = context.raw.issuer.as_ref().map(|issuer| issuer.as_str());
    let Some((_, rest)) = issuer.and_then(|issuer| issuer.split_once("://")) else {
        return false;
    };
    let outside = host_of(rest.split('/').next().unwrap_or(rest));
    let is_it = |host: &HostPattern| matches!(host, HostPattern::Exact(name) if *name == outside);
    !route.hosts.is_empty() && route.hosts.iter().all(is_it)
}
