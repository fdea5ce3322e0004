//! Who may try a service again.

use postern_circuit::{Reason, Transition};

use super::*;
use crate::BoxFuture;

pub(super) async fn run(case: Case<'_>) {
    an_open_circuit_probes_and_closes(case).await;
    a_probe_that_fails_opens_it_for_longer(case).await;
    nobody_ends_probes_of_others(case).await;
    several_may_have_to_come_through(case).await;
    all_together_have_no_more_than_an_interval_has(case).await;
    a_lost_probe_is_followed_by_another(case).await;
    who_has_not_reported_is_given_none(case).await;
    whose_probe_has_failed_lets_others_go_first(case).await;
    who_says_nothing_of_a_probe_lets_others_go_first(case).await;
    a_closed_one_needs_no_probes(case).await;
}

const THROUGH: ProbeOutcomes = ProbeOutcomes { through: 1, failed: 0 };
const FAILED: ProbeOutcomes = ProbeOutcomes { through: 0, failed: 1 };

/// Whoever tells of decisions' probes.
fn by_log(number: u64) -> Reporting {
    Reporting { probes_of: ProbesOf::Decisions, ..by(envoy(number)) }
}

fn is_refused(admission: Admission) -> bool {
    matches!(admission, Admission::Refused { .. })
}

async fn an_open_circuit_probes_and_closes(case: Case<'_>) {
    let circuit = open(case, "probes", 200).await;
    let refused = admission(case, &circuit).await;
    assert!(matches!(refused, Admission::Refused { retry_after_ms: 1..=200 }), "{refused:?}");
    assert_eq!(case.grant(envoy(1), &circuit, 1).await, 0);
    // What ends now began before.
    let straggler = case.ended(by_log(1), &circuit, all_well(1), THROUGH).await;
    assert_eq!((straggler.standing.state, straggler.moved), (State::Open, None));

    let later = case.later(250).await;
    let standing = later.standing(&circuit).await;
    assert_eq!((standing.state, standing.retry_after_ms), (State::HalfOpen, 0), "who may try?");
    assert_eq!(admission(later, &circuit).await, Admission::Probe);
    let standing = later.standing(&circuit).await;
    assert_eq!(standing.state, State::HalfOpen);
    assert!((9_000..=10_000).contains(&standing.retry_after_ms), "{standing:?}");
    assert!(is_refused(admission(later, &circuit).await), "one in an interval");
    assert_eq!(later.grant(envoy(1), &circuit, 1).await, 0, "for all together");
    let closed = later.ended(by_log(2), &circuit, all_well(1), THROUGH).await;
    let expected =
        Transition { from: State::HalfOpen, to: State::Closed, reason: Reason::Recovered };
    assert_eq!((closed.moved, closed.standing.state), (Some(expected), State::Closed));
    assert_eq!(admission(later, &circuit).await, Admission::Pass);
}

async fn a_probe_that_fails_opens_it_for_longer(case: Case<'_>) {
    let mut circuit = open(case, "longer", 100).await;
    // The interval must be over before it may be tried again.
    circuit.settings.probes.interval_ms = 50;
    let mut later = case.later(150).await;
    for wait in [200, 400] {
        assert_eq!(later.grant(envoy(1), &circuit, 1).await, 1);
        let failed = later.ended(by(envoy(1)), &circuit, all_failed(1), FAILED).await;
        let expected =
            Transition { from: State::HalfOpen, to: State::Open, reason: Reason::ProbeFailed };
        assert_eq!((failed.moved, failed.standing.state), (Some(expected), State::Open));
        let waits = failed.standing.retry_after_ms;
        assert!((wait - 50..=wait).contains(&waits), "{waits}");
        later = later.later(wait + 50).await;
    }
}

/// Neither what somebody else was given, nor what was given at another time.
async fn nobody_ends_probes_of_others(case: Case<'_>) {
    let circuit = open(case, "others", 100).await;
    for stranger in [2, 3] {
        case.report(by(envoy(stranger)), &circuit, all_well(1)).await;
    }
    let later = case.later(150).await;
    assert_eq!(later.grant(envoy(2), &circuit, 1).await, 1);
    for probes in [THROUGH, FAILED, ProbeOutcomes { through: 9, failed: 9 }] {
        for who in [by(envoy(3)), by_log(3), by(envoy(4))] {
            let said = later.ended(who, &circuit, Report::default(), probes).await;
            assert_eq!((said.standing.state, said.moved), (State::HalfOpen, None), "{who:?}");
        }
    }
    let failed = later.ended(by(envoy(2)), &circuit, Report::default(), FAILED).await;
    assert_eq!(failed.standing.state, State::Open);
    let again = later.ended(by(envoy(2)), &circuit, Report::default(), THROUGH).await;
    assert_eq!((again.standing.state, again.moved), (State::Open, None), "it had one");
}

async fn several_may_have_to_come_through(case: Case<'_>) {
    let mut circuit = open(case, "several", 100).await;
    circuit.settings.probes = Probes { per_interval: 3, interval_ms: 10_000, successes: 2 };
    let later = case.later(150).await;
    assert_eq!(later.grant(envoy(1), &circuit, 1).await, 1);
    assert_eq!(admission(later, &circuit).await, Admission::Probe);
    let one = later.ended(by(envoy(1)), &circuit, all_well(1), THROUGH).await;
    assert_eq!((one.standing.state, one.moved), (State::HalfOpen, None));
    let two = later.ended(by_log(1), &circuit, all_well(1), THROUGH).await;
    assert_eq!(two.standing.state, State::Closed);
}

/// Two hundred who ask at the same time, half of them with decisions.
async fn all_together_have_no_more_than_an_interval_has(case: Case<'_>) {
    let circuit = open(case, "together", 200).await;
    let later = case.later(250).await;
    shared_by(later, later, &circuit).await;
}

/// The same on two replicas, with a circuit whose time is over.
pub(super) async fn shared_by(one: Case<'_>, other: Case<'_>, circuit: &CircuitAsk) {
    let mut circuit = circuit.clone();
    circuit.settings.probes = Probes { per_interval: 3, interval_ms: 2_000, successes: 100 };
    for number in 1..=100 {
        one.report(by(envoy(number)), &circuit, Report::default()).await;
    }
    let (circuit, started) = (&circuit, Instant::now());
    let ask = |number: u64| -> BoxFuture<'_, u32> {
        let case = if number % 4 < 2 { one } else { other };
        Box::pin(async move {
            if number.is_multiple_of(2) {
                u32::from(admission(case, circuit).await == Admission::Probe)
            } else {
                case.grant(envoy(number / 2 + 1), circuit, 5).await
            }
        })
    };
    let probes: u32 = all_at_once((0..200).map(ask).collect()).await.into_iter().sum();
    // A machine that takes so long has seen another interval begin.
    let intervals = 1 + u32::try_from(started.elapsed().as_secs() / 2).unwrap();
    assert!((3..=3 * intervals).contains(&probes), "{probes} in {intervals}");
}

async fn a_lost_probe_is_followed_by_another(case: Case<'_>) {
    let mut circuit = open(case, "lost", 100).await;
    circuit.settings.probes.interval_ms = 300;
    let later = case.later(150).await;
    assert_eq!(admission(later, &circuit).await, Admission::Probe);
    let refused = admission(later, &circuit).await;
    assert!(matches!(refused, Admission::Refused { retry_after_ms: 1..=300 }), "{refused:?}");
    let later = later.later(350).await;
    assert_eq!(later.grant(envoy(1), &circuit, 1).await, 1);
    assert!(is_refused(admission(later, &circuit).await));
}

async fn who_has_not_reported_is_given_none(case: Case<'_>) {
    let circuit = open(case, "stranger", 100).await;
    let later = case.later(150).await;
    assert_eq!(later.grant(envoy(9), &circuit, 1).await, 0);
    later.report(by(envoy(9)), &circuit, Report::default()).await;
    assert_eq!(later.grant(envoy(9), &circuit, 1).await, 1);
}

async fn whose_probe_has_failed_lets_others_go_first(case: Case<'_>) {
    let mut circuit = circuit_of("first", case.salt);
    circuit.settings.recovery.longest_ms = 200;
    circuit.settings.probes.interval_ms = 400;
    for number in [1, 2] {
        fails(case, &circuit, number, 4).await;
    }
    let later = case.later(250).await;
    assert_eq!(later.grant(envoy(1), &circuit, 1).await, 1);
    let failed = later.ended(by(envoy(1)), &circuit, all_failed(1), FAILED).await;
    let waits = failed.standing.retry_after_ms;
    let later = later.later(waits + 50).await;
    assert_eq!(later.grant(envoy(1), &circuit, 1).await, 0, "somebody else may know better");
    assert_eq!(later.grant(envoy(2), &circuit, 1).await, 1);

    // Where nobody else comes, it has its turn.
    let again = later.ended(by(envoy(2)), &circuit, all_failed(1), FAILED).await;
    let later = later.later(again.standing.retry_after_ms + 50).await;
    assert_eq!(later.grant(envoy(2), &circuit, 1).await, 0);
    assert_eq!(later.later(450).await.grant(envoy(2), &circuit, 1).await, 1);
}

/// Each takes the whole of an interval, and only some tell what came of it.
async fn who_says_nothing_of_a_probe_lets_others_go_first(case: Case<'_>) {
    let mut circuit = circuit_of("silent", case.salt);
    circuit.settings.probes = Probes { per_interval: 1, interval_ms: 400, successes: 3 };
    for number in [1, 2] {
        fails(case, &circuit, number, 4).await;
    }
    let later = case.later(250).await;
    assert_eq!(later.grant(envoy(1), &circuit, 1).await, 1);
    let later = later.later(450).await;
    assert_eq!(later.grant(envoy(1), &circuit, 1).await, 0, "others have waited");
    assert_eq!(later.grant(envoy(2), &circuit, 1).await, 1);
    let told = later.ended(by(envoy(2)), &circuit, all_well(1), THROUGH).await;
    assert_eq!((told.standing.state, told.moved), (State::HalfOpen, None));
    let later = later.later(450).await;
    assert_eq!(later.grant(envoy(2), &circuit, 1).await, 1, "it has told");

    // Where nobody else comes, who has not told has its turn an interval later.
    let later = later.later(450).await;
    let late = later.ended(by(envoy(1)), &circuit, all_well(1), THROUGH).await;
    assert_eq!(late.standing.state, State::HalfOpen, "of the probe before");
    assert_eq!(later.grant(envoy(2), &circuit, 1).await, 0);
    assert_eq!(later.later(450).await.grant(envoy(2), &circuit, 1).await, 1);
}

async fn a_closed_one_needs_no_probes(case: Case<'_>) {
    let circuit = circuit_of("closed", case.salt);
    case.report(by(envoy(1)), &circuit, all_well(1)).await;
    assert_eq!(case.grant(envoy(1), &circuit, 1).await, 0, "all calls pass");
    assert_eq!(admission(case, &circuit).await, Admission::Pass);
    assert_eq!(case.standing(&circuit).await.state, State::Closed);
}
