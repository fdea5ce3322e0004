//! Bounds on connections, and endpoints that are left out for a while.

use super::super::numbers::{milliseconds, percent, seconds, whole};
use crate::model::{Keepalive, Outliers, Pool, RetryBudget};
use crate::problem::Problems;
use crate::raw::{Positive, RawKeepalive, RawPool, RawRetryBudget, RawService};

const INTERVAL_MS: u64 = 10_000;
const EJECTION_MS: u64 = 30_000;
const MAX_EJECTED: u8 = 10;
/// Envoy's own.
const BUDGET: RetryBudget = RetryBudget { share: 20, at_least: 3 };
const MAX_REQUESTS: u32 = 100_000_000;

/// What else bounds a service.
#[derive(Clone, Copy)]
pub(in crate::check) struct Bounds {
    pub(in crate::check) timeout_ms: u64,
    pub(in crate::check) max_connections: u32,
    pub(in crate::check) max_pending: u32,
}

pub(super) fn check(raw: &RawService, bounds: Bounds, path: &str, problems: &mut Problems) -> Pool {
    let mut pool = Pool::of(bounds.max_connections);
    let Some(raw) = raw.pool.get() else {
        return pool;
    };
    let path = format!("{path}.pool");
    let at = |name: &str| format!("{path}.{name}");
    let connect = raw.connect_timeout.as_ref();
    let connect_path = at("connect_timeout");
    let connect_ms = milliseconds(connect, 10..=60_000, "10ms to 1m", &connect_path, problems);
    if let (Some(raw), Some(connect_ms)) = (connect, connect_ms) {
        if connect_ms >= bounds.timeout_ms {
            let message = "this must be shorter than the service's `timeout`";
            problems.report_as(raw.at, &connect_path, message);
        }
        pool.connect_timeout_ms = connect_ms;
    }
    let idle = raw.idle_timeout.as_ref();
    let idle = milliseconds(idle, 1_000..=3_600_000, "1s to 1h", &at("idle_timeout"), problems);
    pool.idle_timeout_ms = idle.unwrap_or(pool.idle_timeout_ms);
    let most = max_requests(raw.max_requests.as_ref(), bounds.max_connections, &path, problems);
    pool.max_requests = most.unwrap_or(pool.max_requests);
    let mut bound = |field: &Option<Positive>, name: &str| {
        whole(field.as_ref(), 1..=1_000_000, &at(name), problems)
    };
    pool.requests_per_connection = bound(&raw.requests_per_connection, "requests_per_connection");
    pool.max_retries = bound(&raw.max_retries, "max_retries");
    pool.retry_budget = check_budget(raw, &at("retry_budget"), problems);
    let keepalive = raw.keepalive.as_ref();
    pool.keepalive = keepalive.map(|raw| check_keepalive(raw, &at("keepalive"), problems));
    pool
}

/// Bounds on requests under way, where they are said: of a service, or of a bulkhead of it.
pub(super) fn max_requests(
    raw: Option<&Positive>,
    max_connections: u32,
    path: &str,
    problems: &mut Problems,
) -> Option<u32> {
    let path = format!("{path}.max_requests");
    let most = whole(raw, 1..=MAX_REQUESTS, &path, problems)?;
    if let (Some(raw), true) = (raw, most < max_connections) {
        let message = "fewer requests than `max_connections`: these could never all be used";
        problems.report_as(raw.at, &path, message);
    }
    Some(most)
}

fn check_budget(raw: &RawPool, path: &str, problems: &mut Problems) -> Option<RetryBudget> {
    let RawRetryBudget { at, share, at_least } = raw.retry_budget.as_ref()?;
    let place = |name: &str| format!("{path}.{name}");
    if raw.max_retries.is_some() {
        let message = "say either `retry_budget` or `max_retries`: where there is a budget, Envoy \
                       does not look at the other one";
        problems.report_as(*at, path, message);
    }
    let share = percent(share.as_ref(), 1..=100, &place("share"), problems);
    let at_least = whole(at_least.as_ref(), 1..=1_000_000, &place("at_least"), problems);
    Some(RetryBudget {
        share: share.unwrap_or(BUDGET.share),
        at_least: at_least.unwrap_or(BUDGET.at_least),
    })
}

fn check_keepalive(raw: &RawKeepalive, path: &str, problems: &mut Problems) -> Keepalive {
    let at = |name: &str| format!("{path}.{name}");
    let time_secs = seconds(&raw.time, 86_400, "1s to 24h", &at("time"), problems);
    let interval_secs = seconds(&raw.interval, 3_600, "1s to 1h", &at("interval"), problems);
    let probes = whole(Some(&raw.probes), 1..=100, &at("probes"), problems).unwrap_or(1);
    Keepalive { time_secs, interval_secs, probes }
}

pub(super) fn outliers(raw: &RawService, path: &str, problems: &mut Problems) -> Option<Outliers> {
    let raw = raw.outlier_detection.get()?;
    let path = format!("{path}.outlier_detection");
    let at = |name: &str| format!("{path}.{name}");
    let mut count = |field: &Option<Positive>, name: &str| {
        whole(field.as_ref(), 1..=1_000, &at(name), problems)
    };
    let consecutive_5xx = count(&raw.consecutive_5xx, "consecutive_5xx");
    let consecutive_gateway = count(&raw.consecutive_gateway, "consecutive_gateway");
    let consecutive_local = count(&raw.consecutive_local, "consecutive_local");
    let counts = [consecutive_5xx, consecutive_gateway, consecutive_local];
    if counts.iter().all(Option::is_none) && !problems.any_below(&path) {
        let message = "say after how many failures: `consecutive_5xx`, `consecutive_gateway` or \
                       `consecutive_local`";
        problems.report_as(raw.at, &path, message);
    }
    let interval = raw.interval.as_ref();
    let interval_ms =
        milliseconds(interval, 100..=300_000, "100ms to 5m", &at("interval"), problems);
    let interval_ms = interval_ms.unwrap_or(INTERVAL_MS);
    let ejection = raw.ejection.as_ref();
    let ejection_ms =
        milliseconds(ejection, 100..=3_600_000, "100ms to 1h", &at("ejection"), problems);
    let ejection_ms = ejection_ms.unwrap_or(EJECTION_MS);
    if ejection_ms < interval_ms {
        let place = ejection.or(interval).map_or(raw.at, |field| field.at);
        let message = "an endpoint must be left out at least as long as `interval`";
        problems.report_as(place, &at("ejection"), message);
    }
    let max_ejected = percent(raw.max_ejected.as_ref(), 1..=100, &at("max_ejected"), problems);
    let min_healthy = percent(raw.min_healthy.as_ref(), 0..=100, &at("min_healthy"), problems);
    Some(Outliers {
        consecutive_5xx,
        consecutive_gateway,
        consecutive_local,
        interval_ms,
        ejection_ms,
        max_ejected: max_ejected.unwrap_or(MAX_EJECTED),
        min_healthy: min_healthy.unwrap_or(0),
    })
}
