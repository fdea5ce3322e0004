//! Which versions of its service a route's requests go to.

use std::sync::Arc;

use postern_request::headers::is_identity_value;

use super::super::super::traffic::check_header;
use super::super::{Context, report_dangling};
use crate::model::{CanaryPick, HeaderValue, OWN_SERVICE, Service, Version};
use crate::problem::Problems;
use crate::raw::{RawCanary, RawHeaderValue, RawRoute, Text};

const MAX_PICKS: usize = 8;
const MAX_VALUE_BYTES: usize = 256;

/// The shares of the versions; none where the service has none.
pub(super) fn check(
    raw: &RawRoute,
    service: Option<&Service>,
    path: &str,
    problems: &mut Problems,
) -> Vec<(Arc<Version>, u8)> {
    let path = format!("{path}.split");
    let Some(written) = raw.split.get() else {
        let service = service.filter(|service| !service.versions.is_empty());
        if let Some(service) = service
            && !problems.any_within("routes[", ".split")
        {
            let message = format!(
                "`{}` has versions, and requests would go to all of them: say how they are \
                 split, for example {{{}: 100}}",
                service.name,
                service.versions.first().map_or("NAME", |version| &version.name)
            );
            problems.report_as(raw.at, &path, message);
        }
        return Vec::new();
    };
    let mut split = Vec::with_capacity(written.0.len());
    let (mut sum, mut all_known) = (0_u64, true);
    for (name, share) in &written.0 {
        sum = sum.saturating_add(share.value);
        let version = find(service, raw, name, &path, problems);
        all_known &= version.is_some();
        let share = u8::try_from(share.value).ok();
        split.extend(version.zip(share));
    }
    if sum != 100 {
        let place = written.0.first().map_or(raw.at, |(name, _)| name.at);
        problems.report_as(place, &path, format!("these are percent: {sum} in all is not 100"));
    }
    if all_known { split } else { Vec::new() }
}

pub(super) fn check_canary(
    context: &Context<'_>,
    raw: &RawRoute,
    service: Option<&Service>,
    path: &str,
    problems: &mut Problems,
) -> Vec<CanaryPick> {
    let Some(written) = raw.canary.get() else {
        return Vec::new();
    };
    let path = format!("{path}.canary");
    if written.is_empty() && !problems.any_within("routes[", ".canary") {
        problems.report_as(raw.at, &path, "name at least one header, or leave `canary` out");
    }
    if let Some(beyond) = written.get(MAX_PICKS) {
        problems.report_as(beyond.at, &path, format!("at most {MAX_PICKS} headers are looked at"));
    }
    let mut picks: Vec<CanaryPick> = Vec::with_capacity(written.len());
    for (at, pick) in written.iter().enumerate() {
        let path = format!("{path}[{at}]");
        if let Err(message) = check_header(&pick.header, context.token_places) {
            problems.report_as(pick.header.at, &format!("{path}.header"), message);
        }
        let value = check_value(pick, &path, problems);
        let header = pick.header.value.clone();
        if picks.iter().any(|known| known.header == header && known.value == value) {
            problems.report_as(pick.at, &path, "this header with this value is there already");
        }
        let version = find(service, raw, &pick.version, &format!("{path}.version"), problems);
        picks.extend(version.map(|version| CanaryPick { header, value, version }));
    }
    picks
}

fn check_value(raw: &RawCanary, path: &str, problems: &mut Problems) -> HeaderValue {
    let (text, value) = match &raw.value {
        RawHeaderValue::Exact(text) => (text, HeaderValue::Exact(text.value.clone())),
        RawHeaderValue::Prefix(raw) => (&raw.prefix, HeaderValue::Prefix(raw.prefix.value.clone())),
    };
    if !is_identity_value(text) || text.len() > MAX_VALUE_BYTES {
        let message = format!(
            "expected 1 to {MAX_VALUE_BYTES} bytes that can stand in a header, without space at \
             their ends"
        );
        problems.report_as(text.at, &format!("{path}.value"), message);
    }
    value
}

/// A version of the route's service. Nothing is said where the service could not be read.
fn find(
    service: Option<&Service>,
    raw: &RawRoute,
    name: &Text,
    path: &str,
    problems: &mut Problems,
) -> Option<Arc<Version>> {
    let Some(service) = service else {
        if raw.service.value == OWN_SERVICE {
            problems.report_as(name.at, path, "the suite itself has no versions");
        }
        return None;
    };
    let found = service.version(name).cloned();
    // What of a service's versions could not be read is missing here.
    if found.is_some() || problems.any_below(&format!("services.{}.versions", service.name)) {
        return found;
    }
    if service.versions.is_empty() {
        problems.report_as(name.at, path, format!("`{}` has no versions", service.name));
        return None;
    }
    let known: Vec<&str> = service.versions.iter().map(|version| version.name.as_str()).collect();
    report_dangling("version", name, &known, path, problems);
    None
}
