//! How endpoints are asked whether they are well.

use super::super::numbers::{milliseconds, percent, statuses_in, whole};
use crate::host::HostPattern;
use crate::model::{Guard, Health, HealthBy};
use crate::problem::Problems;
use crate::raw::{Percent, Positive, RawHealth, RawService, Text};

const MAX_TEXT: usize = 1024;
const INTERVAL_MS: u64 = 10_000;
const TIMEOUT_MS: u64 = 2_000;
const LONGEST_MS: u64 = 3_600_000;
const UNHEALTHY: u32 = 3;
const HEALTHY: u32 = 2;
const JITTER: u8 = 10;
/// What means well, where the document does not say.
const SUCCESS: (u16, u16) = (200, 299);

pub(super) fn check(
    service: &RawService,
    guard: Guard,
    path: &str,
    problems: &mut Problems,
) -> Option<Health> {
    let raw = service.health.get()?;
    let of_outliers = service.outlier_detection.get().and_then(|raw| raw.min_healthy.as_ref());
    let path = format!("{path}.health");
    let by = check_by(service, raw, guard, &path, problems);
    let host = check_host(raw, &path, problems);
    let at = |name: &str| format!("{path}.{name}");
    if let (Some(own), Some(_)) = (&raw.min_healthy, of_outliers) {
        let message = "`outlier_detection` says this already, and it is one bound for both";
        problems.report_as(own.at, &at("min_healthy"), message);
    }
    let (interval_ms, unhealthy_interval_ms) = intervals(raw, &path, problems);
    let timeout = raw.timeout.as_ref();
    let timeout = milliseconds(timeout, 10..=60_000, "10ms to 1m", &at("timeout"), problems);
    let mut count =
        |field: &Option<Positive>, name: &str| whole(field.as_ref(), 1..=100, &at(name), problems);
    let unhealthy = count(&raw.unhealthy, "unhealthy").unwrap_or(UNHEALTHY);
    let healthy = count(&raw.healthy, "healthy").unwrap_or(HEALTHY);
    let mut share =
        |field: &Option<Percent>, name: &str| percent(field.as_ref(), 0..=100, &at(name), problems);
    let jitter = share(&raw.jitter, "jitter").unwrap_or(JITTER);
    let min_healthy = share(&raw.min_healthy, "min_healthy").unwrap_or(0);
    Some(Health {
        by: by?,
        host,
        interval_ms,
        timeout_ms: timeout.unwrap_or(TIMEOUT_MS),
        unhealthy,
        healthy,
        unhealthy_interval_ms,
        jitter,
        min_healthy,
    })
}

/// How often one that is well is asked, and one that is not.
fn intervals(raw: &RawHealth, path: &str, problems: &mut Problems) -> (u64, u64) {
    let at = |name: &str| format!("{path}.{name}");
    let interval = raw.interval.as_ref();
    let interval = milliseconds(interval, 100..=300_000, "100ms to 5m", &at("interval"), problems);
    let interval = interval.unwrap_or(INTERVAL_MS);
    let Some(backed_off) = &raw.unhealthy_interval else {
        return (interval, interval.saturating_mul(3).min(LONGEST_MS));
    };
    if !(interval..=LONGEST_MS).contains(&backed_off.millis) {
        let message = "expected at least `interval`, and at most 1h: an endpoint that fails is \
                       asked less often, not more";
        problems.report_as(backed_off.at, &at("unhealthy_interval"), message);
    }
    (interval, backed_off.millis)
}

fn check_by(
    service: &RawService,
    raw: &RawHealth,
    guard: Guard,
    path: &str,
    problems: &mut Problems,
) -> Option<HealthBy> {
    let at = |name: &str| format!("{path}.{name}");
    let by = match (&raw.path, &raw.grpc, raw.tcp) {
        (Some(target), None, None) => {
            if !is_target(target) {
                let message = "expected a path that begins with a slash, without spaces or `#`";
                problems.report_as(target.at, &at("path"), message);
            }
            let statuses = check_statuses(raw, path, problems);
            HealthBy::Http { path: target.value.clone(), statuses }
        }
        (None, Some(name), None) => {
            if service.http2 != Some(true) {
                let message = "gRPC runs on HTTP/2: the service needs `http2: true`";
                problems.report_as(name.at, &at("grpc"), message);
            }
            if !is_plain(name) {
                let message =
                    "expected a service's name, for example shop.Orders, or an empty text";
                problems.report_as(name.at, &at("grpc"), message);
            }
            HealthBy::Grpc { service: name.value.clone() }
        }
        (None, None, Some(true)) => HealthBy::Tcp,
        (None, None, Some(false)) => {
            problems.report_as(raw.at, &at("tcp"), "write true, or leave it out");
            HealthBy::Tcp
        }
        _ => {
            if !problems.any_below(path) {
                let message = "say exactly one of `path`, `grpc` and `tcp`";
                problems.report_as(raw.at, path, message);
            }
            return None;
        }
    };
    if guard == Guard::Workload && by != HealthBy::Tcp {
        let message = "the workload's own Envoy answers there, and asks of a check what it asks of \
                       every caller: write `tcp: true`";
        problems.report_as(raw.at, path, message);
    }
    if raw.statuses.is_some() && !matches!(by, HealthBy::Http { .. }) {
        problems.report_as(raw.at, &at("statuses"), "only an answer to `path` has a status");
    }
    Some(by)
}

/// Pairs of the first and the last; all that is a success where none are said.
fn check_statuses(raw: &RawHealth, path: &str, problems: &mut Problems) -> Vec<(u16, u16)> {
    let Some(written) = &raw.statuses else { return vec![SUCCESS] };
    let path = format!("{path}.statuses");
    if written.is_empty() && !problems.any_below(&path) {
        problems.report_as(raw.at, &path, "name at least one status, or leave `statuses` out");
    }
    let mut statuses = Vec::with_capacity(written.len());
    for (at, text) in written.iter().enumerate() {
        let range = statuses_in(text, 100);
        if range.is_none() {
            let message = "expected a status from 100 to 599, or a range such as 200-299";
            problems.report_as(text.at, &format!("{path}[{at}]"), message);
        }
        statuses.extend(range);
    }
    statuses
}

fn check_host(raw: &RawHealth, path: &str, problems: &mut Problems) -> Option<String> {
    let host: &Text = raw.host.as_ref()?;
    let path = format!("{path}.host");
    if raw.tcp.is_some() {
        problems.report_as(host.at, &path, "nobody is told of a host by a connection alone");
    } else if !matches!(HostPattern::parse(host), Ok(HostPattern::Exact(_))) {
        let message = "write a host in lower case, without a port: api.example.test";
        problems.report_as(host.at, &path, message);
    }
    Some(host.value.clone())
}

fn is_target(text: &str) -> bool {
    text.starts_with('/') && !text.contains('#') && is_plain(text)
}

fn is_plain(text: &str) -> bool {
    text.len() <= MAX_TEXT && text.bytes().all(|byte| byte.is_ascii_graphic())
}
