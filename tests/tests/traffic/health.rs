//! Endpoints that are asked whether they are well.

use std::time::Duration;

use postern_e2e::client::Call;
use postern_e2e::wait;

use crate::traffic::Stack;

const LONGEST: Duration = Duration::from_secs(20);

async fn until_healthy(stack: &Stack, endpoints: u64) {
    let healthy = "cluster.service-checked.membership_healthy";
    wait::until(&format!("{endpoints} healthy endpoints"), LONGEST, || async {
        let count = stack.gateway.envoy.stat(healthy).await;
        if count == endpoints { Ok(()) } else { Err(format!("there are {count}")) }
    })
    .await;
}

/// How many of twenty requests the first two upstreams got.
async fn twenty(stack: &Stack) -> [u64; 2] {
    let before = stack.got("checked");
    for _ in 0..20 {
        stack.gateway.send(&Call::get("/checked/page")).await.expect(200);
    }
    let after = stack.got("checked");
    [after[0] - before[0], after[1] - before[1]]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_says_it_is_unwell_gets_no_request() {
    let stack = Stack::start().await;
    until_healthy(&stack, 2).await;
    assert!(twenty(&stack).await.iter().all(|got| *got >= 5), "they take turns");
    // It would still answer requests: only the check fails.
    stack.b.fail("probed", 503);
    until_healthy(&stack, 1).await;
    assert_eq!(twenty(&stack).await, [20, 0]);
    stack.b.recover("probed");
    until_healthy(&stack, 2).await;
    assert!(twenty(&stack).await.iter().all(|got| *got >= 5), "they take turns");
}

/// By itself, Envoy would send to endpoints that fail as soon as half of them do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_none_is_well_requests_are_refused() {
    let stack = Stack::start().await;
    stack.a.fail("probed", 503);
    stack.b.fail("probed", 503);
    until_healthy(&stack, 0).await;
    let before = stack.got("checked");
    let answer = stack.gateway.send(&Call::get("/checked/page")).await;
    answer.expect_denial(503, "UNAVAILABLE");
    assert_eq!(stack.got("checked"), before);
}
