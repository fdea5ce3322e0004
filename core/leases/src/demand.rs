//! How much is asked for, as an exponentially weighted average on integers.

use postern_request::UnixMillis;

const INTERVAL_MS: u32 = 1000;
/// Parts of a request that rates are kept in.
const SCALE: u32 = 256;
/// Time is kept in 32 bits of milliseconds, which come round after 49 days. What looks like more
/// than half of that is a clock that went back.
const WENT_BACK: u32 = 1 << 31;

/// What one sidecar sees of one key: every request counts, also one that could not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Demand {
    /// Requests a second, in parts of 1/[`SCALE`]; each second counts half of what the next does.
    pub rate: u32,
    /// Requests of the second that is running.
    pub counted: u32,
    /// When that began: the low 32 bits of milliseconds.
    pub since: u32,
}

impl Demand {
    /// The demand as seen at `now`.
    #[must_use]
    pub fn advanced(self, now: UnixMillis) -> Self {
        let now = low_bits(now.0);
        let passed = now.wrapping_sub(self.since);
        if passed >= WENT_BACK {
            return Self { since: now, ..self };
        }
        let intervals = passed / INTERVAL_MS;
        if intervals == 0 {
            return self;
        }
        let sample = u64::from(self.counted) * u64::from(SCALE);
        let rate = narrow(u64::midpoint(u64::from(self.rate), sample));
        let since = self.since.wrapping_add(intervals.saturating_mul(INTERVAL_MS));
        Self { rate: rate.checked_shr(intervals - 1).unwrap_or(0), counted: 0, since }
    }

    /// Counts a request of this weight.
    #[must_use]
    pub fn counted(self, cost: u64, now: UnixMillis) -> Self {
        let running = self.advanced(now);
        Self { counted: running.counted.saturating_add(narrow(cost)), ..running }
    }

    /// How much to expect in so many milliseconds, rounded up. The running second counts as if
    /// it were over, so that the first requests of a key are seen at once.
    #[must_use]
    pub fn expected(self, horizon_ms: u64) -> u64 {
        let running = u64::from(self.counted) * u64::from(SCALE);
        let rate = u64::from(self.rate).max(running);
        rate.saturating_mul(horizon_ms).div_ceil(u64::from(SCALE) * u64::from(INTERVAL_MS))
    }
}

/// As much of it as fits.
pub(crate) fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn low_bits(value: u64) -> u32 {
    narrow(value & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> UnixMillis {
        UnixMillis(1_700_000_000_000 + seconds * 1000)
    }

    #[test]
    fn it_follows_what_comes_and_dies_away() {
        let mut demand = Demand::default();
        assert_eq!(demand.advanced(at(0)).expected(3000), 0);
        demand = demand.counted(20, at(0));
        assert_eq!(demand.expected(3000), 60, "seen at once");
        for second in 1..10 {
            demand = demand.counted(20, at(second));
        }
        assert!((58..=60).contains(&demand.expected(3000)));
        assert_eq!(demand.advanced(at(12)).expected(1000), 5, "two idle seconds: a quarter");
        assert_eq!(demand.advanced(at(100)).expected(1000), 0);
    }

    #[test]
    fn a_clock_that_goes_back_forgets_nothing() {
        let demand = Demand::default().counted(20, at(3600)).counted(20, at(3601));
        assert_eq!(demand.advanced(at(0)).expected(1000), demand.expected(1000));
    }

    proptest! {
        #[test]
        fn any_state_and_clock_will_do(
            rate: u32, counted: u32, since: u32, cost: u64, now: u64, horizon: u64,
        ) {
            let demand = Demand { rate, counted, since }.counted(cost, UnixMillis(now));
            prop_assert!(demand.expected(horizon) >= demand.expected(0));
        }
    }
}
