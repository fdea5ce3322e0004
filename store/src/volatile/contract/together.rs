//! Several limits in one decision.

use postern_limits::Algorithm;

use super::{Case, all_at_once, allowed, every_way, hourly, remaining, shadow};
use crate::volatile::DecisionAsk;

pub(super) async fn run(case: Case<'_>) {
    nothing_asked_is_nothing_refused(case).await;
    all_or_none(case).await;
    all_or_none_by_every_algorithm(case).await;
    all_or_none_in_parallel(case).await;
    a_shadow_refuses_nothing(case).await;
    a_shadow_counts_only_what_passes(case).await;
    a_shadow_takes_nothing_from_a_binding_limit(case).await;
    a_key_that_is_asked_twice_gives_twice(case).await;
}

async fn nothing_asked_is_nothing_refused(case: Case<'_>) {
    let decision = case.decide(&[]).await;
    assert!(decision.allowed);
    assert!(decision.limits.is_empty());
}

/// Keys of one owner, and of two.
async fn all_or_none(case: Case<'_>) {
    for (first, second) in [("haa1", "haa2"), ("hbb1", "hcc1")] {
        let wide = case.ask(first, 5);
        let narrow = case.ask(second, 1);
        let both = case.decide(&[wide, narrow]).await;
        assert!(both.allowed);
        assert_eq!(remaining(&both), [4, 0]);
        for _ in 0..3 {
            let decision = case.decide(&[wide, narrow]).await;
            assert!(!decision.allowed);
            assert_eq!(allowed(&decision), [true, false], "the first has room");
            assert_eq!(remaining(&decision), [4, 0], "and was not taken from");
        }
        let turned = case.decide(&[narrow, wide]).await;
        assert_eq!((allowed(&turned), remaining(&turned)), (vec![false, true], vec![0, 4]));
        assert_eq!(case.take(wide).await, (true, 3));
    }
}

async fn all_or_none_by_every_algorithm(case: Case<'_>) {
    let mut limits: Vec<_> = every_way(3)
        .into_iter()
        .map(|(way, spec)| case.rate(&format!("ida{way}"), spec, 1))
        .collect();
    limits.push(case.place("idaplace", 3, 1));
    let full = case.ask("idafull", 1);
    assert_eq!(case.take(full).await, (true, 0));
    for _ in 0..5 {
        let mut asked = limits.clone();
        asked.push(full);
        let decision = case.decide(&asked).await;
        assert!(!decision.allowed);
        let said = allowed(&decision);
        assert!(said[..limits.len()].iter().all(|allowed| *allowed), "{said:?}");
        assert_eq!(remaining(&decision)[..limits.len()], vec![3; limits.len()]);
    }
    let decision = case.decide(&limits).await;
    assert!(decision.allowed);
    assert_eq!(remaining(&decision), vec![2; limits.len()]);
}

async fn all_or_none_in_parallel(case: Case<'_>) {
    let (wide, narrow) = (case.ask("jaawide", 50), case.ask("jaanarrow", 20));
    let both = DecisionAsk { limits: vec![wide, narrow], circuit: None };
    let calls = (0..100).map(|_| case.store.decide(&both, case.now));
    let answers = all_at_once(calls.collect()).await;
    let passed = answers.iter().filter(|answer| answer.as_ref().unwrap().allowed).count();
    assert_eq!(passed, 20);
    assert_eq!(case.take(wide).await, (true, 29), "80 that were refused took nothing");
}

async fn a_shadow_refuses_nothing(case: Case<'_>) {
    let binding = case.ask("kaa1", 5);
    let tried = shadow(case.ask("kaa2", 1));
    let first = case.decide(&[tried, binding]).await;
    assert_eq!((first.allowed, allowed(&first)), (true, vec![true, true]));
    for left in [3, 2] {
        let next = case.decide(&[tried, binding]).await;
        assert!(next.allowed, "the binding limit has room");
        assert_eq!(allowed(&next), [false, true], "the other says what it would say");
        assert_eq!(remaining(&next), [0, left]);
    }
    assert_eq!(case.take(shadow(case.ask("kaa3", 1))).await, (true, 0));
    assert_eq!(case.take(shadow(case.ask("kaa3", 1))).await, (false, 0));
}

async fn a_shadow_counts_only_what_passes(case: Case<'_>) {
    let binding = case.ask("laa1", 1);
    let tried = shadow(case.ask("laa2", 5));
    assert!(case.decide(&[binding, tried]).await.allowed);
    for _ in 0..3 {
        let decision = case.decide(&[binding, tried]).await;
        assert!(!decision.allowed);
        assert_eq!(allowed(&decision), [false, true]);
        assert_eq!(remaining(&decision), [0, 4]);
    }
    assert_eq!(case.take(tried).await, (true, 3));
}

async fn a_shadow_takes_nothing_from_a_binding_limit(case: Case<'_>) {
    let last = case.ask("maa1", 1);
    let decision = case.decide(&[shadow(last), last]).await;
    assert!(decision.allowed);
    assert_eq!(allowed(&decision), [false, true], "the binding one is asked first");
}

async fn a_key_that_is_asked_twice_gives_twice(case: Case<'_>) {
    for (at, algorithm) in Algorithm::ALL.into_iter().enumerate() {
        let limit = case.rate(&format!("naa{at}"), hourly(algorithm, 3), 1);
        let twice = case.decide(&[limit, limit]).await;
        assert!(twice.allowed, "{algorithm:?}");
        assert_eq!(remaining(&twice), [2, 1], "{algorithm:?}");
        let again = case.decide(&[limit, limit]).await;
        assert!(!again.allowed, "{algorithm:?}: one is left");
        assert_eq!(allowed(&again), [true, false], "{algorithm:?}");
        assert_eq!(case.take(limit).await, (true, 0), "{algorithm:?}: and was not taken");
    }
}
