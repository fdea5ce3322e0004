//! What has become of calls of services with circuits, for Envoys that do not report themselves:
//! seen by `ext_proc`, or told by an access log.
//!
//! A report goes to the store at once. While it is on its way, what comes meanwhile of the same
//! service and Envoy is added up: the busier it is, the fewer reports there are.

mod logged;
mod tallies;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postern_circuit::{Ended, Settings, Transition, Verdict};
use postern_document::Route;
use postern_request::UnixMillis;
use postern_store::volatile::{CircuitReport, CircuitStore, ProbesOf, ReporterId, Reporting};
use tonic::Request;

use self::tallies::{Noted, Of, Tallies};
use crate::metrics::Metrics;

pub use logged::{LOG_NAME, LoggedOutcomes};

/// Who sends a request of gRPC: an Envoy, as far as it has proved that.
pub type WhoReports = Arc<dyn Fn(&Request<()>) -> ReporterId + Send + Sync>;

/// Is told how circuits have moved.
pub type Moved = Arc<dyn Fn(&str, Transition) + Send + Sync>;

/// What [`Outcomes`] are made of.
pub struct OutcomesParts {
    /// Where circuits are shared.
    pub store: Arc<dyn CircuitStore>,
    /// Takes outcomes while the store is away; authorization asks it then.
    pub stand_in: Arc<dyn CircuitStore>,
    /// Hears of what has moved.
    pub moved: Moved,
    /// Metrics.
    pub metrics: Metrics,
}

/// Reports outcomes.
pub struct Outcomes {
    parts: OutcomesParts,
    tallies: Mutex<Tallies>,
}

impl Outcomes {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: OutcomesParts) -> Self {
        Self { parts, tallies: Mutex::default() }
    }

    /// Takes the end of a call on a route. Nobody waits for the store.
    pub fn ended(
        self: &Arc<Self>,
        reporter: ReporterId,
        route: &Route,
        ended: &Ended<'_>,
        now: UnixMillis,
    ) {
        if let Some(settings) = route.circuit() {
            let verdict = settings.counts.judge(ended, settings.slow);
            self.judged(reporter, route.service_name(), settings, verdict, now);
        }
    }

    /// The same of one that is judged already.
    pub(crate) fn judged(
        self: &Arc<Self>,
        reporter: ReporterId,
        service: &str,
        settings: &Settings,
        verdict: Verdict,
        now: UnixMillis,
    ) {
        let has_failed = match verdict {
            Verdict::Ignored => return,
            Verdict::Success { .. } => false,
            Verdict::Failure { .. } => true,
        };
        self.parts.metrics.outcome(service, !has_failed);
        let noted = self.tallies().note(reporter, service, settings, verdict, now);
        match noted {
            Noted::Begins(of) => {
                let this = Arc::clone(self);
                tokio::spawn(async move { this.send(&of).await });
            }
            Noted::GoesOn => {}
            Noted::NoRoom => self.parts.metrics.uncounted(service),
        }
    }

    /// Until there is nothing left.
    async fn send(&self, of: &Of) {
        while let Some((report, now)) = self.take(of) {
            self.report(of.reporter, report, now).await;
        }
    }

    /// Of its own: nothing is locked while it is sent.
    fn take(&self, of: &Of) -> Option<(CircuitReport, UnixMillis)> {
        self.tallies().take(of)
    }

    async fn report(&self, reporter: ReporterId, report: CircuitReport, now: UnixMillis) {
        let reporting = Reporting { reporter, number: None, probes_of: ProbesOf::Decisions };
        let (service, calls) = (report.circuit.service.clone(), report.report.calls);
        let reports = [report];
        let answers = self.parts.store.report_circuits(reporting, &reports, now).await;
        match answers.into_iter().next() {
            Some(Ok(reported)) => {
                if let Some(moved) = reported.moved {
                    (self.parts.moved)(&service, moved);
                }
            }
            Some(Err(error)) => {
                tracing::debug!(%error, service, calls, "outcomes stay with this replica");
                self.parts.metrics.kept_here(&service, calls);
                drop(self.parts.stand_in.report_circuits(reporting, &reports, now).await);
            }
            None => {}
        }
    }

    fn tallies(&self) -> MutexGuard<'_, Tallies> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
