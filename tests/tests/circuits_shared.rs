//! Circuits that a whole fleet shares: two servers over one Redis, and Envoys played by hand, who
//! report what they see and wait for what others have seen; and real ones.
mod envoys;
mod fleet;

use std::time::{Duration, Instant};

use postern_e2e::grpc::Grpc;
use postern_e2e::redis::Redis;
use postern_e2e::{server, wait};
use postern_proto::feed::v1::CircuitPhase;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::Code;

use fleet::{Fleet, INTERVAL, PROBES, RECOVERY, Reporter, SERVERS, Watcher};

const SOON: Duration = Duration::from_secs(20);
/// How soon the whole fleet is to know.
const NEWS: Duration = Duration::from_secs(2);
/// Who asks for probes at the same time.
const ASKERS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_have_seen_a_third_hears_of_and_what_one_says_nobody() {
    let redis = Redis::start().await;
    let fleet = Fleet::start(&redis).await;
    let mut one = Reporter::at(fleet.port(0), "one");
    let mut two = Reporter::at(fleet.port(0), "two");
    // It reports to nobody, and asks another server.
    let mut third = Watcher::at(fleet.port(1), "third").await;

    // One Envoy's nonsense, again and again.
    for failures in [4, 1_000, u32::MAX] {
        assert_eq!(one.fails("bank", failures).await.phase(), CircuitPhase::Closed);
    }
    assert!(third.hears_nothing_for(NEWS / 2).await, "one Envoy has cut it off for others");
    fleet.everywhere("/bank", 200).await;

    let waiting = tokio::spawn(async move {
        let circuits = third.next().await;
        (circuits, Instant::now())
    });
    tokio::time::sleep(NEWS / 4).await;
    one.fails("bank", 4).await;
    let began = Instant::now();
    assert_eq!(two.fails("bank", 4).await.phase(), CircuitPhase::Open);
    let (circuits, heard) = waiting.await.expect("what is open");
    let took = heard.saturating_duration_since(began);
    assert!(took < NEWS, "{took:?}");
    let [bank] = circuits.services.as_slice() else { panic!("{circuits:?}") };
    assert_eq!((bank.service.as_str(), bank.phase()), ("bank", CircuitPhase::Open));
    assert!(!bank.forced && bank.retry_after_ms > 0, "{bank:?}");
    fleet.everywhere("/bank", 503).await;
    fleet.everywhere("/shop", 200).await;

    let opened = [("service", "bank"), ("to", "OPEN"), ("reason", "run")];
    assert_eq!(fleet.counted("postern_circuit_transitions_total", &opened).await, 1);
    for server in &fleet.servers {
        let labels = [("service", "bank")];
        wait::until("open circuit in the metrics", SOON, || async move {
            match server.metric("api_gateway_circuit_breaker_state", &labels).await {
                1 => Ok(()),
                state => Err(state),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_fleet_has_so_many_probes_an_interval_and_no_more() {
    let redis = Redis::start().await;
    let fleet = Fleet::start(&redis).await;
    fleet.open("shop").await;
    tokio::time::sleep(RECOVERY * 2).await;
    for _ in 0..2 {
        let began = Instant::now();
        let probes = all_ask(&fleet).await;
        // On a machine that has much else to do, it may take longer than an interval.
        let begun = 1 + began.elapsed().as_millis() / INTERVAL.as_millis();
        let most = PROBES * u32::try_from(begun).expect("few");
        assert!((1..=most).contains(&probes), "{probes} probes where {most} may go");
        tokio::time::sleep(INTERVAL + INTERVAL / 10).await;
    }
    // In turn, of whichever server, by the feed and by `ext_authz`.
    let began = Instant::now();
    let mut probes = 0;
    for number in 0..8 {
        probes += ask(fleet.port(number), number).await;
    }
    if began.elapsed() < INTERVAL {
        assert!((1..=PROBES).contains(&probes), "{probes} probes where {PROBES} may go");
    }
}

/// All at once: how many probes they have got.
async fn all_ask(fleet: &Fleet) -> u32 {
    let mut asking = JoinSet::new();
    for number in 0..ASKERS {
        asking.spawn(ask(fleet.port(number), number));
    }
    asking.join_all().await.into_iter().sum()
}

/// Every other pair of them asks by the feed, with calls that it has refused.
async fn ask(port: u16, number: usize) -> u32 {
    if number % 4 < 2 {
        return Reporter::at(port, &format!("asker-{number}")).probes("shop", 5).await;
    }
    let said = Grpc::to(port).check("/shop", &[("x-caller", "anybody")]).await;
    u32::from(said.status == 200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_word_holds_on_every_server_until_it_ends() {
    let redis = Redis::start().await;
    let fleet = Fleet::start(&redis).await;
    let mut watcher = Watcher::at(fleet.port(1), "watcher").await;

    fleet.circuit(&["open", "bank", "--for", "8s", "--why", "it moves"]).await;
    fleet.everywhere("/bank", 503).await;
    let circuits = watcher.next().await;
    let told: Vec<(&str, bool)> =
        circuits.services.iter().map(|one| (one.service.as_str(), one.forced)).collect();
    assert_eq!(told, [("bank", true)]);
    let list: Value = serde_json::from_str(&fleet.circuit(&["list"]).await).expect("JSON");
    let states: Vec<(&Value, &Value)> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|circuit| (&circuit["service"], &circuit["state"]))
        .collect();
    assert_eq!(states, [(&json!("bank"), &json!("OPEN")), (&json!("shop"), &json!("CLOSED"))]);
    assert!(list[0]["forced_until"].is_string() && list[1]["forced_until"].is_null(), "{list}");
    fleet.everywhere("/bank", 200).await;

    // What is reported meanwhile counts again afterwards.
    fleet.open("bank").await;
    fleet.everywhere("/bank", 503).await;
    fleet.circuit(&["close", "bank", "--for", "6s"]).await;
    fleet.everywhere("/bank", 200).await;
    fleet.everywhere("/bank", 503).await;
    fleet.circuit(&["reset", "bank"]).await;
    fleet.everywhere("/bank", 200).await;

    let unknown = fleet.command(&["open", "nothing", "--for", "1m"]);
    let refused = server::run(unknown).await.expect_code(1);
    assert!(refused.contains("no such circuit"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_loses_everything_opens_again_for_those_who_still_see_failures() {
    let Some(mut redis) = Redis::down_or_skip() else { return };
    redis.bring_up().await;
    let fleet = Fleet::start(&redis).await;
    fleet.open("bank").await;
    fleet.everywhere("/bank", 503).await;

    redis.take_down();
    // Nobody is told that a report was counted which was not. What each server has seen by other
    // ways than the feed is left, and that is nothing.
    let mut one = Reporter::at(fleet.port(0), "one");
    let refused = one.try_fails("bank", 4).await.expect_err("an answer without the store");
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    fleet.everywhere("/bank", 200).await;

    // It is back, empty.
    redis.bring_up().await;
    assert_eq!(one.fails("bank", 4).await.phase(), CircuitPhase::Closed);
    for number in 0..SERVERS {
        let mut anybody = Reporter::at(fleet.port(number), "anybody");
        anybody.fails("shop", 0).await;
    }
    fleet.open("bank").await;
    fleet.everywhere("/bank", 503).await;
}
