//! Versions of services: each for itself, against each other, and whether any route goes there.

use std::sync::Arc;

use super::super::services::read_upstream;
use super::super::workloads::labels;
use crate::model::{Endpoint, Route, Service, Upstream, Version};
use crate::problem::{Position, Problems};
use crate::raw::{RawDocument, RawService, RawVersion};

const MAX_VERSIONS: usize = 16;

pub(super) fn check(
    raw: &RawService,
    endpoints: &[Endpoint],
    path: &str,
    problems: &mut Problems,
) -> Vec<Arc<Version>> {
    let Some(named) = raw.versions.get() else {
        return Vec::new();
    };
    let path = format!("{path}.versions");
    if named.0.is_empty() && named.1.is_empty() {
        problems.report_as(raw.at, &path, "name at least one version, or leave `versions` out");
    }
    if let Some((_, at, _)) = named.0.get(MAX_VERSIONS) {
        problems.report_as(*at, &path, format!("at most {MAX_VERSIONS} versions"));
    }
    let mut versions: Vec<Arc<Version>> = Vec::with_capacity(named.0.len());
    for (name, at, raw) in &named.0 {
        let path = format!("{path}.{name}");
        let version = check_version(name, raw, &path, problems);
        compare(&version, &versions, *at, &path, problems);
        let is_any = |end: &Endpoint| {
            version.labels.iter().all(|(name, value)| end.labels.get(name) == Some(value))
        };
        let by_labels = version.upstream.is_none() && !version.labels.is_empty();
        if by_labels && !endpoints.is_empty() && !endpoints.iter().any(is_any) {
            problems.report_as(*at, &path, "no endpoint of the service has these labels");
        }
        versions.push(Arc::new(version));
    }
    versions
}

fn check_version(name: &str, raw: &RawVersion, path: &str, problems: &mut Problems) -> Version {
    let labels = labels(raw.labels.as_ref(), &format!("{path}.labels"), problems);
    let upstream = raw.upstream.as_ref().and_then(|text| {
        let read = read_upstream(text);
        if read.is_none() {
            let message = "expected HOST:PORT, for example payments-v2.internal:8080";
            problems.report_as(text.at, &format!("{path}.upstream"), message);
        }
        read.map(|(host, port)| Upstream { host, port })
    });
    if labels.is_empty() && upstream.is_none() && !problems.any_below(path) {
        let message = "say which part of the service it is: `labels`, `upstream`, or both";
        problems.report_as(raw.at, path, message);
    }
    Version { name: name.to_owned(), labels, upstream }
}

/// Two names for one part would let a share of requests look moved that is not.
fn compare(
    version: &Version,
    others: &[Arc<Version>],
    at: Position,
    path: &str,
    problems: &mut Problems,
) {
    let same_labels =
        |other: &Version| !version.labels.is_empty() && other.labels == version.labels;
    let same_upstream =
        |other: &Version| version.upstream.is_some() && other.upstream == version.upstream;
    let same = others.iter().find(|other| {
        same_labels(other)
            || (version.labels.is_empty() && other.labels.is_empty() && same_upstream(other))
    });
    if let Some(same) = same {
        problems.report_as(at, path, format!("`{}` is the same part of the service", same.name));
    }
}

/// Versions that no route goes to, even with a share of nothing.
pub(super) fn check_used(
    raw: &RawDocument,
    services: &[Arc<Service>],
    routes: &[Arc<Route>],
    problems: &mut Problems,
) {
    let goes_to = |route: &Route, version: &Arc<Version>| {
        route.split.iter().any(|(to, _)| Arc::ptr_eq(to, version))
            || route.canary.iter().any(|pick| Arc::ptr_eq(&pick.version, version))
    };
    for service in services {
        let named = raw.services.get(&service.name).and_then(|raw| raw.versions.get());
        for version in &service.versions {
            if routes.iter().any(|route| goes_to(route, version)) {
                continue;
            }
            let place = named.and_then(|named| {
                named.0.iter().find(|(name, ..)| *name == version.name).map(|(_, at, _)| *at)
            });
            let message = "no route goes there: name it in a `split`, if only with 0";
            let path = format!("services.{}.versions.{}", service.name, version.name);
            problems.report_as(place.unwrap_or_default(), &path, message);
        }
    }
}
