//! What is counted of circuits. Services are named by the document; nothing that was reported
//! becomes a label.

use postern_circuit::{State, Transition};
use postern_telemetry::{MetricsRegistry, TelemetryError};
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts};

/// What came of a call that reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportOutcome {
    /// All of it was counted.
    Answered,
    /// Some of it was not: a part of the store is away.
    Partly,
    /// The store is away.
    Unavailable,
    /// The peer has reported too much.
    OverQuota,
    /// It makes no sense.
    Invalid,
    /// The peer may not speak for this workload.
    NotPermitted,
    /// Nobody knows who reports.
    Unidentified,
}

impl ReportOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Partly => "partly",
            Self::Unavailable => "unavailable",
            Self::OverQuota => "over_quota",
            Self::Invalid => "invalid",
            Self::NotPermitted => "not_permitted",
            Self::Unidentified => "unidentified",
        }
    }
}

/// The metrics of circuits.
#[derive(Clone)]
pub struct CircuitMetrics {
    states: IntGaugeVec,
    reporters: IntGaugeVec,
    transitions: IntCounterVec,
    reports: IntCounterVec,
    passed_over: IntCounter,
    probes: IntCounterVec,
    reads: IntCounterVec,
}

impl CircuitMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one is registered already.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, TelemetryError> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registry.register(IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauge = |name: &str, help: &str| {
            registry.register(IntGaugeVec::new(Opts::new(name, help), &["service"]))
        };
        Ok(Self {
            states: gauge(
                "api_gateway_circuit_breaker_state",
                "0 closed, 1 open, 2 half-open, as the fleet sees it",
            )?,
            reporters: gauge(
                "postern_circuit_reporters",
                "Envoys that have reported of a service within its circuit's window",
            )?,
            transitions: counter(
                "postern_circuit_transitions_total",
                "Moves of shared circuits that this server has brought about, by why",
                &["service", "to", "reason"],
            )?,
            reports: counter(
                "postern_circuit_reports_total",
                "Envoys' reports, by what came of them",
                &["outcome"],
            )?,
            passed_over: registry.register(IntCounter::new(
                "postern_circuit_reports_passed_over_total",
                "Reports of services that the Envoy's workload does not call by the document",
            ))?,
            probes: counter(
                "postern_circuit_probes_granted_total",
                "Probes that Envoys were given",
                &["service"],
            )?,
            reads: counter(
                "postern_circuit_reads_total",
                "Circuits that were looked up in the store, by outcome",
                &["outcome"],
            )?,
        })
    }

    pub(crate) fn reported(&self, outcome: ReportOutcome) {
        count(&self.reports, &[outcome.as_str()], 1);
    }

    pub(crate) fn passed_over(&self, services: usize) {
        self.passed_over.inc_by(u64::try_from(services).unwrap_or(u64::MAX));
    }

    pub(crate) fn granted(&self, service: &str, probes: u32) {
        if probes > 0 {
            count(&self.probes, &[service], probes.into());
        }
    }

    pub(crate) fn moved(&self, service: &str, moved: Transition) {
        count(&self.transitions, &[service, moved.to.as_str(), moved.reason.as_str()], 1);
    }

    pub(crate) fn read(&self, good: bool) {
        count(&self.reads, &[if good { "good" } else { "failed" }], 1);
    }

    pub(crate) fn stands(&self, service: &str, state: State, reporters: u32) {
        set(&self.states, service, state.as_metric());
        set(&self.reporters, service, reporters.into());
    }

    /// The document has no such circuit any more.
    pub(crate) fn gone(&self, service: &str) {
        for gauge in [&self.states, &self.reporters] {
            // One that was never set is not there either.
            drop(gauge.remove_label_values(&[service]));
        }
    }
}

fn count(counter: &IntCounterVec, labels: &[&str], times: u64) {
    if let Ok(counter) = counter.get_metric_with_label_values(labels) {
        counter.inc_by(times);
    }
}

fn set(gauge: &IntGaugeVec, service: &str, value: i64) {
    if let Ok(gauge) = gauge.get_metric_with_label_values(&[service]) {
        gauge.set(value);
    }
}
