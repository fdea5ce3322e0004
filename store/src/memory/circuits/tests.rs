use postern_circuit::{Forced, ForcedState, Recovery, Report, Settings, Share, State};

use super::*;
use crate::volatile::{ProbeOutcomes, ProbesOf};

const NOW: UnixMillis = UnixMillis(7_200_000);

fn circuit(service: &str) -> CircuitAsk {
    let settings = Settings { failures: 1, reporters: 1, ..Settings::default() };
    CircuitAsk { service: service.to_owned(), settings }
}

fn fails(circuits: &Circuits, service: &str, now: UnixMillis) -> State {
    let reporter = ReporterId { peer: 1, envoy: 1 };
    let reporting = Reporting { reporter, number: None, probes_of: ProbesOf::Reporter };
    let report = Report { calls: 1, failures: 1, slow: 0, run: 1 };
    let probes = ProbeOutcomes::default();
    let report = CircuitReport { circuit: circuit(service), report, probes };
    circuits.report(reporting, &report, now).unwrap().standing.state
}

fn after(millis: u64) -> UnixMillis {
    UnixMillis(NOW.0 + millis)
}

#[test]
fn one_of_which_nobody_says_anything_is_forgotten_after_an_hour() {
    let circuits = Circuits::default();
    assert_eq!(fails(&circuits, "s", NOW), State::Open);
    let circuit = circuit("s");
    // Its recovery time is long over.
    assert_eq!(circuits.standing(&circuit, after(IDLE_MS)).state, State::HalfOpen);
    let idle = after(IDLE_MS + circuit.settings.recovery.longest_ms + 1);
    assert_eq!(circuits.standing(&circuit, idle), CircuitStanding::default());
    assert_eq!(circuits.ask(&circuit, idle).admission, Admission::Pass);
    let last = circuits.grant(ReporterId { peer: 1, envoy: 1 }, &probe(circuit), idle).unwrap();
    assert_eq!(last.probes, 0, "it is closed");
}

/// However long that is: only a probe closes it.
#[test]
fn one_that_is_open_for_longer_is_kept_until_it_was_to_be_tried() {
    let circuits = Circuits::default();
    let mut circuit = circuit("s");
    let first_ms = 5 * IDLE_MS;
    circuit.settings.recovery = Recovery { first_ms, longest_ms: first_ms, jitter: Share(0) };
    let reporter = ReporterId { peer: 1, envoy: 1 };
    let reporting = Reporting { reporter, number: None, probes_of: ProbesOf::Reporter };
    let report = Report { calls: 1, failures: 1, slow: 0, run: 1 };
    let probes = ProbeOutcomes::default();
    let report = CircuitReport { circuit: circuit.clone(), report, probes };
    let opened = circuits.report(reporting, &report, NOW).unwrap();
    assert_eq!(opened.standing.state, State::Open);
    let refused = circuits.ask(&circuit, after(2 * IDLE_MS)).admission;
    assert!(matches!(refused, Admission::Refused { .. }), "{refused:?}");
    assert_eq!(circuits.standing(&circuit, after(first_ms - 1)).state, State::Open);
    let tried = after(first_ms + IDLE_MS);
    assert_eq!(circuits.standing(&circuit, tried).state, State::HalfOpen);
    assert_eq!(circuits.ask(&circuit, tried).admission, Admission::Probe);
}

fn probe(circuit: CircuitAsk) -> ProbeAsk {
    ProbeAsk { circuit, wanted: 1 }
}

#[test]
fn an_operators_word_is_kept_as_long_as_it_holds() {
    let circuits = Circuits::default();
    let forced = Forced { state: ForcedState::Open, until: after(3 * IDLE_MS) };
    circuits.say(&circuit("s"), CircuitWord::Force(forced), NOW).unwrap();
    let circuit = circuit("s");
    assert_eq!(circuits.standing(&circuit, after(2 * IDLE_MS)).state, State::Open);
    assert_eq!(circuits.standing(&circuit, after(3 * IDLE_MS)).state, State::Closed);
}

#[test]
fn where_the_clock_went_back_nobody_waits_until_it_has_caught_up() {
    let circuits = Circuits::default();
    fails(&circuits, "s", after(10 * IDLE_MS));
    let circuit = circuit("s");
    let refused = circuits.ask(&circuit, NOW).admission;
    let longest = circuit.settings.recovery.longest_ms;
    let Admission::Refused { retry_after_ms } = refused else { panic!("{refused:?}") };
    assert!(retry_after_ms <= longest, "{retry_after_ms}");
    assert_eq!(circuits.ask(&circuit, after(longest)).admission, Admission::Probe);
}

#[test]
fn where_the_clock_went_back_others_go_first_for_an_interval_and_no_longer() {
    let circuits = Circuits::default();
    fails(&circuits, "s", after(10 * IDLE_MS));
    let mut ask = probe(circuit("s"));
    ask.circuit.settings.reporters = 2;
    let Settings { recovery, probes, .. } = ask.circuit.settings;
    let reporter = ReporterId { peer: 1, envoy: 1 };
    let grant = |now: UnixMillis| circuits.grant(reporter, &ask, now).unwrap().probes;
    assert_eq!(grant(after(10 * IDLE_MS + recovery.longest_ms)), 1);
    assert_eq!(grant(NOW), 0, "its interval is running");
    assert_eq!(grant(after(probes.interval_ms)), 1);
    assert_eq!(grant(after(2 * probes.interval_ms)), 0, "of that one nothing was heard either");
    assert_eq!(grant(after(3 * probes.interval_ms)), 1);
}
