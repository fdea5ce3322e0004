//! How long answers took, however many there are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::outcome::Outcome;

/// No latency is known better.
const WIDTH_MICROS: u64 = 10;
/// Two seconds; whatever takes longer is counted together.
const BUCKETS: usize = 200_000;

/// Counts of answers, by ten microseconds.
#[derive(Debug)]
pub struct Latencies {
    counts: Vec<AtomicU64>,
    late: AtomicU64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), late: AtomicU64::new(0) }
    }
}

impl Latencies {
    /// One more.
    pub fn add(&self, latency: Duration) {
        let bucket = latency.as_micros() / u128::from(WIDTH_MICROS);
        let count = usize::try_from(bucket).ok().and_then(|bucket| self.counts.get(bucket));
        count.unwrap_or(&self.late).fetch_add(1, Ordering::Relaxed);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.each().sum()
    }

    /// Those that took longer than two seconds.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// So many thousandths took no longer than this; 0 where there is none.
    pub fn micros(&self, per_mille: u64) -> u64 {
        let rank = (self.count() * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (count, bucket) in self.each().zip(1..) {
            seen += count;
            if seen >= rank {
                return bucket * WIDTH_MICROS;
            }
        }
        0
    }

    /// What came of a load that took so long, and was told so often what it should not be.
    pub fn outcome(&self, took: Duration, refused: u64) -> Outcome {
        Outcome {
            requests: self.count(),
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            p50_micros: self.micros(500),
            p99_micros: self.micros(990),
            bad_status: refused,
            // The first connection that breaks ends a load generator of ours.
            broken: 0,
            late: self.late(),
        }
    }

    /// The late ones last.
    fn each(&self) -> impl Iterator<Item = u64> + '_ {
        self.counts.iter().chain([&self.late]).map(|count| count.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_to_ten_microseconds() {
        let latencies = Latencies::default();
        assert_eq!((latencies.count(), latencies.micros(500)), (0, 0));
        for micros in 0..1_000 {
            latencies.add(Duration::from_micros(micros));
        }
        assert_eq!(latencies.count(), 1_000);
        assert_eq!(latencies.micros(500), 500);
        assert_eq!(latencies.micros(990), 990);
        assert_eq!(latencies.micros(1_000), 1_000);
        assert_eq!(latencies.micros(0), 10);
    }

    #[test]
    fn what_came_of_a_load_is_what_was_counted() {
        let latencies = Latencies::default();
        for millis in [1, 2, 2_500] {
            latencies.add(Duration::from_millis(millis));
        }
        let outcome = latencies.outcome(Duration::from_secs(3), 2);
        assert_eq!((outcome.requests, outcome.bad_status, outcome.late), (3, 2, 1));
        assert_eq!((outcome.micros, outcome.p50_micros), (3_000_000, 2_010));
    }

    #[test]
    fn what_is_late_is_counted_and_is_the_slowest() {
        let latencies = Latencies::default();
        for seconds in [1, 2, 3, u64::MAX] {
            latencies.add(Duration::from_secs(seconds));
        }
        assert_eq!((latencies.count(), latencies.late()), (4, 3));
        assert_eq!(latencies.micros(250), 1_000_010);
        assert_eq!(latencies.micros(990), 2_000_010);
    }
}
