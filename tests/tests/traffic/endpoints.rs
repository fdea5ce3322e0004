//! Which endpoint of a service answers.

use postern_e2e::client::Call;

use crate::traffic::Stack;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_have_the_shares_of_their_weights() {
    let stack = Stack::start().await;
    for _ in 0..400 {
        stack.gateway.send(&Call::get("/weighed/page")).await.expect(200);
    }
    // They take turns, so that three to one is near by after any number of requests.
    let [a, b, _] = stack.got("weighed");
    assert_eq!(a + b, 400);
    assert!((290..=310).contains(&a), "{a} and {b}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_stays_on_one_endpoint() {
    let stack = Stack::start().await;
    let mut used = [false; 3];
    for room in 0..24 {
        let before = stack.got("sticky");
        for _ in 0..5 {
            let call = Call::get("/sticky/page").header("x-room", format!("room-{room}"));
            stack.gateway.send(&call).await.expect(200);
        }
        let after = stack.got("sticky");
        let mut got = [0, 1, 2].map(|at| after[at] - before[at]);
        for (used, got) in used.iter_mut().zip(got) {
            *used |= got > 0;
        }
        got.sort_unstable();
        assert_eq!(got, [0, 0, 5], "room-{room}");
    }
    assert!(used.iter().filter(|used| **used).count() > 1, "all rooms are at one endpoint");
    let fewest = "cluster.service-sticky.ring_hash_lb.min_hashes_per_host";
    assert!(stack.gateway.envoy.stat(fewest).await >= 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_zone_that_is_near_answers_as_long_as_it_can() {
    let stack = Stack::start().await;
    for _ in 0..10 {
        stack.gateway.send(&Call::get("/near/page")).await.expect(200);
    }
    assert_eq!(stack.got("near"), [10, 0, 0]);
    // Then the other zone of the region, and nobody of another one.
    stack.a.fail("near", 500);
    let mut failed = 0;
    for _ in 0..20 {
        failed += u32::from(stack.gateway.send(&Call::get("/near/page")).await.status != 200);
    }
    assert!((3..=6).contains(&failed), "{failed} requests of 20 failed");
    let [_, near, far] = stack.got("near");
    assert_eq!((near, far), (u64::from(20 - failed), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_fails_is_left_out() {
    let stack = Stack::start().await;
    stack.b.fail("ejecting", 500);
    let mut failed = 0;
    for _ in 0..40 {
        let answer = stack.gateway.send(&Call::get("/ejecting/page")).await;
        failed += u32::from(answer.status != 200);
    }
    // Three in a row; Envoy's main thread tells the worker, which may be asked meanwhile.
    assert!((3..=6).contains(&failed), "{failed} requests of 40 failed");
    let ejected = "cluster.service-ejecting.outlier_detection.ejections_active";
    assert_eq!(stack.gateway.envoy.stat(ejected).await, 1);

    // No more than half of them: the other one stays, however it fails.
    stack.a.fail("ejecting", 500);
    for _ in 0..10 {
        stack.gateway.send(&Call::get("/ejecting/page")).await.expect(500);
    }
    assert_eq!(stack.gateway.envoy.stat(ejected).await, 1);
}
