//! The sliding window counter.
//!
//! Time is cut into windows of one period, aligned to the epoch. What counts is the current
//! window plus the part of the one before that a true sliding window would still cover,
//! assuming its requests came evenly. All of it on integers: the weighted count is kept in
//! units of one `period_ticks`th of a request.
//!
//! Worst case over a true sliding window of one period: twice the limit, for a caller that
//! sends everything at the end of one window and waits until enough of it has slid out; for
//! even traffic it is exact.

use postern_request::UnixMillis;

use crate::spec::Spec;
use crate::state::Counter;

/// The counters of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// Which window `current` counts: ticks since the epoch divided by those of a period.
    pub index: u64,
    /// Requests of that window.
    pub current: u64,
    /// Requests of the window before.
    pub previous: u64,
}

/// The window that `now` falls in, and how many ticks of it are over.
const fn position(spec: Spec, now: UnixMillis) -> (u64, u64) {
    let tick = spec.tick_of(now);
    (tick / spec.period_ticks(), tick % spec.period_ticks())
}

/// For how many ticks before the end of the window that slides over `count` no more of it counts
/// than `room`, in units.
fn ticks_to_spare(spec: Spec, count: u64, room: u64) -> u64 {
    let spare = room.checked_div(count);
    spare.map_or(spec.period_ticks(), |ticks| ticks.min(spec.period_ticks()))
}

impl Window {
    pub(crate) const fn fresh(spec: Spec, now: UnixMillis) -> Self {
        Self { index: position(spec, now).0, current: 0, previous: 0 }
    }

    /// What counts at `now`, in units.
    const fn weighted(self, spec: Spec, now: UnixMillis) -> u64 {
        let (index, over) = position(spec, now);
        // Before its own window there is only a clock that went back: time stands still.
        let over = if index < self.index { 0 } else { over };
        let covered = spec.period_ticks() - over;
        spec.units(self.current).saturating_add(self.previous.saturating_mul(covered))
    }

    /// The tick at which the current window ends.
    const fn end(self, spec: Spec) -> u64 {
        spec.units(self.index).saturating_add(spec.period_ticks())
    }
}

impl Counter for Window {
    fn advance(&mut self, spec: Spec, now: UnixMillis) {
        let (index, _) = position(spec, now);
        // One window behind, time stands still.
        if index == self.index || index.checked_add(1) == Some(self.index) {
            return;
        }
        *self = if index < self.index {
            // The clock was set back: all that counts counts as of now.
            let counted = self.current.saturating_add(self.previous);
            Self { index, current: counted.min(spec.rate().requests()), previous: 0 }
        } else if index - self.index == 1 {
            Self { index, current: 0, previous: self.current }
        } else {
            Self { index, current: 0, previous: 0 }
        };
    }

    fn remaining(&self, spec: Spec, now: UnixMillis) -> u64 {
        let limit = spec.units(spec.rate().requests());
        limit.saturating_sub(self.weighted(spec, now)) / spec.period_ticks()
    }

    fn add(&mut self, _spec: Spec, cost: u64, _now: UnixMillis) {
        self.current = self.current.saturating_add(cost);
    }

    fn give_back(&mut self, _spec: Spec, cost: u64, _now: UnixMillis) {
        let newest = cost.min(self.current);
        self.current -= newest;
        self.previous = self.previous.saturating_sub(cost - newest);
    }

    fn fits_at(&self, spec: Spec, cost: u64, _now: UnixMillis) -> UnixMillis {
        let requests = spec.rate().requests();
        let tick = match requests.checked_sub(self.current.saturating_add(cost)) {
            // As soon as enough of the window before has slid out.
            Some(free) => {
                let spare = ticks_to_spare(spec, self.previous, spec.units(free));
                self.end(spec).saturating_sub(spare)
            }
            // Not in this window; in the next one, as soon as enough of this one has slid out.
            None => {
                let room = spec.units(requests.saturating_sub(cost));
                let spare = ticks_to_spare(spec, self.current, room);
                self.end(spec).saturating_add(spec.period_ticks()).saturating_sub(spare)
            }
        };
        spec.start_of(tick)
    }

    fn resets_at(&self, spec: Spec, _now: UnixMillis) -> UnixMillis {
        spec.start_of(self.end(spec))
    }

    fn forgettable_at(&self, spec: Spec) -> UnixMillis {
        let windows = match (self.current, self.previous) {
            (0, 0) => 0,
            (0, _) => 1,
            _ => 2,
        };
        spec.start_of(spec.units(self.index.saturating_add(windows)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, Anchor, Rate, State};

    fn spec(rate: &str) -> Spec {
        let rate = Rate::parse(rate).unwrap();
        Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock).unwrap()
    }

    #[test]
    fn the_earlier_window_slides_out() {
        let spec = spec("10/1s");
        let mut state = spec.fresh(UnixMillis(900));
        for _ in 0..10 {
            assert!(spec.take(&mut state, 1, UnixMillis(900)).allowed);
        }
        assert!(!spec.take(&mut state, 1, UnixMillis(999)).allowed);
        assert!(!spec.take(&mut state, 1, UnixMillis(1099)).allowed, "9.01 still count");
        assert!(spec.take(&mut state, 1, UnixMillis(1100)).allowed, "one of ten has slid out");
        assert!(!spec.take(&mut state, 1, UnixMillis(1100)).allowed);
        assert!(spec.take(&mut state, 9, UnixMillis(2000)).allowed, "only that one counts");
    }

    #[test]
    fn status_tells_when_there_is_room_again() {
        let spec = spec("10/1m");
        let mut state = spec.fresh(UnixMillis(60_000));
        let outcome = spec.take(&mut state, 10, UnixMillis(60_000));
        // Until 120 s all ten count fully; by 126 s one of them has slid out, by 180 s all.
        assert_eq!((outcome.status.remaining, outcome.status.reset_secs), (0, 120));
        let status = spec.take(&mut state, 1, UnixMillis(60_000)).status;
        assert_eq!((status.remaining, status.reset_secs), (0, 66));
        let status = spec.take(&mut state, 5, UnixMillis(126_000)).status;
        assert_eq!((status.remaining, status.reset_secs), (1, 24));
        let status = spec.status(&state, 1, UnixMillis(126_000));
        assert_eq!((status.remaining, status.reset_secs), (1, 54), "until the window ends");
        assert_eq!((status.limit, status.window_secs), (10, 60));
    }

    #[test]
    fn more_than_the_limit_at_once_is_refused_and_not_counted() {
        let spec = spec("10/1m");
        let mut state = spec.fresh(UnixMillis(0));
        for cost in [11, u64::MAX] {
            let outcome = spec.take(&mut state, cost, UnixMillis(0));
            assert!(!outcome.allowed);
            assert_eq!(outcome.status.remaining, 10);
        }
    }

    #[test]
    fn a_clock_that_went_back_a_little_stands_still() {
        let spec = spec("10/1m");
        let mut state = spec.fresh(UnixMillis(3_600_000));
        assert!(spec.take(&mut state, 4, UnixMillis(3_600_000)).allowed);
        for (now, remaining) in [(3_599_999, 6), (3_540_000, 6), (3_600_000, 6)] {
            assert_eq!(spec.take(&mut state, 0, UnixMillis(now)).status.remaining, remaining);
        }
        let window = Window { index: 60, current: 4, previous: 0 };
        assert_eq!(state, State::Window(window));
    }

    #[test]
    fn a_clock_that_was_set_back_gives_nothing_away_and_goes_on_from_there() {
        let spec = spec("10/1m");
        let mut state = State::Window(Window { index: 60, current: 3, previous: 4 });
        assert_eq!(spec.take(&mut state, 0, UnixMillis(30_000)).status.remaining, 3);
        assert!(spec.fits(&mut state, 10, UnixMillis(120_000)), "all of it is over");
        let mut state = State::Window(Window { index: 60, current: 9, previous: 9 });
        assert!(!spec.fits(&mut state, 1, UnixMillis(30_000)));
        assert!(!spec.fits(&mut state, 1, UnixMillis(60_000)));
        assert!(spec.fits(&mut state, 1, UnixMillis(66_000)));
    }

    #[test]
    fn what_is_given_back_is_the_newest() {
        let spec = spec("10/1m");
        let mut state = State::Window(Window { index: 5, current: 3, previous: 4 });
        let now = UnixMillis(5 * 60_000);
        spec.give_back(&mut state, 2, now);
        assert_eq!(state, State::Window(Window { index: 5, current: 1, previous: 4 }));
        spec.give_back(&mut state, 2, now);
        assert_eq!(state, State::Window(Window { index: 5, current: 0, previous: 3 }));
        spec.give_back(&mut state, u64::MAX, now);
        assert_eq!(state, State::Window(Window { index: 5, current: 0, previous: 0 }));
    }

    #[test]
    fn it_is_forgotten_when_nothing_counts() {
        let spec = spec("10/1m");
        for (current, previous, at) in [(0, 0, 300_000), (0, 1, 360_000), (1, 0, 420_000)] {
            let state = State::Window(Window { index: 5, current, previous });
            assert_eq!(spec.forgettable_at(&state), UnixMillis(at));
        }
    }
}
