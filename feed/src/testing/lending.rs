//! A lender, and a store of which parts can be away.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use postern_leases::{Grant, Start, Terms};
use postern_limits::key::stamp;
use postern_limits::{Algorithm, Anchor, Rate, Spec};
use postern_request::UnixMillis;
use postern_store::volatile::{
    CircuitAsk, CircuitReport, CircuitStanding, CircuitStore, CircuitWord, Decision, DecisionAsk,
    GiveBack, Granted, Inspected, LendAsk, LimitKey, ProbeAsk, ReplayKey, Reported, ReporterId,
    Reporting, Take, TakeBack, VolatileStore,
};
use postern_store::{MemoryStore, StoreError};
use postern_telemetry::MetricsRegistry;

use super::{Anybody, TestClock, metric};
use crate::leases::{Leased, LeasedLimits, Lender, LenderParts};
use crate::metrics::Metrics;
use crate::pace::Jitter;
use crate::settings::Settings;
use crate::{BoxFuture, Clock};

/// A store in several parts, by owner.
#[derive(Default)]
pub(crate) struct PartedStore {
    pub(crate) memory: MemoryStore,
    away: Mutex<BTreeSet<u64>>,
    asked: Mutex<usize>,
}

impl PartedStore {
    /// The parts of these owners do not answer, and all others do.
    pub(crate) fn away(&self, owners: impl IntoIterator<Item = u64>) {
        *self.away.lock().unwrap() = owners.into_iter().collect();
    }

    /// How much it was asked.
    pub(crate) fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    fn reach(&self, key: LimitKey) -> Result<(), StoreError> {
        *self.asked.lock().unwrap() += 1;
        match self.away.lock().unwrap().contains(&key.owner) {
            true => Err(StoreError::Unavailable("for the test".to_owned())),
            false => Ok(()),
        }
    }
}

impl VolatileStore for PartedStore {
    fn lend<'a>(
        &'a self,
        asks: &'a [LendAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Grant, StoreError>>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for ask in asks {
                match self.reach(ask.key) {
                    Ok(()) => answers.extend(self.memory.lend(&[*ask], now).await),
                    Err(error) => answers.push(Err(error)),
                }
            }
            answers
        })
    }

    fn take_back<'a>(
        &'a self,
        returns: &'a [TakeBack],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<u64, StoreError>>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for back in returns {
                match self.reach(back.key) {
                    Ok(()) => answers.extend(self.memory.take_back(&[*back], now).await),
                    Err(error) => answers.push(Err(error)),
                }
            }
            answers
        })
    }

    fn decide<'a>(
        &'a self,
        ask: &'a DecisionAsk,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Decision, StoreError>> {
        self.memory.decide(ask, now)
    }

    fn give_back<'a>(
        &'a self,
        taken: &'a [GiveBack],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.memory.give_back(taken, now)
    }

    fn inspect(
        &self,
        key: LimitKey,
        take: Take,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Inspected>, StoreError>> {
        self.memory.inspect(key, take, now)
    }

    fn reset<'a>(&'a self, keys: &'a [LimitKey]) -> BoxFuture<'a, Result<u64, StoreError>> {
        self.memory.reset(keys)
    }

    fn remember_once(
        &self,
        key: ReplayKey,
        keep_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.memory.remember_once(key, keep_ms, now)
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.memory.ping()
    }
}

impl CircuitStore for PartedStore {
    fn report_circuits<'a>(
        &'a self,
        reporting: Reporting,
        reports: &'a [CircuitReport],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Reported, StoreError>>> {
        self.memory.report_circuits(reporting, reports, now)
    }

    fn grant_probes<'a>(
        &'a self,
        reporter: ReporterId,
        asks: &'a [ProbeAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Granted, StoreError>>> {
        self.memory.grant_probes(reporter, asks, now)
    }

    fn circuits<'a>(
        &'a self,
        circuits: &'a [CircuitAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<CircuitStanding, StoreError>>> {
        self.memory.circuits(circuits, now)
    }

    fn say_of_circuit<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        word: CircuitWord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<CircuitStanding, StoreError>> {
        self.memory.say_of_circuit(circuit, word, now)
    }
}

/// Two rates of one limit, and one of another.
const LEASED: [(&str, &str); 3] =
    [("per-user", "1000/1m"), ("per-user", "2000/1m"), ("per-ip", "1000/1m")];

struct Limits;

impl LeasedLimits for Limits {
    fn find(&self, stamp: u64, _: &str) -> Option<Leased> {
        self.find_any(stamp)
    }

    fn find_any(&self, stamp: u64) -> Option<Leased> {
        let found = LEASED.iter().find(|(limit, rate)| stamp_of(limit, rate) == stamp);
        found.map(|(_, rate)| leased(rate))
    }
}

/// What a rate of a limit is known by, leased or not.
pub(crate) fn stamp_of(limit: &str, rate: &str) -> u64 {
    stamp(limit, leased(rate).spec)
}

/// A fifth of it may be out, for five seconds.
pub(crate) fn leased(rate: &str) -> Leased {
    let rate = Rate::parse(rate).unwrap();
    let spec = Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock).unwrap();
    Leased { spec, terms: Terms::new(10, 20, 5_000, Start::Strict).unwrap() }
}

/// One replica's lender.
pub(crate) struct LendingRig {
    pub(crate) lender: Arc<Lender>,
    pub(crate) store: Arc<PartedStore>,
    pub(crate) clock: TestClock,
    registry: MetricsRegistry,
}

impl LendingRig {
    pub(crate) fn new(settings: &Settings) -> Self {
        let clock = TestClock::new();
        let read = {
            let clock = clock.clone();
            Arc::new(move || clock.now()) as Clock
        };
        let registry = MetricsRegistry::new("test", std::time::Instant::now()).unwrap();
        let store = Arc::new(PartedStore::default());
        let parts = LenderParts {
            limits: Arc::new(Limits),
            document_digest: Arc::new(|| "document".to_owned()),
            store: Arc::clone(&store) as Arc<dyn VolatileStore>,
            peers: Arc::new(Anybody),
            clock: read,
            metrics: Metrics::new(&registry).unwrap(),
        };
        let lender = Lender::new(parts, settings, Jitter::seeded(3)).unwrap();
        Self { lender: Arc::new(lender), store, clock, registry }
    }

    /// A metric's value, by the beginning of its line.
    pub(crate) fn metric(&self, start: &str) -> f64 {
        metric(&self.registry, start)
    }
}
