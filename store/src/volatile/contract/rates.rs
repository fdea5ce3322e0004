//! One rate at a time, by every algorithm.

use postern_limits::{Algorithm, Anchor, Rate, Spec};

use super::{Case, all_at_once, every_way, hourly, spec};
use crate::volatile::DecisionAsk;

pub(super) async fn run(case: Case<'_>) {
    a_limit_lets_through_what_it_says(case).await;
    a_burst_is_what_passes_at_once(case).await;
    a_request_counts_as_much_as_it_says(case).await;
    looking_takes_nothing(case).await;
    what_can_never_fit_is_refused(case).await;
    parallel_requests_get_no_more(case).await;
    time_makes_room(case).await;
}

async fn a_limit_lets_through_what_it_says(case: Case<'_>) {
    for (way, spec) in every_way(3) {
        let limit = case.rate(&format!("a1{way}"), spec, 1);
        for remaining in [2, 1, 0] {
            let decision = case.decide(&[limit]).await;
            assert!(decision.allowed, "{way}");
            let status = decision.limits[0].status;
            assert_eq!((status.limit, status.remaining), (3, remaining), "{way}");
            let window_secs = spec.rate().window_secs();
            assert_eq!(status.window_secs, window_secs, "{way}");
            assert!((1..=2 * window_secs).contains(&status.reset_secs), "{way}: {status:?}");
        }
        for _ in 0..2 {
            let decision = case.decide(&[limit]).await;
            assert!(!decision.allowed, "{way}");
            let said = decision.limits[0];
            assert!(!said.allowed, "{way}");
            assert_eq!((said.status.limit, said.status.remaining), (3, 0), "{way}");
            assert!(said.status.reset_secs >= 1, "{way}: {said:?}");
        }
        let other = case.rate(&format!("a2{way}"), spec, 1);
        assert_eq!(case.take(other).await, (true, 2), "{way}: another key");
    }
}

async fn a_burst_is_what_passes_at_once(case: Case<'_>) {
    for algorithm in [Algorithm::TokenBucket, Algorithm::Gcra] {
        let rate = Rate::parse("2/1h").unwrap();
        let spec = Spec::new(algorithm, rate, Some(5), Anchor::Clock).unwrap();
        let limit = case.rate(&format!("b{}", algorithm.as_str()), spec, 1);
        for remaining in [4, 3, 2, 1, 0] {
            assert_eq!(case.take(limit).await, (true, remaining), "{algorithm:?}");
        }
        let refused = case.decide(&[limit]).await.limits[0];
        assert!(!refused.allowed, "{algorithm:?}");
        assert_eq!(refused.status.limit, 5, "{algorithm:?}");
        let next = refused.status.reset_secs;
        assert!((1_790..=1_800).contains(&next), "{algorithm:?}: one every 1800 s, not {next}");
    }
}

async fn a_request_counts_as_much_as_it_says(case: Case<'_>) {
    for (way, spec) in every_way(10) {
        let weighing = |cost| case.rate(&format!("c{way}"), spec, cost);
        assert_eq!(case.take(weighing(4)).await, (true, 6), "{way}");
        assert_eq!(case.take(weighing(7)).await, (false, 6), "{way}: nothing of it");
        assert_eq!(case.take(weighing(6)).await, (true, 0), "{way}");
        assert_eq!(case.take(weighing(1)).await, (false, 0), "{way}");
    }
}

async fn looking_takes_nothing(case: Case<'_>) {
    for (way, spec) in every_way(2) {
        let look = case.rate(&format!("d{way}"), spec, 0);
        let take = case.rate(&format!("d{way}"), spec, 1);
        for left in [2, 1, 0] {
            for _ in 0..2 {
                assert_eq!(case.take(look).await, (true, left), "{way}");
            }
            assert_eq!(case.take(take).await, (left > 0, left.saturating_sub(1)), "{way}");
        }
    }
}

async fn what_can_never_fit_is_refused(case: Case<'_>) {
    for (way, spec) in every_way(5) {
        for cost in [6, 1 << 32, 1 << 53, u64::MAX] {
            let never = case.rate(&format!("e{way}"), spec, cost);
            assert_eq!(case.take(never).await, (false, 5), "{way}: {cost}");
        }
        let one = case.rate(&format!("e{way}"), spec, 1);
        assert_eq!(case.take(one).await, (true, 4), "{way}: they took nothing");
    }
}

async fn parallel_requests_get_no_more(case: Case<'_>) {
    for (way, spec) in every_way(20) {
        let limits = vec![case.rate(&format!("f{way}"), spec, 1)];
        let ask = DecisionAsk { limits, circuit: None };
        let calls = (0..100).map(|_| case.store.decide(&ask, case.now));
        let answers = all_at_once(calls.collect()).await;
        let passed = answers.iter().filter(|answer| answer.as_ref().unwrap().allowed).count();
        assert_eq!(passed, 20, "{way}");
    }
}

/// A window that follows the clock may end at any time, so what is refused before it does is not
/// looked at here.
async fn time_makes_room(case: Case<'_>) {
    let rate = Rate::parse("1/300ms").unwrap();
    let mut limits: Vec<_> = Algorithm::ALL
        .into_iter()
        .map(|algorithm| {
            case.rate(&format!("g{}", algorithm.as_str()), spec(algorithm, rate, Anchor::Clock), 1)
        })
        .collect();
    limits.push(case.rate("gfirst", spec(Algorithm::FixedWindow, rate, Anchor::FirstHit), 1));
    for limit in &limits {
        assert_eq!(case.take(*limit).await, (true, 0), "{limit:?}");
    }
    let long = case.rate("glong", hourly(Algorithm::SlidingWindow, 1), 1);
    assert_eq!(case.take(long).await, (true, 0));
    let case = case.later(700).await;
    for limit in &limits {
        assert_eq!(case.take(*limit).await, (true, 0), "{limit:?}");
    }
    assert_eq!(case.take(long).await, (false, 0), "an hour is not over");
}
