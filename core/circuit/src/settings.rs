//! When a circuit opens, and how it tries again.

use crate::verdict::Counts;
use crate::{Reason, Totals};

/// All of something, in the parts of a [`Share`].
pub(crate) const WHOLE: u32 = 1_000_000;

/// A share, in parts per million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Share(pub u32);

impl Share {
    /// So many of a hundred.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        Self(percent.saturating_mul(WHOLE / 100))
    }

    /// Whether a part is that much of a whole; never of nothing.
    #[must_use]
    pub fn is_reached(self, part: u32, whole: u32) -> bool {
        let weigh = |number: u32, by: u32| u64::from(number) * u64::from(by);
        whole > 0 && weigh(part, WHOLE) >= weigh(whole, self.0)
    }
}

/// Which calls are slow, and how many of them are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slow {
    /// A call is slow that took longer.
    pub over_ms: u64,
    /// The share of calls that opens the circuit.
    pub share: Share,
}

/// How long a circuit stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recovery {
    /// The first time.
    pub first_ms: u64,
    /// The most: each recovery in a row that fails doubles the time, up to this.
    pub longest_ms: u64,
    /// By how much of it each time is longer or shorter, so that Envoys do not all try at once.
    pub jitter: Share,
}

/// Who may try while it is half open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Probes {
    /// The most in one interval; 1 to 65,535.
    pub per_interval: u32,
    /// How long that is; also how long a probe is waited for, whose outcome may never come.
    pub interval_ms: u64,
    /// After so many that came through it closes; 1 to 65,535.
    pub successes: u32,
}

/// When a service is cut off, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Failures in a row that open it; 0 where that rule is off.
    pub failures: u32,
    /// The share of calls in the window whose failure opens it.
    pub ratio: Option<Share>,
    /// The share of calls in the window whose slowness opens it.
    pub slow: Option<Slow>,
    /// How many calls there must be in the window before a share of them means anything.
    pub minimum: u32,
    /// How long the window is: 10 ms to ten minutes.
    pub window_ms: u64,
    /// How long it stays open.
    pub recovery: Recovery,
    /// Who may try then.
    pub probes: Probes,
    /// How many Envoys must say so before the shared circuit opens; 1 lets one speak for all.
    pub reporters: u32,
    /// Which answers are failures.
    pub counts: Counts,
}

impl Default for Settings {
    /// What the document means where it says nothing.
    fn default() -> Self {
        Self {
            failures: 5,
            ratio: None,
            slow: None,
            minimum: 20,
            window_ms: 10_000,
            recovery: Recovery {
                first_ms: 60_000,
                longest_ms: 300_000,
                jitter: Share::percent(10),
            },
            probes: Probes { per_interval: 1, interval_ms: 1_000, successes: 1 },
            reporters: 2,
            counts: Counts::default(),
        }
    }
}

impl Settings {
    /// Which rule so many failures in a row, or these calls, break first.
    #[must_use]
    pub fn failing(&self, run: u32, totals: Totals) -> Option<Reason> {
        let Totals { calls, failures, slow } = totals;
        if self.failures > 0 && run >= self.failures {
            return Some(Reason::Run);
        }
        if calls < self.minimum {
            return None;
        }
        if self.ratio.is_some_and(|share| share.is_reached(failures, calls)) {
            return Some(Reason::Ratio);
        }
        let is_slow = self.slow.is_some_and(|rule| rule.share.is_reached(slow, calls));
        is_slow.then_some(Reason::Slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_never_reached() {
        assert!(!Share(0).is_reached(0, 0) && Share(0).is_reached(0, 1));
        assert!(Share::percent(50).is_reached(1, 2) && !Share::percent(50).is_reached(1, 3));
        assert!(Share(333_333).is_reached(1, 3) && !Share(333_334).is_reached(1, 3));
        assert!(Share::percent(100).is_reached(u32::MAX, u32::MAX));
        assert!(!Share::percent(100).is_reached(u32::MAX - 1, u32::MAX));
    }

    #[test]
    fn each_rule_says_which_it_was() {
        let totals = |calls, failures, slow| Totals { calls, failures, slow };
        let slow = Slow { over_ms: 100, share: Share::percent(80) };
        let all = Settings {
            failures: 3,
            ratio: Some(Share::percent(50)),
            slow: Some(slow),
            minimum: 10,
            ..Settings::default()
        };
        let none = Settings { failures: 0, ratio: None, slow: None, ..all };
        for (run, totals, expected) in [
            (2, totals(9, 9, 9), None),
            (3, totals(9, 9, 9), Some(Reason::Run)),
            (0, totals(10, 4, 7), None),
            (0, totals(10, 5, 7), Some(Reason::Ratio)),
            (0, totals(10, 4, 8), Some(Reason::Slow)),
            (3, totals(10, 10, 10), Some(Reason::Run)),
        ] {
            assert_eq!(all.failing(run, totals), expected, "{run} {totals:?}");
            assert_eq!(none.failing(run, totals), None);
        }
    }
}
