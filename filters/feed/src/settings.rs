//! How the feed runs in this process.

use crate::pace::LONGEST_PAUSE_MS;

/// No feed is asked less often for its staleness' sake than this, in milliseconds.
const LEAST_CAP_MS: u64 = 500;

/// How the feed runs in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The workload of the document that this Envoy guards.
    pub workload: String,
    /// Who asks; for quotas and metrics.
    pub envoy_id: String,
    /// Milliseconds between ticks.
    pub tick_ms: u64,
    /// How long the server may hold a call until there is something new, in milliseconds; 0 for
    /// an answer at once. Without a meaning where `poll_ms` is given.
    pub wait_ms: u64,
    /// How often to ask, in milliseconds; 0 to let the server hold the call.
    pub poll_ms: u64,
    /// How old what is known may be, in milliseconds.
    pub max_staleness_ms: u64,
    /// The issuers whose keys come by the feed; 64 at most.
    pub issuers: Vec<String>,
}

impl Settings {
    /// Whole ticks that cover so many milliseconds.
    pub(crate) fn ticks(&self, millis: u64) -> u64 {
        millis.div_ceil(self.tick_ms.max(1))
    }

    /// The ticks that pass without a call in a pause: the one that ends it is not among them.
    pub(crate) fn pause(&self, millis: u64) -> u64 {
        let tick = self.tick_ms.max(1);
        (millis.saturating_add(tick / 2) / tick).saturating_sub(1)
    }

    /// The longest pause that a server which answers may ask for: what is known must not grow
    /// stale only because nobody asks.
    pub(crate) fn longest_pause(&self) -> u64 {
        (self.max_staleness_ms / 3).clamp(LEAST_CAP_MS, LONGEST_PAUSE_MS)
    }

    /// Whether the server may hold calls.
    pub(crate) const fn waits(&self) -> bool {
        self.poll_ms == 0 && self.wait_ms > 0
    }
}
