//! What has become of calls of services with circuits, for Envoys that do not report themselves:
//! seen by `ext_proc`, or told by an access log.
//!
//! A report goes to the store at once. While it is on its way, what comes meanwhile of the same
//! service and Envoy is added up: the busier it is, the fewer reports there are.

mod logged;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postern_circuit::{Ended, Report, Settings, Transition, Verdict};
use postern_document::Route;
use postern_request::UnixMillis;
use postern_store::volatile::{
    CircuitAsk, CircuitReport, CircuitStore, ProbeOutcomes, ProbesOf, ReporterId, Reporting,
};
use tonic::Request;

use crate::metrics::Metrics;

pub use logged::{LOG_NAME, LoggedOutcomes};

/// Envoys and services that are told apart at the same time.
const MAX_TALLIES: usize = 10_000;
/// For how long one is kept of which nothing is heard.
const IDLE_MS: u64 = 60_000;

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
    tallies: Mutex<HashMap<Of, Tally>>,
}

/// Of whom, and of which service.
type Of = (ReporterId, String);

/// What has not been reported yet; but for the run, which goes on.
#[derive(Default)]
struct Tally {
    report: Report,
    probes: ProbeOutcomes,
    settings: Settings,
    is_sending: bool,
    used: UnixMillis,
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
        let of = (reporter, service.to_owned());
        if self.note(&of, settings, verdict, now) {
            let this = Arc::clone(self);
            tokio::spawn(async move { this.send(&of).await });
        }
    }

    /// Adds it up. Says whether somebody has to begin to send.
    fn note(&self, of: &Of, settings: &Settings, verdict: Verdict, now: UnixMillis) -> bool {
        let mut tallies = self.tallies();
        if !tallies.contains_key(of) && tallies.len() >= MAX_TALLIES {
            tallies.retain(|_, tally| tally.is_sending || now.millis_since(tally.used) < IDLE_MS);
            if tallies.len() >= MAX_TALLIES {
                return false;
            }
        }
        let tally = tallies.entry(of.clone()).or_default();
        tally.add(verdict);
        (tally.settings, tally.used) = (*settings, now);
        !std::mem::replace(&mut tally.is_sending, true)
    }

    /// Until there is nothing left.
    async fn send(&self, of: &Of) {
        while let Some((report, now)) = self.take(of) {
            self.report(of.0, report, now).await;
        }
    }

    fn take(&self, of: &Of) -> Option<(CircuitReport, UnixMillis)> {
        let mut tallies = self.tallies();
        let tally = tallies.get_mut(of)?;
        if tally.report.calls == 0 {
            tally.is_sending = false;
            return None;
        }
        let report = tally.report;
        tally.report = Report { run: report.run, ..Report::default() };
        let circuit = CircuitAsk { service: of.1.clone(), settings: tally.settings };
        let probes = std::mem::take(&mut tally.probes);
        Some((CircuitReport { circuit, report, probes }, tally.used))
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

    fn tallies(&self) -> MutexGuard<'_, HashMap<Of, Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// Which request was a probe nobody says: all outcomes are taken for those of probes, as many
    /// as were let through; a slow one has failed.
    fn add(&mut self, verdict: Verdict) {
        let (failed, slow) = match verdict {
            Verdict::Ignored => return,
            Verdict::Success { slow } => (false, slow),
            Verdict::Failure { slow } => (true, slow),
        };
        let Report { calls, failures, slow: slow_ones, run } = &mut self.report;
        add(calls, true);
        add(failures, failed);
        add(slow_ones, slow);
        *run = if failed { run.saturating_add(1) } else { 0 };
        add(&mut self.probes.failed, failed || slow);
        add(&mut self.probes.through, !failed && !slow);
    }
}

fn add(to: &mut u32, one: bool) {
    *to = to.saturating_add(one.into());
}

#[cfg(test)]
mod tests;
