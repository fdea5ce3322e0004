//! How much passes over any true sliding window, at most.

use super::*;

use crate::Period;

/// The most that passes in any stretch of time as long as `length`, of requests that come by a
/// clock that never goes back.
fn most_passing(spec: Spec, requests: &[(u64, u64)], length: u64) -> u64 {
    let mut state = spec.fresh(UnixMillis(START));
    let (mut now, mut passed) = (START, Vec::new());
    for (step, cost) in requests {
        now += step;
        if spec.take(&mut state, *cost, UnixMillis(now)).allowed {
            passed.push((now, *cost));
        }
    }
    let from = |start: u64| -> u64 {
        let within = |at: &u64| (start..start + length).contains(at);
        passed.iter().filter(|(at, _)| within(at)).map(|(_, cost)| cost).sum()
    };
    // The most begins with something that passes.
    passed.iter().map(|(at, _)| from(*at)).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn no_small_limit_lets_in_more_than_it_says(spec in small_spec(), requests in requests()) {
        let most = most_passing(spec, &requests, spec.rate().period_ms());
        prop_assert!(most <= spec.worst_case(), "{most}");
    }

    #[test]
    fn no_limit_lets_in_more_than_it_says(spec in any_spec(), shares in shares()) {
        let most = most_passing(spec, &scaled(spec, &shares), spec.rate().period_ms());
        prop_assert!(most <= spec.worst_case(), "{most}");
    }

    #[test]
    fn no_calendar_month_lets_in_more_than_it_says(
        requests in 1_u64..10,
        hits in prop::collection::vec((0_u64..900_000_000, 0_u64..4), 1..80),
    ) {
        let rate = Rate::monthly(requests).unwrap();
        prop_assert_eq!(rate.period(), Period::Month);
        let spec = Spec::new(Algorithm::FixedWindow, rate, None, Anchor::Clock).unwrap();
        let most = most_passing(spec, &hits, 28 * 86_400_000);
        prop_assert!(most <= spec.worst_case(), "{most}");
    }
}

/// The most that passes in one period for a caller that asks for all there is to get, every
/// millisecond, from the last one of a window by the clock on.
fn greedy(spec: Spec) -> u64 {
    let period = spec.rate().period_ms();
    let mut requests = vec![(period - START % period - 2, 0)];
    for _ in 0..3 * period {
        requests.push((1, 1));
        requests.extend((1..spec.capacity()).map(|_| (0, 1)));
    }
    most_passing(spec, &requests, period)
}

#[test]
fn the_bounds_are_met_by_who_tries() {
    for (algorithm, burst, expected) in [
        (Algorithm::SlidingLog, 1, 10),
        // The last of the earlier ones has to slide out completely before its place is free.
        (Algorithm::SlidingWindow, 1, 19),
        (Algorithm::FixedWindow, 1, 20),
        (Algorithm::TokenBucket, 4, 13),
        (Algorithm::Gcra, 4, 13),
    ] {
        let spec = spec_of(algorithm, 10, 100, burst, false);
        assert_eq!(greedy(spec), expected, "{algorithm:?}");
        assert!(expected <= spec.worst_case());
    }
}
