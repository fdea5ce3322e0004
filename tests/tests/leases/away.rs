//! No slices can be had, because the server is away or its store is: no request waits for any, and
//! each limit does what it says.

use std::time::{Duration, Instant};

use postern_e2e::client::{Answer, Call, Protocol};
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::redis::Redis;
use postern_e2e::{keys, wait};

use super::{AT_ONCE, LONGEST, SMALL, builder, of, round, until_counted};

const ALLOW: &str = "/away/allow";
const DENY: &str = "/away/deny";
const SHARE: &str = "/away/share";
/// What each of the two Envoys lets pass that the document expects.
const A_SHARE: u64 = SMALL / 2;

/// A little less than the three seconds for which Envoys wait for an answer: the question may have
/// been asked a moment before nobody could answer it any more.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// The least that a request would take that asked a store which does not answer.
const BUDGET: Duration = Duration::from_millis(20);
/// Answers that say how long answers take.
const ENOUGH: usize = 100;

/// One that spends slices of every limit.
async fn start(store: Store) -> Gateway {
    let gateway = builder().store(store).start().await;
    for path in [ALLOW, DENY, SHARE] {
        gateway.until_status(200, &of(path, &keys::subject("warm-up"))).await;
    }
    gateway
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_server_each_limit_does_what_it_says_until_it_is_back() {
    let mut gateway = start(Store::Redis).await;
    gateway.server.take_down();
    each_limit_without_slices(&gateway).await;
    gateway.server.bring_up().await;
    slices_are_spent_again(&gateway).await;
    for name in ["postern_filter_lease_failures_total", "postern_filter_lease_fallback_total"] {
        until_counted(&gateway, name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_hangs_requests_wait_for_nobody() {
    let Some(mut redis) = Redis::down_or_skip() else { return };
    redis.bring_up().await;
    let gateway = start(Store::At(redis.url())).await;
    redis.signal("STOP");
    each_limit_without_slices(&gateway).await;
    redis.signal("CONT");
    slices_are_spent_again(&gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_limit_does_what_it_says_until_it_is_back() {
    let Some(mut redis) = Redis::down_or_skip() else { return };
    redis.bring_up().await;
    let gateway = start(Store::At(redis.url())).await;
    redis.take_down();
    each_limit_without_slices(&gateway).await;
    redis.bring_up().await;
    slices_are_spent_again(&gateway).await;
}

async fn each_limit_without_slices(gateway: &Gateway) {
    until_denied(gateway, &of(DENY, &keys::subject("denied"))).await;
    until_denied_everywhere(gateway).await;
    let asked = gateway.upstream.requests("away");
    for protocol in Protocol::ALL {
        let answer = gateway.client(protocol).send(&of(DENY, &keys::subject("denied"))).await;
        let answer = answer.expect_denial(503, "UNAVAILABLE");
        assert!(answer.number("retry-after") >= 1, "{answer}");
    }
    assert_eq!(gateway.upstream.requests("away"), asked, "the upstream was asked");

    // Beyond the rate, and nobody is turned away.
    let rounds = 15;
    let all = u64::try_from(rounds * AT_ONCE).expect("a number");
    assert!(all > SMALL);
    assert_eq!(passed(gateway, ALLOW, rounds, SMALL).await, all);
    assert_eq!(passed(gateway, SHARE, 10, A_SHARE).await, A_SHARE);
}

/// Somebody's calls in so many rounds: how many passed.
async fn passed(gateway: &Gateway, path: &str, rounds: usize, limit: u64) -> u64 {
    let (client, call) = (gateway.client(Protocol::Http1), of(path, &keys::subject("without")));
    let mut passed = 0;
    for _ in 0..rounds {
        passed += round(&[client], &call, limit).await[0];
    }
    passed
}

/// Sends until the limit says that slices cannot be had, and no sooner than it may: until then
/// nothing passes that was not lent. All the time answers come as fast as where nothing is
/// counted, to calls that are sent in turn, so that a busy machine slows down both.
async fn until_denied(gateway: &Gateway, call: &Call) {
    let started = Instant::now();
    let plain = Call::get("/plain/page");
    let (mut counted, mut uncounted, mut denied) = (Vec::new(), Vec::new(), None);
    while denied.is_none() || counted.len() < ENOUGH {
        let (answer, took) = timed(gateway, call).await;
        counted.push(took);
        if answer.status == 503 {
            denied = denied.or_else(|| Some(started.elapsed()));
        } else {
            answer.expect_denial(429, "RATE_LIMIT_EXCEEDED");
        }
        let (answer, took) = timed(gateway, &plain).await;
        answer.expect(200);
        uncounted.push(took);
        assert!(started.elapsed() < LONGEST, "{call} is never denied");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(denied >= Some(PATIENCE), "denied after {denied:?} already");
    let (counted, uncounted) = (median(counted), median(uncounted));
    assert!(counted < uncounted + BUDGET, "{counted:?}, where nothing is counted {uncounted:?}");
}

/// Until every worker knows, of callers too that nobody has asked for a slice for.
async fn until_denied_everywhere(gateway: &Gateway) {
    wait::until("denial by every worker", LONGEST, || async {
        let answers = gateway.everywhere(&of(DENY, &keys::subject("denied"))).await;
        let other = answers.iter().find(|answer| answer.status != 503);
        other.map_or(Ok(()), |answer| Err(answer.to_string()))
    })
    .await;
}

async fn timed(gateway: &Gateway, call: &Call) -> (Answer, Duration) {
    let began = Instant::now();
    let answer = gateway.send(call).await;
    (answer, began.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn slices_are_spent_again(gateway: &Gateway) {
    gateway.until_status(200, &of(DENY, &keys::subject("again"))).await;
    for path in [ALLOW, SHARE] {
        // Whoever comes first finds no slice, and is not let through for want of one.
        let what = format!("strict start at {path}");
        let caller = wait::until(&what, LONGEST, || async {
            let caller = keys::subject("again");
            let answer = gateway.send(&of(path, &caller)).await;
            if is_leased(&answer, 429) { Ok(caller) } else { Err(answer.to_string()) }
        })
        .await;
        let call = of(path, &caller);
        wait::until(&format!("slice for {path}"), LONGEST, || async {
            let answer = gateway.send(&call).await;
            if is_leased(&answer, 200) { Ok(()) } else { Err(answer.to_string()) }
        })
        .await;
    }
}

/// Whether an answer is about all of a limit, and not about a share of it.
fn is_leased(answer: &Answer, status: u16) -> bool {
    answer.status == status && answer.number("x-ratelimit-limit") == SMALL
}
