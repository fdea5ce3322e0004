//! Requests that are in flight at the same time.

use postern_limits::InFlight;

use super::{Case, all_at_once, allowed, remaining, shadow};
use crate::volatile::{DecisionAsk, LimitAsk, Take};

pub(super) async fn run(case: Case<'_>) {
    so_many_at_a_time(case).await;
    who_is_in_asks_for_no_second_place(case).await;
    one_that_is_refused_elsewhere_is_not_in(case).await;
    one_that_was_in_stays_in(case).await;
    a_shadow_holds_nobody_up(case).await;
    no_more_in_parallel(case).await;
    a_place_ends_by_itself(case).await;
}

async fn so_many_at_a_time(case: Case<'_>) {
    let place = |id| case.place("paa1", 2, id);
    let first = case.decide(&[place(1)]).await;
    assert!(first.allowed);
    let status = first.limits[0].status;
    assert_eq!((status.limit, status.remaining, status.window_secs), (2, 1, 3600));
    assert_eq!(case.take(place(2)).await, (true, 0));
    let refused = case.decide(&[place(3)]).await;
    assert!(!refused.allowed);
    let status = refused.limits[0].status;
    assert_eq!((status.limit, status.remaining), (2, 0));
    assert!((1..=3600).contains(&status.reset_secs), "{status:?}");
    case.give_back(place(9)).await;
    assert_eq!(case.take(place(3)).await, (false, 0), "who was not in does not leave");
    case.give_back(place(1)).await;
    case.give_back(place(1)).await;
    assert_eq!(case.take(place(3)).await, (true, 0));
    assert_eq!(case.take(place(4)).await, (false, 0), "one left, once");
    assert_eq!(case.take(case.place("paa2", 2, 4)).await, (true, 1), "another key");
}

async fn who_is_in_asks_for_no_second_place(case: Case<'_>) {
    let place = |id| case.place("qaa1", 2, id);
    for _ in 0..3 {
        assert_eq!(case.take(place(u64::MAX)).await, (true, 1));
    }
    assert_eq!(case.take(place(u64::MAX - 1)).await, (true, 0), "numbers as large as they come");
    assert_eq!(case.take(place(u64::MAX)).await, (true, 0), "full, but of it too");
    let twice = [case.place("qaa2", 1, 7), case.place("qaa2", 1, 7)];
    assert!(case.decide(&twice).await.allowed);
    assert_eq!(case.take(case.place("qaa2", 1, 8)).await, (false, 0));
}

async fn one_that_is_refused_elsewhere_is_not_in(case: Case<'_>) {
    let full = case.ask("raa1", 1);
    assert_eq!(case.take(full).await, (true, 0));
    for id in 1..=3 {
        let decision = case.decide(&[case.place("raa2", 1, id), full]).await;
        assert!(!decision.allowed);
        assert_eq!((allowed(&decision), remaining(&decision)), (vec![true, false], vec![1, 0]));
    }
    assert_eq!(case.take(case.place("raa2", 1, 4)).await, (true, 0));
    let rate = case.ask("raa3", 5);
    for id in 5..=7 {
        let decision = case.decide(&[rate, case.place("raa2", 1, id)]).await;
        assert_eq!((allowed(&decision), remaining(&decision)), (vec![true, false], vec![5, 0]));
    }
}

async fn one_that_was_in_stays_in(case: Case<'_>) {
    let full = case.ask("saa1", 1);
    assert_eq!(case.take(full).await, (true, 0));
    let place = case.place("saa2", 1, 1);
    assert_eq!(case.take(place).await, (true, 0));
    assert!(!case.decide(&[place, full]).await.allowed);
    assert_eq!(case.take(case.place("saa2", 1, 2)).await, (false, 0));
}

async fn a_shadow_holds_nobody_up(case: Case<'_>) {
    let place = |id| shadow(case.place("taa1", 1, id));
    assert_eq!(case.take(place(1)).await, (true, 0));
    let decision = case.decide(&[place(2)]).await;
    assert!(decision.allowed);
    assert_eq!(allowed(&decision), [false]);
    case.give_back(place(1)).await;
    assert_eq!(case.take(place(3)).await, (true, 0), "the one without a place held none");
}

async fn no_more_in_parallel(case: Case<'_>) {
    let asks: Vec<_> = (0..100)
        .map(|id| DecisionAsk { limits: vec![case.place("uaa1", 20, id)], circuit: None })
        .collect();
    let calls = asks.iter().map(|ask| case.store.decide(ask, case.now));
    let answers = all_at_once(calls.collect()).await;
    let passed = answers.iter().filter(|answer| answer.as_ref().unwrap().allowed).count();
    assert_eq!(passed, 20);
}

async fn a_place_ends_by_itself(case: Case<'_>) {
    let place = |id| {
        let spec = InFlight::new(1, 1_000).unwrap();
        LimitAsk { key: case.key("vaa1"), take: Take::InFlight { spec, id }, shadow: false }
    };
    assert_eq!(case.take(place(1)).await, (true, 0));
    assert_eq!(case.take(place(2)).await, (false, 0));
    let later = case.later(1_100).await;
    assert_eq!(later.take(place(2)).await, (true, 0));
    later.give_back(place(1)).await;
    assert_eq!(later.take(place(3)).await, (false, 0), "who comes late frees nobody's place");
}
