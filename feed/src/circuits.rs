//! What Envoys report of services: who may speak of which, and what each is told.
//!
//! Whether a service fails is the fleet's to say ([`postern_circuit::fleet`]), and the store keeps
//! what it takes. Here stands who counts as one: an Envoy by the name that it gives itself, under
//! the identity that it has proved. Names are made up as one likes, so the store takes no identity
//! for more than sixteen.

pub(crate) mod metrics;
pub(crate) mod reports;
pub(crate) mod view;

use std::sync::Arc;
use std::time::Duration;

use postern_circuit::{Settings as CircuitSettings, State};
use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::volatile::{
    CircuitAsk, CircuitReport, CircuitStanding, CircuitStore, Granted, ProbeAsk, ProbesOf,
    Reported, ReporterId, Reporting,
};

use self::metrics::{CircuitMetrics, ReportOutcome};
use self::reports::{Heard, ReportRefusal, Reports, ServiceReport, ToldCircuit};
use self::view::CircuitsView;
use crate::Clock;
use crate::metrics::Metrics;
use crate::pace::Jitter;
use crate::peer::{PeerIdentity, Peers};
use crate::quota::{Accounts, Counted};
use crate::settings::{Settings, SettingsError};

/// When to come back while the store does not answer.
const AWAY_PAUSE: Duration = Duration::from_millis(250);

/// What the document in use says of services with circuits.
pub trait GuardedServices: Send + Sync {
    /// What a service's circuit goes by, where a workload calls the service; none where it does
    /// not, and where the service has no circuit.
    fn settings(&self, workload: &str, service: &str) -> Option<CircuitSettings>;

    /// All circuits.
    fn all(&self) -> Vec<CircuitAsk>;
}

/// What [`Circuits`] are made of.
pub struct CircuitsParts {
    /// Which services there are, and who calls them.
    pub services: Arc<dyn GuardedServices>,
    /// Digest of the document in use.
    pub document_digest: Arc<dyn Fn() -> String + Send + Sync>,
    /// Where circuits are shared.
    pub store: Arc<dyn CircuitStore>,
    /// Who may ask for what.
    pub peers: Arc<dyn Peers>,
    /// What this replica shows of circuits: hears of what has moved.
    pub view: Arc<CircuitsView>,
    /// Both clocks.
    pub clock: Clock,
    /// The feed's metrics.
    pub metrics: Metrics,
    /// Those of circuits.
    pub of_circuits: CircuitMetrics,
}

/// Takes Envoys' reports.
pub struct Circuits {
    parts: CircuitsParts,
    accounts: Accounts,
    interval: Duration,
    jitter: Jitter,
}

/// A report of a service that its reporter may speak of.
struct Asked<'r> {
    said: &'r ServiceReport,
    settings: CircuitSettings,
}

impl Circuits {
    /// Puts the parts together; `jitter` spreads pauses.
    ///
    /// # Errors
    /// When the quota of reports is none.
    pub fn new(
        parts: CircuitsParts,
        settings: &Settings,
        jitter: Jitter,
    ) -> Result<Self, SettingsError> {
        let started = (parts.clock)().monotonic;
        let accounts = Accounts::new(Counted::Reports, &settings.quotas, started)?;
        Ok(Self { accounts, interval: settings.answers.report_interval, parts, jitter })
    }

    /// Counts what an Envoy of a known peer reports, and says how its services stand then.
    ///
    /// # Errors
    /// Why nothing was counted, or not all of it: then it is to be sent again as it was.
    pub async fn report(
        &self,
        peer: &PeerIdentity,
        reports: &Reports,
    ) -> Result<Heard, ReportRefusal> {
        let answered = self.answer(peer, reports).await;
        let outcome = answered.as_ref().map_or_else(ReportRefusal::outcome, Heard::outcome);
        self.parts.of_circuits.reported(outcome);
        answered
    }

    /// Counts a call of somebody who has not proved who it is.
    pub fn unidentified(&self) {
        self.parts.of_circuits.reported(ReportOutcome::Unidentified);
    }

    async fn answer(&self, peer: &PeerIdentity, reports: &Reports) -> Result<Heard, ReportRefusal> {
        reports.check()?;
        if !self.parts.peers.may_ask_for(peer, &reports.workload) {
            return Err(ReportRefusal::NotPermitted);
        }
        let now = (self.parts.clock)();
        self.accounts.take(peer, reports.weight(), now.monotonic).map_err(|pause| {
            self.parts.metrics.quota_refused(Counted::Reports);
            ReportRefusal::OverQuota { next_poll: self.turned_away(pause) }
        })?;
        let document_digest = (self.parts.document_digest)();
        self.parts.metrics.document(document_digest == reports.document_digest);
        let asked = self.asked(peer, reports);
        let reporter = ReporterId::of(&peer.to_string(), &reports.envoy_id);
        let answers = self.count(reporter, reports.number, &asked, now.wall).await;
        if !asked.is_empty() && answers.iter().all(Option::is_none) {
            return Err(ReportRefusal::Unavailable { next_poll: self.turned_away(AWAY_PAUSE) });
        }
        let standings: Vec<(&Asked<'_>, CircuitStanding)> = asked
            .iter()
            .zip(&answers)
            .filter_map(|(asked, answer)| Some((asked, answer.as_ref()?.standing)))
            .collect();
        let granted = self.grant(reporter, &standings, now.wall).await;
        let services = standings.iter().zip(granted).map(|((asked, standing), granted)| {
            ToldCircuit::of(&asked.said.service, standing, granted)
        });
        Ok(Heard {
            services: services.collect(),
            is_whole: answers.iter().all(Option::is_some),
            next: self.jitter.around(self.interval),
            document_digest,
        })
    }

    /// What the peer's workload calls by the document. Of anything else nobody need hear again.
    fn asked<'r>(&self, peer: &PeerIdentity, reports: &'r Reports) -> Vec<Asked<'r>> {
        let services = &self.parts.services;
        let asked = reports.services.iter().filter_map(|said| {
            let settings = services.settings(&reports.workload, &said.service)?;
            Some(Asked { said, settings })
        });
        let asked: Vec<Asked<'r>> = asked.collect();
        let passed_over = reports.services.len() - asked.len();
        if passed_over > 0 {
            let (envoy, workload) = (&reports.envoy_id, &reports.workload);
            tracing::debug!(%peer, envoy, workload, passed_over, "not this workload's services");
            self.parts.of_circuits.passed_over(passed_over);
        }
        asked
    }

    /// None of those that could not be counted; why stands in the log.
    async fn count(
        &self,
        reporter: ReporterId,
        number: u64,
        asked: &[Asked<'_>],
        now: UnixMillis,
    ) -> Vec<Option<Reported>> {
        let reports: Vec<CircuitReport> = asked.iter().map(Asked::report).collect();
        let reporting = Reporting { reporter, number: Some(number), probes_of: ProbesOf::Reporter };
        let answers = self.parts.store.report_circuits(reporting, &reports, now).await;
        let heard = asked.iter().zip(answers).map(|(asked, answer)| {
            let reported = said(answer)?;
            if let Some(moved) = reported.moved {
                self.parts.view.moved(&asked.said.service, moved);
            }
            Some(reported)
        });
        let heard = heard.collect();
        self.parts.view.heard();
        heard
    }

    /// Probes for those who have a use for them; one answer for each.
    async fn grant(
        &self,
        reporter: ReporterId,
        standings: &[(&Asked<'_>, CircuitStanding)],
        now: UnixMillis,
    ) -> Vec<Granted> {
        let asks = standings.iter().map(|(asked, standing)| asked.probes(standing));
        let asks: Vec<Option<ProbeAsk>> = asks.collect();
        let wanted: Vec<ProbeAsk> = asks.iter().flatten().cloned().collect();
        let granted = self.parts.store.grant_probes(reporter, &wanted, now).await;
        let mut granted = granted.into_iter();
        let mut answers = Vec::with_capacity(asks.len());
        for ask in asks {
            let answer = ask.and_then(|ask| Some((ask, granted.next().and_then(said)?)));
            if let Some((ask, granted)) = &answer {
                self.parts.of_circuits.granted(&ask.circuit.service, granted.probes);
            }
            answers.push(answer.map(|(_, granted)| granted).unwrap_or_default());
        }
        answers
    }

    /// After `pause` or up to twice as long.
    fn turned_away(&self, pause: Duration) -> Duration {
        self.jitter.between(pause, pause * 2)
    }
}

impl Asked<'_> {
    fn circuit(&self) -> CircuitAsk {
        CircuitAsk { service: self.said.service.clone(), settings: self.settings }
    }

    fn report(&self) -> CircuitReport {
        let ServiceReport { report, probes, .. } = self.said;
        CircuitReport { circuit: self.circuit(), report: *report, probes: *probes }
    }

    /// What it has a use for, where there may be some: who has refused nobody would keep a probe
    /// from those who have.
    fn probes(&self, standing: &CircuitStanding) -> Option<ProbeAsk> {
        let may_be_had = standing.forced.is_none()
            && standing.state == State::HalfOpen
            && standing.retry_after_ms == 0;
        let wanted = self.said.refused.min(self.settings.probes.per_interval.max(1));
        let ask = || ProbeAsk { circuit: self.circuit(), wanted };
        (may_be_had && wanted > 0).then(ask)
    }
}

/// What the store has said; why it has not goes to the log.
fn said<T>(answer: Result<T, StoreError>) -> Option<T> {
    answer.inspect_err(|error| tracing::debug!(%error, "a report cannot be counted")).ok()
}

#[cfg(test)]
mod tests;
