//! Endpoints that are asked whether they are well.

use std::time::Duration;

use postern_e2e::client::Call;
use postern_e2e::wait;

use crate::traffic::Stack;

const LONGEST: Duration = Duration::from_secs(20);

/// Envoy counts at once, and tells its workers within a second (`update_merge_window`).
async fn until_healthy(stack: &Stack, endpoints: u64) {
    let healthy = "cluster.service-checked.membership_healthy";
    wait::until(&format!("{endpoints} healthy endpoints"), LONGEST, || async {
        let count = stack.gateway.envoy.stat(healthy).await;
        if count == endpoints { Ok(()) } else { Err(format!("there are {count}")) }
    })
    .await;
}

async fn until_they_take_turns(stack: &Stack) {
    wait::until("turns", LONGEST, || async {
        let got = twenty(stack).await;
        if got.iter().all(|got| *got >= 5) { Ok(()) } else { Err(format!("{got:?}")) }
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
    until_they_take_turns(&stack).await;
    // It would still answer requests: only the check fails.
    stack.b.fail("probed", 503);
    until_healthy(&stack, 1).await;
    wait::until("requests at the other one alone", LONGEST, || async {
        let got = twenty(&stack).await;
        if got == [20, 0] { Ok(()) } else { Err(format!("{got:?}")) }
    })
    .await;
    stack.b.recover("probed");
    until_healthy(&stack, 2).await;
    until_they_take_turns(&stack).await;
}

/// By itself, Envoy would send to endpoints that fail as soon as half of them do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_none_is_well_requests_are_refused() {
    let stack = Stack::start().await;
    stack.a.fail("probed", 503);
    stack.b.fail("probed", 503);
    until_healthy(&stack, 0).await;
    wait::until("refusal", LONGEST, || async {
        let answer = stack.gateway.send(&Call::get("/checked/page")).await;
        if answer.status == 503 { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
    let before = stack.got("checked");
    let answer = stack.gateway.send(&Call::get("/checked/page")).await;
    answer.expect_denial(503, "UNAVAILABLE");
    assert_eq!(stack.got("checked"), before);
}
