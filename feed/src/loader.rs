//! Keeping the log current: the task that reads the durable list whenever the bus says that
//! there is news, and every so often without that. When the store fails, what is known stays in
//! use, and grows stale.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::Clock;
use crate::metrics::Metrics;
use crate::reader::Reader;
use crate::settings::Reading;
use crate::source::{RevocationSource, WakeUp, WakeUps};
use crate::state::FeedState;

/// Words that one read answers at most: a bus that never falls silent must not keep it waiting.
const WORDS: usize = 10_000;

/// The task that keeps a [`FeedState`] current. One a process.
pub struct Loader {
    state: Arc<FeedState>,
    reader: Reader,
    wake_ups: Box<dyn WakeUps>,
    metrics: Metrics,
    clock: Clock,
    hearing: bool,
    failures: u32,
}

impl Loader {
    /// Keeps `state` current with `source`.
    #[must_use]
    pub fn new(
        state: Arc<FeedState>,
        source: Arc<dyn RevocationSource>,
        wake_ups: Box<dyn WakeUps>,
        metrics: Metrics,
        clock: Clock,
    ) -> Self {
        metrics.hearing(false);
        metrics.staleness(None);
        let reader = Reader::new(Arc::clone(&state), source, metrics.clone(), clock());
        Self { state, reader, wake_ups, metrics, clock, hearing: false, failures: 0 }
    }

    /// Reads for as long as it is polled.
    pub async fn run(mut self) {
        loop {
            let started = Instant::now();
            self.read().await;
            self.reader.sweep_when_due().await;
            self.report();
            self.wait(started).await;
        }
    }

    async fn read(&mut self) {
        let now = (self.clock)();
        let outcome = self.reader.read(now).await;
        self.metrics.store_read(outcome.is_ok());
        match outcome {
            Ok(()) => {
                if self.failures > 0 {
                    tracing::info!(failures = self.failures, "revocations can be read again");
                }
                self.failures = 0;
                let complete = self.state.log().is_some_and(|log| !log.is_short_of_room());
                self.state.freshness.read(now.monotonic, complete);
            }
            Err(error) => {
                if self.failures == 0 {
                    tracing::warn!(%error, "revocations cannot be read");
                }
                self.failures = self.failures.saturating_add(1);
                self.state.freshness.failed(now.monotonic);
            }
        }
    }

    fn report(&self) {
        if let Some(log) = self.state.log() {
            self.metrics.log(log.records(), log.cursor());
        }
        self.metrics.staleness(self.state.staleness((self.clock)().monotonic));
    }

    /// Until the next read is due: at once after news, in a while without, later after a failure.
    async fn wait(&mut self, started: Instant) {
        let due = Instant::now() + self.pause();
        loop {
            let word = tokio::select! {
                () = tokio::time::sleep_until(due) => break,
                word = self.wake_ups.next() => word,
            };
            self.hear(word);
            // A store that fails is not asked more often because there is more to ask.
            if self.failures == 0 {
                break;
            }
        }
        let earliest = started + self.settings().shortest_interval;
        tokio::time::sleep_until(earliest).await;
        // One read answers all words that have come until then.
        for _ in 0..WORDS {
            let word = tokio::select! {
                biased;
                word = self.wake_ups.next() => word,
                () = std::future::ready(()) => break,
            };
            self.hear(word);
        }
    }

    fn hear(&mut self, word: WakeUp) {
        let hearing = match word {
            WakeUp::News => return,
            WakeUp::Connected => true,
            WakeUp::Lost => false,
        };
        if hearing != self.hearing {
            tracing::info!(hearing, "word of new revocations");
        }
        self.hearing = hearing;
        self.state.freshness.hearing(hearing);
        self.metrics.hearing(hearing);
    }

    fn pause(&self) -> Duration {
        let reading = self.settings();
        match self.failures {
            0 if self.hearing => reading.safety_interval,
            0 => reading.deaf_interval,
            failures => {
                let doubled = reading.first_retry.saturating_mul(1 << (failures - 1).min(16));
                doubled.min(reading.last_retry)
            }
        }
    }

    fn settings(&self) -> Reading {
        self.state.settings().reading.clone()
    }
}

#[cfg(test)]
mod tests;
