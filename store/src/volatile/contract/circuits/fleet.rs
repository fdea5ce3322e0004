//! Who says that a service fails, and when that is enough.

use postern_circuit::{Reason, Slow, Transition};

use super::*;
use crate::volatile::circuits::{MAX_REPORTERS, OWN_REPORTERS, SHARED_REPORTERS};

pub(super) async fn run(case: Case<'_>) {
    two_open_it_and_one_does_not(case).await;
    nonsense_of_one_opens_nothing(case).await;
    those_for_whom_it_works_are_heard(case).await;
    shares_are_of_all_calls(case).await;
    slow_calls_count(case).await;
    a_report_counts_once(case).await;
    each_report_of_a_call_is_for_itself(case).await;
    an_identity_is_sixteen_reporters_at_most(case).await;
    reporters_are_bounded(case).await;
    what_was_said_before_it_recovered_is_forgotten(case).await;
}

async fn two_open_it_and_one_does_not(case: Case<'_>) {
    let circuit = circuit_of("two", case.salt);
    for _ in 0..3 {
        let alone = fails(case, &circuit, 1, 100).await;
        assert_eq!((alone.standing.state, alone.moved), (State::Closed, None));
    }
    assert_eq!(case.standing(&circuit).await.reporters, 1);
    let together = fails(case, &circuit, 2, 2).await;
    let expected = Transition { from: State::Closed, to: State::Open, reason: Reason::Run };
    assert_eq!(together.moved, Some(expected));
    let standing = together.standing;
    assert!((1..=200).contains(&standing.retry_after_ms), "{standing:?}");
    assert!(standing.retry_at.is_some() && standing.last_failure.is_some(), "{standing:?}");
    assert_eq!((standing.state, standing.failures), (State::Open, 302));
    let more = fails(case, &circuit, 3, 100).await;
    assert_eq!((more.moved, more.standing.state), (None, State::Open), "it moves once");
    assert_eq!(case.standing(&circuit).await.state, State::Open);
}

async fn nonsense_of_one_opens_nothing(case: Case<'_>) {
    let mut circuit = circuit_of("nonsense", case.salt);
    circuit.settings.ratio = Some(Share::percent(1));
    circuit.settings.slow = Some(Slow { over_ms: 1, share: Share::percent(1) });
    circuit.settings.minimum = 1;
    let numbers = [0, 1, u32::MAX];
    for calls in numbers {
        for failures in numbers {
            for run in numbers {
                let report = Report { calls, failures, slow: failures, run };
                let said = case.report(by(envoy(1)), &circuit, report).await;
                assert_eq!(said.standing.state, State::Closed, "{report:?}");
            }
        }
    }
    let well = case.report(by(envoy(2)), &circuit, all_well(3)).await;
    assert_eq!(well.standing.state, State::Closed);
    let again = fails(case, &circuit, 1, u32::MAX).await;
    assert_eq!(again.standing.state, State::Closed);
    assert_eq!(admission(case, &circuit).await, Admission::Pass);
}

async fn those_for_whom_it_works_are_heard(case: Case<'_>) {
    let circuit = circuit_of("works", case.salt);
    for number in 1..=3 {
        case.report(by(envoy(number)), &circuit, all_well(5)).await;
    }
    for number in 4..=5 {
        let said = fails(case, &circuit, number, 50).await;
        assert_eq!(said.standing.state, State::Closed, "two of five");
    }
    for number in 6..=7 {
        let said = fails(case, &circuit, number, 50).await;
        assert_eq!(said.standing.state, State::Closed, "no majority without one of them");
    }
    let said = fails(case, &circuit, 8, 50).await;
    assert_eq!(said.standing.state, State::Open, "five against three");
}

async fn shares_are_of_all_calls(case: Case<'_>) {
    let mut circuit = circuit_of("share", case.salt);
    circuit.settings.failures = 0;
    circuit.settings.ratio = Some(Share::percent(50));
    let half = |calls| Report { calls, failures: calls / 2, slow: 0, run: 0 };
    for (number, calls, expected) in
        [(1, 10, State::Closed), (2, 8, State::Closed), (2, 2, State::Open)]
    {
        let said = case.report(by(envoy(number)), &circuit, half(calls)).await;
        assert_eq!(said.standing.state, expected, "{number} {calls}");
        let moved = said.moved.map(|moved| moved.reason);
        assert_eq!(moved, (expected == State::Open).then_some(Reason::Ratio));
    }
}

async fn slow_calls_count(case: Case<'_>) {
    let mut circuit = circuit_of("slow", case.salt);
    circuit.settings.failures = 0;
    circuit.settings.slow = Some(Slow { over_ms: 100, share: Share::percent(80) });
    let slow = Report { calls: 10, slow: 8, ..Report::default() };
    let first = case.report(by(envoy(1)), &circuit, slow).await;
    assert_eq!(first.standing.state, State::Closed);
    let second = case.report(by(envoy(2)), &circuit, slow).await;
    assert_eq!(second.moved.map(|moved| moved.reason), Some(Reason::Slow));
}

async fn a_report_counts_once(case: Case<'_>) {
    let mut circuit = circuit_of("once", case.salt);
    circuit.settings =
        Settings { failures: 0, ratio: Some(Share::percent(50)), reporters: 1, ..circuit.settings };
    let numbered = |number| Reporting { number: Some(number), ..by(envoy(1)) };
    for (number, expected) in [
        (0, State::Closed),
        (0, State::Closed),
        (7, State::Closed),
        (7, State::Closed),
        (6, State::Closed),
        (8, State::Open),
    ] {
        let said = case.report(numbered(number), &circuit, all_failed(7)).await;
        assert_eq!(said.standing.state, expected, "{number}");
    }
}

async fn each_report_of_a_call_is_for_itself(case: Case<'_>) {
    let circuits = ["a", "b", "c"].map(|name| circuit_of(&format!("each-{name}"), case.salt));
    let reports = circuits.clone().map(|circuit| CircuitReport {
        circuit,
        report: all_failed(4),
        probes: ProbeOutcomes::default(),
    });
    case.store.report_circuits(by(envoy(1)), &reports, case.now).await;
    let second = case.store.report_circuits(by(envoy(2)), &reports[..2], case.now).await;
    assert!(second.iter().all(|said| said.as_ref().unwrap().moved.is_some()), "{second:?}");
    let standing = case.store.circuits(&circuits, case.now).await;
    let states: Vec<State> = standing.into_iter().map(|one| one.unwrap().state).collect();
    assert_eq!(states, [State::Open, State::Open, State::Closed]);
    assert!(case.store.circuits(&[], case.now).await.is_empty());
}

async fn an_identity_is_sixteen_reporters_at_most(case: Case<'_>) {
    let mut circuit = circuit_of("identity", case.salt);
    circuit.settings.failures = 1_000;
    circuit.settings.reporters = 17;
    for name in 0..100 {
        let reporter = ReporterId { peer: 1, envoy: name };
        let who = Reporting { number: Some(1), ..by(reporter) };
        let said = case.report(who, &circuit, all_failed(1_000)).await;
        assert_eq!(said.standing.state, State::Closed, "{name}: it is one of seventeen");
    }
    let most = OWN_REPORTERS + usize::try_from(SHARED_REPORTERS).unwrap();
    let reporters = case.standing(&circuit).await.reporters;
    assert_eq!(usize::try_from(reporters).unwrap(), most);
    // Their word is of now, however long all the others took.
    for name in 0..u64::try_from(OWN_REPORTERS).unwrap() {
        let who = Reporting { number: Some(2), ..by(ReporterId { peer: 1, envoy: name }) };
        case.report(who, &circuit, all_failed(1_000)).await;
    }
    // Those that have no place of their own count all the same, each with each report.
    circuit.settings.reporters = 16;
    // Where many report they are not asked at once again what they say together.
    let said = fails(case.later(10).await, &circuit, 2, 1_000).await;
    assert_eq!(said.standing.state, State::Open);
}

async fn reporters_are_bounded(case: Case<'_>) {
    let circuit = circuit_of("bounded", case.salt);
    let most = u64::try_from(MAX_REPORTERS).unwrap();
    let reports =
        [CircuitReport { circuit, report: all_well(1), probes: ProbeOutcomes::default() }];
    for some in (0..most + 40).collect::<Vec<_>>().chunks(100) {
        let report =
            |number: &u64| case.store.report_circuits(by(envoy(*number)), &reports, case.now);
        for said in all_at_once(some.iter().map(report).collect()).await {
            assert!(said.iter().all(Result::is_ok), "{said:?}");
        }
    }
    let reporters = case.standing(&reports[0].circuit).await.reporters;
    assert_eq!(u64::from(reporters), most);
}

async fn what_was_said_before_it_recovered_is_forgotten(case: Case<'_>) {
    let circuit = circuit_of("before", case.salt);
    fails(case, &circuit, 1, 4).await;
    fails(case, &circuit, 2, 4).await;
    let later = case.later(250).await;
    assert_eq!(admission(later, &circuit).await, Admission::Probe);
    let by_log = Reporting { probes_of: ProbesOf::Decisions, ..by(envoy(3)) };
    let came = ProbeOutcomes { through: 1, failed: 0 };
    let closed = later.ended(by_log, &circuit, all_well(1), came).await;
    assert_eq!((closed.standing.state, closed.standing.failures), (State::Closed, 0));
    let one = fails(later, &circuit, 1, 4).await;
    assert_eq!(one.standing.state, State::Closed, "the other one has not said so since");
    assert_eq!(fails(later, &circuit, 2, 4).await.standing.state, State::Open);
}
