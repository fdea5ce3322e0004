//! The whole against models that remember everything, and against whatever may be said.

mod breaker;
mod bytes;
mod exhaustive;
mod fleet;
mod model;
mod probes;
mod verdict;
mod window;

use postern_request::UnixMillis;

use crate::{Counts, Probes, Recovery, Settings, Share, Slow};

/// Some time in 2023; the beginning of a slot, whatever its length in these tests.
const START: u64 = 1_700_000_000_000;

fn at(ms: u64) -> UnixMillis {
    UnixMillis(START + ms)
}

/// Short times without jitter, and no rule but a run of two.
const SMALL: Settings = Settings {
    failures: 2,
    ratio: None,
    slow: None,
    minimum: 1,
    window_ms: 1_000,
    recovery: Recovery { first_ms: 300, longest_ms: 1_000, jitter: Share(0) },
    probes: Probes { per_interval: 1, interval_ms: 200, successes: 1 },
    reporters: 1,
    counts: Counts { statuses: crate::StatusRanges::NONE, grpc: 0 },
};

fn slow(percent: u32) -> Option<Slow> {
    Some(Slow { over_ms: 100, share: Share::percent(percent) })
}
