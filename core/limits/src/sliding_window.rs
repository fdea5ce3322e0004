//! The sliding window counter.
//!
//! Time is cut into windows of one period, aligned to the epoch. What counts is the current
//! window plus the part of the one before that a true sliding window would still cover,
//! assuming its requests came evenly. All of it on integers: the weighted count is kept in
//! units of 1/`period_ms` requests.
//!
//! Worst case over a true sliding window of one period: twice the limit, for a caller that
//! sends everything at the end of one window and waits until enough of it has slid out; for
//! even traffic it is exact.

use postern_request::{RateLimitStatus, UnixMillis};

use crate::{Outcome, Rate};

/// The counters of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// Which window `current` counts: milliseconds since the epoch divided by the period.
    pub index: u64,
    /// Requests of that window.
    pub current: u64,
    /// Requests of the window before.
    pub previous: u64,
}

/// The window that `now` falls in, and how far into it `now` is.
#[must_use]
pub const fn position(rate: Rate, now: UnixMillis) -> (u64, u64) {
    (now.0 / rate.period_ms(), now.0 % rate.period_ms())
}

impl Window {
    /// The counters as seen at `now`. A clock that went back keeps the later window: time does
    /// not give back what was counted.
    #[must_use]
    pub fn advanced(self, rate: Rate, now: UnixMillis) -> Self {
        let (index, _) = position(rate, now);
        match index.checked_sub(self.index) {
            None | Some(0) => self,
            Some(1) => Self { index, current: 0, previous: self.current },
            Some(_) => Self { index, current: 0, previous: 0 },
        }
    }

    /// What counts at `now`, in units of 1/`period_ms` requests.
    fn weighted(self, rate: Rate, now: UnixMillis) -> u64 {
        let (index, into) = position(rate, now);
        // Only after a clock step back: the window has just begun, as far as it can tell.
        let into = if index < self.index { 0 } else { into };
        let left = rate.period_ms() - into;
        self.current
            .saturating_mul(rate.period_ms())
            .saturating_add(self.previous.saturating_mul(left))
    }

    /// Counts `cost` requests, or none when there is no room.
    #[must_use]
    pub fn take(self, rate: Rate, cost: u64, now: UnixMillis) -> (Self, Outcome) {
        let mut window = self.advanced(rate, now);
        let limit = rate.requests().saturating_mul(rate.period_ms());
        let price = cost.saturating_mul(rate.period_ms());
        let allowed = window.weighted(rate, now).saturating_add(price) <= limit;
        if allowed {
            window.current = window.current.saturating_add(cost);
        }
        (window, Outcome { allowed, status: window.status(rate, now) })
    }

    /// Where the caller stands; reset is when the current window ends, or when enough of the
    /// earlier one has slid out, whichever comes first.
    #[must_use]
    pub fn status(self, rate: Rate, now: UnixMillis) -> RateLimitStatus {
        let limit = rate.requests().saturating_mul(rate.period_ms());
        let weighted = self.weighted(rate, now);
        let remaining = limit.saturating_sub(weighted) / rate.period_ms();
        let (index, into) = position(rate, now);
        let into = if index < self.index { 0 } else { into };
        let until_end = rate.period_ms() - into;
        let wait_ms = if remaining > 0 || self.previous == 0 {
            until_end
        } else {
            let excess = weighted.saturating_add(rate.period_ms()).saturating_sub(limit);
            excess.div_ceil(self.previous).min(until_end)
        };
        RateLimitStatus {
            limit: rate.requests(),
            remaining,
            reset_secs: wait_ms.div_ceil(1000),
            window_secs: rate.window_secs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_earlier_window_slides_out() {
        let rate = Rate::parse("10/1s").unwrap();
        let mut window = Window::default();
        for _ in 0..10 {
            let (next, outcome) = window.take(rate, 1, UnixMillis(900));
            assert!(outcome.allowed);
            window = next;
        }
        assert!(!window.take(rate, 1, UnixMillis(999)).1.allowed);
        assert!(!window.take(rate, 1, UnixMillis(1099)).1.allowed, "9.01 still count");
        let (window, outcome) = window.take(rate, 1, UnixMillis(1100));
        assert!(outcome.allowed, "one of ten has slid out");
        assert!(!window.take(rate, 1, UnixMillis(1100)).1.allowed);
        assert!(window.take(rate, 9, UnixMillis(2000)).1.allowed, "only that one counts");
    }

    #[test]
    fn clock_steps_give_nothing_away() {
        let rate = Rate::parse("1/1m").unwrap();
        let (window, _) = Window::default().take(rate, 1, UnixMillis(3_600_000));
        assert!(!window.take(rate, 1, UnixMillis(0)).1.allowed);
        assert!(!window.take(rate, 1, UnixMillis(3_600_000 + 60_000)).1.allowed);
        assert!(window.take(rate, 1, UnixMillis(3_600_000 + 120_000)).1.allowed);
    }

    #[test]
    fn more_than_the_limit_at_once_is_refused_and_not_counted() {
        let rate = Rate::parse("10/1m").unwrap();
        let (window, outcome) = Window::default().take(rate, 11, UnixMillis(0));
        assert!(!outcome.allowed);
        assert_eq!(window.status(rate, UnixMillis(0)).remaining, 10);
        assert!(!window.take(rate, u64::MAX, UnixMillis(0)).1.allowed);
    }

    proptest! {
        /// The stated worst case: over any true window no more than twice the limit passes.
        #[test]
        fn never_more_than_twice_the_limit(
            requests in 1_u64..40,
            steps in prop::collection::vec(0_u64..200, 1..400),
        ) {
            let rate = Rate::new(requests, 1000).unwrap();
            let mut window = Window::default();
            let (mut now, mut passed) = (5000, Vec::new());
            for step in steps {
                now += step;
                let (next, outcome) = window.take(rate, 1, UnixMillis(now));
                window = next;
                if outcome.allowed {
                    passed.push(now);
                }
            }
            for (at, start) in passed.iter().enumerate() {
                let within = passed[at..].iter().filter(|t| **t < start + 1000).count() as u64;
                prop_assert!(within <= 2 * requests);
            }
        }
    }
}
