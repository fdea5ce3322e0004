use postern_circuit::{Forced, ForcedState, Report, Settings, State};

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
    let idle = after(IDLE_MS + 1);
    assert_eq!(circuits.standing(&circuit, idle), CircuitStanding::default());
    assert_eq!(circuits.ask(&circuit, idle).admission, Admission::Pass);
    let last = circuits.grant(ReporterId { peer: 1, envoy: 1 }, &probe(circuit), idle).unwrap();
    assert_eq!(last.probes, 0, "it is closed");
}

fn probe(circuit: CircuitAsk) -> ProbeAsk {
    ProbeAsk { circuit, wanted: 1, own_refuses: false }
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
