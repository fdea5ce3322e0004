//! What this replica shows of shared circuits: read from the store again and again, so that Envoys
//! which only wait hear of it, and so that a thousand who ask cost the store nothing.
//!
//! While the store does not answer, what was open stays so for as long as the store has said. Of
//! all others it goes by what this replica has been told by other ways than the feed: the same that
//! `ext_authz` goes by then.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use postern_circuit::{State, Transition};
use postern_request::UnixMillis;
use postern_store::StoreError;
use postern_store::volatile::{CircuitAsk, CircuitStanding, CircuitStore, Granted};
use postern_telemetry::Moment;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};

use super::GuardedServices;
use super::metrics::CircuitMetrics;
use super::reports::ToldCircuit;
use crate::Clock;
use crate::news::News;

/// How often circuits are read while one of them is not closed, or somebody reports.
const BUSY_INTERVAL: Duration = Duration::from_millis(250);
/// The same while nothing happens.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
/// After so many reads in a row without an answer the store is away.
const AWAY_AFTER: u32 = 3;

/// What a [`CircuitsView`] is made of.
pub struct ViewParts {
    /// Which services there are, and who calls them.
    pub services: Arc<dyn GuardedServices>,
    /// Where circuits are shared.
    pub store: Arc<dyn CircuitStore>,
    /// What is gone by while that does not answer.
    pub stand_in: Arc<dyn CircuitStore>,
    /// Both clocks.
    pub clock: Clock,
    /// Metrics.
    pub metrics: CircuitMetrics,
}

/// What this replica shows.
pub struct CircuitsView {
    parts: ViewParts,
    shown: ArcSwap<BTreeMap<String, Shown>>,
    news: News,
    /// Whether somebody has reported since the last read.
    heard: AtomicBool,
    moved: Notify,
    reading: Mutex<Reading>,
}

/// A circuit that is not closed, or that an operator has closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    state: State,
    forced: bool,
    /// While it is open: when a try makes sense, by the store's clock, and by ours.
    retry_at: Option<(UnixMillis, Instant)>,
}

/// What only whoever reads knows.
#[derive(Default)]
struct Reading {
    /// Of each circuit how often in a row it could not be read.
    failures: BTreeMap<String, u32>,
    /// Of which there are metrics.
    measured: BTreeSet<String>,
}

/// Circuits as an Envoy is told of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldCircuits {
    /// The same for the same states, on every replica; never 0.
    pub version: u64,
    /// Those that are not closed, and those that an operator has closed.
    pub services: Vec<ToldCircuit>,
}

impl CircuitsView {
    /// Shows nothing yet.
    #[must_use]
    pub fn new(parts: ViewParts) -> Self {
        Self {
            parts,
            shown: ArcSwap::default(),
            news: News::new(),
            heard: AtomicBool::default(),
            moved: Notify::new(),
            reading: Mutex::default(),
        }
    }

    /// Reads again and again; never ends. Run it beside the server.
    pub async fn keep_looking(&self) -> Infallible {
        loop {
            self.look().await;
            let is_busy = self.heard.swap(false, Ordering::Relaxed) || self.shows_any();
            let pause = if is_busy { BUSY_INTERVAL } else { IDLE_INTERVAL };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.moved.notified() => {}
            }
        }
    }

    /// A circuit has moved, whoever has told the store of it: that is counted, and looked at.
    pub fn moved(&self, service: &str, moved: Transition) {
        let (from, to) = (moved.from.as_str(), moved.to.as_str());
        tracing::info!(service, from, to, reason = moved.reason.as_str(), "a circuit has moved");
        self.parts.metrics.moved(service, moved);
        self.moved.notify_one();
    }

    /// Somebody has reported: something may move soon.
    pub(crate) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    fn shows_any(&self) -> bool {
        !self.shown.load().is_empty()
    }

    /// Reads once.
    pub(crate) async fn look(&self) {
        let circuits = self.parts.services.all();
        let now = (self.parts.clock)();
        let answers = self.parts.store.circuits(&circuits, now.wall).await;
        let before = self.shown.load_full();
        let standings = self.standings(&circuits, answers, &before, now).await;
        let mut shown = BTreeMap::new();
        for (circuit, standing) in circuits.iter().zip(standings) {
            let name = &circuit.service;
            match standing {
                Some(standing) => {
                    self.parts.metrics.stands(name, standing.state, standing.reporters);
                    shown.extend(Shown::of(&standing, now.monotonic).map(|it| (name.clone(), it)));
                }
                // It is as it was, for a little while or for as long as was said.
                None => shown.extend(before.get(name).map(|it| (name.clone(), *it))),
            }
        }
        self.forget_others(&circuits);
        if stamps(&shown).ne(stamps(&before)) {
            self.shown.store(Arc::new(shown));
            self.news.publish();
        }
    }

    /// How circuits stand; none of those that could not be read just now, or are open for longer.
    async fn standings(
        &self,
        circuits: &[CircuitAsk],
        answers: Vec<Result<CircuitStanding, StoreError>>,
        before: &BTreeMap<String, Shown>,
        now: Moment,
    ) -> Vec<Option<CircuitStanding>> {
        let mut away = Vec::new();
        let mut standings = Vec::with_capacity(circuits.len());
        {
            let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
            for (circuit, answer) in circuits.iter().zip(answers) {
                self.parts.metrics.read(answer.is_ok());
                match answer {
                    Ok(standing) => {
                        reading.failures.remove(&circuit.service);
                        standings.push(Some(standing));
                    }
                    Err(error) => {
                        let failures = reading.failures.entry(circuit.service.clone()).or_default();
                        *failures = failures.saturating_add(1);
                        let service = &circuit.service;
                        let stays = before.get(service).is_some_and(|it| it.stays(now.monotonic));
                        if *failures >= AWAY_AFTER && !stays {
                            away.push((standings.len(), circuit.clone()));
                        }
                        tracing::debug!(%error, service, "a circuit cannot be read");
                        standings.push(None);
                    }
                }
            }
        }
        let (places, asked): (Vec<usize>, Vec<CircuitAsk>) = away.into_iter().unzip();
        let stand_in = self.parts.stand_in.circuits(&asked, now.wall).await;
        for (place, standing) in places.into_iter().zip(stand_in) {
            if let Some(here) = standings.get_mut(place) {
                *here = standing.ok();
            }
        }
        standings
    }

    /// Circuits that the document does not have any more have no metrics either.
    fn forget_others(&self, circuits: &[CircuitAsk]) {
        let names: BTreeSet<String> = circuits.iter().map(|one| one.service.clone()).collect();
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in reading.measured.difference(&names) {
            self.parts.metrics.gone(gone);
        }
        reading.failures.retain(|name, _| names.contains(name));
        reading.measured = names;
    }

    /// What an Envoy of a workload is told: of the services that the workload calls.
    #[must_use]
    pub fn told(&self, workload: &str, now: Instant) -> ToldCircuits {
        let shown = self.shown.load();
        let services = &self.parts.services;
        let of_workload: Vec<(&String, &Shown)> =
            shown.iter().filter(|(name, _)| services.settings(workload, name).is_some()).collect();
        let version = version(&of_workload);
        let told = of_workload.into_iter().map(|(name, shown)| shown.told(name, now));
        ToldCircuits { version, services: told.collect() }
    }
}

/// What says whether anything is new: the same on every replica, and the same for as long as nobody
/// would do anything else. When the next probe may go does not belong to it: they come by reports.
fn stamps(
    shown: &BTreeMap<String, Shown>,
) -> impl Iterator<Item = (&String, State, bool, Option<UnixMillis>)> {
    shown.iter().map(|(name, shown)| {
        let (state, forced, at) = shown.stamp();
        (name, state, forced, at)
    })
}

fn version(circuits: &[(&String, &Shown)]) -> u64 {
    let mut digest = Sha256::new();
    for (name, shown) in circuits {
        let (state, forced, at) = shown.stamp();
        digest.update(u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(name.as_bytes());
        digest.update([u8::from(forced)]);
        digest.update(state.as_str());
        digest.update(at.map_or(0, |at| at.0).to_be_bytes());
    }
    let digest: [u8; 32] = digest.finalize().into();
    digest.first_chunk().copied().map_or(1, u64::from_be_bytes).max(1)
}

impl Shown {
    fn of(standing: &CircuitStanding, now: Instant) -> Option<Self> {
        let CircuitStanding { state, forced, retry_at, retry_after_ms, .. } = *standing;
        let retry_at = retry_at.filter(|_| state == State::Open);
        let here = now + Duration::from_millis(retry_after_ms);
        let retry_at = retry_at.map(|at| (at, here));
        let shown = Self { state, forced: forced.is_some(), retry_at };
        (state != State::Closed || shown.forced).then_some(shown)
    }

    /// Whether it was said to be open for longer than until now.
    fn stays(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|(_, until)| now < until)
    }

    fn stamp(&self) -> (State, bool, Option<UnixMillis>) {
        (self.state, self.forced, self.retry_at.map(|(at, _)| at))
    }

    /// Probes are given to those who report.
    fn told(&self, service: &str, now: Instant) -> ToldCircuit {
        let waits = self.retry_at.map(|(_, at)| at.saturating_duration_since(now));
        let waits = waits.unwrap_or_default().as_millis();
        ToldCircuit {
            service: service.to_owned(),
            state: self.state,
            retry_after_ms: u64::try_from(waits).unwrap_or(u64::MAX),
            granted: Granted::default(),
            forced: self.forced,
        }
    }
}

#[cfg(test)]
mod tests;
