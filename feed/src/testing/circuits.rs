//! Circuits of two services, and a store of them that can be away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postern_circuit::{Probes, Recovery, Report, Settings as CircuitSettings, Share};
use postern_request::UnixMillis;
use postern_store::volatile::{
    CircuitAsk, CircuitReport, CircuitStanding, CircuitStore, CircuitWord, Granted, ProbeAsk,
    Reported, ReporterId, Reporting,
};
use postern_store::{MemoryStore, StoreError};
use postern_telemetry::MetricsRegistry;

use super::{Anybody, TestClock, metric};
use crate::circuits::metrics::CircuitMetrics;
use crate::circuits::reports::{Heard, ReportRefusal, Reports, ServiceReport};
use crate::circuits::view::{CircuitsView, ViewParts};
use crate::circuits::{Circuits, CircuitsParts, GuardedServices};
use crate::metrics::Metrics;
use crate::pace::Jitter;
use crate::peer::PeerIdentity;
use crate::settings::Settings;
use crate::{BoxFuture, Clock};

/// One in memory that can be away.
#[derive(Default)]
pub(crate) struct Leaving {
    pub(crate) memory: MemoryStore,
    away: AtomicBool,
}

impl Leaving {
    pub(crate) fn leave(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    fn each<'a, T: Send + 'a>(
        &self,
        calls: usize,
        answers: BoxFuture<'a, Vec<Result<T, StoreError>>>,
    ) -> BoxFuture<'a, Vec<Result<T, StoreError>>> {
        if !self.away.load(Ordering::Relaxed) {
            return answers;
        }
        let away = |_| Err(StoreError::Unavailable("for the test".to_owned()));
        Box::pin(async move { (0..calls).map(away).collect() })
    }
}

impl CircuitStore for Leaving {
    fn report_circuits<'a>(
        &'a self,
        reporting: Reporting,
        reports: &'a [CircuitReport],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Reported, StoreError>>> {
        self.each(reports.len(), self.memory.report_circuits(reporting, reports, now))
    }

    fn grant_probes<'a>(
        &'a self,
        reporter: ReporterId,
        asks: &'a [ProbeAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Granted, StoreError>>> {
        self.each(asks.len(), self.memory.grant_probes(reporter, asks, now))
    }

    fn circuits<'a>(
        &'a self,
        circuits: &'a [CircuitAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<CircuitStanding, StoreError>>> {
        self.each(circuits.len(), self.memory.circuits(circuits, now))
    }

    fn say_of_circuit<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        word: CircuitWord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<CircuitStanding, StoreError>> {
        self.memory.say_of_circuit(circuit, word, now)
    }
}

/// `payments` calls `bank` and `post`; `ship` is somebody else's.
struct Services(BTreeMap<&'static str, CircuitSettings>);

impl GuardedServices for Services {
    fn settings(&self, workload: &str, service: &str) -> Option<CircuitSettings> {
        let calls = workload == "payments" && service != "ship";
        self.0.get(service).copied().filter(|_| calls)
    }

    fn all(&self) -> Vec<CircuitAsk> {
        let circuits = self.0.iter();
        circuits
            .map(|(service, settings)| CircuitAsk {
                service: (*service).to_owned(),
                settings: *settings,
            })
            .collect()
    }
}

/// Opens by four failures in a row that two have seen, for ten seconds.
pub(crate) fn settings() -> CircuitSettings {
    CircuitSettings {
        failures: 4,
        recovery: Recovery { first_ms: 10_000, longest_ms: 10_000, jitter: Share(0) },
        probes: Probes { per_interval: 2, interval_ms: 1_000, successes: 1 },
        ..CircuitSettings::default()
    }
}

/// One replica's part in circuits.
pub(crate) struct CircuitsRig {
    pub(crate) circuits: Arc<Circuits>,
    pub(crate) view: Arc<CircuitsView>,
    pub(crate) store: Arc<Leaving>,
    pub(crate) stand_in: Arc<MemoryStore>,
    pub(crate) clock: TestClock,
    registry: MetricsRegistry,
}

impl CircuitsRig {
    pub(crate) fn new(limits: &Settings) -> Self {
        Self::sharing(Arc::default(), limits)
    }

    /// The same with the store of another one.
    pub(crate) fn sharing(store: Arc<Leaving>, limits: &Settings) -> Self {
        let clock = TestClock::new();
        let read = {
            let clock = clock.clone();
            Arc::new(move || clock.now()) as Clock
        };
        let registry = MetricsRegistry::new("test", std::time::Instant::now()).unwrap();
        let of_circuits = CircuitMetrics::new(&registry).unwrap();
        let services = ["bank", "post", "ship"].map(|service| (service, settings()));
        let services: Arc<dyn GuardedServices> = Arc::new(Services(services.into()));
        let stand_in = Arc::<MemoryStore>::default();
        let view = Arc::new(CircuitsView::new(ViewParts {
            services: Arc::clone(&services),
            store: Arc::<Leaving>::clone(&store),
            stand_in: Arc::<MemoryStore>::clone(&stand_in),
            clock: Arc::clone(&read),
            metrics: of_circuits.clone(),
        }));
        let parts = CircuitsParts {
            services,
            document_digest: Arc::new(|| "document".to_owned()),
            store: Arc::<Leaving>::clone(&store),
            peers: Arc::new(Anybody),
            view: Arc::clone(&view),
            clock: read,
            metrics: Metrics::new(&registry).unwrap(),
            of_circuits,
        };
        let circuits = Arc::new(Circuits::new(parts, limits, Jitter::seeded(3)).unwrap());
        Self { circuits, view, store, stand_in, clock, registry }
    }

    /// What an Envoy of a credential of its own reports.
    pub(crate) async fn report(
        &self,
        envoy: &str,
        number: u64,
        services: Vec<ServiceReport>,
    ) -> Result<Heard, ReportRefusal> {
        let peer = PeerIdentity::Credential(envoy.to_owned());
        self.circuits.report(&peer, &reports(envoy, number, services)).await
    }

    /// Two Envoys that have seen a service fail.
    pub(crate) async fn fail(&self, service: &str) {
        for envoy in ["1", "2"] {
            self.report(envoy, 1, vec![failed(service, 4)]).await.unwrap();
        }
    }

    /// A metric's value, by the beginning of its line.
    pub(crate) fn metric(&self, start: &str) -> f64 {
        metric(&self.registry, start)
    }
}

pub(crate) fn reports(envoy: &str, number: u64, services: Vec<ServiceReport>) -> Reports {
    Reports {
        workload: "payments".to_owned(),
        envoy_id: envoy.to_owned(),
        document_digest: "document".to_owned(),
        number,
        services,
    }
}

pub(crate) fn failed(service: &str, failures: u32) -> ServiceReport {
    let report = Report { calls: failures, failures, slow: 0, run: failures };
    ServiceReport { service: service.to_owned(), report, ..ServiceReport::default() }
}

/// One that has refused calls, and would like to know whether it still has to.
pub(crate) fn refused(service: &str, refused: u32) -> ServiceReport {
    ServiceReport { service: service.to_owned(), refused, ..ServiceReport::default() }
}
