//! A budget and a breaker in front of a store: a store that hangs costs a request no more than
//! the budget, and once the breaker is open nothing at all.

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postern_circuit::Circuit;
use postern_leases::Grant;
use postern_request::UnixMillis;

use crate::volatile::{
    CircuitAsk, Decision, DecisionAsk, GiveBack, Inspected, LendAsk, LimitKey, ReplayKey, Take,
    TakeBack, VolatileStore,
};
use crate::{BoxFuture, StoreError};

/// Longest time that a decision waits for the store.
pub const BUDGET: Duration = Duration::from_millis(20);
/// So many budgets may pass until slices are lent: no request waits for that, and there are many
/// in one call.
const LENDING: u32 = 10;
/// Failures in a row that open the breaker.
const FAILURES: u32 = 5;
/// How long it stays open before one call may try.
const RECOVERY: Duration = Duration::from_secs(1);

/// A store behind a budget and a breaker.
pub struct Guarded<S> {
    store: S,
    budget: Duration,
    born: Instant,
    failures: AtomicU32,
    /// When a call failed last, in microseconds after `born`.
    last_failure_us: AtomicU64,
    /// Milliseconds after `born` until which nothing is asked; zero while closed.
    closed_until: AtomicU64,
}

impl<S: VolatileStore> Guarded<S> {
    /// Guards a store with the usual [`BUDGET`].
    pub fn new(store: S) -> Self {
        Self::with_budget(store, BUDGET)
    }

    /// Guards a store with another budget.
    pub fn with_budget(store: S, budget: Duration) -> Self {
        Self {
            store,
            budget,
            born: Instant::now(),
            failures: AtomicU32::new(0),
            last_failure_us: AtomicU64::new(0),
            closed_until: AtomicU64::new(0),
        }
    }

    /// Whether the breaker lets nothing through at the moment.
    pub fn is_open(&self) -> bool {
        self.elapsed() < self.closed_until.load(Ordering::Relaxed)
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A call for which a request waits.
    async fn guard<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        call: impl FnOnce() -> F,
    ) -> Result<T, StoreError> {
        self.guard_for(self.budget, call).await
    }

    /// Calls of which each has its own answer: the breaker counts them as one, which failed when
    /// none of them was answered.
    async fn guard_each<'a, T: 'a>(
        &'a self,
        calls: usize,
        call: impl FnOnce() -> BoxFuture<'a, Vec<Result<T, StoreError>>>,
    ) -> Vec<Result<T, StoreError>> {
        if calls == 0 {
            return Vec::new();
        }
        let answers = self.guard_for(self.budget * LENDING, || async move {
            let answers = call().await;
            match answers.first() {
                Some(Err(error)) if answers.iter().all(is_away) => Err(error.clone()),
                _ => Ok(answers),
            }
        });
        answers.await.unwrap_or_else(|error| (0..calls).map(|_| Err(error.clone())).collect())
    }

    /// `call` is made only when the breaker lets it through.
    async fn guard_for<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        budget: Duration,
        call: impl FnOnce() -> F,
    ) -> Result<T, StoreError> {
        let until = self.closed_until.load(Ordering::Relaxed);
        let now = self.elapsed();
        if now < until {
            return Err(StoreError::Unavailable("failing, not asked".to_owned()));
        }
        if until > 0 {
            // Recovery is over: whoever moves the time on is the one call that tries; the
            // others wait for what comes of it.
            let next = now + u64::try_from(RECOVERY.as_millis()).unwrap_or(1000);
            let moved = self.closed_until.compare_exchange(
                until,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if moved.is_err() {
                return Err(StoreError::Unavailable("failing, being tried".to_owned()));
            }
        }
        let began = self.elapsed_us();
        let result = match tokio::time::timeout(budget, call()).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Unavailable("no answer within the budget".to_owned())),
        };
        self.note(is_away(&result), began);
        result
    }

    /// Calls under way at the same time fail together when the store stands still for a moment:
    /// they are one failure. `began` is when the call did.
    fn note(&self, failed: bool, began: u64) {
        if !failed {
            self.failures.store(0, Ordering::Relaxed);
            self.closed_until.store(0, Ordering::Relaxed);
            return;
        }
        if began < self.last_failure_us.fetch_max(self.elapsed_us(), Ordering::Relaxed) {
            return;
        }
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES {
            let recovery = u64::try_from(RECOVERY.as_millis()).unwrap_or(1000);
            self.closed_until.store(self.elapsed() + recovery, Ordering::Relaxed);
        }
    }
}

const fn is_away<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
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
        Box::pin(self.guard_each(asks.len(), move || self.store.lend(asks, now)))
    }

    fn take_back<'a>(
        &'a self,
        returns: &'a [TakeBack],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<u64, StoreError>>> {
        Box::pin(self.guard_each(returns.len(), move || self.store.take_back(returns, now)))
    }

    fn record_outcome<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        success: bool,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Circuit, StoreError>> {
        Box::pin(self.guard(move || self.store.record_outcome(circuit, success, now)))
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

#[cfg(test)]
mod tests;
