//! Clocks that go back.

use super::*;

/// Steps back, from a tick to years.
fn step_back() -> impl Strategy<Value = u64> {
    prop_oneof![1_u64..10, 1_u64..5000, 1_u64..1_000_000, 1_u64..START]
}

proptest! {
    #[test]
    fn a_step_back_makes_no_room(
        spec in small_spec(),
        requests in stepping_requests(),
        back in step_back(),
    ) {
        let (state, now) = after(spec, &requests);
        let then = now.saturating_sub(back);
        prop_assert!(remaining(spec, &state, then) <= remaining(spec, &state, now));
    }

    /// GCRA alone cannot tell the step from requests.
    #[test]
    fn a_step_back_takes_no_room_from_who_asked_for_little(
        spec in small_spec(),
        requests in stepping_requests(),
        back in step_back(),
    ) {
        prop_assume!(spec.algorithm() != Algorithm::Gcra);
        let (state, now) = after(spec, &requests);
        let then = now.saturating_sub(back);
        let lost = remaining(spec, &state, now) - remaining(spec, &state, then);
        // What had slid out of the sliding window counts once more.
        let window = spec.algorithm() == Algorithm::SlidingWindow;
        prop_assert!(lost == 0 || window, "{lost}");
    }

    /// Where nothing is aligned to the clock, whoever waits gets in no earlier by a step back.
    #[test]
    fn a_step_back_shortens_no_wait(
        spec in small_spec(),
        requests in steady_requests(),
        back in step_back(),
        wait in 0_u64..5000,
    ) {
        let by_clock = spec.algorithm() == Algorithm::FixedWindow && spec.anchor() == Anchor::Clock;
        prop_assume!(!by_clock && spec.algorithm() != Algorithm::SlidingWindow);
        let (mut state, now) = after(spec, &requests);
        let without = remaining(spec, &state, now + wait);
        let then = now.saturating_sub(back);
        spec.fits(&mut state, 0, UnixMillis(then));
        prop_assert!(remaining(spec, &state, then + wait) <= without);
    }

    /// However far the clock went back, after a few periods all is as if it had never been ahead.
    #[test]
    fn nobody_waits_for_the_clock_for_long(
        spec in small_spec(),
        requests in stepping_requests(),
        back in step_back(),
    ) {
        let (mut state, now) = after(spec, &requests);
        let then = now.saturating_sub(back);
        spec.fits(&mut state, 0, UnixMillis(then));
        let period = spec.rate().period_ms();
        let filling = (spec.burst() * period).div_ceil(spec.rate().requests());
        let later = then + 3 * period + filling + 2;
        prop_assert_eq!(remaining(spec, &state, later), spec.capacity());
    }
}
