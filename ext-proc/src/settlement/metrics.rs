//! What settlement counts.

use postern_ext_authz::TicketError;
use postern_telemetry::{MetricsRegistry, TelemetryError};
use prometheus::{IntCounter, IntCounterVec, Opts};

use super::Outcome;

/// The metrics of settlement.
#[derive(Clone)]
pub struct SettlementMetrics {
    pub(crate) entries: IntCounter,
    settlements: IntCounterVec,
}

impl SettlementMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one is registered already.
    pub fn new(registry: &MetricsRegistry) -> Result<Self, TelemetryError> {
        Ok(Self {
            entries: registry.register(IntCounter::new(
                "postern_access_log_entries_total",
                "Entries of Envoys' access logs",
            ))?,
            settlements: registry.register(IntCounterVec::new(
                Opts::new(
                    "postern_limit_settlements_total",
                    "Requests that ended and whose end matters to a limit, by what came of it",
                ),
                &["outcome"],
            ))?,
        })
    }

    pub(super) fn settled(&self, outcome: Outcome, requests: u64) {
        if let Ok(counter) = self.settlements.get_metric_with_label_values(&[word(outcome)]) {
            counter.inc_by(requests);
        }
    }
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::GivenBack => "given_back",
        Outcome::Lost => "lost",
        Outcome::Kept => "kept",
        Outcome::Repeated => "repeated",
        Outcome::Refused(TicketError::Form | TicketError::Randomness) => "unreadable",
        Outcome::Refused(TicketError::Forged) => "forged",
        Outcome::Refused(TicketError::TooOld) => "too_old",
    }
}
