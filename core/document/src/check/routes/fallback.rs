//! What callers get while a circuit is open.

use std::sync::Arc;

use postern_request::headers::is_safe_value;

use super::super::numbers::{milliseconds, whole};
use super::{Context, report_dangling};
#[cfg(feature = "messages")]
use crate::model::Guard;
use crate::model::{Fallback, FixedAnswer, OWN_SERVICE, Route, Service, Stale};
use crate::problem::{Problems, told};
use crate::raw::{RawFallback, RawFixedAnswer, RawRoute, RawStale, Text};
use crate::value::check_name;

const MAX_BODY_BYTES: usize = 16_384;
const MAX_HEADERS: usize = 16;
const DAY: u64 = 86_400_000;
const MAX_ENTRIES: u32 = 4_096;
/// What an Envoy keeps of all routes together.
const MAX_KEPT_MIB: u64 = 64;

pub(super) fn check(
    context: &Context<'_>,
    raw: &RawRoute,
    service: Option<&Service>,
    path: &str,
    problems: &mut Problems,
) -> Option<Fallback> {
    let written = raw.fallback.as_ref()?;
    let path = told!("{path}.fallback");
    check_is_needed(raw, written, service, &path, problems);
    let RawFallback { at, answer, stale, service: other, shadow } = written;
    match (answer, stale, other, shadow) {
        (Some(answer), None, None, None) => {
            let answer = check_answer(answer, &told!("{path}.answer"), problems);
            Some(Fallback::Answer(answer))
        }
        (None, Some(stale), None, None) => {
            Some(Fallback::Stale(check_stale(raw, stale, &told!("{path}.stale"), problems)))
        }
        (None, None, Some(name), None) => {
            let path = told!("{path}.service");
            check_other(context, raw, service, name, &path, problems).map(Fallback::Service)
        }
        (None, None, None, Some(true)) => Some(Fallback::Shadow),
        (None, None, None, Some(false)) => {
            problems.report_as(*at, &told!("{path}.shadow"), "write true, or leave it out");
            None
        }
        _ => {
            if !problems.any_within("routes[", ".fallback") {
                let message = "say exactly one of `answer`, `stale`, `service` and `shadow`";
                problems.report_as(*at, &path, message);
            }
            None
        }
    }
}

/// Whether there is a circuit that can open at all.
fn check_is_needed(
    raw: &RawRoute,
    written: &RawFallback,
    service: Option<&Service>,
    path: &str,
    problems: &mut Problems,
) {
    let name = &raw.service.value;
    // What could not be read of a service may be its circuit.
    let is_guarded = match service {
        Some(service) => {
            service.circuit.is_some() || problems.any_below(&told!("services.{name}.circuit"))
        }
        None => name != OWN_SERVICE,
    };
    if !is_guarded {
        let message = told!(
            "`{name}` has no `circuit` that could be open: give it one, or leave `fallback` out"
        );
        problems.report_as(written.at, path, message);
    }
}

fn check_answer(raw: &RawFixedAnswer, path: &str, problems: &mut Problems) -> FixedAnswer {
    let status = u16::try_from(raw.status.value).ok().filter(|status| (200..=599).contains(status));
    // One that is missing has been told of.
    if status.is_none() && !problems.any_within("routes[", ".fallback") {
        let message = "expected a status from 200 to 599";
        problems.report_as(raw.status.at, &told!("{path}.status"), message);
    }
    let body = raw.body.as_ref();
    if let Some((body, problem)) = body.and_then(|body| Some((body, body_problem(raw, body)?))) {
        problems.report_as(body.at, &told!("{path}.body"), problem);
    }
    if let Some(content_type) = &raw.content_type {
        let path = told!("{path}.content_type");
        if body.is_none() {
            problems.report_as(content_type.at, &path, "there is no `body` that this is about");
        } else if !is_media_type(content_type) {
            let message = "expected a media type, for example application/json";
            problems.report_as(content_type.at, &path, message);
        }
    }
    FixedAnswer {
        status: status.unwrap_or(503),
        content_type: raw.content_type.as_ref().map(|text| text.value.clone()),
        body: body.map(|text| text.value.clone()).unwrap_or_default(),
        headers: check_headers(raw, path, problems),
    }
}

fn body_problem(raw: &RawFixedAnswer, body: &Text) -> Option<String> {
    if body.is_empty() || body.len() > MAX_BODY_BYTES {
        Some(told!("expected 1 to {MAX_BODY_BYTES} bytes; leave `body` out where there is none"))
    } else if matches!(raw.status.value, 204 | 205 | 304) {
        Some(told!("an answer of this status has no body"))
    } else if raw.content_type.is_none() {
        Some(told!("say what it is, for example `content_type: application/json`"))
    } else {
        None
    }
}

/// `type/subtype`, and whatever stands behind it.
fn is_media_type(text: &str) -> bool {
    let whole = text.split(';').next().unwrap_or_default().trim_end();
    let is_name = |name: &str| postern_request::token_places::is_token(name.as_bytes());
    is_safe_value(text)
        && whole.split_once('/').is_some_and(|(kind, of)| is_name(kind) && is_name(of))
}

fn check_headers(
    raw: &RawFixedAnswer,
    path: &str,
    problems: &mut Problems,
) -> Vec<(String, String)> {
    let written = raw.headers.as_ref().map(|headers| headers.0.as_slice()).unwrap_or_default();
    if let Some((beyond, _)) = written.get(MAX_HEADERS) {
        let message = told!("at most {MAX_HEADERS} headers");
        problems.report_as(beyond.at, &told!("{path}.headers"), message);
    }
    let mut headers = Vec::with_capacity(written.len());
    for (name, value) in written {
        let path = told!("{path}.headers.{}", name.value);
        if name.value == "content-type" {
            problems.report_as(name.at, &path, "this is said by `content_type`");
        } else if let Err(message) = check_name(name) {
            problems.report_as(name.at, &path, message);
        }
        if !is_safe_value(value) {
            let message = "a header value has no control characters and at most 8192 bytes";
            problems.report_as(value.at, &path, message);
        }
        headers.push((name.value.clone(), value.value.clone()));
    }
    headers
}

fn check_stale(raw: &RawRoute, stale: &RawStale, path: &str, problems: &mut Problems) -> Stale {
    let methods = &raw.matches.methods;
    let is_read = |method: &Text| matches!(method.as_str(), "GET" | "HEAD");
    if !methods.is_empty() && !methods.iter().any(is_read) {
        let message = "answers to GET and HEAD are kept, and this route takes neither";
        problems.report_as(stale.at, path, message);
    }
    if raw.canary.get().is_some() {
        let message = "a header of `canary` chooses the version, and no kept answer says which one \
                       made it: leave one of the two out";
        problems.report_as(stale.at, path, message);
    }
    let max_age = stale.max_age.as_ref();
    let path_of_age = told!("{path}.max_age");
    let max_age_ms = milliseconds(max_age, 1_000..=7 * DAY, "1s to 7d", &path_of_age, problems);
    let max_bytes = stale.max_bytes.as_ref().and_then(|size| {
        let bytes = u32::try_from(size.bytes).ok();
        let bytes = bytes.filter(|bytes| (1_024..=1_048_576).contains(bytes));
        if bytes.is_none() {
            problems.report_as(size.at, &told!("{path}.max_bytes"), "expected 1KiB to 1MiB");
        }
        bytes
    });
    let path_of_entries = told!("{path}.entries");
    let entries = whole(stale.entries.as_ref(), 1..=MAX_ENTRIES, &path_of_entries, problems);
    Stale {
        max_age_ms: max_age_ms.unwrap_or(3_600_000),
        max_bytes: max_bytes.unwrap_or(65_536),
        entries: entries.unwrap_or(64),
        private: stale.private.unwrap_or(false),
    }
}

/// What is kept takes memory of every Envoy, so all routes share one bound. It is said of the route
/// that is beyond it.
pub(super) fn check_room(context: &Context<'_>, routes: &[Arc<Route>], problems: &mut Problems) {
    let mut kept: u64 = 0;
    for route in routes {
        let Some(Fallback::Stale(rules)) = &route.fallback else { continue };
        let before = kept;
        kept = kept.saturating_add(u64::from(rules.entries) * u64::from(rules.max_bytes));
        let most = MAX_KEPT_MIB << 20;
        if before > most || kept <= most {
            continue;
        }
        let mut raw = context.raw.routes.iter().filter(|raw| raw.name.value == route.name);
        let stale = raw.find_map(|raw| raw.fallback.as_ref()?.stale.as_ref());
        let at = stale.map_or(context.raw.at, |stale| stale.at);
        let mib = kept.div_ceil(1 << 20);
        let message = told!(
            "`entries` times `max_bytes` of all routes so far come to {mib} MiB, and an Envoy keeps \
             at most {MAX_KEPT_MIB} MiB: let some keep less"
        );
        problems.report_as(at, &told!("routes.{}.fallback.stale", route.name), message);
    }
}

/// Another service, which answers for the route's own.
#[cfg_attr(
    not(feature = "messages"),
    expect(unused_variables, reason = "where services are guarded, filters are not told")
)]
fn check_other(
    context: &Context<'_>,
    raw: &RawRoute,
    service: Option<&Service>,
    name: &Text,
    path: &str,
    problems: &mut Problems,
) -> Option<Arc<Service>> {
    let is_itself = name.value == raw.service.value;
    if is_itself || name.value == OWN_SERVICE {
        let message = if is_itself {
            "this is the service whose circuit is open: name another one"
        } else {
            "the suite itself has no answers of your services"
        };
        problems.report_as(name.at, path, message);
        return None;
    }
    let Some(other) = context.services.iter().find(|known| known.name == name.value) else {
        if !context.raw.services.has(name) {
            let known = context.raw.services.names();
            report_dangling("service", name, &known, path, problems);
        }
        return None;
    };
    #[cfg(feature = "messages")]
    if let Err(message) = can_answer(service, other) {
        problems.report_as(name.at, path, message);
    }
    Some(Arc::clone(other))
}

/// Whether requests can be sent to another service where they are about to be refused.
#[cfg(feature = "messages")]
fn can_answer(service: Option<&Service>, other: &Service) -> Result<(), String> {
    if let Some(workload) = service.and_then(|service| service.guarded_by()) {
        return Err(format!(
            "`{}` enforces this route beside its own pods, and sends requests nowhere else: let \
             the edge guard the service, or choose another fallback",
            workload.name
        ));
    }
    if other.guard == Guard::Workload {
        return Err(format!(
            "a workload guards `{}`, and knows no route of another service: requests would be \
             refused there",
            other.name
        ));
    }
    if !other.versions.is_empty() {
        return Err(format!(
            "`{}` has versions, and this says nothing of how requests are split",
            other.name
        ));
    }
    Ok(())
}
