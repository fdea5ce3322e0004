//! The generic cell rate algorithm.
//!
//! A token bucket told by one time: the theoretical arrival time, at which the bucket would be
//! full again. How far it lies ahead is what was taken. It is kept as a tick and a part of one, so
//! that nothing is ever rounded away, and decisions are those of [`crate::token_bucket`].
//!
//! Worst case over a true sliding window of one period: `burst + requests`.

use postern_request::UnixMillis;

use crate::spec::Spec;
use crate::state::Counter;

/// The theoretical arrival time of one key's next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tat {
    /// The tick that it is in.
    pub tick: u64,
    /// How far it is in that tick, in parts of which the tick has as many as the rate requests.
    pub part: u64,
}

/// The most that may be taken at once, in units: one `period_ticks`th of a request, which is
/// also what flows back in one part of a tick.
const fn full(spec: Spec) -> u64 {
    spec.units(spec.burst())
}

impl Tat {
    pub(crate) const fn fresh(spec: Spec, now: UnixMillis) -> Self {
        Self { tick: spec.tick_of(now), part: 0 }
    }

    /// What was taken and has not flowed back, in units.
    fn taken(self, spec: Spec, now: UnixMillis) -> u64 {
        let requests = spec.rate().requests();
        match self.tick.checked_sub(spec.tick_of(now)) {
            None => 0,
            Some(ahead) => ahead.saturating_mul(requests).saturating_add(self.part.min(requests)),
        }
    }

    /// The time when so much was taken.
    fn with_taken(spec: Spec, taken: u64, now: UnixMillis) -> Self {
        let requests = spec.rate().requests();
        let ahead = taken / requests;
        Self { tick: spec.tick_of(now).saturating_add(ahead), part: taken % requests }
    }

    /// When no more than `units` of what was taken are left.
    fn flows_back_at(self, spec: Spec, units: u64, now: UnixMillis) -> UnixMillis {
        let missing = self.taken(spec, now).saturating_sub(units);
        let ticks = missing.div_ceil(spec.rate().requests());
        spec.start_of(spec.tick_of(now).saturating_add(ticks))
    }
}

impl Counter for Tat {
    /// A time that is past stays what it is: it is no further in the future when the clock goes
    /// back.
    fn advance(&mut self, spec: Spec, now: UnixMillis) {
        let ahead = self.tick.saturating_sub(spec.tick_of(now));
        // Ahead by more than a bucket takes to fill, the clock is behind; ahead by one period
        // more, it was set back, and filling goes on from there.
        let empty = full(spec);
        let filling = empty.div_ceil(spec.rate().requests());
        if ahead > filling.saturating_add(spec.period_ticks()) {
            *self = Self::with_taken(spec, empty, now);
        }
    }

    fn remaining(&self, spec: Spec, now: UnixMillis) -> u64 {
        full(spec).saturating_sub(self.taken(spec, now)) / spec.period_ticks()
    }

    fn add(&mut self, spec: Spec, cost: u64, now: UnixMillis) {
        let taken = self.taken(spec, now).saturating_add(spec.units(cost));
        *self = Self::with_taken(spec, taken, now);
    }

    fn give_back(&mut self, spec: Spec, cost: u64, now: UnixMillis) {
        let taken = self.taken(spec, now);
        if taken > 0 {
            *self = Self::with_taken(spec, taken.saturating_sub(spec.units(cost)), now);
        }
    }

    fn fits_at(&self, spec: Spec, cost: u64, now: UnixMillis) -> UnixMillis {
        self.flows_back_at(spec, full(spec).saturating_sub(spec.units(cost)), now)
    }

    fn resets_at(&self, spec: Spec, now: UnixMillis) -> UnixMillis {
        self.flows_back_at(spec, 0, now)
    }

    fn forgettable_at(&self, spec: Spec) -> UnixMillis {
        spec.start_of(self.tick.saturating_add(u64::from(self.part > 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::MAX_BURST;
    use crate::{Algorithm, Anchor, Rate, State};

    fn spec(rate: &str, burst: u64) -> Spec {
        let rate = Rate::parse(rate).unwrap();
        Spec::new(Algorithm::Gcra, rate, Some(burst), Anchor::Clock).unwrap()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let spec = spec("3/1s", 2);
        let mut state = spec.fresh(UnixMillis(0));
        let mut allowed_at = |ms: u64| spec.take(&mut state, 1, UnixMillis(ms)).allowed;
        assert_eq!((0..4).map(|_| allowed_at(0)).filter(|ok| *ok).count(), 2);
        assert!(!allowed_at(333), "a third of a second has not quite passed");
        assert!(allowed_at(334));
        assert!(!allowed_at(666));
        assert!(allowed_at(667));
        assert!(!allowed_at(999));
        assert!(allowed_at(1000), "nothing was rounded away");
    }

    #[test]
    fn the_time_is_kept_in_parts_of_a_tick() {
        let spec = spec("3/1s", 2);
        let mut state = spec.fresh(UnixMillis(500));
        assert!(spec.take(&mut state, 1, UnixMillis(500)).allowed);
        assert_eq!(state, State::Gcra(Tat { tick: 833, part: 1 }));
        assert_eq!(spec.forgettable_at(&state), UnixMillis(834));
        assert!(spec.take(&mut state, 1, UnixMillis(600)).allowed);
        assert_eq!(state, State::Gcra(Tat { tick: 1166, part: 2 }));
        spec.give_back(&mut state, 1, UnixMillis(600));
        assert_eq!(state, State::Gcra(Tat { tick: 833, part: 1 }));
        spec.give_back(&mut state, 5, UnixMillis(600));
        assert_eq!(state, spec.fresh(UnixMillis(600)));
    }

    #[test]
    fn status_tells_when_to_come_back() {
        let spec = spec("60/1m", 2);
        let mut state = spec.fresh(UnixMillis(0));
        let first = spec.take(&mut state, 2, UnixMillis(0)).status;
        assert_eq!((first.limit, first.remaining, first.reset_secs), (2, 0, 2));
        let denied = spec.take(&mut state, 1, UnixMillis(500));
        assert!(!denied.allowed);
        assert_eq!((denied.status.reset_secs, denied.status.window_secs), (1, 60));
        assert_eq!(spec.take(&mut state, 0, UnixMillis(9000)).status.reset_secs, 0, "full");
    }

    #[test]
    fn a_clock_that_went_back_is_waited_for() {
        let spec = spec("60/1m", 60);
        let mut state = spec.fresh(UnixMillis(3_600_000));
        assert!(spec.take(&mut state, 1, UnixMillis(3_600_000)).allowed);
        let before = state.clone();
        let status = spec.take(&mut state, 1, UnixMillis(3_590_000)).status;
        assert_eq!(status.remaining, 48, "ten seconds look like ten requests");
        assert_eq!(spec.status(&before, 1, UnixMillis(3_600_000)).remaining, 59);
        assert!(!spec.fits(&mut state, 1, UnixMillis(3_500_000)));
        assert!(spec.fits(&mut state, 58, UnixMillis(3_600_000)), "it has caught up");
    }

    #[test]
    fn a_clock_that_was_set_back_gives_nothing_away_and_goes_on_from_there() {
        let spec = spec("1/1m", 3);
        let mut state = spec.fresh(UnixMillis(3_600_000));
        assert!(spec.take(&mut state, 2, UnixMillis(3_600_000)).allowed);
        assert!(!spec.fits(&mut state, 1, UnixMillis(0)), "one hour back");
        assert!(!spec.fits(&mut state, 1, UnixMillis(59_999)));
        assert!(spec.fits(&mut state, 1, UnixMillis(60_000)));
        assert!(!spec.fits(&mut state, 3, UnixMillis(179_999)));
        assert!(spec.fits(&mut state, 3, UnixMillis(180_000)));
    }

    #[test]
    fn the_largest_rate_does_not_overflow() {
        let spec = spec("4294967295/366d", MAX_BURST);
        let mut state = spec.fresh(UnixMillis(0));
        assert!(spec.take(&mut state, MAX_BURST, UnixMillis(1_700_000_000_000)).allowed);
        assert!(!spec.take(&mut state, 1, UnixMillis(1_700_000_000_000)).allowed);
        assert!(spec.take(&mut state, MAX_BURST, UnixMillis(u64::MAX)).allowed);
        assert!(!spec.take(&mut state, u64::MAX, UnixMillis(u64::MAX)).allowed);
    }
}
