//! The sliding log.
//!
//! Remembers when each request came, those of one millisecond together, and counts what came
//! within a period. Exact, and the only state that grows: 16 bytes for every millisecond in which
//! something was counted, so at most [`MAX_LOG`] times that.
//!
//! Worst case over a true sliding window of one period: the limit itself.

use std::collections::VecDeque;

use postern_request::UnixMillis;

use crate::spec::Spec;
use crate::state::Counter;

/// The most requests that a log remembers.
pub const MAX_LOG: u64 = 10_000;

/// Below this many entries, memory is not given back.
const KEPT_ENTRIES: usize = 64;

/// What one key did lately.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    /// Times and how many requests came then; the oldest first, none twice.
    entries: VecDeque<(UnixMillis, u32)>,
    /// The sum of all counts.
    total: u64,
}

impl Log {
    /// A log of these times and counts.
    #[must_use]
    pub fn from_entries(entries: impl IntoIterator<Item = (UnixMillis, u32)>) -> Self {
        let mut entries: Vec<_> = entries.into_iter().filter(|(_, count)| *count > 0).collect();
        entries.sort_unstable_by_key(|(at, _)| *at);
        let mut log = Self::default();
        for (at, count) in entries {
            log.push(at, u64::from(count));
        }
        log
    }

    /// Times and how many requests came then, the oldest first.
    pub fn entries(&self) -> impl Iterator<Item = (UnixMillis, u32)> {
        self.entries.iter().copied()
    }

    /// How many requests there are in all.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Adds to the newest entry, where that is of the same time or of a clock that was ahead.
    fn push(&mut self, at: UnixMillis, count: u64) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        match self.entries.back_mut() {
            Some((newest, counted)) if *newest >= at => {
                let sum = counted.saturating_add(count);
                self.total = self.total.saturating_add(u64::from(sum - *counted));
                *counted = sum;
            }
            _ => {
                self.total = self.total.saturating_add(u64::from(count));
                self.entries.push_back((at, count));
            }
        }
    }

    /// Whether the clock was set back: it is behind the newest entry by more than a period.
    fn is_ahead(&self, spec: Spec, now: UnixMillis) -> bool {
        let newest = self.entries.back();
        newest.is_some_and(|(at, _)| at.millis_since(now) > spec.rate().period_ms())
    }
}

/// When an entry no longer counts.
const fn end(spec: Spec, at: UnixMillis) -> UnixMillis {
    UnixMillis(at.0.saturating_add(spec.rate().period_ms()))
}

impl Counter for Log {
    fn advance(&mut self, spec: Spec, now: UnixMillis) {
        if self.is_ahead(spec, now) {
            // All that counts counts as of now.
            let total = core::mem::take(&mut self.total);
            self.entries.clear();
            if total > 0 {
                self.push(now, total);
            }
        }
        while let Some((at, count)) = self.entries.front().copied()
            && end(spec, at) <= now
        {
            self.entries.pop_front();
            self.total = self.total.saturating_sub(u64::from(count));
        }
        // What a burst took comes back when only few of it are left.
        let capacity = self.entries.capacity();
        if capacity > KEPT_ENTRIES && self.entries.len() < capacity / 4 {
            self.entries.shrink_to(capacity / 2);
        }
    }

    fn is_advanced(&self, spec: Spec, now: UnixMillis) -> bool {
        let is_over = self.entries.front().is_some_and(|(at, _)| end(spec, *at) <= now);
        !is_over && !self.is_ahead(spec, now)
    }

    fn remaining(&self, spec: Spec, _now: UnixMillis) -> u64 {
        spec.rate().requests().saturating_sub(self.total)
    }

    fn add(&mut self, _spec: Spec, cost: u64, now: UnixMillis) {
        self.push(now, cost);
    }

    fn give_back(&mut self, _spec: Spec, cost: u64, _now: UnixMillis) {
        let mut left = cost;
        while left > 0
            && let Some((at, count)) = self.entries.pop_back()
        {
            let taken = u64::from(count).min(left);
            left -= taken;
            self.total = self.total.saturating_sub(taken);
            let kept = count.saturating_sub(u32::try_from(taken).unwrap_or(count));
            if kept > 0 {
                self.entries.push_back((at, kept));
            }
        }
    }

    /// Goes through as many entries as have to end before `cost` fits.
    fn fits_at(&self, spec: Spec, cost: u64, now: UnixMillis) -> UnixMillis {
        let too_many = self.total.saturating_add(cost).saturating_sub(spec.rate().requests());
        let mut ended = 0_u64;
        for (at, count) in &self.entries {
            ended = ended.saturating_add(u64::from(*count));
            if ended >= too_many {
                return end(spec, *at);
            }
        }
        now
    }

    fn resets_at(&self, spec: Spec, now: UnixMillis) -> UnixMillis {
        self.entries.front().map_or(now, |(at, _)| end(spec, *at))
    }

    fn forgettable_at(&self, spec: Spec) -> UnixMillis {
        self.entries.back().map_or(UnixMillis(0), |(at, _)| end(spec, *at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, Anchor, Rate, State};

    fn spec(rate: &str) -> Spec {
        let rate = Rate::parse(rate).unwrap();
        Spec::new(Algorithm::SlidingLog, rate, None, Anchor::Clock).unwrap()
    }

    fn log(entries: &[(u64, u32)]) -> State {
        let entries = entries.iter().map(|(at, count)| (UnixMillis(*at), *count));
        State::Log(Box::new(Log::from_entries(entries)))
    }

    #[test]
    fn each_request_counts_for_one_period() {
        let spec = spec("3/1s");
        let mut state = spec.fresh(UnixMillis(0));
        let mut allowed_at = |ms: u64| spec.take(&mut state, 1, UnixMillis(ms)).allowed;
        assert!(allowed_at(900) && allowed_at(950) && allowed_at(950));
        assert!(!allowed_at(1899));
        assert!(allowed_at(1900), "one has left");
        assert!(!allowed_at(1949));
        assert!(allowed_at(1950) && allowed_at(1950));
        assert!(!allowed_at(1950));
    }

    #[test]
    fn status_tells_when_enough_have_left() {
        let spec = spec("5/1m");
        let state = log(&[(10_000, 2), (20_000, 1), (30_000, 2)]);
        let reset = |cost, now| {
            let status = spec.status(&state, cost, UnixMillis(now));
            (status.remaining, status.reset_secs)
        };
        assert_eq!(reset(1, 40_000), (0, 30));
        assert_eq!(reset(2, 40_000), (0, 30));
        assert_eq!(reset(3, 40_000), (0, 40));
        assert_eq!(reset(4, 40_000), (0, 50));
        assert_eq!(reset(5, 40_001), (0, 50), "rounded up");
        assert_eq!(reset(9, 40_000), (0, 50), "never fits: until nothing counts");
        assert_eq!(reset(1, 70_000), (2, 10), "until the next leaves");
        assert_eq!(reset(1, 90_000), (5, 0));
        assert_eq!(state, log(&[(10_000, 2), (20_000, 1), (30_000, 2)]), "looking takes nothing");
    }

    #[test]
    fn requests_of_one_millisecond_are_one_entry() {
        let spec = spec("10000/1m");
        let mut state = spec.fresh(UnixMillis(0));
        for _ in 0..1000 {
            assert!(spec.take(&mut state, 2, UnixMillis(7)).allowed);
        }
        assert_eq!(state, log(&[(7, 2000)]));
    }

    #[test]
    fn a_clock_that_went_back_a_little_stands_still() {
        let spec = spec("4/1m");
        let mut state = log(&[(100_000, 1), (110_000, 1)]);
        assert!(spec.take(&mut state, 1, UnixMillis(50_000)).allowed);
        assert_eq!(state, log(&[(100_000, 1), (110_000, 2)]));
        assert_eq!(spec.status(&state, 1, UnixMillis(50_000)).remaining, 1);
        assert_eq!(spec.forgettable_at(&state), UnixMillis(170_000));
    }

    #[test]
    fn a_clock_that_was_set_back_gives_nothing_away_and_goes_on_from_there() {
        let spec = spec("4/1m");
        let mut state = log(&[(3_590_000, 1), (3_600_000, 2)]);
        assert_eq!(spec.status(&state, 1, UnixMillis(5)).remaining, 1);
        assert!(!spec.take(&mut state, 2, UnixMillis(5)).allowed);
        assert_eq!(state, log(&[(5, 3)]));
        assert!(spec.take(&mut state, 4, UnixMillis(60_005)).allowed);
    }

    #[test]
    fn what_is_given_back_is_the_newest() {
        let spec = spec("9/1m");
        let mut state = log(&[(1, 2), (2, 3), (3, 1)]);
        spec.give_back(&mut state, 2, UnixMillis(9));
        assert_eq!(state, log(&[(1, 2), (2, 2)]));
        spec.give_back(&mut state, u64::MAX, UnixMillis(9));
        assert_eq!(state, log(&[]));
        assert_eq!(spec.status(&state, 1, UnixMillis(9)).remaining, 9);
    }

    #[test]
    fn the_memory_of_a_burst_comes_back() {
        let spec = spec("10000/1m");
        let mut state = spec.fresh(UnixMillis(0));
        for at in 0..10_000 {
            assert!(spec.take(&mut state, 1, UnixMillis(at)).allowed);
        }
        for at in 70_000..70_010 {
            assert!(spec.take(&mut state, 1, UnixMillis(at)).allowed);
        }
        let State::Log(log) = state else { panic!("a log") };
        assert_eq!((log.entries().count(), log.total()), (10, 10));
        assert!(log.entries.capacity() <= 2 * KEPT_ENTRIES, "{}", log.entries.capacity());
    }
}
