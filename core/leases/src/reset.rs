//! When a limit has room again, to the millisecond.
//!
//! A status says it in whole seconds, rounded up. Who was told that nothing is left would wait up
//! to a second too long by that, at the beginning of every window.

use postern_limits::fixed_window::Fixed;
use postern_limits::{Spec, State};
use postern_request::UnixMillis;

/// Milliseconds until one request fits, where none does; else until the window ends, the bucket
/// is full or the oldest request of the log no longer counts. It is what [`Spec::status`] says of
/// a request that weighs 1, before that is rounded. The state must stand at `now`.
pub(crate) fn reset_ms(spec: Spec, state: &State, now: UnixMillis) -> u64 {
    let status = spec.status(state, 1, now);
    let at = match state {
        // A window that counts something says when it ends.
        State::Fixed(fixed) => {
            let counting = Fixed { count: fixed.count.max(1), ..*fixed };
            spec.forgettable_at(&State::Fixed(counting))
        }
        // Whatever leaves a log makes room.
        State::Log(log) => {
            let oldest = log.entries().next();
            let end = |at: UnixMillis| UnixMillis(at.0.saturating_add(spec.rate().period_ms()));
            oldest.map_or(now, |(at, _)| end(at))
        }
        State::Window(_) | State::Bucket(_) | State::Gcra(_) if status.remaining == 0 => {
            return fits_in_ms(spec, state, status.reset_secs, now);
        }
        State::Window(window) => {
            let next = window.index.saturating_add(1).saturating_mul(spec.period_ticks());
            UnixMillis(next.saturating_mul(spec.tick_ms()))
        }
        State::Bucket(_) | State::Gcra(_) => spec.forgettable_at(state),
    };
    at.millis_since(now)
}

/// In how many milliseconds one request fits, by the rule that will decide about it. That is
/// within the last of the seconds that the status says, and from then on it goes on fitting.
fn fits_in_ms(spec: Spec, state: &State, reset_secs: u64, now: UnixMillis) -> u64 {
    let mut latest = reset_secs.saturating_mul(1000);
    let mut earliest = latest.saturating_sub(999);
    while earliest < latest {
        let middle = u64::midpoint(earliest, latest);
        let at = UnixMillis(now.0.saturating_add(middle));
        if spec.fits(&mut state.clone(), 1, at) {
            latest = middle;
        } else {
            earliest = middle.saturating_add(1);
        }
    }
    latest
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_limits::{Algorithm, Anchor, Rate};
    use proptest::prelude::*;

    /// The beginning of a minute.
    const MINUTE: u64 = 1_699_999_980_000;

    fn spec(algorithm: Algorithm) -> Spec {
        let rate = Rate::parse("7/1m").unwrap();
        Spec::new(algorithm, rate, None, Anchor::Clock).unwrap()
    }

    #[test]
    fn it_is_told_to_the_millisecond() {
        use Algorithm::{FixedWindow, Gcra, SlidingLog, SlidingWindow, TokenBucket};
        // So much is taken 1.234 s after a minute began.
        for (algorithm, taken, expected, why) in [
            (FixedWindow, 0, 58_766, "until the window ends"),
            (FixedWindow, 3, 58_766, "until the window ends"),
            (FixedWindow, 7, 58_766, "until the next one begins"),
            (SlidingWindow, 3, 58_766, "until the window ends"),
            (SlidingWindow, 7, 67_338, "a seventh of the next window"),
            (SlidingLog, 0, 0, "nothing counts"),
            (SlidingLog, 3, 60_000, "a period later"),
            (SlidingLog, 7, 60_000, "a period later"),
            (TokenBucket, 0, 0, "it is full"),
            (TokenBucket, 3, 25_715, "three sevenths of a minute, rounded up"),
            (TokenBucket, 7, 8572, "a seventh"),
            (Gcra, 3, 25_715, "as a bucket"),
            (Gcra, 7, 8572, "as a bucket"),
        ] {
            let (spec, now) = (spec(algorithm), UnixMillis(MINUTE + 1234));
            let mut state = spec.fresh(now);
            spec.add(&mut state, taken, now);
            assert_eq!(reset_ms(spec, &state, now), expected, "{algorithm:?} {taken}: {why}");
        }
    }

    #[test]
    fn a_month_ends_when_it_does() {
        let rate = Rate::monthly(7).unwrap();
        let spec = Spec::new(Algorithm::FixedWindow, rate, None, Anchor::Clock).unwrap();
        // Three milliseconds before March.
        let now = UnixMillis(1_709_251_200_000 - 3);
        assert_eq!(reset_ms(spec, &spec.fresh(now), now), 3);
    }

    proptest! {
        #[test]
        fn it_fits_then_and_not_before_and_in_seconds_it_is_what_the_status_says(
            algorithm in prop::sample::select(Algorithm::ALL.to_vec()),
            requests in 1_u64..2000,
            period_ms in 1000_u64..10_000_000,
            taken in prop::collection::vec((1_u64..2000, 0_u64..20_000), 1..20),
        ) {
            let rate = Rate::new(requests, period_ms).unwrap();
            let spec = Spec::new(algorithm, rate, None, Anchor::Clock).unwrap();
            let mut now = UnixMillis(MINUTE);
            let mut state = spec.fresh(now);
            for (cost, pause_ms) in taken {
                now = UnixMillis(now.0 + pause_ms);
                let room = spec.take(&mut state, 0, now).status.remaining;
                spec.take(&mut state, cost.min(room), now);
                let (status, reset) = (spec.status(&state, 1, now), reset_ms(spec, &state, now));
                let is_used_up = status.remaining == 0;
                let least = u64::from(is_used_up);
                prop_assert_eq!(reset.div_ceil(1000).max(least), status.reset_secs);
                if is_used_up {
                    let fits = |ms: u64| {
                        spec.fits(&mut state.clone(), 1, UnixMillis(now.0 + ms))
                    };
                    prop_assert!(fits(reset) && !fits(reset - 1), "{} {:?}", reset, state);
                }
            }
        }
    }
}
