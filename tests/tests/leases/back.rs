//! What a request has taken of a slice and does not need is there for others.

use std::time::Instant;

use postern_e2e::client::{Client, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys;

use super::{LONGEST, PAUSE, SMALL, assert_told, assert_turned_away, builder, of, until_used_up};

/// What the local limit allows.
const FEW: u64 = 3;
/// What may be missing in the end, because a machine that stands still lets slices end before
/// anybody can give them back.
const LOST: u64 = 10;
/// So many requests leave no doubt whether they count.
const MANY: u64 = 50;

fn client(gateway: &Gateway) -> Client {
    gateway.client(Protocol::Http1)
}

/// All of the limit has passed, but for what a bad moment may have cost.
fn assert_all_was_there(passed: u64) {
    assert!((SMALL - LOST..=SMALL).contains(&passed), "{passed} passed of {SMALL}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_leased_limit_and_a_local_one_both_are_taken_from_or_neither() {
    let gateway = builder().start().await;
    let caller = keys::subject("beside");
    let both = of("/beside/both", &caller);
    // There is no slice yet. Had this one counted locally, that limit would refuse too soon.
    assert_turned_away(gateway.send(&both).await, SMALL);
    let (started, mut passed) = (Instant::now(), 0);
    while passed < FEW {
        let answer = gateway.send(&both).await;
        if answer.status == 200 {
            passed += 1;
            assert_eq!(answer.number("x-ratelimit-limit"), FEW, "{answer}");
            assert_eq!(answer.number("x-ratelimit-remaining"), FEW - passed, "{answer}");
        } else {
            assert_turned_away(answer, SMALL);
            tokio::time::sleep(PAUSE).await;
        }
        assert!(started.elapsed() < LONGEST, "{passed} have passed and no more");
    }
    // Here the local limit refuses, and the leased one has room.
    for _ in 0..MANY {
        let answer = gateway.send(&both).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
        assert_told(&answer, FEW);
    }
    let alone = of("/beside/alone", &caller);
    let rest = until_used_up(&[client(&gateway)], &alone, SMALL).await[0];
    assert_all_was_there(passed + rest);
    assert_eq!(gateway.upstream.requests("beside"), passed + rest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_given_back_to_the_slice() {
    let gateway = builder().start().await;
    let call = of("/used/page", &keys::subject("using"));
    gateway.upstream.fail("used", 500);
    let (started, mut failed) = (Instant::now(), 0);
    while failed < SMALL + MANY {
        let answer = gateway.send(&call).await;
        if answer.status == 500 {
            failed += 1;
        } else {
            // There is no slice yet, or no more.
            assert_turned_away(answer, SMALL);
            tokio::time::sleep(PAUSE).await;
        }
        assert!(started.elapsed() < LONGEST, "{failed} have failed and no more");
    }
    gateway.upstream.recover("used");
    let passed = until_used_up(&[client(&gateway)], &call, SMALL).await[0];
    assert_all_was_there(passed);
}
