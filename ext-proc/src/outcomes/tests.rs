use std::time::{Duration, Instant};

use postern_circuit::{Report, State};
use postern_store::away::Away;
use postern_store::volatile::{
    CircuitAsk, CircuitStanding, CircuitWord, Granted, ProbeAsk, ProbeOutcomes, Reported,
};
use postern_store::{BoxFuture, MemoryStore, StoreError};
use postern_telemetry::MetricsRegistry;
use tokio::sync::Semaphore;

use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_500);
const SERVICE: &str = "pay";
const FAILED: Verdict = Verdict::Failure { slow: false };
const FINE: Verdict = Verdict::Success { slow: false };

fn settings() -> Settings {
    Settings { failures: 3, reporters: 2, ..Settings::default() }
}

fn envoy(number: u64) -> ReporterId {
    ReporterId { peer: number, envoy: number }
}

/// One in memory that lets a report through for each permit, and remembers what was reported.
struct Gated {
    memory: MemoryStore,
    gate: Semaphore,
    seen: Mutex<Vec<(Report, ProbeOutcomes)>>,
}

impl Gated {
    fn letting(permits: usize) -> Arc<Self> {
        let (memory, seen) = (MemoryStore::default(), Mutex::default());
        Arc::new(Self { memory, gate: Semaphore::new(permits), seen })
    }

    fn seen(&self) -> Vec<(Report, ProbeOutcomes)> {
        self.seen.lock().unwrap().clone()
    }
}

impl CircuitStore for Gated {
    fn report_circuits<'a>(
        &'a self,
        reporting: Reporting,
        reports: &'a [CircuitReport],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Reported, StoreError>>> {
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            let said = reports.iter().map(|one| (one.report, one.probes));
            self.seen.lock().unwrap().extend(said);
            self.memory.report_circuits(reporting, reports, now).await
        })
    }

    fn grant_probes<'a>(
        &'a self,
        reporter: ReporterId,
        asks: &'a [ProbeAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Granted, StoreError>>> {
        self.memory.grant_probes(reporter, asks, now)
    }

    fn circuits<'a>(
        &'a self,
        circuits: &'a [CircuitAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<CircuitStanding, StoreError>>> {
        self.memory.circuits(circuits, now)
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

struct Fixture {
    outcomes: Arc<Outcomes>,
    stand_in: Arc<MemoryStore>,
    moved: Arc<Mutex<Vec<String>>>,
    registry: MetricsRegistry,
}

fn fixture(store: Arc<dyn CircuitStore>) -> Fixture {
    let registry = MetricsRegistry::new("test", Instant::now()).unwrap();
    let (stand_in, moved) = (Arc::<MemoryStore>::default(), Arc::<Mutex<Vec<String>>>::default());
    let heard = Arc::clone(&moved);
    let outcomes = Outcomes::new(OutcomesParts {
        store,
        stand_in: Arc::<MemoryStore>::clone(&stand_in),
        moved: Arc::new(move |service, moved| {
            heard.lock().unwrap().push(format!("{service} {}", moved.to.as_str()));
        }),
        metrics: Metrics::new(&registry).unwrap(),
    });
    Fixture { outcomes: Arc::new(outcomes), stand_in, moved, registry }
}

impl Fixture {
    fn ended(&self, reporter: ReporterId, verdict: Verdict) {
        self.outcomes.judged(reporter, SERVICE, &settings(), verdict, NOW);
    }

    fn counted(&self, begins: &str) -> u64 {
        let text = self.registry.encode(Instant::now()).unwrap();
        let line = text.lines().find(|line| line.starts_with(begins));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }
}

async fn state(store: &dyn CircuitStore) -> State {
    let circuit = CircuitAsk { service: SERVICE.to_owned(), settings: settings() };
    store.circuits(&[circuit], NOW).await.remove(0).unwrap().state
}

async fn until(condition: impl AsyncFn() -> bool) {
    for _ in 0..1_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never became so");
}

#[tokio::test]
async fn what_comes_while_a_report_is_on_its_way_is_added_up() {
    let store = Gated::letting(0);
    let fixture = fixture(Arc::<Gated>::clone(&store));
    fixture.ended(envoy(1), FAILED);
    tokio::time::sleep(Duration::from_millis(10)).await;
    for verdict in [FINE, FAILED, Verdict::Ignored, Verdict::Success { slow: true }, FAILED] {
        fixture.ended(envoy(1), verdict);
    }
    store.gate.add_permits(2);
    until(async || store.seen().len() == 2).await;
    let first = Report { calls: 1, failures: 1, slow: 0, run: 1 };
    let rest = Report { calls: 4, failures: 2, slow: 1, run: 1 };
    let probes = |through, failed| ProbeOutcomes { through, failed };
    assert_eq!(store.seen(), [(first, probes(0, 1)), (rest, probes(1, 3))]);
    assert_eq!(fixture.counted("postern_upstream_outcomes_total{outcome=\"failure\""), 3);
    assert_eq!(fixture.counted("postern_upstream_outcomes_total{outcome=\"success\""), 2);

    // The run goes on, and so does everything else.
    store.gate.add_permits(1);
    fixture.ended(envoy(1), FAILED);
    until(async || store.seen().len() == 3).await;
    assert_eq!(store.seen()[2].0, Report { calls: 1, failures: 1, slow: 0, run: 2 });
}

#[tokio::test]
async fn one_envoys_word_opens_nothing_and_that_of_two_does() {
    let store = Gated::letting(1_000);
    let fixture = fixture(Arc::<Gated>::clone(&store));
    for _ in 0..100 {
        fixture.ended(envoy(1), FAILED);
    }
    until(async || store.seen().iter().map(|(report, _)| report.calls).sum::<u32>() == 100).await;
    assert_eq!(state(&*store).await, State::Closed);
    for _ in 0..2 {
        fixture.ended(envoy(2), FAILED);
    }
    until(async || state(&*store).await == State::Open).await;
    until(async || *fixture.moved.lock().unwrap() == ["pay OPEN"]).await;
}

#[tokio::test]
async fn without_the_store_outcomes_stay_here() {
    let fixture = fixture(Arc::new(Away));
    for number in 1..=2 {
        for _ in 0..3 {
            fixture.ended(envoy(number), FAILED);
        }
    }
    until(async || state(&*fixture.stand_in).await == State::Open).await;
    until(async || fixture.counted("postern_upstream_outcomes_unshared_total{") == 6).await;
    assert!(fixture.moved.lock().unwrap().is_empty(), "nothing that is shared has moved");
}

#[tokio::test]
async fn what_is_lost_for_want_of_room_is_counted() {
    let fixture = fixture(Gated::letting(0));
    for number in 0..10_002 {
        fixture.ended(envoy(number), FAILED);
    }
    assert_eq!(fixture.counted("postern_upstream_outcomes_uncounted_total{"), 2);
    fixture.ended(envoy(7), FAILED);
    assert_eq!(fixture.counted("postern_upstream_outcomes_uncounted_total{"), 2);
}
