//! What an Envoy reports of services, in our own terms, and whether it makes sense; and what it is
//! told.

use std::collections::BTreeSet;
use std::time::Duration;

use postern_circuit::{Report, State};
use postern_store::volatile::{CircuitStanding, Granted, ProbeOutcomes};

use super::metrics::ReportOutcome;
use crate::ask::{AskError, check_asker};

/// The most services of one call.
pub(crate) const MOST_AT_ONCE: usize = 1_000;
/// The longest name of a service.
const MAX_SERVICE: usize = 253;

/// What an Envoy reports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reports {
    /// The workload that it guards.
    pub workload: String,
    /// Its own name.
    pub envoy_id: String,
    /// Digest of the document that it runs.
    pub document_digest: String,
    /// Grows with each call; one that is sent again has the same.
    pub number: u64,
    /// Of each service one at most.
    pub services: Vec<ServiceReport>,
}

/// What has become of calls of one service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceReport {
    /// Its name.
    pub service: String,
    /// What has become of calls.
    pub report: Report,
    /// What has become of probes that it was given.
    pub probes: ProbeOutcomes,
    /// Calls that it has refused, because of the circuit.
    pub refused: u32,
}

/// What does not make sense: the reporter's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Who reports makes no sense.
    #[error(transparent)]
    Asker(#[from] AskError),
    /// Too many services.
    #[error("a call has at most {MOST_AT_ONCE} services")]
    TooMany,
    /// Not a name.
    #[error("a service's name has 1 to {MAX_SERVICE} bytes")]
    Service,
    /// The same service twice.
    #[error("a call has at most one report of a service")]
    Twice,
}

impl Reports {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), ReportError> {
        check_asker(&self.workload, &self.envoy_id, [&self.document_digest])?;
        if self.services.len() > MOST_AT_ONCE {
            return Err(ReportError::TooMany);
        }
        let mut names = BTreeSet::new();
        for said in &self.services {
            if !(1..=MAX_SERVICE).contains(&said.service.len()) {
                return Err(ReportError::Service);
            }
            if !names.insert(&said.service) {
                return Err(ReportError::Twice);
            }
        }
        Ok(())
    }

    /// What it counts: each service that the store is told of, and one where that is none.
    pub(crate) fn weight(&self) -> u64 {
        u64::try_from(self.services.len()).unwrap_or(u64::MAX).max(1)
    }
}

/// How a service's circuit stands, as an Envoy is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldCircuit {
    /// The service.
    pub service: String,
    /// Where the circuit stands.
    pub state: State,
    /// How long until a try makes sense.
    pub retry_after_ms: u64,
    /// Probes for this Envoy.
    pub granted: Granted,
    /// An operator has said so.
    pub forced: bool,
}

impl ToldCircuit {
    pub(super) fn of(service: &str, standing: &CircuitStanding, granted: Granted) -> Self {
        let CircuitStanding { state, retry_after_ms, forced, .. } = *standing;
        let (service, forced) = (service.to_owned(), forced.is_some());
        Self { service, state, retry_after_ms, granted, forced }
    }
}

/// What an Envoy is told. What is missing, the store could not be asked for: it is to be reported
/// again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The services of the report.
    pub services: Vec<ToldCircuit>,
    /// Whether all of them are there.
    pub is_whole: bool,
    /// When to come back.
    pub next: Duration,
    /// Digest of the document that this server runs.
    pub document_digest: String,
}

impl Heard {
    pub(crate) const fn outcome(&self) -> ReportOutcome {
        if self.is_whole { ReportOutcome::Answered } else { ReportOutcome::Partly }
    }
}

/// Why nothing was counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportRefusal {
    /// What it says makes no sense: its fault, and a retry does not help.
    #[error(transparent)]
    Invalid(#[from] ReportError),
    /// It may not speak for this workload: its fault, or the document's.
    #[error("this peer may not report for this workload")]
    NotPermitted,
    /// It has reported too much; a retry helps.
    #[error("reported too often")]
    OverQuota {
        /// When to come back.
        next_poll: Duration,
    },
    /// The store answers nothing; a retry may help.
    #[error("reports cannot be counted at the moment")]
    Unavailable {
        /// When to come back.
        next_poll: Duration,
    },
}

impl ReportRefusal {
    pub(crate) const fn outcome(&self) -> ReportOutcome {
        match self {
            Self::Invalid(_) => ReportOutcome::Invalid,
            Self::NotPermitted => ReportOutcome::NotPermitted,
            Self::OverQuota { .. } => ReportOutcome::OverQuota,
            Self::Unavailable { .. } => ReportOutcome::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        let of = |service: &str| ServiceReport {
            service: service.to_owned(),
            ..ServiceReport::default()
        };
        let with = |services: Vec<ServiceReport>| Reports {
            workload: "payments".to_owned(),
            envoy_id: "a".to_owned(),
            services,
            ..Reports::default()
        };
        let many = |count: usize| (0..count).map(|name| of(&name.to_string())).collect();
        for (reports, expected) in [
            (with(vec![]), Ok(())),
            (with(many(1_000)), Ok(())),
            (with(many(1_001)), Err(ReportError::TooMany)),
            (with(vec![of("")]), Err(ReportError::Service)),
            (with(vec![of(&"s".repeat(253))]), Ok(())),
            (with(vec![of(&"s".repeat(254))]), Err(ReportError::Service)),
            (with(vec![of("a"), of("b"), of("a")]), Err(ReportError::Twice)),
            (
                Reports { envoy_id: String::new(), ..with(vec![]) },
                Err(ReportError::Asker(AskError::EnvoyId)),
            ),
        ] {
            assert_eq!(reports.check(), expected);
        }
        assert_eq!((with(vec![]).weight(), with(many(3)).weight()), (1, 3));
    }
}
