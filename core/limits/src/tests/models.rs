//! Slow, obvious models: what fits, worked out of the whole history each time.
//!
//! They go by a clock that never goes back, and by the definitions of the algorithms alone.

use postern_request::UnixMillis;

use crate::{Algorithm, Anchor, Period, Spec};

/// What passed: when, and what it cost, which is never 0.
pub(super) type Passed = (u64, u64);

/// Whole requests that fit at `now`, after all of `passed`.
pub(super) fn remaining(spec: Spec, passed: &[Passed], now: u64) -> u64 {
    match (spec.algorithm(), spec.anchor()) {
        (Algorithm::SlidingLog, _) => sliding_log(spec, passed, now),
        (Algorithm::SlidingWindow, _) => sliding_window(spec, passed, now),
        (Algorithm::FixedWindow, Anchor::Clock) => fixed_window(spec, passed, now),
        (Algorithm::FixedWindow, Anchor::FirstHit) => first_hit_window(spec, passed, now),
        (Algorithm::TokenBucket | Algorithm::Gcra, _) => bucket(spec, passed, now),
    }
}

fn sum(passed: &[Passed], counts: impl Fn(u64) -> bool) -> u64 {
    passed.iter().filter(|(at, _)| counts(*at)).map(|(_, cost)| cost).sum()
}

fn sliding_log(spec: Spec, passed: &[Passed], now: u64) -> u64 {
    let period = spec.rate().period_ms();
    spec.rate().requests() - sum(passed, |at| at + period > now)
}

/// requests - current - previous × (part of the window that is not over), rounded down.
fn sliding_window(spec: Spec, passed: &[Passed], now: u64) -> u64 {
    let period = spec.period_ticks();
    let window = |at: u64| at / spec.tick_ms() / period;
    let current = sum(passed, |at| window(at) == window(now));
    let previous = sum(passed, |at| window(at) + 1 == window(now));
    let left = period - now / spec.tick_ms() % period;
    let counted =
        u128::from(current) * u128::from(period) + u128::from(previous) * u128::from(left);
    let limit = u128::from(spec.rate().requests()) * u128::from(period);
    u64::try_from(limit.saturating_sub(counted) / u128::from(period)).unwrap()
}

fn fixed_window(spec: Spec, passed: &[Passed], now: u64) -> u64 {
    let window = |at: u64| match spec.rate().period() {
        Period::Millis(millis) => (at / millis, String::new()),
        // The year and the month, as dates are written.
        Period::Month => (0, UnixMillis(at).to_rfc3339().chars().take(7).collect()),
    };
    let now = window(now);
    spec.rate().requests() - sum(passed, |at| window(at) == now)
}

fn first_hit_window(spec: Spec, passed: &[Passed], now: u64) -> u64 {
    let period = spec.rate().period_ms();
    let mut window: Option<u64> = None;
    for (at, _) in passed {
        if window.is_none_or(|start| *at >= start + period) {
            window = Some(*at);
        }
    }
    let counts = |at: u64| window.is_some_and(|start| now < start + period && start <= at);
    spec.rate().requests() - sum(passed, counts)
}

/// A bucket that is full in the beginning, in fractions of a token.
fn bucket(spec: Spec, passed: &[Passed], now: u64) -> u64 {
    let parts = u128::from(spec.period_ticks());
    let full = u128::from(spec.burst()) * parts;
    let (mut level, mut last) = (full, 0);
    let refilled = |level: u128, from: u64, to: u64| {
        let ticks = to / spec.tick_ms() - from / spec.tick_ms();
        full.min(level + u128::from(ticks) * u128::from(spec.rate().requests()))
    };
    for (at, cost) in passed {
        level = refilled(level, last, *at) - u128::from(*cost) * parts;
        last = *at;
    }
    u64::try_from(refilled(level, last, now) / parts).unwrap()
}
