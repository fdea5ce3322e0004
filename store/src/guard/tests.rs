use std::time::Instant;

use super::breaker::{FAILURES, RECOVERY};
use super::*;

use postern_circuit::{Report, Settings};
use postern_leases::{Ask, LeaseId, Terms};
use postern_limits::{Algorithm, Anchor, Rate, Spec};

use crate::hanging::Hanging;
use crate::volatile::{LimitAsk, ProbeOutcomes, ProbesOf};

fn guarded() -> Guarded<Hanging> {
    Guarded::with_budget(Hanging::default(), Duration::from_millis(5))
}

const KEY: LimitKey = LimitKey { owner: 1, hash: [2; 16] };

fn take() -> Take {
    let rate = Rate::parse("3/1h").unwrap();
    let spec = Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock).unwrap();
    Take::Rate { spec, cost: 2 }
}

fn unavailable<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
}

#[tokio::test]
async fn a_hanging_store_is_given_up_and_then_not_asked() {
    let guarded = guarded();
    guarded.store.hang(true);
    let ask = DecisionAsk::default();
    for _ in 0..20 {
        assert!(unavailable(&guarded.decide(&ask, UnixMillis(0)).await));
    }
    assert_eq!(guarded.store.asked(), FAILURES);
    assert!(guarded.is_open());
    guarded.store.hang(false);
    tokio::time::sleep(RECOVERY + Duration::from_millis(20)).await;
    assert!(guarded.decide(&ask, UnixMillis(0)).await.is_ok());
    assert!(!guarded.is_open());
}

#[tokio::test]
async fn nothing_is_the_first_time_while_the_store_hangs() {
    let guarded = guarded();
    let see = |key| guarded.remember_once(ReplayKey([key; 32]), 1000, UnixMillis(0));
    assert_eq!((see(1).await, see(1).await), (Ok(true), Ok(false)));
    guarded.store.hang(true);
    for key in 2..10 {
        assert!(unavailable(&see(key).await));
    }
    assert_eq!(guarded.store.asked(), 2 + FAILURES);
    assert!(guarded.is_open());
}

async fn left(guarded: &Guarded<Hanging>, now: UnixMillis) -> Option<u64> {
    let inspected = guarded.inspect(KEY, take(), now).await.unwrap();
    inspected.map(|inspected| inspected.status.remaining)
}

#[tokio::test]
async fn what_answers_in_time_passes_through() {
    let guarded = guarded();
    let now = UnixMillis(1_000_000);
    let limits = vec![LimitAsk { key: KEY, take: take(), shadow: false }];
    let ask = DecisionAsk { limits, circuit: None };
    assert!(guarded.decide(&ask, now).await.unwrap().allowed);
    assert_eq!(left(&guarded, now).await, Some(1));
    guarded.give_back(&[GiveBack { key: KEY, take: take() }], now).await.unwrap();
    assert!(guarded.decide(&ask, now).await.unwrap().allowed);
    assert_eq!(left(&guarded, now).await, Some(1), "two were given back and taken again");
    assert_eq!(guarded.reset(&[KEY]).await, Ok(1));
    assert_eq!(left(&guarded, now).await, None);
}

fn lend(id: u8) -> LendAsk {
    let rate = Rate::parse("1000/1h").unwrap();
    let spec = Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock).unwrap();
    let ask = Ask { id: LeaseId([id; 16]), asked: 7 };
    LendAsk { key: KEY, spec, terms: Terms::of(10).unwrap(), ask }
}

#[tokio::test]
async fn slices_are_lent_and_taken_back_one_by_one() {
    let guarded = guarded();
    let now = UnixMillis(1_000_000);
    let asks = [lend(1), lend(2)];
    let granted = guarded.lend(&asks, now).await;
    let granted: Vec<_> = granted.into_iter().map(|grant| grant.unwrap().granted).collect();
    assert_eq!(granted, [7, 7]);
    let returns =
        asks.map(|LendAsk { key, spec, ask, .. }| TakeBack { key, spec, id: ask.id, unused: 3 });
    assert_eq!(guarded.take_back(&returns, now).await, [Ok(3), Ok(3)]);
    assert_eq!(guarded.store.asked(), 2);
    guarded.store.hang(true);
    for _ in 0..20 {
        let answers = guarded.lend(&asks, now).await;
        assert_eq!(answers.len(), 2, "each has its answer");
        assert!(answers.iter().all(unavailable));
    }
    assert_eq!(guarded.store.asked(), 2 + FAILURES);
    assert!(guarded.lend(&[], now).await.is_empty());
    assert!(guarded.lending.is_open(), "where nothing is asked, nothing is tried");
}

/// A store that is slow may lend in time while every decision comes too late.
#[tokio::test]
async fn what_is_lent_keeps_no_decision_waiting_for_its_budget() {
    let guarded = guarded();
    let (ask, now) = (DecisionAsk::default(), UnixMillis(1_000_000));
    for id in 1..=5 {
        guarded.store.hang(true);
        assert!(!guarded.is_open() && unavailable(&guarded.decide(&ask, now).await));
        guarded.store.hang(false);
        assert!(guarded.lend(&[lend(id)], now).await[0].is_ok(), "{id}");
    }
    assert!(guarded.is_open());
    let asked = guarded.store.asked();
    assert!(unavailable(&guarded.decide(&ask, now).await));
    assert_eq!(guarded.store.asked(), asked);
    assert!(guarded.lend(&[lend(6)], now).await[0].is_ok(), "and none keeps from lending");
}

#[tokio::test]
async fn what_cannot_be_lent_keeps_nobody_from_deciding() {
    let guarded = guarded();
    let (ask, now) = (DecisionAsk::default(), UnixMillis(1_000_000));
    guarded.store.hang(true);
    for id in 1..=5 {
        assert!(unavailable(&guarded.lend(&[lend(id)], now).await[0]));
    }
    guarded.store.hang(false);
    assert!(guarded.lending.is_open() && !guarded.is_open());
    assert!(unavailable(&guarded.lend(&[lend(6)], now).await[0]), "it is not asked");
    assert!(guarded.decide(&ask, now).await.is_ok());
}

/// An Envoy that reports too much is no reason to take what is open for closed.
#[tokio::test]
async fn what_cannot_be_reported_keeps_nobody_from_looking() {
    let guarded = guarded();
    let now = UnixMillis(1_000_000);
    let circuit = CircuitAsk { service: "s".to_owned(), settings: Settings::default() };
    let reporter = ReporterId::of("peer", "envoy");
    let reporting = Reporting { reporter, number: None, probes_of: ProbesOf::Reporter };
    let (report, probes) = (Report::default(), ProbeOutcomes::default());
    let reports = [CircuitReport { circuit: circuit.clone(), report, probes }];
    guarded.store.hang(true);
    for _ in 0..FAILURES {
        assert!(unavailable(&guarded.report_circuits(reporting, &reports, now).await[0]));
    }
    guarded.store.hang(false);
    assert!(guarded.reports.is_open() && !guarded.looks.is_open());
    assert!(unavailable(&guarded.report_circuits(reporting, &reports, now).await[0]), "not asked");
    assert!(guarded.circuits(std::slice::from_ref(&circuit), now).await[0].is_ok());
    assert!(guarded.say_of_circuit(&circuit, CircuitWord::Reset, now).await.is_ok());
}

/// Each call costs the budget while the breaker is closed, and nothing once it is open.
#[tokio::test]
async fn every_call_is_guarded() {
    let now = UnixMillis(0);
    let circuits = [CircuitAsk { service: "s".to_owned(), settings: Settings::default() }];
    let reporter = ReporterId::of("peer", "envoy");
    let reporting = Reporting { reporter, number: None, probes_of: ProbesOf::Reporter };
    let reports = circuits.clone().map(|circuit| CircuitReport {
        circuit,
        report: Report::default(),
        probes: ProbeOutcomes::default(),
    });
    let asks = circuits.clone().map(|circuit| ProbeAsk { circuit, wanted: 1 });
    let word = CircuitWord::Reset;
    let given = [GiveBack { key: KEY, take: take() }];
    let returns = [TakeBack { key: KEY, spec: lend(1).spec, id: LeaseId([1; 16]), unused: 1 }];
    for call in 0..9 {
        let guarded = guarded();
        guarded.store.hang(true);
        let started = Instant::now();
        for _ in 0..100 {
            let failed = match call {
                0 => unavailable(&guarded.give_back(&given, now).await),
                1 => unavailable(&guarded.inspect(KEY, take(), now).await),
                2 => unavailable(&guarded.reset(&[KEY]).await),
                3 => unavailable(&guarded.lend(&[lend(1)], now).await[0]),
                4 => unavailable(&guarded.take_back(&returns, now).await[0]),
                5 => unavailable(&guarded.report_circuits(reporting, &reports, now).await[0]),
                6 => unavailable(&guarded.grant_probes(reporter, &asks, now).await[0]),
                7 => unavailable(&guarded.circuits(&circuits, now).await[0]),
                _ => unavailable(&guarded.say_of_circuit(&circuits[0], word, now).await),
            };
            assert!(failed, "{call}");
        }
        // Where the machine is so slow that recovery times pass meanwhile, one may try in each.
        let tried = u32::try_from(started.elapsed().as_secs()).unwrap();
        let asked = guarded.store.asked();
        assert!((FAILURES..=FAILURES + tried).contains(&asked), "{call}: {asked}");
    }
}

/// A store that stands still for a moment takes all with it that are under way: one failure.
#[tokio::test]
async fn what_fails_together_fails_once() {
    let guarded = std::sync::Arc::new(guarded());
    guarded.store.hang(true);
    for failures in 1..=FAILURES {
        let mut together = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let guarded = std::sync::Arc::clone(&guarded);
            let ask = DecisionAsk::default();
            together.spawn(async move { unavailable(&guarded.decide(&ask, UnixMillis(0)).await) });
        }
        assert!(together.join_all().await.into_iter().all(|failed| failed));
        assert_eq!(guarded.is_open(), failures == FAILURES, "{failures}");
    }
}
