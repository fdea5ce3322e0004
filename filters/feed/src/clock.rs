//! The time by which records are let go, which no clock that jumps ahead may hurry: a record
//! that is gone does not come back by itself.
//!
//! It is the earliest of three: this machine's wall clock, the server's, and one that only ticks.
//! The last one begins with the first answer that this process gets, is kept in the head, and so
//! outlives the VM that counts.
//!
//! Requests are judged by the wall clock all the same. A record lives as long as any token that
//! it concerns, leeway included; by a clock at which the record is over, the token is over, too,
//! and is refused for that. The same clock judges both.

use postern_request::UnixMillis;

/// Ticks come late and never early, so each counts for this share more than it should: else the
/// time lost with every tick would add up over weeks.
const LATE_SHARE: u64 = 20;

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// What has expired by then may go.
    pub(crate) secs: u64,
    /// The clock that only ticks, in milliseconds.
    pub(crate) steady_ms: u64,
}

/// Reads the clock. `steady_ms` is what it said `passed_ms` ago, 0 before it began; `server_ms`
/// is the server's wall clock, 0 when it says none.
pub(crate) fn read(steady_ms: u64, passed_ms: u64, now: UnixMillis, server_ms: u64) -> Reading {
    let steady_ms = if steady_ms == 0 {
        // Whichever of the two is behind may never have been set.
        now.0.max(server_ms)
    } else {
        let counted = steady_ms.saturating_add(passed_ms).saturating_add(passed_ms / LATE_SHARE);
        // What counts too much must not run away from both clocks: the head start would be there
        // when they jump together.
        if server_ms == 0 { counted } else { counted.min(now.0.max(server_ms)) }
    };
    let server_ms = if server_ms == 0 { u64::MAX } else { server_ms };
    let earliest = now.0.min(server_ms).min(steady_ms);
    Reading { secs: UnixMillis(earliest).as_secs(), steady_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_clock_that_jumps_ahead_hurries_anything() {
        for (steady, passed, now, server, secs) in [
            (0, 0, 1_000_000, 1_001_000, 1_000),
            (0, 0, 1_000_000, 0, 1_000),
            (1_000_000, 10_000, 1_010_000, 1_010_000, 1_010),
            // This machine's clock, the server's, and both of them jump.
            (1_000_000, 10_000, 9_000_000, 1_010_000, 1_010),
            (1_000_000, 10_000, 1_010_000, 9_000_000, 1_010),
            (1_000_000, 10_000, 9_000_000, 9_000_000, 1_010),
            // They fall back, and come again.
            (1_000_000, 10_000, 500_000, 600_000, 500),
            (1_010_500, 10_000, 1_020_000, 1_020_000, 1_020),
        ] {
            let reading = read(steady, passed, UnixMillis(now), server);
            assert_eq!(reading.secs, secs, "{steady} {passed} {now} {server}");
        }
    }

    #[test]
    fn time_lost_between_ticks_does_not_add_up() {
        let (mut steady, mut now) = (1_000_000, 1_000_000);
        for _ in 0..10_000 {
            // A hundred ticks of 100 ms, each a few milliseconds late.
            now += 10_300;
            let reading = read(steady, 10_000, UnixMillis(now), now);
            assert_eq!(reading.secs, now / 1_000);
            steady = reading.steady_ms;
        }
    }
}
