//! A store that hangs while it is told to, for tests.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use postern_leases::Grant;
use postern_request::UnixMillis;

use crate::volatile::{
    CircuitAsk, CircuitReport, CircuitStanding, CircuitStore, CircuitWord, Decision, DecisionAsk,
    GiveBack, Granted, Inspected, LendAsk, LimitKey, ProbeAsk, ReplayKey, Reported, ReporterId,
    Reporting, Take, TakeBack, VolatileStore,
};
use crate::{BoxFuture, MemoryStore, StoreError};

/// One in memory behind something that hangs.
#[derive(Default)]
pub(crate) struct Hanging {
    hangs: AtomicBool,
    asked: AtomicU32,
    inner: MemoryStore,
}

impl Hanging {
    pub(crate) fn hang(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::Relaxed);
    }

    /// How often it was asked, `ping` aside.
    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    fn answer<'a, T: Send + 'a>(&'a self, answer: BoxFuture<'a, T>) -> BoxFuture<'a, T> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            if self.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            answer.await
        })
    }
}

impl VolatileStore for Hanging {
    fn decide<'a>(
        &'a self,
        ask: &'a DecisionAsk,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Decision, StoreError>> {
        self.answer(self.inner.decide(ask, now))
    }

    fn give_back<'a>(
        &'a self,
        taken: &'a [GiveBack],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(self.inner.give_back(taken, now))
    }

    fn inspect(
        &self,
        key: LimitKey,
        take: Take,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Inspected>, StoreError>> {
        self.answer(self.inner.inspect(key, take, now))
    }

    fn reset<'a>(&'a self, keys: &'a [LimitKey]) -> BoxFuture<'a, Result<u64, StoreError>> {
        self.answer(self.inner.reset(keys))
    }

    fn lend<'a>(
        &'a self,
        asks: &'a [LendAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Grant, StoreError>>> {
        self.answer(self.inner.lend(asks, now))
    }

    fn take_back<'a>(
        &'a self,
        returns: &'a [TakeBack],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<u64, StoreError>>> {
        self.answer(self.inner.take_back(returns, now))
    }

    fn remember_once(
        &self,
        key: ReplayKey,
        keep_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.answer(self.inner.remember_once(key, keep_ms, now))
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.ping()
    }
}

impl CircuitStore for Hanging {
    fn report_circuits<'a>(
        &'a self,
        reporting: Reporting,
        reports: &'a [CircuitReport],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Reported, StoreError>>> {
        self.answer(self.inner.report_circuits(reporting, reports, now))
    }

    fn grant_probes<'a>(
        &'a self,
        reporter: ReporterId,
        asks: &'a [ProbeAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Granted, StoreError>>> {
        self.answer(self.inner.grant_probes(reporter, asks, now))
    }

    fn circuits<'a>(
        &'a self,
        circuits: &'a [CircuitAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<CircuitStanding, StoreError>>> {
        self.answer(self.inner.circuits(circuits, now))
    }

    fn say_of_circuit<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        word: CircuitWord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<CircuitStanding, StoreError>> {
        self.answer(self.inner.say_of_circuit(circuit, word, now))
    }
}
