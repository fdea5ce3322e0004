//! What processing counts.

use postern_telemetry::{MetricsRegistry, TelemetryError};
use prometheus::{IntCounterVec, IntGauge, Opts};

/// The metrics of this component.
#[derive(Clone)]
pub struct Metrics {
    pub(crate) streams: IntGauge,
    outcomes: IntCounterVec,
    kept_here: IntCounterVec,
    uncounted: IntCounterVec,
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
            streams: registry.register(IntGauge::new(
                "postern_ext_proc_streams_active",
                "Requests that are being processed",
            ))?,
            outcomes: counter(
                "postern_upstream_outcomes_total",
                "Answers of services with a circuit",
                &["service", "outcome"],
            )?,
            kept_here: counter(
                "postern_upstream_outcomes_unshared_total",
                "Answers that only this replica counts, because the store is away",
                &["service"],
            )?,
            uncounted: counter(
                "postern_upstream_outcomes_uncounted_total",
                "Answers that no circuit counts, because too many Envoys and services tell of them",
                &["service"],
            )?,
        })
    }

    pub(crate) fn outcome(&self, service: &str, success: bool) {
        let outcome = if success { "success" } else { "failure" };
        if let Ok(counter) = self.outcomes.get_metric_with_label_values(&[service, outcome]) {
            counter.inc();
        }
    }

    pub(crate) fn kept_here(&self, service: &str, calls: u32) {
        if let Ok(counter) = self.kept_here.get_metric_with_label_values(&[service]) {
            counter.inc_by(calls.into());
        }
    }

    pub(crate) fn uncounted(&self, service: &str) {
        if let Ok(counter) = self.uncounted.get_metric_with_label_values(&[service]) {
            counter.inc();
        }
    }
}
