//! Real Envoys of one server: what two of them have seen, a third one goes by, and together they try
//! a service that has failed no more often than its document says.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use postern_e2e::client::{Answer, Call, Client, Protocol};
use postern_e2e::envoy::{self, Envoy};
use postern_e2e::redis::Redis;
use postern_e2e::server::{self, Durable, Server};
use postern_e2e::upstream::Upstream;
use postern_e2e::wait;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::fleet::command;

const NAMES: [&str; 3] = ["one", "two", "third"];
const ALL: [usize; 3] = [0, 1, 2];
/// Those that call; the last one is watched.
const CALLERS: usize = 2;
/// For what takes seconds at most, on a machine that has much else to do.
const SOON: Duration = Duration::from_secs(30);

/// How often the two find `bank` failing, anew each time.
const ROUNDS: usize = 20;
/// So often each, in a row: together enough for all, and not for the breaker of one.
const FAILURES: usize = 6;
/// What is reported late does not count together: then each fails once more, at most so often that
/// its own breaker does not open.
const ATTEMPTS: usize = 4;
/// For the third one to hear of it; a server goes by what it was told within two seconds.
const TOGETHER: Duration = Duration::from_millis(2_500);
const LOOK: Duration = Duration::from_millis(20);
/// What a look is answered with that passes.
const MADE_TO_FAIL: u16 = 418;

/// How often `shop` may be tried, and in which time.
const PROBES: u64 = 2;
const INTERVAL: Duration = Duration::from_secs(1);
/// Who calls it at the same time, for how long, and with which pauses.
const CROWD: usize = 200;
const WATCHED: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(500);

/// What is made to go wrong says nothing of the service: who looks at `bank` so has never called
/// it.
const DOCUMENT: &str = "\
version: 1
services:
  bank:
    upstream: $UPSTREAM
    circuit: {failures: 10, recovery: 5m}
  shop:
    upstream: $UPSTREAM
    timeout: 1500ms
    circuit:
      failures: 5
      recovery: 1s
      recovery_longest: 1s
      jitter: '0%'
      probes: {per_interval: 2, interval: 1s, successes: 3}
routes:
  - {name: bank, match: {path: /bank/page}, service: bank, auth: none}
  - name: bank-look
    match: {path: /bank/look}
    service: bank
    auth: none
    fault: {abort: {share: 100%, status: 418}}
  - {name: shop, match: {path: '/shop/{rest=**}'}, service: shop, auth: none}
";

/// Fields drop in this order.
struct Envoys {
    envoys: Vec<Envoy>,
    server: Server,
    upstream: Upstream,
    durable: Durable,
    document: String,
    redis: Redis,
    _folder: TempDir,
}

impl Envoys {
    async fn start() -> Self {
        let (redis, upstream) = (Redis::start().await, Upstream::start().await);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("gateway.yaml");
        let text = DOCUMENT.replace("$UPSTREAM", &upstream.address().to_string());
        fs::write(&file, text).expect("the document");
        let durable = Durable::prepare(folder.path()).await;
        let options = server::Options {
            document: file.clone(),
            volatile: redis.url(),
            durable: None,
            folder: folder.path().to_path_buf(),
        };
        let server = Server::start(options, server::Ports::free()).await;
        let mut envoys = Vec::new();
        for name in NAMES {
            envoys.push(start(name, &file, &folder.path().join(name), server.ports()).await);
        }
        let document = file.display().to_string();
        let fleet = Self { envoys, server, upstream, durable, document, redis, _folder: folder };
        let server = &fleet.server;
        wait::until("Envoys that wait for news", SOON, || async move {
            match server.metric("postern_feed_waiting", &[]).await {
                waiting if waiting >= 3 => Ok(()),
                waiting => Err(waiting),
            }
        })
        .await;
        fleet
    }

    fn client(&self, number: usize) -> Client {
        Client::new(Protocol::Http1, self.envoys[number % NAMES.len()].ports().listen)
    }

    async fn send(&self, number: usize, path: &str) -> Answer {
        self.client(number).send(&Call::get(path)).await
    }

    /// Until all of these Envoys answer so.
    async fn until(&self, envoys: &[usize], path: &str, status: u16) {
        wait::until(&format!("{status} for {path} of {envoys:?}"), SOON, || async {
            let mut found = Vec::new();
            for number in envoys {
                found.push(self.send(*number, path).await.status);
            }
            if found.iter().all(|one| *one == status) { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }

    /// The two call `bank` so often each, unless they are refused already.
    async fn fail(&self, times: usize) {
        for caller in 0..CALLERS {
            for _ in 0..times {
                let answer = self.send(caller, "/bank/page").await;
                assert!(matches!(answer.status, 500 | 503), "{answer}");
            }
        }
    }

    /// Whether the third one refuses soon.
    async fn refuses(&self) -> bool {
        let began = Instant::now();
        while began.elapsed() < TOGETHER {
            let answer = self.send(CALLERS, "/bank/look").await;
            if answer.status == 503 {
                answer.expect_denial(503, "CIRCUIT_OPEN");
                return true;
            }
            answer.expect(MADE_TO_FAIL);
            tokio::time::sleep(LOOK).await;
        }
        false
    }

    /// Filters count what they could not report.
    async fn unreported(&self) -> u64 {
        let mut failed = 0;
        for envoy in &self.envoys {
            let counted = envoy.filter_stat("postern_filter_report_failures_total").await;
            failed += counted.unwrap_or(0);
        }
        failed
    }

    /// Many callers of all Envoys for a while: how often `shop` was tried, and how often it may
    /// have been.
    async fn crowd(&self, path: &'static str) -> (u64, u64) {
        let (began, before) = (Instant::now(), self.upstream.requests("shop"));
        let mut crowd = JoinSet::new();
        for number in 0..CROWD {
            crowd.spawn(call_again_and_again(self.client(number), path));
        }
        crowd.join_all().await;
        let tried = self.upstream.requests("shop") - before;
        // Intervals that have begun, and the one before.
        let intervals = began.elapsed().as_millis().div_ceil(INTERVAL.as_millis()) + 1;
        (tried, PROBES * u64::try_from(intervals).expect("few"))
    }
}

async fn start(name: &str, document: &Path, folder: &Path, server: server::Ports) -> Envoy {
    fs::create_dir(folder).expect("a folder");
    let (ports, node) = (envoy::Ports::free(), format!("--node-id={name}"));
    let rendered = envoy::render_with(document, folder, ports, server, &[node]).await;
    rendered.expect_success();
    Envoy::start(&envoy::config_file(folder), ports, 1, &folder.join("envoy.log")).await
}

/// Who is not refused is a probe, and waits for an answer that never comes.
async fn call_again_and_again(client: Client, path: &'static str) {
    let began = Instant::now();
    while began.elapsed() < WATCHED {
        let answer = client.send(&Call::get(path)).await;
        match answer.status {
            503 => drop(answer.expect_denial(503, "CIRCUIT_OPEN")),
            _ => drop(answer.expect_denial(504, "GATEWAY_TIMEOUT")),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_envoys_have_seen_a_third_goes_by_that_has_never_called() {
    let fleet = Envoys::start().await;
    let upstream = &fleet.upstream;
    for round in 0..ROUNDS {
        fleet.send(CALLERS, "/bank/look").await.expect(MADE_TO_FAIL);
        upstream.fail("bank", 500);
        let mut attempts = 0;
        loop {
            fleet.fail(if attempts == 0 { FAILURES } else { 1 }).await;
            if fleet.refuses().await {
                break;
            }
            attempts += 1;
            assert!(attempts < ATTEMPTS, "round {round}: the third one does not refuse");
        }
        // By the same way: a call that passes still would add to the failures in a row.
        fleet.until(&ALL, "/bank/look", 503).await;
        let asked = upstream.requests("bank");
        for number in ALL {
            fleet.send(number, "/bank/page").await.expect_denial(503, "CIRCUIT_OPEN");
        }
        assert_eq!(upstream.requests("bank"), asked, "round {round}: the upstream was asked");

        upstream.recover("bank");
        let words = ["reset", "bank"];
        let reset = command(&words, &fleet.durable, &fleet.document, &fleet.redis.url());
        server::run(reset).await.expect_success();
        // No breaker of their own has opened; and their failures in a row end.
        fleet.until(&[0, 1], "/bank/page", 200).await;
        fleet.until(&[CALLERS], "/bank/look", MADE_TO_FAIL).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoys_together_try_so_often_and_no_more_until_it_answers() {
    let fleet = Envoys::start().await;
    let upstream = &fleet.upstream;
    upstream.fail("shop", 500);
    fleet.until(&ALL, "/shop/page", 503).await;
    let labels = [("service", "shop")];
    let server = &fleet.server;
    wait::until("open circuit", SOON, || async move {
        match server.metric("api_gateway_circuit_breaker_state", &labels).await {
            0 => Err("it is closed"),
            _ => Ok(()),
        }
    })
    .await;

    // Probes hang for longer than an interval, so that there are several until one has failed.
    upstream.recover("shop");
    let mut is_seen = false;
    for _ in 0..3 {
        let unreported = fleet.unreported().await;
        let (tried, most) = fleet.crowd("/shop/slow/30000").await;
        assert!(tried > 0, "nobody has tried");
        // Envoys that are left alone each try for themselves.
        if fleet.unreported().await == unreported {
            assert!(tried <= most, "{tried} probes where {most} may go");
            is_seen = true;
            break;
        }
    }
    assert!(is_seen, "Envoys could not report, again and again");

    // More of them at once than may try.
    fleet.until(&ALL.repeat(3), "/shop/page", 200).await;
}
