//! When to fetch again.

use std::time::Duration;

use postern_feed::Jitter;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// Fetches every so often, and after failures with growing pauses; never quite when others do.
pub struct Pace {
    refresh: Duration,
    jitter: Jitter,
    failures: u32,
}

impl Pace {
    /// Every `refresh` or so.
    pub const fn new(refresh: Duration, jitter: Jitter) -> Self {
        Self { refresh, jitter, failures: 0 }
    }

    /// The pause after a fetch that was good, or was not.
    pub fn after(&mut self, good: bool) -> Duration {
        let pause = if good {
            self.failures = 0;
            self.refresh
        } else {
            let doubled = FIRST_RETRY.saturating_mul(1 << self.failures.min(16));
            self.failures = self.failures.saturating_add(1);
            // What is fetched often when all is well is not fetched less often when it is not.
            doubled.min(LAST_RETRY).min(self.refresh.max(FIRST_RETRY))
        };
        self.jitter.around(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_about(pause: Duration, seconds: u64) {
        let tenth = Duration::from_secs(seconds) / 10;
        let (least, most) = (tenth * 9, tenth * 11);
        assert!((least..=most).contains(&pause), "{pause:?} for {seconds} s");
    }

    #[test]
    fn pauses_after_failures_grow_up_to_a_minute() {
        let mut pace = Pace::new(Duration::from_secs(300), Jitter::seeded(1));
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_about(pace.after(false), seconds);
        }
        assert_about(pace.after(true), 300);
        assert_about(pace.after(false), 1);
        let mut often = Pace::new(Duration::from_secs(10), Jitter::seeded(1));
        let last = (0..20).map(|_| often.after(false)).last().unwrap();
        assert_about(last, 10);
    }

    #[test]
    fn those_who_began_together_do_not_stay_together() {
        let pauses: Vec<Duration> = (0..100)
            .map(|seed| Pace::new(Duration::from_secs(300), Jitter::seeded(seed)).after(true))
            .collect();
        let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(*most - *least > Duration::from_secs(40), "{least:?} to {most:?}");
    }
}
