//! Two servers, and Envoys that are played by hand.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postern_e2e::grpc::Grpc;
use postern_e2e::redis::Redis;
use postern_e2e::server::{self, Durable, Server};
use postern_e2e::{ports, wait};
use postern_proto::feed::v1::client::FeedClient;
use postern_proto::feed::v1::{
    CircuitPhase, CircuitState, Circuits, ExchangeRequest, ExchangeResponse, ReportRequest,
    ServiceReport,
};
use tempfile::TempDir;
use tonic::Status;
use tonic::transport::Endpoint;

pub(crate) const SERVERS: usize = 2;
/// Of `shop`: so many probes in such a time, from that time after it has opened on.
pub(crate) const PROBES: u32 = 3;
pub(crate) const INTERVAL: Duration = Duration::from_secs(3);
pub(crate) const RECOVERY: Duration = Duration::from_millis(500);

const SOON: Duration = Duration::from_secs(20);
/// How long an answer waits for news.
const WAIT: Duration = Duration::from_secs(10);

/// The limit has nothing left where the store does not answer: what passes on `shop`, the store
/// has let pass.
const DOCUMENT: &str = "\
version: 1
stores: {replicas: 2}
services:
  bank:
    upstream: 127.0.0.1:1
    circuit: {failures: 4, recovery: 5m}
  shop:
    upstream: 127.0.0.1:1
    circuit:
      failures: 4
      recovery: 500ms
      jitter: '0%'
      probes: {per_interval: 3, interval: 3s, successes: 1000}
limits:
  plenty: {key: [header.x-caller], mode: exact, rate: 10000/1h, when_store_fails: deny}
routes:
  - {name: bank, match: {path: /bank}, service: bank, auth: none}
  - {name: shop, match: {path: /shop}, service: shop, auth: none, limits: [plenty]}
";

/// Fields drop in this order.
pub(crate) struct Fleet {
    pub(crate) servers: Vec<Server>,
    durable: Durable,
    document: String,
    volatile: String,
    _folder: TempDir,
}

impl Fleet {
    pub(crate) async fn start(redis: &Redis) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("gateway.yaml");
        fs::write(&file, DOCUMENT).expect("the document");
        let durable = Durable::prepare(folder.path()).await;
        let mut servers = Vec::new();
        for number in 0..SERVERS {
            let place = folder.path().join(format!("server-{number}"));
            fs::create_dir(&place).expect("a folder");
            let options = server::Options {
                document: file.clone(),
                volatile: redis.url(),
                durable: None,
                folder: place,
            };
            servers.push(Server::start(options, server::Ports::free()).await);
        }
        let document = file.display().to_string();
        Self { servers, durable, document, volatile: redis.url(), _folder: folder }
    }

    /// Where one of the servers is asked, in turn.
    pub(crate) fn port(&self, number: usize) -> u16 {
        self.servers[number % SERVERS].ports().grpc
    }

    /// Until every server says so of requests; that the store has not answered in time may come in
    /// between.
    pub(crate) async fn everywhere(&self, path: &str, status: u16) {
        for number in 0..SERVERS {
            let grpc = Grpc::to(self.port(number));
            let what = format!("{status} for {path} of server {number}");
            wait::until(&what, SOON, || async {
                let found = grpc.check(path, &[("x-caller", "anybody")]).await.status;
                if found == status { Ok(()) } else { Err(found) }
            })
            .await;
        }
    }

    /// Two Envoys see a service fail, and say so to two servers.
    pub(crate) async fn open(&self, service: &str) {
        Reporter::at(self.port(0), "one").fails(service, 4).await;
        let told = Reporter::at(self.port(1), "two").fails(service, 4).await;
        assert_ne!(told.phase(), CircuitPhase::Closed, "{told:?}");
    }

    /// What the servers have counted together.
    pub(crate) async fn counted(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let mut counted = 0;
        for server in &self.servers {
            counted += server.metric(name, labels).await;
        }
        counted
    }

    /// `postern circuit …`
    pub(crate) async fn circuit(&self, words: &[&str]) -> String {
        server::run(self.command(words)).await.expect_success()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Vec<String> {
        command(words, &self.durable, &self.document, &self.volatile)
    }
}

/// `postern circuit …` of a document and of stores.
pub(crate) fn command(
    words: &[&str],
    durable: &Durable,
    document: &str,
    volatile: &str,
) -> Vec<String> {
    let words = [&["circuit"][..], words].concat();
    // Who only looks writes nothing down.
    let mut command = if words.contains(&"list") {
        words.iter().map(|word| (*word).to_owned()).collect()
    } else {
        durable.arguments(&words)
    };
    let stores = ["--document", document, "--volatile", volatile, "--json"];
    command.extend(stores.map(str::to_owned));
    command
}

fn client(port: u16) -> FeedClient {
    let endpoint = Endpoint::from_shared(format!("http://{}", ports::local(port)));
    FeedClient::new(endpoint.expect("an address").timeout(SOON).connect_lazy())
}

/// An Envoy that has something to say.
pub(crate) struct Reporter {
    client: FeedClient,
    name: String,
}

impl Reporter {
    pub(crate) fn at(port: u16, name: &str) -> Self {
        Self { client: client(port), name: name.to_owned() }
    }

    /// Has called a service so often, and it has failed each time.
    pub(crate) async fn fails(&mut self, service: &str, failures: u32) -> CircuitState {
        self.say(failing(service, failures)).await
    }

    pub(crate) async fn try_fails(
        &mut self,
        service: &str,
        failures: u32,
    ) -> Result<CircuitState, Status> {
        let report = self.report(failing(service, failures));
        self.send(report).await
    }

    /// Has refused calls of a service: how many probes it gets for them. None where there is no
    /// answer.
    pub(crate) async fn probes(&mut self, service: &str, refused: u32) -> u32 {
        let said = ServiceReport { refused, ..failing(service, 0) };
        let report = self.report(said);
        self.send(report).await.map_or(0, |told| told.probes)
    }

    /// Says it until it is heard.
    async fn say(&mut self, said: ServiceReport) -> CircuitState {
        let report = self.report(said);
        let client = self.client.clone();
        wait::until("answer to a report", SOON, || {
            let mut again = Self { client: client.clone(), name: self.name.clone() };
            let report = report.clone();
            async move { again.send(report).await.map_err(|status| status.to_string()) }
        })
        .await
    }

    async fn send(&mut self, report: ReportRequest) -> Result<CircuitState, Status> {
        let answer = self.client.report(report).await?.into_inner();
        let [told] = answer.services.as_slice() else { panic!("{answer:?}") };
        Ok(told.clone())
    }

    /// One that nobody has sent before.
    fn report(&self, said: ServiceReport) -> ReportRequest {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        ReportRequest {
            workload: "gateway".to_owned(),
            envoy_id: self.name.clone(),
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            services: vec![said],
            ..ReportRequest::default()
        }
    }
}

fn failing(service: &str, failures: u32) -> ServiceReport {
    ServiceReport {
        service: service.to_owned(),
        calls: failures,
        failures,
        run: failures,
        ..ServiceReport::default()
    }
}

/// An Envoy that waits for what others have seen.
pub(crate) struct Watcher {
    client: FeedClient,
    ask: ExchangeRequest,
}

impl Watcher {
    /// One that knows how everything stands.
    pub(crate) async fn at(port: u16, name: &str) -> Self {
        let ask = ExchangeRequest {
            workload: "gateway".to_owned(),
            envoy_id: name.to_owned(),
            ..ExchangeRequest::default()
        };
        let mut watcher = Self { client: client(port), ask };
        // First it takes the list of what is revoked.
        while watcher.exchange(Duration::ZERO).await.snapshot.is_some() {}
        assert_ne!(watcher.ask.circuits_version, 0, "nobody has said how circuits stand");
        watcher
    }

    /// Waits until something is new.
    pub(crate) async fn next(&mut self) -> Circuits {
        loop {
            if let Some(circuits) = self.exchange(WAIT).await.circuits {
                return circuits;
            }
        }
    }

    /// Whether that long nothing is new.
    pub(crate) async fn hears_nothing_for(&mut self, wait: Duration) -> bool {
        self.exchange(wait).await.circuits.is_none()
    }

    async fn exchange(&mut self, wait: Duration) -> ExchangeResponse {
        self.ask.wait_ms = u32::try_from(wait.as_millis()).expect("a short time");
        let answer = self.client.exchange(self.ask.clone()).await.expect("an answer").into_inner();
        (self.ask.epoch, self.ask.cursor) = (answer.epoch, answer.cursor);
        if let Some(circuits) = &answer.circuits {
            self.ask.circuits_version = circuits.version;
        }
        answer
    }
}
