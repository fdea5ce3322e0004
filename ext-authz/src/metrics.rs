//! What authorization counts. Labels come from the document and from our own words, never from
//! a request.

use postern_telemetry::{MetricsRegistry, TelemetryError};
use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts};

use crate::limits::Standing;

/// The metrics of this component.
#[derive(Clone)]
pub struct Metrics {
    decisions: IntCounterVec,
    duration: Histogram,
    limit_hits: IntCounterVec,
    limit_decisions: IntCounterVec,
    limits_shadowed: IntCounterVec,
    store_failures: IntCounterVec,
    shadowed: IntCounterVec,
    sessions: IntCounterVec,
    step_ups: IntCounterVec,
    login_redirects: IntCounterVec,
    touches: IntCounterVec,
}

/// What came of the cookie of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionOutcome {
    /// It holds, and its record was remembered.
    Cached,
    /// It holds.
    Found,
    /// It opens nothing.
    Unknown,
    /// It has ended.
    Revoked,
    /// Nobody can say.
    Unavailable,
}

impl SessionOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Found => "found",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one is registered already.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, TelemetryError> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registry.register(IntCounterVec::new(Opts::new(name, help), labels))
        };
        Ok(Self {
            decisions: counter(
                "postern_ext_authz_decisions_total",
                "Decisions by route and outcome",
                &["route", "outcome"],
            )?,
            duration: registry.register(Histogram::with_opts(
                HistogramOpts::new(
                    "postern_ext_authz_duration_seconds",
                    "Time for a decision, the store's included",
                )
                .buckets(vec![
                    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.25,
                ]),
            ))?,
            limit_hits: counter(
                "api_gateway_rate_limit_hits_total",
                "Requests that a limit refused",
                &["limit_type", "limit"],
            )?,
            limit_decisions: counter(
                "postern_ext_authz_limit_decisions_total",
                "What exact limits said, by limit and route: ok, near (more than 80 % is used), \
                 over, or shadow (over, if the limit were binding)",
                &["limit", "route", "outcome"],
            )?,
            limits_shadowed: counter(
                "postern_ext_authz_limits_shadowed_total",
                "Requests that a limit in shadow would have refused",
                &["limit"],
            )?,
            store_failures: counter(
                "postern_ext_authz_store_failures_total",
                "Decisions without the store, by what is done then",
                &["answer"],
            )?,
            shadowed: counter(
                "postern_ext_authz_shadow_denied_total",
                "Requests that would have been denied",
                &["route"],
            )?,
            sessions: counter(
                "postern_ext_authz_sessions_total",
                "Cookies of sessions, by what came of them",
                &["outcome"],
            )?,
            step_ups: counter(
                "postern_ext_authz_step_up_total",
                "Callers of whom a second factor was asked, by what they had shown",
                &["route", "outcome"],
            )?,
            login_redirects: counter(
                "postern_ext_authz_login_redirects_total",
                "Browsers that were sent to log in",
                &["route"],
            )?,
            touches: counter(
                "postern_ext_authz_touches_total",
                "Sessions and API keys whose last use was written, or lost",
                &["outcome"],
            )?,
        })
    }

    pub(crate) fn decided(&self, route: &str, outcome: &str, seconds: f64) {
        count(&self.decisions, &[route, outcome]);
        self.duration.observe(seconds);
    }

    /// A limit has refused a request: one of all replicas, or this one's share of it while the
    /// store is away.
    pub(crate) fn limit_hit(&self, limit: &str, shared: bool) {
        let kind = if shared { "exact" } else { "local_share" };
        count(&self.limit_hits, &[kind, limit]);
    }

    pub(crate) fn limit_said(&self, limit: &str, route: &str, standing: Standing) {
        count(&self.limit_decisions, &[limit, route, standing.as_str()]);
        if standing == Standing::Shadow {
            count(&self.limits_shadowed, &[limit]);
        }
    }

    pub(crate) fn store_failed(&self, answer: &str) {
        count(&self.store_failures, &[answer]);
    }

    pub(crate) fn shadowed(&self, route: &str) {
        count(&self.shadowed, &[route]);
    }

    pub(crate) fn session(&self, outcome: SessionOutcome) {
        count(&self.sessions, &[outcome.as_str()]);
    }

    pub(crate) fn step_up(&self, route: &str, outcome: &str) {
        count(&self.step_ups, &[route, outcome]);
    }

    pub(crate) fn login_redirect(&self, route: &str) {
        count(&self.login_redirects, &[route]);
    }

    pub(crate) fn touches(&self, outcome: &str, items: u64) {
        if let Ok(counter) = self.touches.get_metric_with_label_values(&[outcome]) {
            counter.inc_by(items);
        }
    }
}

fn count(counter: &IntCounterVec, labels: &[&str]) {
    if let Ok(counter) = counter.get_metric_with_label_values(labels) {
        counter.inc();
    }
}
