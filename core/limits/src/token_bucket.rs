//! The token bucket.
//!
//! A level of one token is worth `period_ms` units, so that refilling adds a whole number of
//! units every millisecond (`requests` of them) and nothing is ever rounded away.
//!
//! Worst case over a true sliding window of one period: `burst + requests`.

use postern_request::{RateLimitStatus, UnixMillis};

use crate::{Outcome, Rate};

/// The largest burst; with [`crate::rate::MAX_PERIOD_MS`] the level stays within 64 bits.
pub const MAX_BURST: u64 = 10_000_000;

/// A bucket's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Tokens, in units of 1/`period_ms`.
    pub level: u64,
    /// When the level was last worked out.
    pub refilled_at: UnixMillis,
}

/// What a bucket follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    rate: Rate,
    burst: u64,
}

impl Shape {
    /// A bucket that refills at `rate` and holds `burst` tokens (clamped to 1..=[`MAX_BURST`]).
    #[must_use]
    pub fn new(rate: Rate, burst: u64) -> Self {
        Self { rate, burst: burst.clamp(1, MAX_BURST) }
    }

    /// The most it holds, in level units.
    const fn capacity(self) -> u64 {
        self.burst.saturating_mul(self.rate.period_ms())
    }

    /// A bucket that nobody took from yet.
    #[must_use]
    pub const fn full(self, now: UnixMillis) -> Bucket {
        Bucket { level: self.capacity(), refilled_at: now }
    }

    /// The level at `now`. A clock that went back adds nothing and takes nothing.
    #[must_use]
    pub fn refilled(self, bucket: Bucket, now: UnixMillis) -> Bucket {
        let gained = now.millis_since(bucket.refilled_at).saturating_mul(self.rate.requests());
        Bucket {
            level: bucket.level.min(self.capacity()).saturating_add(gained).min(self.capacity()),
            refilled_at: now,
        }
    }

    /// When the bucket is full again if nobody takes from it.
    #[must_use]
    pub fn full_at(self, bucket: Bucket) -> UnixMillis {
        let missing = self.capacity().saturating_sub(bucket.level);
        let wait = missing.div_ceil(self.rate.requests());
        UnixMillis(bucket.refilled_at.0.saturating_add(wait))
    }

    /// Takes `cost` tokens, or none when there are too few.
    #[must_use]
    pub fn take(self, bucket: Bucket, cost: u64, now: UnixMillis) -> (Bucket, Outcome) {
        let mut bucket = self.refilled(bucket, now);
        let price = cost.saturating_mul(self.rate.period_ms());
        let allowed = price <= bucket.level;
        if allowed {
            bucket.level -= price;
        }
        (bucket, Outcome { allowed, status: self.status(bucket, cost) })
    }

    /// Puts back what was taken for a request that was then refused elsewhere.
    #[must_use]
    pub fn give_back(self, bucket: Bucket, cost: u64, now: UnixMillis) -> Bucket {
        let mut bucket = self.refilled(bucket, now);
        let price = cost.saturating_mul(self.rate.period_ms());
        bucket.level = bucket.level.saturating_add(price).min(self.capacity());
        bucket
    }

    /// Where the caller stands. Reset is the time until there is room again: until the bucket
    /// is full when something can be taken now, else until `cost` tokens are there.
    fn status(self, bucket: Bucket, cost: u64) -> RateLimitStatus {
        let remaining = bucket.level / self.rate.period_ms();
        let wanted = if remaining >= cost.max(1) {
            self.capacity()
        } else {
            cost.max(1).saturating_mul(self.rate.period_ms())
        };
        let missing = wanted.saturating_sub(bucket.level);
        let wait_ms = missing.div_ceil(self.rate.requests());
        RateLimitStatus {
            limit: self.burst,
            remaining,
            reset_secs: wait_ms.div_ceil(1000),
            window_secs: self.rate.window_secs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(rate: &str, burst: u64) -> Shape {
        Shape::new(Rate::parse(rate).unwrap(), burst)
    }

    #[test]
    fn a_burst_then_the_rate() {
        let shape = shape("10/1s", 5);
        let mut bucket = shape.full(UnixMillis(0));
        let mut allowed_at = |ms: u64| {
            let (next, outcome) = shape.take(bucket, 1, UnixMillis(ms));
            bucket = next;
            outcome.allowed
        };
        assert_eq!((0..6).map(|_| allowed_at(0)).filter(|ok| *ok).count(), 5);
        assert!(!allowed_at(99));
        assert!(allowed_at(100));
        assert!(!allowed_at(100));
    }

    #[test]
    fn clock_steps_give_nothing_away() {
        let shape = shape("1/1m", 1);
        let (empty, _) = shape.take(shape.full(UnixMillis(3_600_000)), 1, UnixMillis(3_600_000));
        let (back, outcome) = shape.take(empty, 1, UnixMillis(0));
        assert!(!outcome.allowed, "one hour back");
        assert!(!shape.take(back, 1, UnixMillis(59_999)).1.allowed);
        assert!(shape.take(back, 1, UnixMillis(60_000)).1.allowed);
    }

    #[test]
    fn status_tells_when_to_come_back() {
        let shape = shape("60/1m", 2);
        let (bucket, first) = shape.take(shape.full(UnixMillis(0)), 2, UnixMillis(0));
        assert_eq!((first.status.remaining, first.status.reset_secs), (0, 2));
        let (_, denied) = shape.take(bucket, 2, UnixMillis(0));
        assert!(!denied.allowed);
        assert_eq!(denied.status.reset_secs, 2);
    }

    #[test]
    fn the_largest_shape_does_not_overflow() {
        let shape = shape("10000000/366d", MAX_BURST);
        let (bucket, outcome) = shape.take(shape.full(UnixMillis(0)), 1, UnixMillis(u64::MAX));
        assert!(outcome.allowed);
        assert!(!shape.take(bucket, u64::MAX, UnixMillis(u64::MAX)).1.allowed);
    }

    proptest! {
        /// Against the obvious model: over any period no more than burst + requests pass.
        #[test]
        fn never_more_than_burst_and_rate(
            requests in 1_u64..50, burst in 1_u64..50,
            steps in prop::collection::vec(0_u64..400, 1..300),
        ) {
            let shape = Shape::new(Rate::new(requests, 1000).unwrap(), burst);
            let mut bucket = shape.full(UnixMillis(0));
            let (mut now, mut passed) = (0, Vec::new());
            for step in steps {
                now += step;
                let (next, outcome) = shape.take(bucket, 1, UnixMillis(now));
                bucket = next;
                if outcome.allowed {
                    passed.push(now);
                }
            }
            for (at, start) in passed.iter().enumerate() {
                let within = passed[at..].iter().filter(|t| **t < start + 1000).count() as u64;
                prop_assert!(within <= burst + requests);
            }
        }
    }
}
