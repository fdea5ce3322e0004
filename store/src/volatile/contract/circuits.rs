//! Circuits: what reports make of them, and who may try.

mod beside_limits;
mod fleet;
mod probes;
mod words;

use std::time::Instant;

use postern_circuit::{Admission, Probes, Recovery, Report, Settings, Share, State};

use super::{Case, all_at_once};
use crate::volatile::{
    CircuitAsk, CircuitReport, CircuitStanding, DecisionAsk, ProbeAsk, ProbeOutcomes, ProbesOf,
    Reported, ReporterId, Reporting,
};

pub(super) async fn run(case: Case<'_>) {
    beside_limits::run(case).await;
    fleet::run(case).await;
    probes::run(case).await;
    words::run(case).await;
}

/// What one replica is told counts at the other.
pub(super) async fn replicas(one: Case<'_>, other: Case<'_>) {
    let circuit = circuit_of("replicas", one.salt);
    fails(one, &circuit, 1, 4).await;
    let opened = fails(other, &circuit, 2, 4).await;
    assert_eq!(opened.standing.state, State::Open);
    let refused = admission(one, &circuit).await;
    assert!(matches!(refused, Admission::Refused { .. }), "{refused:?}");
    let (here, there) = (one.standing(&circuit).await, other.standing(&circuit).await);
    assert_eq!((here.state, here.retry_at), (there.state, there.retry_at));
    probes::shared_by(one.later(250).await, other.later(250).await, &circuit).await;
}

/// Opens by four failures in a row that two have seen; its times are short.
fn circuit_of(service: &str, salt: u8) -> CircuitAsk {
    let settings = Settings {
        failures: 4,
        recovery: Recovery { first_ms: 200, longest_ms: 10_000, jitter: Share(0) },
        probes: Probes { per_interval: 1, interval_ms: 10_000, successes: 1 },
        ..Settings::default()
    };
    CircuitAsk { service: format!("{service}-{salt}"), settings }
}

/// One that is open for so long, after a single failure that one has seen.
async fn open(case: Case<'_>, service: &str, first_ms: u64) -> CircuitAsk {
    let mut circuit = circuit_of(service, case.salt);
    circuit.settings.failures = 1;
    circuit.settings.reporters = 1;
    circuit.settings.recovery.first_ms = first_ms;
    let opened = fails(case, &circuit, 1, 1).await;
    assert_eq!(opened.standing.state, State::Open);
    circuit
}

/// An Envoy of an identity of its own.
fn envoy(number: u64) -> ReporterId {
    ReporterId { peer: number, envoy: number }
}

/// So many failures in a row, and no other calls.
fn all_failed(failures: u32) -> Report {
    Report { calls: failures, failures, slow: 0, run: failures }
}

fn all_well(calls: u32) -> Report {
    Report { calls, ..Report::default() }
}

fn by(reporter: ReporterId) -> Reporting {
    Reporting { reporter, number: None, probes_of: ProbesOf::Reporter }
}

async fn fails(case: Case<'_>, circuit: &CircuitAsk, number: u64, failures: u32) -> Reported {
    case.report(by(envoy(number)), circuit, all_failed(failures)).await
}

/// What a decision without limits says.
async fn admission(case: Case<'_>, circuit: &CircuitAsk) -> Admission {
    let ask = DecisionAsk { limits: Vec::new(), circuit: Some(circuit.clone()) };
    case.store.decide(&ask, case.now).await.unwrap().admission
}

impl Case<'_> {
    async fn report(self, who: Reporting, circuit: &CircuitAsk, report: Report) -> Reported {
        self.ended(who, circuit, report, ProbeOutcomes::default()).await
    }

    async fn ended(
        self,
        who: Reporting,
        circuit: &CircuitAsk,
        report: Report,
        probes: ProbeOutcomes,
    ) -> Reported {
        let reports = [CircuitReport { circuit: circuit.clone(), report, probes }];
        self.store.report_circuits(who, &reports, self.now).await.remove(0).unwrap()
    }

    async fn standing(self, circuit: &CircuitAsk) -> CircuitStanding {
        let circuits = std::slice::from_ref(circuit);
        self.store.circuits(circuits, self.now).await.remove(0).unwrap()
    }

    /// How many probes an Envoy is given.
    async fn grant(self, reporter: ReporterId, circuit: &CircuitAsk, wanted: u32) -> u32 {
        let asks = [ProbeAsk { circuit: circuit.clone(), wanted }];
        let granted = self.store.grant_probes(reporter, &asks, self.now).await.remove(0).unwrap();
        let interval_ms = circuit.settings.probes.interval_ms;
        assert!((granted.probes > 0) == (granted.life_ms > 0), "{granted:?}");
        assert!(granted.probes <= wanted && granted.life_ms <= interval_ms, "{granted:?}");
        granted.probes
    }
}
