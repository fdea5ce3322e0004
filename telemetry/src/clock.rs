//! One reading of both clocks, so that everything below this crate's edge takes time as data.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use postern_request::UnixMillis;

/// A point in time on the monotonic clock (ages, windows) and on the wall clock (timestamps).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Never goes back; means nothing outside this process.
    pub monotonic: Instant,
    /// For people; may jump.
    pub wall: UnixMillis,
}

impl Moment {
    /// Reads both clocks.
    #[must_use]
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { monotonic: Instant::now(), wall: UnixMillis(millis(since_epoch)) }
    }

    /// The moment `elapsed` later.
    #[must_use]
    pub fn after(self, elapsed: Duration) -> Self {
        Self {
            monotonic: self.monotonic.checked_add(elapsed).unwrap_or(self.monotonic),
            wall: UnixMillis(self.wall.0.saturating_add(millis(elapsed))),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_move_together() {
        let start = Moment::now();
        let later = start.after(Duration::from_millis(1500));
        assert_eq!(later.monotonic - start.monotonic, Duration::from_millis(1500));
        assert_eq!(later.wall.millis_since(start.wall), 1500);
    }
}
