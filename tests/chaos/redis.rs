//! Redis is refused, hangs, is slow, breaks off, is flushed: each limit gives the answer that it
//! has for that, and what the store counts is never counted twice as much.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use postern_e2e::client::{Call, Protocol};
use postern_e2e::documents;
use postern_e2e::fault_proxy::{FaultProxy, Faults, Loss, Way};
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::redis::Redis;

use crate::mix::{checked, content, limited, token};
use crate::until_metric;

const FAILURES: &str = "postern_ext_authz_store_failures_total";
/// What `few` and `sharing` let pass.
const LIMIT: usize = 4;
/// What the store may take of a request.
const BUDGET: Duration = Duration::from_millis(20);
/// For the rest of an answer, on a machine that has much else to do.
const REST: Duration = Duration::from_millis(150);

/// A gateway whose Redis is behind a proxy.
struct Behind {
    gateway: Gateway,
    proxy: FaultProxy,
    _redis: Redis,
}

impl Behind {
    async fn start() -> Option<Self> {
        let mut redis = Redis::down_or_skip()?;
        redis.bring_up().await;
        let proxy = FaultProxy::to_port(redis.port()).await;
        let builder = Gateway::builder().document(documents::chaos(1, "30s")).durable();
        let store = Store::At(format!("redis://{}", proxy.address()));
        let gateway = builder.store(store).start().await;
        gateway.until_status(200, &limited("many", &token("warm-up"))).await;
        Some(Self { gateway, proxy, _redis: redis })
    }

    /// Statuses of so many calls, one after the other.
    async fn statuses(&self, call: &Call, times: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..times {
            statuses.push(self.gateway.send(call).await.status);
        }
        statuses
    }

    /// Nothing is known of what the store has counted.
    async fn without_the_store(&self) {
        // What is on its way still may be answered.
        let denied = limited("few", &token("denied"));
        let answer = self.gateway.until_status(503, &denied).await;
        let asked = self.gateway.upstream.total();
        assert!(answer.expect_denial(503, "UNAVAILABLE").number("retry-after") >= 1);
        self.gateway.send(&denied).await.expect_denial(503, "UNAVAILABLE");
        assert_eq!(self.gateway.upstream.total(), asked, "the upstream was asked");

        let lenient = limited("lenient", &token("lenient"));
        assert_eq!(self.statuses(&lenient, 6).await, [200; 6]);
        // All of it, for the only replica.
        let sharing = limited("sharing", &token("sharing"));
        assert_eq!(self.statuses(&sharing, 6).await, [200, 200, 200, 200, 429, 429]);
        // Nothing of these is counted anywhere.
        for call in [content(&token("filter")), checked(&token("checked"))] {
            self.gateway.send(&call).await.expect(200);
        }
    }

    /// Everything is counted again.
    async fn with_the_store(&self) {
        self.gateway.until_status(200, &limited("many", &token("back"))).await;
        let few = limited("few", &token("counted"));
        let passed = passed(&self.statuses(&few, LIMIT + 8).await);
        assert!(passed <= LIMIT, "{passed}");
        self.gateway.until_status(429, &few).await;
    }
}

fn passed(statuses: &[u16]) -> usize {
    statuses.iter().filter(|status| **status == 200).count()
}

async fn failures(gateway: &Gateway, answer: &str) -> u64 {
    gateway.server.metric(FAILURES, &[("answer", answer)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_or_hanging_each_limit_says_what_it_says_without_redis() {
    let Some(behind) = Behind::start().await else { return };
    for way in [Way::Refused, Way::HalfOpen, Way::slow(Duration::from_millis(300))] {
        let mut before = Vec::new();
        for answer in ["deny", "allow", "local_share"] {
            before.push((answer, failures(&behind.gateway, answer).await));
        }
        behind.proxy.switch(way).await;
        behind.without_the_store().await;
        for (answer, before) in before {
            let after = failures(&behind.gateway, answer).await;
            assert!(after > before, "{way:?}: {answer} is not counted");
        }
        behind.proxy.switch(Way::FREE).await;
        behind.with_the_store().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_hangs_a_request_waits_for_its_budget_and_then_for_nothing() {
    let Some(behind) = Behind::start().await else { return };
    behind.proxy.switch(Way::HalfOpen).await;
    let lenient = limited("lenient", &token("waiting"));
    let mut took = Vec::new();
    for _ in 0..40 {
        let began = Instant::now();
        behind.gateway.send(&lenient).await.expect(200);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    // Half of them: single ones may have met a machine that stood still.
    assert!(took[20] <= BUDGET + REST, "{took:?}");
}

/// Answers come when the budget is over, or just before: the store may have counted what nobody
/// waited for, and counts nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn about_as_slow_as_the_budget_redis_lets_nobody_have_more() {
    let Some(behind) = Behind::start().await else { return };
    let one_of = NonZeroU32::new(5).expect("not zero");
    let loses = |latency| {
        let loss = Some(Loss { one_of, stall: Duration::from_millis(30) });
        Way::Open(Faults { latency, loss, bandwidth: None })
    };
    let millis = Duration::from_millis;
    for way in [Way::slow(millis(6)), Way::slow(millis(9)), Way::slow(millis(12)), loses(millis(2))]
    {
        behind.proxy.switch(way).await;
        let few = limited("few", &token("slow"));
        let statuses = behind.statuses(&few, 30).await;
        assert!(passed(&statuses) <= LIMIT, "{way:?}: {statuses:?}");
        let known = statuses.iter().all(|status| [200, 429, 503].contains(status));
        assert!(known, "{way:?}: {statuses:?}");
        let lenient = limited("lenient", &token("slow"));
        assert_eq!(behind.statuses(&lenient, 10).await, [200; 10], "{way:?}");
    }
    behind.proxy.switch(Way::FREE).await;
    behind.with_the_store().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_off_count_nothing_twice() {
    let Some(behind) = Behind::start().await else { return };
    let few = limited("few", &token("broken off"));
    let mut all = Vec::new();
    for _ in 0..10 {
        all.extend(behind.statuses(&few, 2).await);
        behind.proxy.reset();
    }
    assert!(passed(&all) <= LIMIT, "{all:?}");
    assert!(all.iter().all(|status| [200, 429, 503].contains(status)), "{all:?}");
    until_metric(&behind.gateway, FAILURES, &[("answer", "deny")], |failures| failures > 0).await;
    behind.with_the_store().await;
    behind.gateway.until_status(429, &few).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushed_it_counts_from_the_start_and_takes_no_revocation_back() {
    let Some(mut redis) = Redis::down_or_skip() else { return };
    redis.bring_up().await;
    let builder = Gateway::builder().document(documents::chaos(1, "30s")).durable().workers(2);
    let gateway = builder.store(Store::At(redis.url())).start().await;
    let revoked = token("revoked");
    gateway.until_everywhere(200, &content(&revoked)).await;
    gateway.revoke(&[&revoked]).await;
    gateway.until_revoked_everywhere(&content(&revoked)).await;
    let few = limited("few", &token("flushed"));
    gateway.until_status(429, &few).await;

    redis.flush().await;
    for call in [content(&revoked), checked(&revoked)] {
        for protocol in Protocol::ALL {
            let answer = gateway.client(protocol).send(&call).await;
            answer.expect_denial(401, "TOKEN_REVOKED");
        }
    }
    gateway.until_status(200, &few).await;
    gateway.until_status(429, &few).await;
}
