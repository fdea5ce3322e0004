//! A budget and a breaker in front of a store: a store that hangs costs a request no more than
//! the budget, and once the breaker is open nothing at all.
//!
//! Lending has a longer budget, and a breaker of its own: a store that is slow may still lend in
//! time while every decision comes too late. So do reports for circuits, and looks at circuits:
//! however many reports come too late, what is open is seen.

use std::future::Future;
use std::time::Duration;

use postern_leases::Grant;
use postern_request::UnixMillis;

use crate::volatile::{
    CircuitAsk, CircuitReport, CircuitStanding, CircuitStore, CircuitWord, Decision, DecisionAsk,
    GiveBack, Granted, Inspected, LendAsk, LimitKey, ProbeAsk, ReplayKey, Reported, ReporterId,
    Reporting, Take, TakeBack, VolatileStore,
};
use crate::{BoxFuture, StoreError};

pub(crate) mod breaker;
use breaker::{Breaker, is_away};

/// Longest time that a decision waits for the store.
pub const BUDGET: Duration = Duration::from_millis(20);
/// So many budgets may pass until slices are lent, or reports taken: no request waits for that, and
/// there are many in one call.
const PATIENCE: u32 = 10;

/// A store behind a budget and breakers.
pub struct Guarded<S> {
    store: S,
    budget: Duration,
    /// For calls that requests wait for.
    decisions: Breaker,
    lending: Breaker,
    reports: Breaker,
    looks: Breaker,
}

impl<S: VolatileStore> Guarded<S> {
    /// Guards a store with the usual [`BUDGET`].
    pub fn new(store: S) -> Self {
        Self::with_budget(store, BUDGET)
    }

    /// Guards a store with another budget.
    pub fn with_budget(store: S, budget: Duration) -> Self {
        let [decisions, lending, reports, looks] = [(); 4].map(|()| Breaker::new());
        Self { store, budget, decisions, lending, reports, looks }
    }

    /// Whether nothing that a request waits for is asked at the moment.
    pub fn is_open(&self) -> bool {
        self.decisions.is_open()
    }

    /// A call for which a request waits.
    async fn guard<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        call: impl FnOnce() -> F,
    ) -> Result<T, StoreError> {
        self.decisions.guard(self.budget, call).await
    }

    /// What no request waits for, where each call has its own answer: the breaker counts them as
    /// one, which failed when none of them was answered.
    async fn guard_each<'a, T: 'a>(
        &'a self,
        breaker: &'a Breaker,
        calls: usize,
        call: impl FnOnce() -> BoxFuture<'a, Vec<Result<T, StoreError>>>,
    ) -> Vec<Result<T, StoreError>> {
        if calls == 0 {
            return Vec::new();
        }
        let answers = breaker.guard(self.budget * PATIENCE, || async move {
            let answers = call().await;
            match answers.first() {
                Some(Err(error)) if answers.iter().all(is_away) => Err(error.clone()),
                _ => Ok(answers),
            }
        });
        answers.await.unwrap_or_else(|error| (0..calls).map(|_| Err(error.clone())).collect())
    }
}

impl<S: VolatileStore> VolatileStore for Guarded<S> {
    fn decide<'a>(
        &'a self,
        ask: &'a DecisionAsk,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Decision, StoreError>> {
        Box::pin(self.guard(move || self.store.decide(ask, now)))
    }

    fn give_back<'a>(
        &'a self,
        taken: &'a [GiveBack],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.guard(move || self.store.give_back(taken, now)))
    }

    fn inspect(
        &self,
        key: LimitKey,
        take: Take,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Inspected>, StoreError>> {
        Box::pin(self.guard(move || self.store.inspect(key, take, now)))
    }

    fn reset<'a>(&'a self, keys: &'a [LimitKey]) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(self.guard(move || self.store.reset(keys)))
    }

    fn lend<'a>(
        &'a self,
        asks: &'a [LendAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Grant, StoreError>>> {
        let lend = move || self.store.lend(asks, now);
        Box::pin(self.guard_each(&self.lending, asks.len(), lend))
    }

    fn take_back<'a>(
        &'a self,
        returns: &'a [TakeBack],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<u64, StoreError>>> {
        let take_back = move || self.store.take_back(returns, now);
        Box::pin(self.guard_each(&self.lending, returns.len(), take_back))
    }

    fn remember_once(
        &self,
        key: ReplayKey,
        keep_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.guard(move || self.store.remember_once(key, keep_ms, now)))
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        // Health asks for itself: with its own time limit, and past an open breaker.
        self.store.ping()
    }
}

impl<S: VolatileStore> CircuitStore for Guarded<S> {
    fn report_circuits<'a>(
        &'a self,
        reporting: Reporting,
        reports: &'a [CircuitReport],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Reported, StoreError>>> {
        let report = move || self.store.report_circuits(reporting, reports, now);
        Box::pin(self.guard_each(&self.reports, reports.len(), report))
    }

    fn grant_probes<'a>(
        &'a self,
        reporter: ReporterId,
        asks: &'a [ProbeAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Granted, StoreError>>> {
        let grant = move || self.store.grant_probes(reporter, asks, now);
        Box::pin(self.guard_each(&self.reports, asks.len(), grant))
    }

    fn circuits<'a>(
        &'a self,
        circuits: &'a [CircuitAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<CircuitStanding, StoreError>>> {
        let look = move || self.store.circuits(circuits, now);
        Box::pin(self.guard_each(&self.looks, circuits.len(), look))
    }

    fn say_of_circuit<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        word: CircuitWord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<CircuitStanding, StoreError>> {
        let say = move || self.store.say_of_circuit(circuit, word, now);
        Box::pin(self.looks.guard(self.budget * PATIENCE, say))
    }
}

#[cfg(test)]
mod tests;
