//! Three servers on one Redis and one PostgreSQL, and an Envoy that asks all of them: one is killed,
//! all are restarted one after the other, Redis fails over, and all of it under load.

use std::time::{Duration, Instant};

use postern_e2e::documents;
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::load::{self, Sent};
use postern_e2e::postgres::Postgres;
use postern_e2e::redis::is_skipped;
use postern_e2e::redis::sentinel::WatchedRedis;
use postern_e2e::server::Server;

use crate::mix::{Mix, assert_all_answered, limited, token};
use crate::profile::Profile;
use crate::{until_metric, until_stat};

const REPLICAS: usize = 3;
/// What the limit `many` allows.
const MANY: u64 = 9_000;
/// A little more than Envoy takes to hear that a replica is on its way down.
const DRAIN: [&str; 2] = ["--drain-seconds", "3"];
const HEALTHY: &str = "cluster.postern-grpc.membership_healthy";
/// How long a replica of Redis may have heard nothing of what its master has answered.
const BEHIND: Duration = Duration::from_secs(1);

/// Fields drop in this order.
struct Fleet {
    gateway: Gateway,
    redis: WatchedRedis,
    _postgres: Postgres,
}

impl Fleet {
    /// All of it; none where there is no `redis-server`.
    async fn start() -> Option<Self> {
        if is_skipped() {
            return None;
        }
        let redis = WatchedRedis::start().await;
        let postgres = Postgres::start().await;
        let url = postgres.database("fleet").await;
        let document = documents::chaos(REPLICAS, "15s");
        let builder = Gateway::builder().document(document).replicas(REPLICAS).workers(2);
        let builder = builder.store(Store::At(redis.url())).durable_at(url).serve_with(DRAIN);
        // On the heap: it is large, and awaited within others.
        let gateway = Box::pin(builder.start()).await;
        let fleet = Self { gateway, redis, _postgres: postgres };
        fleet.until_healthy(REPLICAS).await;
        Some(fleet)
    }

    /// Until Envoy asks so many replicas.
    async fn until_healthy(&self, replicas: usize) {
        let replicas = u64::try_from(replicas).expect("few");
        until_stat(&self.gateway, HEALTHY, |healthy| healthy == replicas).await;
    }

    fn replica(&mut self, number: usize) -> &mut Server {
        match number.checked_sub(1) {
            None => &mut self.gateway.server,
            Some(other) => &mut self.gateway.others[other],
        }
    }

    /// Asserts that whatever passed by the limit `many` was counted, but for what may be lost.
    async fn assert_counted(&self, mix: &Mix, sent: &[Sent], may_be_lost: usize) {
        let case = sent.iter().find(|one| mix.case(one).name == "many").expect("one of them");
        let left = self.gateway.until_status(200, &mix.case(case).call).await;
        let counted = MANY - left.number("x-ratelimit-remaining");
        let passed = sent.iter().filter(|one| is_passed(mix, one)).count() + 1;
        let lost = passed.saturating_sub(usize::try_from(counted).expect("a number"));
        assert!(lost <= may_be_lost, "{lost} of {passed}, and {may_be_lost} were at risk");
    }
}

/// Whether it passed by the limit `many`.
fn is_passed(mix: &Mix, sent: &Sent) -> bool {
    mix.case(sent).name == "many" && sent.status == Some(200)
}

/// Whether what is asked needs Redis: its limit denies without it.
fn needs_redis(mix: &Mix, sent: &Sent) -> bool {
    ["many", "few, used up"].contains(&mix.case(sent).name)
}

/// Requests of every kind, those to exact limits among them.
async fn mix(gateway: &Gateway) -> Mix {
    let mix = Mix::begin(gateway).await.with_one_used_up(gateway).await;
    let mix = mix.with("many", limited("many", &token("many")), 200);
    mix.with("lenient", limited("lenient", &token("lenient")), 200)
}

/// One fleet for all of it: to start one takes longer than to have it fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_are_restarted_lose_one_and_lose_the_master_of_redis() {
    let Some(mut fleet) = Fleet::start().await else { return };
    restarted_one_after_the_other_no_request_fails(&mut fleet).await;
    one_that_is_killed_costs_what_it_was_asked_and_nothing_else(&mut fleet).await;
    while_redis_fails_over_only_limits_that_say_so_deny(&mut fleet).await;
}

async fn one_that_is_killed_costs_what_it_was_asked_and_nothing_else(fleet: &mut Fleet) {
    let mix = mix(&fleet.gateway).await;
    let load = mix.send_some(&fleet.gateway).await;
    fleet.gateway.others[0].take_down();
    let killed = Instant::now();
    fleet.until_healthy(REPLICAS - 1).await;
    load.until_more(Profile::get().requests()).await;
    fleet.gateway.others[0].bring_up().await;
    fleet.until_healthy(REPLICAS).await;
    load.until_more(Profile::get().requests()).await;
    let sent = load.end().await;

    mix.assert_no_wrong_allow(&sent);
    assert_all_answered(&sent);
    // What it was asked at that moment. Redis may be slower than it may, whoever is killed.
    let denied = mix.wrong_denials(&sent);
    let denied: Vec<_> = denied.iter().filter(|one| !needs_redis(&mix, one)).collect();
    assert!(denied.len() <= load::CLIENTS, "{} of {}", denied.len(), sent.len());
    let early = denied.iter().filter(|one| one.ended < killed).count();
    assert_eq!(early, 0, "denied while all was well");
    // The others were asked in its place.
    until_stat(&fleet.gateway, "cluster.postern-grpc.upstream_rq_retry", |again| again > 0).await;
    fleet.assert_counted(&mix, &sent, 0).await;
}

async fn restarted_one_after_the_other_no_request_fails(fleet: &mut Fleet) {
    // How Redis is doing is not what this is about: no limit that denies without it.
    let mix = Mix::begin(&fleet.gateway).await;
    let mix = mix.with("lenient", limited("lenient", &token("lenient")), 200);
    let load = mix.send(&fleet.gateway, Profile::get().calm_rate);
    load.until_more(Profile::get().calm_rate).await;
    for number in 0..REPLICAS {
        // As orchestrators do: the next one when this one is ready.
        fleet.replica(number).stop().await;
        fleet.replica(number).bring_up().await;
    }
    fleet.until_healthy(REPLICAS).await;
    load.until_more(Profile::get().calm_rate).await;
    let sent = load.end().await;
    mix.assert_all_right(&sent);
    // It was noticed in time, and not by requests.
    let checks = fleet.gateway.envoy.stat("cluster.postern-grpc.health_check.failure").await;
    assert!(checks > 0, "nobody has noticed");
}

async fn while_redis_fails_over_only_limits_that_say_so_deny(fleet: &mut Fleet) {
    let mix = mix(&fleet.gateway).await;
    // From here on only what comes later can be lost.
    fleet.redis.until_replicated().await;
    let load = mix.send_some(&fleet.gateway).await;
    let killing = Instant::now();
    fleet.redis.kill_master();
    let killed = Instant::now();
    fleet.redis.until_taken_over().await;
    load.until_more(Profile::get().requests()).await;
    let many = limited("many", &token("after"));
    fleet.gateway.until_status(200, &many).await;
    load.until_more(Profile::get().requests()).await;
    let sent = load.end().await;

    mix.assert_no_wrong_allow(&sent);
    assert_all_answered(&sent);
    let denied = mix.wrong_denials(&sent);
    let others: Vec<_> = denied.iter().filter(|one| !needs_redis(&mix, one)).collect();
    assert!(others.is_empty(), "Redis is not needed for {others:#?}");
    assert!(!denied.is_empty(), "nobody has noticed");
    let labels = [("answer", "deny")];
    let name = "postern_ext_authz_store_failures_total";
    until_metric(&fleet.gateway, name, &labels, |failures| failures > 0).await;
    let at_risk = |one: &&Sent| one.began <= killed && one.ended + BEHIND >= killing;
    let at_risk = sent.iter().filter(at_risk).filter(|one| is_passed(&mix, one)).count();
    fleet.assert_counted(&mix, &sent, at_risk).await;
}
