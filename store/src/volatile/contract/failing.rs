//! A service that has failed, for the tests of those who ask.

use postern_circuit::{Probes, Recovery, Report, Settings, Share};
use postern_request::UnixMillis;

use crate::volatile::{
    CircuitAsk, CircuitReport, CircuitStore, ProbeOutcomes, ProbesOf, ReporterId, Reporting,
};

/// Opens a service's circuit for so long, by one failure that one Envoy has seen.
pub async fn open_circuit(
    store: &(impl CircuitStore + ?Sized),
    service: &str,
    recovery_ms: u64,
    now: UnixMillis,
) -> CircuitAsk {
    let settings = Settings {
        failures: 1,
        reporters: 1,
        recovery: Recovery { first_ms: recovery_ms, longest_ms: recovery_ms, jitter: Share(0) },
        probes: Probes { per_interval: 1, interval_ms: 1_000, successes: 1 },
        ..Settings::default()
    };
    let circuit = CircuitAsk { service: service.to_owned(), settings };
    let reporting = Reporting {
        reporter: ReporterId { peer: 1, envoy: 1 },
        number: None,
        probes_of: ProbesOf::Decisions,
    };
    let report = Report { calls: 1, failures: 1, slow: 0, run: 1 };
    let probes = ProbeOutcomes::default();
    let reports = [CircuitReport { circuit: circuit.clone(), report, probes }];
    store.report_circuits(reporting, &reports, now).await.remove(0).unwrap();
    circuit
}
