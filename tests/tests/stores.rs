//! The store against real servers, in every way that it reaches them: the same contracts that the
//! ones in memory keep.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use postern_circuit::{Recovery, Report, Settings, Share, State};
use postern_e2e::redis::cluster::RedisCluster;
use postern_e2e::redis::sentinel::WatchedRedis;
use postern_e2e::redis::{Redis, is_skipped};
use postern_e2e::{env, ports, process, wait};
use postern_request::UnixMillis;
use postern_store::flows::contract as flows;
use postern_store::registry::contract as registry;
use postern_store::volatile::circuits::MAX_REPORTERS;
use postern_store::volatile::{
    CircuitAsk, CircuitReport, CircuitStore as _, ProbeOutcomes, ProbesOf, Reported, ReporterId,
    Reporting, contract,
};
use postern_store::{FlowStore, Registry as _, ReplayKey, StoreError, VolatileStore as _};
use postern_store_redis::RedisStore;
use tokio::time::timeout;

const LONGEST: Duration = Duration::from_secs(30);
const HOUR_MS: u64 = 3_600_000;
/// The salts of two runs at one server.
const FIRST: u8 = 1;
const SECOND: u8 = 2;

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    UnixMillis(u64::try_from(since.as_millis()).expect("a time"))
}

async fn connected(url: &str) -> RedisStore {
    let store = RedisStore::new(url).expect("a store");
    timeout(LONGEST, store.keep_connected()).await.expect("connected");
    store
}

async fn keeps_the_contract(url: &str) {
    let (one, other) = (connected(url).await, connected(url).await);
    contract::run(&one, now(), FIRST).await;
    contract::run_replicas(&one, &other, now(), FIRST).await;
}

/// With the ear that servers have.
async fn keeps_services(store: RedisStore) {
    let store = Arc::new(store);
    let hearing = Arc::clone(&store);
    let hearing = tokio::spawn(async move { hearing.keep_hearing_of_services().await });
    registry::run(store, &now).await;
    hearing.abort();
}

/// A change that another server has made wakes whoever waits here.
async fn tells_of_services(url: &str) {
    let (here, there) = (Arc::new(connected(url).await), connected(url).await);
    let hearing = Arc::clone(&here);
    let hearing = tokio::spawn(async move { hearing.keep_hearing_of_services().await });
    let [instance, other] = registry::shop();
    there.register(&instance, now()).await.expect("an answer");
    let seen = here.list(&instance.service, now()).await.expect("a list").version;
    let waiting = Arc::clone(&here);
    let waiting = tokio::spawn(async move {
        waiting.watch(registry::SHOP, Some(seen), LONGEST, now()).await.expect("a list")
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "it waits");
    let began = Instant::now();
    there.register(&other, now()).await.expect("an answer");
    let heard = waiting.await.expect("no panic");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(heard.entries.len(), 2);
    hearing.abort();
}

async fn keeps_flows(store: RedisStore) {
    flows::run(&store, &now).await;
    let store: Arc<dyn FlowStore> = Arc::new(store);
    flows::parallel(store, &now).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_the_volatile_contract() {
    let redis = Redis::start().await;
    keeps_the_contract(&redis.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_the_contract_of_flows() {
    let redis = Redis::start().await;
    keeps_flows(connected(&redis.url()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_one_server_is_heard_by_another() {
    let redis = Redis::start().await;
    tells_of_services(&redis.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_the_contract_of_registries() {
    let redis = Redis::start().await;
    keeps_services(connected(&redis.url()).await).await;
    registry::fills(Arc::new(connected(&redis.url()).await), &now).await;
}

/// What the operations page asks for, and nothing else.
fn documented_rights() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let (_, rest) = page.split_once("needs `~postern:*` and `").expect("the page names rights");
    let (commands, _) = rest.split_once('`').expect("they end");
    let rights = ["~postern:*", "-@all"].into_iter().chain(commands.split_whitespace());
    rights.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_the_documented_rights_alone_is_enough() {
    if is_skipped() {
        return;
    }
    let mut options = vec!["--user", "limits", "on", ">p@ss:w/rd"];
    let rights = documented_rights();
    options.extend(rights.iter().map(String::as_str));
    options.extend(["--user", "default", "off"]);
    let mut redis = Redis::down_with(&options);
    redis.bring_up().await;
    let url = |user: &str| format!("redis://{user}@127.0.0.1:{}", redis.port());
    let allowed = url("limits:p%40ss%3Aw%2Frd");
    keeps_the_contract(&allowed).await;
    flows::run(&connected(&allowed).await, &now).await;
    keeps_services(connected(&allowed).await).await;

    let stranger = RedisStore::new(&url("limits:wrong")).expect("a store");
    let connecting = timeout(Duration::from_secs(1), stranger.keep_connected()).await;
    assert!(connecting.is_err(), "connected with a wrong password");
    let said = stranger.ping().await;
    assert!(matches!(said, Err(StoreError::Unavailable(_))), "{said:?}");
}

/// Tells a process of this program which Redis it is to try.
const ADDRESS: &str = "POSTERN_TEST_ADDRESS";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_it_over_tls_where_its_authority_is_trusted() {
    if is_skipped() {
        return;
    }
    let tls = env::repository().join("tests").join("fixtures").join("tls");
    let file = |name: &str| tls.join(name).display().to_string();
    let (port, authority) = (ports::free().to_string(), file("ca.pem"));
    let mut redis = Redis::down_with(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &file("server.pem"),
        "--tls-key-file",
        &file("server-key.pem"),
        "--tls-ca-cert-file",
        &authority,
        "--tls-auth-clients",
        "no",
    ]);
    redis.bring_up().await;
    // Whom a program trusts is said by its environment, and this one's is not changed.
    for (trusted, test) in [
        (authority, "the_redis_of_the_environment_keeps_it"),
        (file("other.pem"), "the_redis_of_the_environment_is_not_trusted"),
    ] {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args(["--exact", &format!("stores::{test}"), "--ignored"])
            .env(ADDRESS, format!("rediss://127.0.0.1:{port}"))
            .env("SSL_CERT_FILE", trusted)
            .env_remove("SSL_CERT_DIR");
        let output = process::run(command, 2 * LONGEST).await.expect_success();
        assert!(output.contains("1 passed"), "{output}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process that another test starts"]
async fn the_redis_of_the_environment_keeps_it() {
    let Ok(url) = std::env::var(ADDRESS) else { return };
    keeps_the_contract(&url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a process that another test starts"]
async fn the_redis_of_the_environment_is_not_trusted() {
    let Ok(url) = std::env::var(ADDRESS) else { return };
    let store = RedisStore::new(&url).expect("a store");
    let connecting = timeout(Duration::from_secs(1), store.keep_connected()).await;
    assert!(connecting.is_err(), "connected to a server that nobody vouches for");
    let said = store.ping().await;
    assert!(matches!(said, Err(StoreError::Unavailable(_))), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_sentinels_name_keeps_it_and_so_does_whom_they_name_next() {
    if is_skipped() {
        return;
    }
    let mut redis = WatchedRedis::start().await;
    let store = connected(&redis.url()).await;
    contract::run(&store, now(), FIRST).await;
    redis.kill_master();
    redis.until_taken_over().await;
    wait::until("answer of the new master", LONGEST, || store.ping()).await;
    contract::run(&store, now(), SECOND).await;
    // It is asked for scripts that it has never been told of.
    keeps_flows(store).await;
    keeps_services(connected(&redis.url()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_it_and_keeps_it_with_one_master_less() {
    if is_skipped() {
        return;
    }
    let mut cluster = RedisCluster::start(3).await;
    let store = connected(&cluster.url()).await;
    contract::run(&store, now(), FIRST).await;
    let other = connected(&cluster.url()).await;
    contract::run_replicas(&store, &other, now(), FIRST).await;
    keeps_flows(other).await;
    cluster.kill_master(1);
    cluster.until_taken_over(1).await;
    wait::until("answer of every master", LONGEST, || every_part(&store)).await;
    contract::run(&store, now(), SECOND).await;
    keeps_flows(store).await;
    keeps_services(connected(&cluster.url()).await).await;
    registry::fills(Arc::new(connected(&cluster.url()).await), &now).await;
}

/// That so many keys can be written that each of three masters has some.
async fn every_part(store: &RedisStore) -> Result<(), StoreError> {
    for number in 0..32 {
        store.remember_once(ReplayKey([number; 32]), 1, now()).await?;
    }
    Ok(())
}

/// A connection of nobody's store.
async fn beside(redis: &Redis) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis.url()).expect("a client");
    client.get_multiplexed_async_connection().await.expect("a connection")
}

/// One of an Envoy of an identity of its own: a call that failed.
async fn fails(store: &RedisStore, circuit: &CircuitAsk, envoy: u64) -> Reported {
    let reporter = ReporterId { peer: envoy, envoy };
    let reporting = Reporting { reporter, number: None, probes_of: ProbesOf::Reporter };
    let report = Report { calls: 1, failures: 1, slow: 0, run: 1 };
    let probes = ProbeOutcomes::default();
    let reports = [CircuitReport { circuit: circuit.clone(), report, probes }];
    let mut answers = store.report_circuits(reporting, &reports, now()).await;
    answers.remove(0).expect("an answer")
}

/// Only a probe closes it, also where nobody says anything of it for hours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circuit_is_there_for_longer_than_it_is_open() {
    if is_skipped() {
        return;
    }
    let redis = Redis::start().await;
    let store = connected(&redis.url()).await;
    let recovery = Recovery { first_ms: 3 * HOUR_MS, longest_ms: 3 * HOUR_MS, jitter: Share(0) };
    let settings = Settings { failures: 1, reporters: 1, recovery, ..Settings::default() };
    let circuit = CircuitAsk { service: "slow".to_owned(), settings };
    let opened = fails(&store, &circuit, 1).await;
    assert_eq!(opened.standing.state, State::Open);
    let left: u64 = redis::cmd("PTTL")
        .arg("postern:circuit:{slow}")
        .query_async(&mut beside(&redis).await)
        .await
        .expect("its end");
    assert!((4 * HOUR_MS - 60_000..=4 * HOUR_MS).contains(&left), "{left}");
}

/// Neither what it has said nor how many of its identity there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_kept_of_a_reporter_that_is_forgotten() {
    if is_skipped() {
        return;
    }
    let redis = Redis::start().await;
    let store = connected(&redis.url()).await;
    let settings = Settings { failures: 100, window_ms: 600_000, ..Settings::default() };
    let circuit = CircuitAsk { service: "busy".to_owned(), settings };
    let most = u64::try_from(MAX_REPORTERS).expect("a number");
    for envoy in 0..most + 20 {
        fails(&store, &circuit, envoy).await;
    }
    let kept: u64 = redis::cmd("HLEN")
        .arg("postern:circuit:{busy}:reporters")
        .query_async(&mut beside(&redis).await)
        .await
        .expect("a number");
    assert_eq!(kept, 2 * most, "of each its words, and its identity's count");
}

/// What was kept is gone with the last of it: nobody has to clean up after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_in_redis_that_has_no_end() {
    if is_skipped() {
        return;
    }
    let redis = Redis::start().await;
    flows::run(&connected(&redis.url()).await, &now).await;
    keeps_services(connected(&redis.url()).await).await;
    let mut connection = beside(&redis).await;
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("postern:*").query_async(&mut connection).await.expect("the keys");
    assert!(keys.len() > 100, "{keys:?}");
    for key in keys {
        let left: i64 =
            redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.expect("its end");
        // -2: it has ended meanwhile.
        assert!(left >= 0 || left == -2, "{key} has no end");
    }
}
