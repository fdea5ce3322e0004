//! How much passed in one period.

use std::collections::VecDeque;

use postern_limits::{Algorithm, Spec};

/// Counts what passed of one key: in all, and at most in a period. For a fixed window that is
/// one of its windows; for the others any stretch of time that is as long.
#[derive(Debug)]
pub struct Meter {
    period_ms: u64,
    has_windows: bool,
    /// What still counts: milliseconds, and how many then.
    recent: VecDeque<(u64, u64)>,
    within: u64,
    most: u64,
    total: u64,
}

impl Meter {
    /// A meter that nothing passed yet.
    pub fn new(spec: Spec) -> Self {
        Self {
            period_ms: spec.rate().period_ms(),
            has_windows: spec.algorithm() == Algorithm::FixedWindow,
            recent: VecDeque::new(),
            within: 0,
            most: 0,
            total: 0,
        }
    }

    /// One passed; times never go back.
    pub fn count(&mut self, at_ms: u64) {
        while let Some((then, passed)) = self.recent.front()
            && self.is_over(*then, at_ms)
        {
            self.within -= passed;
            self.recent.pop_front();
        }
        match self.recent.back_mut() {
            Some((then, passed)) if *then == at_ms => *passed += 1,
            _ => self.recent.push_back((at_ms, 1)),
        }
        self.within += 1;
        self.most = self.most.max(self.within);
        self.total += 1;
    }

    const fn is_over(&self, then: u64, now: u64) -> bool {
        if self.has_windows {
            then / self.period_ms < now / self.period_ms
        } else {
            then + self.period_ms <= now
        }
    }

    /// The most that passed in a period.
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// All that passed.
    pub const fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_limits::{Anchor, Rate};

    #[test]
    fn windows_and_stretches_of_time_are_told_apart() {
        for (algorithm, most) in [(Algorithm::FixedWindow, 3), (Algorithm::SlidingLog, 4)] {
            let rate = Rate::parse("5/1s").unwrap();
            let spec = Spec::new(algorithm, rate, None, Anchor::Clock).unwrap();
            let mut meter = Meter::new(spec);
            for at in [10, 900, 900, 1000, 1500, 1900] {
                meter.count(at);
            }
            assert_eq!((meter.most(), meter.total()), (most, 6), "{algorithm:?}");
        }
    }
}
