//! How often a service is asked, and for how long.

use std::time::{Duration, Instant};

use postern_e2e::client::Call;

use crate::traffic::Stack;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_fails_is_sent_as_often_as_its_route_says() {
    let stack = Stack::start().await;
    for (service, attempts) in [("trying", 3), ("trying-twice", 2), ("trying-once", 1)] {
        stack.a.fail(service, 503);
        let answer = stack.gateway.send(&Call::get(&format!("/{service}/page"))).await;
        let answer = answer.expect(503);
        assert_eq!(answer.json()["error"], "SAMPLE_FAILURE", "the last answer: {answer}");
        assert_eq!(stack.got(service), [attempts, 0, 0], "{service}");
        stack.a.recover(service);
        stack.gateway.send(&Call::get(&format!("/{service}/page"))).await.expect(200);
        assert_eq!(stack.got(service), [attempts + 1, 0, 0], "{service}");
    }
}

/// What a service says of itself is tried again only where the document says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_failure_is_no_reason() {
    let stack = Stack::start().await;
    stack.a.fail("trying", 500);
    stack.gateway.send(&Call::get("/trying/page")).await.expect(500);
    assert_eq!(stack.got("trying"), [1, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_attempt_has_its_own_time() {
    let stack = Stack::start().await;
    let began = Instant::now();
    let answer = stack.gateway.send(&Call::get("/trying/slow/15000")).await;
    answer.expect_denial(504, "GATEWAY_TIMEOUT");
    let took = began.elapsed();
    assert_eq!(stack.got("trying"), [3, 0, 0]);
    // Three times 300 ms, and far from the route's 20 s.
    assert!(took >= Duration::from_millis(800), "{took:?}");
    assert!(took < Duration::from_secs(12), "{took:?}");
    let stat = "cluster.service-trying.upstream_rq_per_try_timeout";
    assert_eq!(stack.gateway.envoy.stat(stat).await, 3);

    // The route that has retries of its own has no such bound: neither does its time.
    stack.gateway.send(&Call::get("/trying-once/slow/600")).await.expect(200);
    assert_eq!(stack.got("trying-once"), [1, 0, 0]);
}
