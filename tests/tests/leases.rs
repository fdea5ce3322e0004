//! Leased limits: Envoys let pass what they were lent and nothing else, together no more than a
//! limit allows; and when nothing can be lent, each limit does what it says.

mod away;
mod back;

use std::time::{Duration, Instant};

use postern_e2e::client::{Answer, Call, Client, Protocol};
use postern_e2e::gateway::{Builder, Gateway, Store};
use postern_e2e::redis::Redis;
use postern_e2e::{keys, server, wait};
use serde_json::Value;
use tokio::task::JoinSet;

const DOCUMENT: &str = include_str!("../fixtures/leases.yaml");
/// What the limits of the first tests allow, and those of the others.
const LARGE: u64 = 400;
const SMALL: u64 = 100;
/// What passes on credit in one Envoy.
const ALLOWANCE: u64 = 10;

const LONGEST: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(40);
/// Calls of one client that are on their way at the same time: enough to meet on every worker.
const AT_ONCE: usize = 8;
/// So many rounds of calls in vain, with a pause after each, take twice as long as a slice lives:
/// what an Envoy had left of one has come back by then, and was lent again.
const IN_VAIN: u32 = 100;
/// The longest that a caller may be asked to wait, in seconds: of a sliding window some may still
/// count in the one after it; and a second for a clock that moves on meanwhile.
const TWO_HOURS: u64 = 2 * 3600 + 1;

fn builder() -> Builder {
    Gateway::builder().document(DOCUMENT).store(Store::Redis).workers(2)
}

/// A call that is counted by this caller.
fn of(path: &str, caller: &str) -> Call {
    Call::get(path).header("x-test-caller", caller)
}

/// The caller is told how it stands with an hourly limit of so many.
fn assert_told(answer: &Answer, limit: u64) {
    let is_refused = answer.status == 429;
    for prefix in ["x-ratelimit", "ratelimit"] {
        assert_eq!(answer.number(&format!("{prefix}-limit")), limit, "{answer}");
        let left = answer.number(&format!("{prefix}-remaining"));
        assert!(left <= if is_refused { 0 } else { limit }, "{answer}");
        let reset = answer.number(&format!("{prefix}-reset"));
        assert!((u64::from(is_refused)..=TWO_HOURS).contains(&reset), "{answer}");
    }
    let policy = format!("{limit};w=3600");
    assert_eq!(answer.header("ratelimit-policy"), Some(policy.as_str()), "{answer}");
    if is_refused {
        assert!((1..=TWO_HOURS).contains(&answer.number("retry-after")), "{answer}");
    } else {
        assert_eq!(answer.header("retry-after"), None, "{answer}");
    }
}

/// The caller has to come back later, and is told how it stands with an hourly limit of so many.
fn assert_turned_away(answer: Answer, limit: u64) {
    if answer.status == 503 {
        // On a machine that stands still for seconds, the server looks as if it were away.
        answer.expect_denial(503, "UNAVAILABLE");
    } else {
        assert_told(&answer.expect_denial(429, "RATE_LIMIT_EXCEEDED"), limit);
    }
}

/// Sends a call by each client, some at once: how many of each passed.
async fn round(clients: &[Client], call: &Call, limit: u64) -> Vec<u64> {
    let mut calls = JoinSet::new();
    for (at, client) in clients.iter().copied().enumerate() {
        for _ in 0..AT_ONCE {
            let call = call.clone();
            calls.spawn(async move { (at, client.send(&call).await) });
        }
    }
    let mut passed = vec![0; clients.len()];
    for (at, answer) in calls.join_all().await {
        if answer.status == 200 {
            assert_told(&answer, limit);
            passed[at] += 1;
        } else {
            assert_turned_away(answer, limit);
        }
    }
    passed
}

/// Sends a call by all clients until nothing has passed for long: how many of each passed.
async fn until_used_up(clients: &[Client], call: &Call, limit: u64) -> Vec<u64> {
    let started = Instant::now();
    let (mut passed, mut in_vain) = (vec![0; clients.len()], 0);
    while in_vain < IN_VAIN {
        let more = round(clients, call, limit).await;
        if more.iter().sum::<u64>() > 0 {
            in_vain = 0;
        } else {
            in_vain += 1;
            tokio::time::sleep(PAUSE).await;
        }
        passed.iter_mut().zip(more).for_each(|(passed, more)| *passed += more);
        assert!(started.elapsed() < LONGEST, "{call} is not used up: {passed:?} passed");
    }
    passed
}

/// What the store says that was taken of a limit.
async fn taken(gateway: &Gateway, redis: &Redis, limit: &str, caller: &str) -> u64 {
    let (document, volatile) = (gateway.document().display().to_string(), redis.url());
    let part = format!("header.x-test-caller={caller}");
    let words = ["limits", "inspect", "--json", "--volatile", &volatile, &document, limit, &part];
    let told = server::run(words).await.expect_success();
    let told: Value = serde_json::from_str(&told).expect("JSON");
    told["used"].as_u64().unwrap_or_else(|| panic!("nothing is counted: {told}"))
}

/// Until the filter of an Envoy has counted some of these.
async fn until_counted(gateway: &Gateway, name: &str) {
    wait::until(name, LONGEST, || async {
        let counted = gateway.envoy.filter_stat(name).await;
        if counted > Some(0) { Ok(()) } else { Err(format!("it is {counted:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_envoys_share_one_limit_and_neither_starves() {
    let redis = Redis::start().await;
    let builder = || builder().store(Store::At(redis.url()));
    let gateways = [builder().start().await, builder().start().await];
    let clients = [gateways[0].client(Protocol::Http1), gateways[1].client(Protocol::Http2)];
    let caller = keys::subject("sharing");
    let passed = until_used_up(&clients, &of("/shared/page", &caller), LARGE).await;

    let all: u64 = passed.iter().sum();
    assert!((LARGE / 2..=LARGE).contains(&all), "{passed:?} of {LARGE}");
    for (gateway, own) in gateways.iter().zip(&passed) {
        assert!(*own > 0, "one has got nothing: {passed:?}");
        assert_eq!(gateway.upstream.requests("shared"), *own);
        lending_is_measured(gateway).await;
    }
    // Whatever they spent was taken before.
    let taken = taken(&gateways[0], &redis, "shared", &caller).await;
    assert!((all..=LARGE).contains(&taken), "{all} passed, and {taken} were taken");
}

async fn lending_is_measured(gateway: &Gateway) {
    for name in ["postern_filter_lease_calls_total", "postern_filter_lease_dry_total"] {
        until_counted(gateway, name).await;
    }
    for (name, outcome) in [
        ("postern_feed_borrow_requests_total", "answered"),
        ("postern_feed_leases_total", "granted"),
        ("postern_feed_leases_total", "nothing"),
    ] {
        let counted = gateway.server.metric(name, &[("outcome", outcome)]).await;
        assert!(counted > 0, "{name}: none with outcome {outcome}");
    }
    let returned = gateway.server.metric("postern_feed_lease_returns_total", &[]).await;
    assert!(returned > 0, "nothing was given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_optimistic_start_the_first_pass_at_once_and_are_paid_for() {
    let gateway = builder().start().await;
    let caller = keys::subject("early");
    let call = of("/credit/page", &caller);
    // Nobody lends anything meanwhile.
    gateway.server.pause();
    for _ in 0..ALLOWANCE {
        gateway.send(&call).await.expect(200);
    }
    let next = gateway.send(&call).await;
    assert!([429, 503].contains(&next.status), "more than {ALLOWANCE} on credit:\n{next}");
    gateway.server.resume();

    let mut passed = ALLOWANCE + until_paid_for(&gateway, &call, ALLOWANCE).await;
    passed += until_used_up(&[gateway.client(Protocol::Http1)], &call, LARGE).await[0];
    assert_eq!(gateway.upstream.requests("credit"), passed);
    assert!((LARGE / 2..=LARGE + ALLOWANCE).contains(&passed), "{passed} of {LARGE}");
    // Slice after slice was spent to its end, and only for the last one may it owe something.
    let redis = gateway.redis.as_ref().expect("a Redis");
    let taken = taken(&gateway, redis, "credit", &caller).await;
    let is_paid = taken <= LARGE && passed <= taken + ALLOWANCE;
    assert!(is_paid, "{passed} passed, and {taken} were taken");
}

/// Sends until what is left is all but what has passed, `before` and here: none of that is owed
/// any more. Says how many more have passed.
async fn until_paid_for(gateway: &Gateway, call: &Call, before: u64) -> u64 {
    let (started, mut more) = (Instant::now(), 0);
    loop {
        let answer = gateway.send(call).await;
        if answer.status == 200 {
            more += 1;
            if answer.number("x-ratelimit-remaining") + before + more == LARGE {
                return more;
            }
        }
        let in_time = started.elapsed() < LONGEST;
        assert!(in_time, "{} passed, and not all were paid for:\n{answer}", before + more);
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_strict_start_nothing_passes_before_there_is_a_slice() {
    let gateway = builder().start().await;
    gateway.until_status(200, &of("/shared/page", &keys::subject("warm-up"))).await;
    let mut took = Vec::new();
    for _ in 0..5 {
        let call = of("/shared/page", &keys::subject("first"));
        let asked = gateway.upstream.requests("shared");
        let started = Instant::now();
        let first = gateway.send(&call).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
        assert_eq!(first.number("retry-after"), 1, "{first}");
        assert_told(&first, LARGE);
        assert_eq!(gateway.upstream.requests("shared"), asked, "the upstream was asked");
        assert_told(&gateway.until_status(200, &call).await, LARGE);
        took.push(started.elapsed());
    }
    // The machine may stand still now and then.
    took.sort_unstable();
    assert!(took[took.len() / 2] < Duration::from_secs(2), "until there is a slice: {took:?}");
}
