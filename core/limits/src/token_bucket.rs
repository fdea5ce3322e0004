//! The token bucket.
//!
//! A level of one token is worth `period_ticks` units, so that refilling adds a whole number of
//! units every tick (`requests` of them) and nothing is ever rounded away.
//!
//! Worst case over a true sliding window of one period: `burst + requests`.

use postern_request::UnixMillis;

use crate::spec::Spec;
use crate::state::Counter;

/// The bucket of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    /// Tokens, in units of one `period_ticks`th.
    pub level: u64,
    /// The tick at which the level was last worked out.
    pub refilled_tick: u64,
}

/// The most that a bucket holds, in units.
const fn full(spec: Spec) -> u64 {
    spec.units(spec.burst())
}

impl Bucket {
    pub(crate) const fn full(spec: Spec, now: UnixMillis) -> Self {
        Self { level: full(spec), refilled_tick: spec.tick_of(now) }
    }

    /// When the level is `wanted` if nobody takes from it.
    const fn holds_at(self, spec: Spec, wanted: u64) -> UnixMillis {
        let missing = wanted.saturating_sub(self.level);
        let ticks = missing.div_ceil(spec.rate().requests());
        spec.start_of(self.refilled_tick.saturating_add(ticks))
    }
}

impl Counter for Bucket {
    fn advance(&mut self, spec: Spec, now: UnixMillis) {
        let tick = spec.tick_of(now);
        let gained = tick.saturating_sub(self.refilled_tick).saturating_mul(spec.rate().requests());
        let full = full(spec);
        self.level = self.level.min(full).saturating_add(gained).min(full);
        // Behind by no more than a period, time stands still; by more, the clock was set back,
        // and refilling goes on from there.
        let behind = self.refilled_tick.saturating_sub(tick);
        if behind == 0 || behind > spec.period_ticks() {
            self.refilled_tick = tick;
        }
    }

    fn remaining(&self, spec: Spec, _now: UnixMillis) -> u64 {
        self.level / spec.period_ticks()
    }

    fn add(&mut self, spec: Spec, cost: u64, _now: UnixMillis) {
        self.level = self.level.saturating_sub(spec.units(cost));
    }

    fn give_back(&mut self, spec: Spec, cost: u64, _now: UnixMillis) {
        self.level = self.level.saturating_add(spec.units(cost)).min(full(spec));
    }

    fn fits_at(&self, spec: Spec, cost: u64, _now: UnixMillis) -> UnixMillis {
        self.holds_at(spec, spec.units(cost))
    }

    fn resets_at(&self, spec: Spec, _now: UnixMillis) -> UnixMillis {
        self.holds_at(spec, full(spec))
    }

    fn forgettable_at(&self, spec: Spec) -> UnixMillis {
        self.holds_at(spec, full(spec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::MAX_BURST;
    use crate::{Algorithm, Anchor, Rate, State};

    fn spec(rate: &str, burst: u64) -> Spec {
        let rate = Rate::parse(rate).unwrap();
        Spec::new(Algorithm::TokenBucket, rate, Some(burst), Anchor::Clock).unwrap()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let spec = spec("10/1s", 5);
        let mut state = spec.fresh(UnixMillis(0));
        let mut allowed_at = |ms: u64| spec.take(&mut state, 1, UnixMillis(ms)).allowed;
        assert_eq!((0..6).map(|_| allowed_at(0)).filter(|ok| *ok).count(), 5);
        assert!(!allowed_at(99));
        assert!(allowed_at(100));
        assert!(!allowed_at(100));
    }

    #[test]
    fn status_tells_when_to_come_back() {
        let spec = spec("60/1m", 2);
        let mut state = spec.fresh(UnixMillis(0));
        let first = spec.take(&mut state, 2, UnixMillis(0)).status;
        assert_eq!((first.limit, first.remaining, first.reset_secs), (2, 0, 2));
        assert_eq!(first.window_secs, 60);
        let denied = spec.take(&mut state, 1, UnixMillis(500));
        assert!(!denied.allowed);
        assert_eq!(denied.status.reset_secs, 1);
        let one = spec.take(&mut state, 0, UnixMillis(1400)).status;
        assert_eq!((one.remaining, one.reset_secs), (1, 1), "0.6 s until it is full");
        assert_eq!(spec.take(&mut state, 0, UnixMillis(9000)).status.reset_secs, 0, "full");
    }

    #[test]
    fn a_clock_that_went_back_a_little_stands_still() {
        let spec = spec("60/1m", 60);
        let mut state = spec.fresh(UnixMillis(3_600_000));
        assert!(spec.take(&mut state, 60, UnixMillis(3_600_000)).allowed);
        assert!(!spec.fits(&mut state, 1, UnixMillis(3_540_000)));
        assert!(!spec.fits(&mut state, 1, UnixMillis(3_600_999)), "that time had passed before");
        assert!(spec.fits(&mut state, 1, UnixMillis(3_601_000)));
    }

    #[test]
    fn a_clock_that_was_set_back_gives_nothing_away_and_goes_on_from_there() {
        let spec = spec("1/1m", 3);
        let mut state = spec.fresh(UnixMillis(3_600_000));
        assert!(spec.take(&mut state, 2, UnixMillis(3_600_000)).allowed);
        assert!(!spec.fits(&mut state, 2, UnixMillis(0)), "one hour back");
        assert!(spec.fits(&mut state, 1, UnixMillis(0)), "what was left is left");
        assert!(!spec.fits(&mut state, 2, UnixMillis(59_999)));
        assert!(spec.fits(&mut state, 2, UnixMillis(60_000)));
    }

    #[test]
    fn what_is_given_back_never_overflows_the_bucket() {
        let spec = spec("60/1m", 3);
        let mut state = spec.fresh(UnixMillis(0));
        assert!(spec.take(&mut state, 2, UnixMillis(0)).allowed);
        spec.give_back(&mut state, 1, UnixMillis(0));
        assert_eq!(spec.status(&state, 1, UnixMillis(0)).remaining, 2);
        spec.give_back(&mut state, u64::MAX, UnixMillis(0));
        assert_eq!(state, spec.fresh(UnixMillis(0)));
    }

    #[test]
    fn the_largest_bucket_does_not_overflow() {
        let spec = spec("4294967295/366d", MAX_BURST);
        let mut state = State::Bucket(Bucket { level: u64::MAX, refilled_tick: 0 });
        assert!(spec.take(&mut state, MAX_BURST, UnixMillis(u64::MAX)).allowed);
        assert!(!spec.take(&mut state, 1, UnixMillis(u64::MAX)).allowed);
        assert!(!spec.take(&mut state, u64::MAX, UnixMillis(u64::MAX)).allowed);
    }
}
