//! The time by which records are let go, which no clock that jumps ahead may hurry.

use std::time::Duration;

use postern_request::UnixMillis;
use postern_telemetry::Moment;

/// A wall clock that fell back by more than this had been wrong.
const FELL_BACK: u64 = 60;

/// The wall clock, held back to what the monotonic clock says has passed: a jump ahead would
/// let go of what still revokes, and a record that is gone does not come back by itself.
pub(crate) struct ExpiryClock {
    start: Moment,
    latest: u64,
}

impl ExpiryClock {
    pub(crate) const fn new(start: Moment) -> Self {
        Self { start, latest: 0 }
    }

    /// Seconds since 1970, and whether the clock fell back far since the last call: what was let
    /// go meanwhile may have been let go too early.
    pub(crate) fn read(&mut self, now: Moment) -> (u64, bool) {
        let passed = now.monotonic.saturating_duration_since(self.start.monotonic);
        let steady = self.start.wall.0.saturating_add(millis(passed));
        let seconds = UnixMillis(now.wall.0.min(steady)).as_secs();
        let fell_back = seconds.saturating_add(FELL_BACK) < self.latest;
        self.latest = if fell_back { seconds } else { self.latest.max(seconds) };
        (seconds, fell_back)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_ahead_hurries_nothing_and_a_fall_back_is_told_once() {
        let start = Moment { wall: UnixMillis(1_000_000), ..Moment::now() };
        let at = |passed: u64, wall: u64| Moment {
            wall: UnixMillis(wall),
            ..start.after(Duration::from_millis(passed))
        };
        let mut clock = ExpiryClock::new(start);
        for (passed, wall, expected) in [
            (0, 1_000_000, (1_000, false)),
            (5_000, 1_005_000, (1_005, false)),
            (6_000, 9_000_000, (1_006, false)),
            (7_000, 1_006_500, (1_006, false)),
            (200_000, 1_200_000, (1_200, false)),
            (201_000, 100_000, (100, true)),
            (202_000, 101_000, (101, false)),
            (203_000, 1_203_000, (1_203, false)),
            (204_000, 1_150_000, (1_150, false)),
        ] {
            assert_eq!(clock.read(at(passed, wall)), expected, "{passed} {wall}");
        }
    }
}
