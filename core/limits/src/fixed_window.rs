//! The fixed window.
//!
//! Counts up, and begins anew when the window is over. Windows begin by the clock or with the
//! first request after the one before; they may be calendar months.
//!
//! Worst case over a true sliding window of one period: twice the limit, for a caller that
//! sends everything at the end of one window and again at the beginning of the next. Of months
//! that is true for 28 days, the length of the shortest.

use postern_request::UnixMillis;

use crate::algorithm::Anchor;
use crate::calendar;
use crate::rate::Period;
use crate::spec::Spec;
use crate::state::Counter;

/// The counter of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fixed {
    /// When its window began.
    pub starts_at: UnixMillis,
    /// Requests of that window.
    pub count: u64,
}

/// When a window begins that a request at `now` falls in, or begins.
fn start(spec: Spec, now: UnixMillis) -> UnixMillis {
    match (spec.anchor(), spec.rate().period()) {
        (Anchor::FirstHit, _) => now,
        (Anchor::Clock, Period::Month) => calendar::month_start(now),
        (Anchor::Clock, Period::Millis(millis)) => UnixMillis(now.0 - now.0 % millis),
    }
}

impl Fixed {
    pub(crate) fn fresh(spec: Spec, now: UnixMillis) -> Self {
        Self { starts_at: start(spec, now), count: 0 }
    }

    fn end(self, spec: Spec) -> UnixMillis {
        match spec.rate().period() {
            Period::Month => calendar::next_month(self.starts_at),
            Period::Millis(millis) => UnixMillis(self.starts_at.0.saturating_add(millis.get())),
        }
    }
}

impl Counter for Fixed {
    fn advance(&mut self, spec: Spec, now: UnixMillis) {
        if self.count == 0 || self.end(spec) <= now {
            *self = Self::fresh(spec, now);
        } else if self.starts_at.millis_since(now) > spec.rate().period_ms() {
            // The clock was set back: what is counted counts in the window that is now.
            self.starts_at = start(spec, now);
        }
    }

    fn remaining(&self, spec: Spec, _now: UnixMillis) -> u64 {
        spec.rate().requests().saturating_sub(self.count)
    }

    fn add(&mut self, _spec: Spec, cost: u64, _now: UnixMillis) {
        self.count = self.count.saturating_add(cost);
    }

    fn give_back(&mut self, _spec: Spec, cost: u64, _now: UnixMillis) {
        self.count = self.count.saturating_sub(cost);
    }

    fn fits_at(&self, spec: Spec, _cost: u64, _now: UnixMillis) -> UnixMillis {
        self.end(spec)
    }

    fn resets_at(&self, spec: Spec, _now: UnixMillis) -> UnixMillis {
        self.end(spec)
    }

    fn forgettable_at(&self, spec: Spec) -> UnixMillis {
        if self.count == 0 { self.starts_at } else { self.end(spec) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, Rate, State};

    const DAY: u64 = 86_400_000;

    fn spec(rate: &str, anchor: Anchor) -> Spec {
        Spec::new(Algorithm::FixedWindow, Rate::parse(rate).unwrap(), None, anchor).unwrap()
    }

    /// Takes one at each of these times; which of them pass.
    fn passing(spec: Spec, times: &[u64]) -> Vec<u64> {
        let mut state = State::Fixed(Fixed::default());
        let passes = |at: &u64| spec.take(&mut state, 1, UnixMillis(*at)).allowed;
        times.iter().copied().filter(passes).collect()
    }

    #[test]
    fn windows_by_the_clock_begin_at_its_multiples() {
        let times = [50_000, 59_000, 59_999, 60_000, 60_001, 61_000, 119_999, 120_000];
        let expected = [50_000_u64, 59_000, 60_000, 60_001, 120_000];
        assert_eq!(passing(spec("2/1m", Anchor::Clock), &times), expected);
    }

    #[test]
    fn windows_by_the_first_hit_begin_with_it() {
        let times = [50_000, 59_000, 60_000, 109_999, 110_000, 169_000, 169_999, 170_000];
        let expected = [50_000_u64, 59_000, 110_000, 169_000, 170_000];
        assert_eq!(passing(spec("2/1m", Anchor::FirstHit), &times), expected);
    }

    #[test]
    fn days_are_days_in_utc() {
        let today = 1_709_164_800_000_u64;
        let yesterday = today - 1;
        let times = [yesterday, today, today + DAY - 1, today + DAY];
        let expected = [yesterday, today, today + DAY];
        assert_eq!(passing(spec("1/1d", Anchor::Clock), &times), expected);
    }

    #[test]
    fn months_are_as_long_as_they_are() {
        let (leap_day, march) = (1_709_164_800_000_u64, 1_709_251_200_000_u64);
        let times = [leap_day, march - 1, march, march + 31 * DAY - 1, march + 31 * DAY];
        let expected = [leap_day, march, march + 31 * DAY];
        let spec = spec("1/1mo", Anchor::Clock);
        assert_eq!(passing(spec, &times), expected);
        let mut state = spec.fresh(UnixMillis(leap_day));
        let status = spec.take(&mut state, 1, UnixMillis(leap_day)).status;
        assert_eq!((status.reset_secs, status.window_secs), (86_400, 31 * 86_400));
    }

    #[test]
    fn looking_begins_no_window() {
        let spec = spec("2/1m", Anchor::FirstHit);
        let mut state = spec.fresh(UnixMillis(0));
        let status = spec.take(&mut state, 0, UnixMillis(50_000)).status;
        assert_eq!((status.remaining, status.reset_secs), (2, 60));
        assert!(spec.take(&mut state, 2, UnixMillis(70_000)).allowed);
        assert_eq!(spec.take(&mut state, 1, UnixMillis(129_999)).status.reset_secs, 1);
        assert!(spec.take(&mut state, 1, UnixMillis(130_000)).allowed);
    }

    #[test]
    fn a_clock_that_went_back_a_little_stands_still() {
        for anchor in [Anchor::Clock, Anchor::FirstHit] {
            let spec = spec("2/1m", anchor);
            let mut state = spec.fresh(UnixMillis(3_600_000));
            assert!(spec.take(&mut state, 2, UnixMillis(3_600_000)).allowed);
            let refused = spec.take(&mut state, 1, UnixMillis(3_540_000));
            assert!(!refused.allowed);
            assert_eq!(refused.status.reset_secs, 120);
            assert!(!spec.fits(&mut state, 1, UnixMillis(3_659_999)));
            assert!(spec.fits(&mut state, 2, UnixMillis(3_660_000)));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_gives_nothing_away_and_goes_on_from_there() {
        for anchor in [Anchor::Clock, Anchor::FirstHit] {
            let spec = spec("3/1m", anchor);
            let mut state = spec.fresh(UnixMillis(3_600_000));
            assert!(spec.take(&mut state, 2, UnixMillis(3_600_000)).allowed);
            assert_eq!(spec.take(&mut state, 0, UnixMillis(60_000)).status.remaining, 1);
            assert!(!spec.fits(&mut state, 2, UnixMillis(119_999)));
            assert!(spec.fits(&mut state, 3, UnixMillis(120_000)));
        }
    }
}
