//! What the admin API counts.

use postern_telemetry::{MetricsRegistry, TelemetryError};
use prometheus::{IntCounterVec, Opts};

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Something was revoked.
    Revoked,
    /// What is revoked was listed, or whose limits are used up.
    Listed,
    /// Somebody has looked at a count of a limit.
    Inspected,
    /// A limit was reset.
    Reset,
    /// No credential, or a wrong one.
    Unauthenticated,
    /// It makes no sense.
    Invalid,
    /// The store failed.
    Unavailable,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Listed => "listed",
            Self::Inspected => "inspected",
            Self::Reset => "reset",
            Self::Unauthenticated => "unauthenticated",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The metrics of this component.
#[derive(Clone)]
pub struct Metrics(IntCounterVec);

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one is registered already.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, TelemetryError> {
        let requests = IntCounterVec::new(
            Opts::new("postern_admin_requests_total", "Requests to the admin API, by outcome"),
            &["outcome"],
        );
        Ok(Self(registry.register(requests)?))
    }

    /// Counts a request.
    pub fn answered(&self, outcome: Outcome) {
        if let Ok(counter) = self.0.get_metric_with_label_values(&[outcome.as_str()]) {
            counter.inc();
        }
    }
}
