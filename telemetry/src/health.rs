//! The health checks: run in the background, answered from memory.
//!
//! An answer never waits for a check, so it takes microseconds whatever is broken. Every check
//! runs each [`REFRESH_EVERY`]; a round is over after the longest timeout (8 s), so a result is
//! some 18 s old at most. One older than [`MAX_AGE`] means that checking itself is stuck, and
//! counts as unhealthy rather than as the good news it may hold.
//!
//! Health is not readiness: with Redis gone every replica is unhealthy, and taking them all out
//! of service would turn the document's chosen failure answers into an outage.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::check::{Check, CheckKind, CheckResult, Status};
use crate::clock::Moment;
use crate::report::{CheckReport, DocumentReport, Report};
use crate::rolling::Rolling;

/// How often the checks run.
pub const REFRESH_EVERY: Duration = Duration::from_secs(10);

/// How old a result may be.
pub const MAX_AGE: Duration = Duration::from_secs(30);

/// All checks of the process and what they found last.
#[derive(Debug)]
pub struct HealthChecks {
    started: Instant,
    rolling: Arc<Rolling>,
    entries: RwLock<BTreeMap<CheckKind, Arc<Entry>>>,
    document: Mutex<Option<DocumentReport>>,
}

#[derive(Debug)]
struct Entry {
    check: Check,
    last: Mutex<Option<Finished>>,
}

#[derive(Debug, Clone)]
struct Finished {
    at: Instant,
    took: Duration,
    result: CheckResult,
}

impl HealthChecks {
    /// No checks yet: healthy. `started` is what uptime counts from.
    #[must_use]
    pub fn new(started: Instant, rolling: Arc<Rolling>) -> Self {
        Self { started, rolling, entries: RwLock::default(), document: Mutex::default() }
    }

    /// The counters that components feed.
    #[must_use]
    pub const fn rolling(&self) -> &Arc<Rolling> {
        &self.rolling
    }

    /// Says which document is in use. That a newer one cannot be used makes nothing worse than it
    /// was: it is told, and degrades nothing.
    pub fn set_document(&self, document: DocumentReport) {
        *self.document.lock().unwrap_or_else(PoisonError::into_inner) = Some(document);
    }

    /// Adds a check, or puts it in the place of the one of its kind. Until it has run it counts
    /// as unhealthy.
    pub fn add(&self, check: Check) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.insert(check.kind.clone(), Arc::new(Entry { check, last: Mutex::default() }));
    }

    /// Runs every check once, all at the same time. Each result counts as soon as it is there.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn refresh(&self) {
        let mut running = JoinSet::new();
        for entry in self.entries() {
            running.spawn(async move {
                let (result, took) = entry.check.run().await;
                entry.finish(Finished { at: Instant::now(), took, result });
            });
        }
        while let Some(ended) = running.join_next().await {
            if ended.is_err() {
                tracing::error!("a health check panicked: its result will go stale");
            }
        }
    }

    /// Refreshes now and then every [`REFRESH_EVERY`], in a task that ends with the checks.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn_refresh(self: &Arc<Self>) -> JoinHandle<()> {
        let checks = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(REFRESH_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(checks) = checks.upgrade() else { return };
                checks.refresh().await;
            }
        })
    }

    /// How things are, by what is known at `now`. Waits for nothing.
    #[must_use]
    pub fn report(&self, now: Moment) -> Report {
        let checks: Vec<_> =
            self.entries().iter().map(|entry| entry.report(now.monotonic)).collect();
        Report {
            status: overall(&checks),
            timestamp: now.wall,
            uptime: now.monotonic.saturating_duration_since(self.started),
            checks,
            activity: self.rolling.activity(now.monotonic),
            document: self.document.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// In the order of their kinds. A copy, so that no lock is held while they run.
    fn entries(&self) -> Vec<Arc<Entry>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.values().cloned().collect()
    }
}

impl Entry {
    fn last(&self) -> MutexGuard<'_, Option<Finished>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a result; the log hears of changes only.
    fn finish(&self, finished: Finished) {
        let status = finished.result.status;
        let reason = finished.result.message.clone().unwrap_or_default();
        let before = self.last().replace(finished).map(|before| before.result.status);
        if before == Some(status) || (before.is_none() && status == Status::Healthy) {
            return;
        }
        let (check, status_text) = (&self.check.kind, status.as_str());
        if status == Status::Healthy {
            tracing::info!(%check, status = status_text, reason, "health changed");
        } else {
            tracing::warn!(%check, status = status_text, reason, "health changed");
        }
    }

    fn report(&self, now: Instant) -> CheckReport {
        let (took, result) = match self.last().clone() {
            None => (Duration::ZERO, CheckResult::unhealthy("not checked yet")),
            Some(last) if now.saturating_duration_since(last.at) > MAX_AGE => {
                let message = format!("not checked for {} s", MAX_AGE.as_secs());
                (last.took, CheckResult::unhealthy(message))
            }
            Some(last) => (last.took, last.result),
        };
        CheckReport {
            kind: self.check.kind.clone(),
            critical: self.check.critical,
            status: result.status,
            message: result.message,
            took,
            details: result.details,
        }
    }
}

/// Critical checks decide; whatever else is not well can only degrade.
fn overall(checks: &[CheckReport]) -> Status {
    let cost = |check: &CheckReport| match check.status {
        Status::Unhealthy if check.critical => Status::Unhealthy,
        Status::Healthy => Status::Healthy,
        _ => Status::Degraded,
    };
    checks.iter().map(cost).max().unwrap_or(Status::Healthy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn health() -> Arc<HealthChecks> {
        let now = Instant::now();
        Arc::new(HealthChecks::new(now, Arc::new(Rolling::new(now))))
    }

    fn fixed(kind: CheckKind, result: CheckResult) -> Check {
        Check::new(kind, move || {
            let result = result.clone();
            async move { result }
        })
    }

    #[tokio::test]
    async fn critical_checks_decide() {
        let bad = || CheckResult::unhealthy("gone");
        let slow = || CheckResult::degraded("slow");
        let good = CheckResult::healthy;
        for (critical, other, expected) in [
            (good(), good(), Status::Healthy),
            (good(), slow(), Status::Degraded),
            (good(), bad(), Status::Degraded),
            (slow(), good(), Status::Degraded),
            (slow(), bad(), Status::Degraded),
            (bad(), good(), Status::Unhealthy),
            (bad(), slow(), Status::Unhealthy),
        ] {
            let health = health();
            let name = format!("{critical:?} {other:?}");
            health.add(fixed(CheckKind::Database, critical).critical());
            health.add(fixed(CheckKind::Redis, other));
            health.refresh().await;
            assert_eq!(health.report(Moment::now()).status, expected, "{name}");
        }
    }

    #[tokio::test]
    async fn a_result_is_kept_and_goes_stale() {
        let health = health();
        assert_eq!(health.report(Moment::now()).status, Status::Healthy);
        health.add(fixed(CheckKind::Keys, CheckResult::healthy()).critical());
        assert_eq!(health.report(Moment::now()).status, Status::Unhealthy);
        health.refresh().await;
        let now = Moment::now();
        assert_eq!(health.report(now).status, Status::Healthy);
        assert_eq!(health.report(now.after(Duration::from_secs(29))).status, Status::Healthy);
        let stale = health.report(now.after(Duration::from_secs(31)));
        assert_eq!(stale.status, Status::Unhealthy);
        assert_eq!(stale.checks[0].message.as_deref(), Some("not checked for 30 s"));
    }

    #[tokio::test]
    async fn a_hanging_check_holds_up_neither_answers_nor_other_checks() {
        let health = health();
        health.add(Check::new(CheckKind::Redis, std::future::pending));
        health.add(fixed(CheckKind::Database, CheckResult::healthy()));
        let refreshing = health.spawn_refresh();
        let database = || health.report(Moment::now()).checks[1].status;
        while database() != Status::Healthy {
            tokio::task::yield_now().await;
        }
        let report = health.report(Moment::now());
        assert_eq!(report.checks[0].message.as_deref(), Some("not checked yet"));
        assert_eq!(report.status, Status::Degraded);
        refreshing.abort();
    }

    #[tokio::test]
    async fn a_check_takes_the_place_of_its_kind_and_may_recover() {
        let health = health();
        let up = Arc::new(AtomicBool::new(false));
        let payments = || CheckKind::Service("payments".to_owned());
        health.add(fixed(payments(), CheckResult::unhealthy("first")));
        health.add(Check::new(payments(), {
            let up = Arc::clone(&up);
            move || {
                let up = up.load(Ordering::Relaxed);
                async move { if up { CheckResult::healthy() } else { CheckResult::unhealthy("down") } }
            }
        }));
        health.refresh().await;
        let report = health.report(Moment::now());
        assert_eq!(report.checks.len(), 1);
        assert_eq!(report.checks[0].message.as_deref(), Some("down"));
        up.store(true, Ordering::Relaxed);
        health.refresh().await;
        assert_eq!(health.report(Moment::now()).status, Status::Healthy);
    }
}
