//! What is in a window, by counting again.

use proptest::prelude::*;

use super::*;
use crate::window::MAX_CALLS;
use crate::{Totals, Verdict, Window};

const CALL: Totals = Totals { calls: 1, failures: 0, slow: 0 };

#[test]
fn calls_leave_slot_by_slot() {
    let mut window = Window::new();
    for slot in 0..12 {
        window.record(at(slot * 100), &SMALL, Verdict::Failure { slow: slot % 2 == 0 });
    }
    assert_eq!(window.totals(at(1_199)), Totals { calls: 10, failures: 10, slow: 5 });
    assert_eq!(window.totals(at(1_200)).calls, 9);
    assert_eq!(window.totals(at(2_099)).calls, 1);
    assert_eq!(window.totals(at(2_100)), Totals::default());
}

#[test]
fn one_that_was_kept_elsewhere_goes_on() {
    let mut window = Window::new();
    let mut kept = [Totals::default(); Window::SLOTS];
    for (slot, failed) in [(0, true), (1, false), (9, true)] {
        let verdict = match failed {
            true => Verdict::Failure { slow: false },
            false => Verdict::Success { slow: true },
        };
        window.record(at(slot * 100), &SMALL, verdict);
        kept[9 - usize::try_from(slot).unwrap()] = Totals::of(verdict);
    }
    let newest = at(900).0 / 100;
    assert_eq!(Window::restored(SMALL.slot_ms(), newest, kept), window);
    assert_eq!(Window::restored(100, newest, []).totals(at(900)), Totals::default());
}

#[test]
fn ignored_calls_are_not_there() {
    let mut window = Window::new();
    window.record(at(0), &SMALL, Verdict::Ignored);
    assert_eq!(window.totals(at(0)), Totals::default());
}

#[test]
fn a_little_behind_is_now_and_far_behind_is_a_new_beginning() {
    let mut window = Window::new();
    window.add(at(2_000), &SMALL, CALL);
    window.add(at(1_900), &SMALL, CALL);
    assert_eq!(window.totals(at(1_900)).calls, 2);
    assert_eq!(window.totals(at(2_999)).calls, 2);
    assert_eq!(window.totals(at(1_000)).calls, 0, "nobody knows how old they are");
    window.add(at(1_000), &SMALL, CALL);
    assert_eq!(window.totals(at(1_000)).calls, 1);
    let other = Settings { window_ms: 2_000, ..SMALL };
    window.add(at(1_000), &other, CALL);
    assert_eq!(window.totals(at(1_000)).calls, 1, "another length, other slots");
}

#[test]
fn a_full_slot_counts_no_more() {
    let mut window = Window::new();
    let full = Totals { calls: MAX_CALLS, failures: MAX_CALLS / 2, slow: 0 };
    window.add(at(0), &SMALL, full);
    window.add(at(0), &SMALL, Totals { calls: 1, failures: 1, slow: 1 });
    assert_eq!(window.totals(at(0)), full);
    window.add(at(100), &SMALL, Totals { calls: 1, failures: u32::MAX, slow: u32::MAX });
    let sum = Totals { calls: MAX_CALLS + 1, failures: MAX_CALLS / 2 + 1, slow: 1 };
    assert_eq!(window.totals(at(100)), sum, "no more failures than calls");
}

proptest! {
    #[test]
    fn it_holds_the_calls_of_its_last_ten_slots(
        window_ms in prop_oneof![Just(1_000_u64), Just(10_000), 10..700_000_u64],
        calls in prop::collection::vec((0..3_000_u64, any::<bool>(), any::<bool>()), 0..80),
        after in 0..20_000_u64,
    ) {
        let settings = Settings { window_ms, ..SMALL };
        let slot_ms = (window_ms / 10).clamp(1, 65_535);
        let (mut window, mut now, mut all) = (Window::new(), START, Vec::new());
        for (wait, failed, slow) in calls {
            now += wait;
            let verdict =
                if failed { Verdict::Failure { slow } } else { Verdict::Success { slow } };
            window.record(UnixMillis(now), &settings, verdict);
            all.push((now, verdict));
        }
        now += after;
        let lately = all.iter().filter(|(time, _)| time / slot_ms + 10 > now / slot_ms);
        let expected = lately.fold(Totals::default(), |sum, (_, of)| sum.plus(Totals::of(*of)));
        prop_assert_eq!(window.totals(UnixMillis(now)), expected);
    }

    #[test]
    fn whatever_the_clock_and_the_numbers_shares_are_shares(
        adds in prop::collection::vec(
            (any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>(), any::<u32>()), 0..40),
        now in any::<u64>(),
    ) {
        let mut window = Window::new();
        for (now, window_ms, calls, failures, slow) in adds {
            let settings = Settings { window_ms: window_ms % 400_000, ..SMALL };
            let totals = Totals { calls, failures, slow };
            window.add(UnixMillis(now), &settings, totals);
            let totals = window.totals(UnixMillis(now));
            prop_assert!(totals.failures <= totals.calls && totals.slow <= totals.calls);
        }
        let totals = window.totals(UnixMillis(now));
        prop_assert!(totals.failures <= totals.calls && totals.slow <= totals.calls);
    }
}
