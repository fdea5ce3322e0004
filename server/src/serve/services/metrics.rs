//! What is counted of services and their instances. Services are labels because the document names
//! them all.

use postern_registry::{Health, Listed, Outcome, View};
use postern_store::RegistryError;
use postern_store::registry::FollowerEvents;
use postern_telemetry::{MetricsRegistry, TelemetryError};
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

/// The metrics of this component.
#[derive(Clone)]
pub struct Metrics {
    instances: IntGaugeVec,
    forgotten: IntGaugeVec,
    left_out: IntGaugeVec,
    looks: IntCounterVec,
    checks: IntCounterVec,
    renewals: IntCounterVec,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one is registered already.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, TelemetryError> {
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            registry.register(IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let counter = |name: &str, help: &str| {
            registry.register(IntCounterVec::new(Opts::new(name, help), &["outcome"]))
        };
        Ok(Self {
            instances: gauge(
                "postern_registry_instances",
                "Instances of services that the document finds by the registry, by health",
                &["service", "health"],
            )?,
            forgotten: gauge(
                "postern_registry_forgotten_instances",
                "Instances that the registry has forgotten, and that are kept until they are over",
                &["service"],
            )?,
            left_out: gauge(
                "postern_registry_left_out_instances",
                "Instances that make no sense, as of the registry's last answer",
                &["service"],
            )?,
            looks: counter(
                "postern_registry_looks_total",
                "Times that the registry was asked about a service, by outcome",
            )?,
            checks: counter("postern_registry_checks_total", "Checks of instances, by outcome")?,
            renewals: counter(
                "postern_registry_renewals_total",
                "Times that all instances that stay were renewed, by outcome",
            )?,
        })
    }

    /// Counts a check.
    pub fn checked(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Passed { .. } => "passed",
            Outcome::Failed => "failed",
        };
        count(&self.checks, outcome);
    }

    /// Counts a renewal of all instances that stay.
    pub fn renewed(&self, is_good: bool) {
        count(&self.renewals, good_or_failed(is_good));
    }
}

impl FollowerEvents for Metrics {
    fn heard(&self, service: &str, view: &View, left_out: u32) {
        count(&self.looks, good_or_failed(true));
        for health in Health::ALL {
            let is_so = |listed: &&Listed| listed.standing.health == health;
            let many = view.listed().filter(is_so).count();
            set(&self.instances, &[service, health.as_str()], many);
        }
        set(&self.forgotten, &[service], view.forgotten());
        set(&self.left_out, &[service], usize::try_from(left_out).unwrap_or(usize::MAX));
    }

    fn failed(&self, service: &str, error: &RegistryError) {
        count(&self.looks, good_or_failed(false));
        tracing::debug!(service, %error, "the registry does not say how a service is");
    }

    fn left(&self, service: &str) {
        for health in Health::ALL {
            // There is none where nothing was heard.
            drop(self.instances.remove_label_values(&[service, health.as_str()]));
        }
        drop(self.forgotten.remove_label_values(&[service]));
        drop(self.left_out.remove_label_values(&[service]));
    }
}

const fn good_or_failed(is_good: bool) -> &'static str {
    if is_good { "good" } else { "failed" }
}

fn count(counters: &IntCounterVec, outcome: &str) {
    if let Ok(counter) = counters.get_metric_with_label_values(&[outcome]) {
        counter.inc();
    }
}

fn set(gauges: &IntGaugeVec, labels: &[&str], number: usize) {
    if let Ok(gauge) = gauges.get_metric_with_label_values(labels) {
        gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
    }
}
