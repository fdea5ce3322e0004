//! What the admin API counts.

use postern_telemetry::{MetricsRegistry, TelemetryError};
use prometheus::{IntCounterVec, Opts};

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Something was revoked.
    Revoked,
    /// What is revoked was listed, or whose limits are used up, or something was shown.
    Listed,
    /// Something was made, changed or ended.
    Changed,
    /// Somebody has looked at a count of a limit.
    Inspected,
    /// A limit was reset.
    Reset,
    /// No credential, or a wrong one.
    Unauthenticated,
    /// A credential that holds and does not reach far enough.
    Forbidden,
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
            Self::Changed => "changed",
            Self::Inspected => "inspected",
            Self::Reset => "reset",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
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
