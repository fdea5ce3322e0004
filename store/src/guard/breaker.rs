//! What keeps a store from being asked that does not answer anyway.

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::StoreError;

/// Failures in a row that open the breaker.
pub(crate) const FAILURES: u32 = 5;
/// How long it stays open before one call may try.
pub(crate) const RECOVERY: Duration = Duration::from_secs(1);

/// One breaker, for calls of one kind: a kind that still succeeds says nothing of another that is
/// given less time.
#[derive(Debug)]
pub(crate) struct Breaker {
    born: Instant,
    failures: AtomicU32,
    /// When a call failed last, in microseconds after `born`.
    last_failure_us: AtomicU64,
    /// Milliseconds after `born` until which nothing is asked; zero while closed.
    open_until: AtomicU64,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self {
            born: Instant::now(),
            failures: AtomicU32::new(0),
            last_failure_us: AtomicU64::new(0),
            open_until: AtomicU64::new(0),
        }
    }

    /// Whether it lets nothing through at the moment.
    pub(crate) fn is_open(&self) -> bool {
        self.elapsed_ms() < self.open_until.load(Ordering::Relaxed)
    }

    /// Makes a call, if the breaker lets it through, and waits for it no longer than the budget.
    pub(crate) async fn guard<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        budget: Duration,
        call: impl FnOnce() -> F,
    ) -> Result<T, StoreError> {
        self.admit()?;
        let began = self.elapsed_us();
        let result = match tokio::time::timeout(budget, call()).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Unavailable("no answer within the budget".to_owned())),
        };
        self.note(is_away(&result), began);
        result
    }

    /// Whether a call may be made.
    fn admit(&self) -> Result<(), StoreError> {
        let until = self.open_until.load(Ordering::Relaxed);
        let now = self.elapsed_ms();
        if now < until {
            return Err(StoreError::Unavailable("failing, not asked".to_owned()));
        }
        if until > 0 {
            // Recovery is over: whoever moves the time on is the one call that tries; the
            // others wait for what comes of it.
            let next = now.saturating_add(recovery_ms());
            let moved =
                self.open_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed);
            if moved.is_err() {
                return Err(StoreError::Unavailable("failing, being tried".to_owned()));
            }
        }
        Ok(())
    }

    /// Calls under way at the same time fail together when the store stands still for a moment:
    /// they are one failure. `began` is when the call did.
    fn note(&self, failed: bool, began: u64) {
        if !failed {
            self.failures.store(0, Ordering::Relaxed);
            self.open_until.store(0, Ordering::Relaxed);
            return;
        }
        if began < self.last_failure_us.fetch_max(self.elapsed_us(), Ordering::Relaxed) {
            return;
        }
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES {
            let until = self.elapsed_ms().saturating_add(recovery_ms());
            self.open_until.store(until, Ordering::Relaxed);
        }
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Whether the store did not answer; that it refuses is an answer.
pub(crate) const fn is_away<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
}

fn recovery_ms() -> u64 {
    u64::try_from(RECOVERY.as_millis()).unwrap_or(u64::MAX)
}
