//! Connections apart, and repetitions within a budget.

use std::time::Duration;

use postern_e2e::client::{Call, Protocol};
use postern_e2e::wait;

use crate::traffic::Stack;

const LONGEST: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulkhead_that_is_full_takes_nothing_from_others() {
    let stack = Stack::start().await;
    let client = stack.gateway.client(Protocol::Http1);
    let slow = (0..4).map(|_| {
        tokio::spawn(async move { client.send(&Call::get("/walled-slow/slow/8000")).await.status })
    });
    let slow: Vec<_> = slow.collect();
    // One is under way, one waits at most, and the others are refused at once.
    let refused = "cluster.service-walled--slow.upstream_rq_pending_overflow";
    wait::until("two refusals", LONGEST, || async {
        let count = stack.gateway.envoy.stat(refused).await;
        if count >= 2 { Ok(()) } else { Err(format!("there are {count}")) }
    })
    .await;
    for _ in 0..10 {
        stack.gateway.send(&Call::get("/walled/page")).await.expect(200);
    }
    assert!(slow.iter().any(|task| !task.is_finished()), "it was not full");
    let mut statuses = Vec::new();
    for task in slow {
        statuses.push(task.await.expect("an answer"));
    }
    assert!(statuses.iter().filter(|status| **status == 503).count() >= 2, "{statuses:?}");
    assert!(statuses.contains(&200), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repetitions_keep_to_their_budget() {
    let stack = Stack::start().await;
    stack.a.fail("budgeted", 503);
    let client = stack.gateway.client(Protocol::Http1);
    let calls = (0..10).map(|_| {
        tokio::spawn(async move { client.send(&Call::get("/budgeted/page")).await.status })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.expect("an answer"), 503);
    }
    let overflow = "cluster.service-budgeted.upstream_rq_retry_overflow";
    assert!(stack.gateway.envoy.stat(overflow).await > 0);
    let [attempts, ..] = stack.got("budgeted");
    assert!((10..30).contains(&attempts), "{attempts} attempts of 10 requests");
}
