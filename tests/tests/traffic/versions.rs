//! Which version of a service answers.

use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::keys::Token;
use serde_json::json;

use crate::traffic::Stack;

/// Requests of a draw, and how many at a time.
const DRAWN: u64 = 10_000;
const AT_A_TIME: u64 = 16;

/// How many of so many requests the first two upstreams got.
async fn draw(stack: &Stack) -> [u64; 2] {
    let before = stack.got("split");
    let client = stack.gateway.client(Protocol::Http1);
    let senders = (0..AT_A_TIME).map(|_| tokio::spawn(send(client, DRAWN / AT_A_TIME)));
    for sender in senders.collect::<Vec<_>>() {
        sender.await.expect("all of its requests");
    }
    let after = stack.got("split");
    assert_eq!(after[2], before[2], "with a share of nothing");
    [after[0] - before[0], after[1] - before[1]]
}

async fn send(client: Client, times: u64) {
    for _ in 0..times {
        client.send(&Call::get("/split/page")).await.expect(200);
    }
}

/// Whether so many of all are a tenth, give or take three standard deviations.
fn is_a_tenth(canary: u64, all: u64) -> bool {
    // n·p ± 3·√(n·p·q), squared to stay whole: (10·c − n)² ≤ 9·9·n.
    let off = (canary * 10).abs_diff(all);
    off * off <= 81 * all
}

#[test]
fn three_deviations_are_what_they_are_taken_for() {
    for (canary, all, expected) in [
        (1000, 10_000, true),
        (910, 10_000, true),
        (909, 10_000, false),
        (1090, 10_000, true),
        (1091, 10_000, false),
    ] {
        assert_eq!(is_a_tenth(canary, all), expected, "{canary} of {all}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_are_as_the_document_splits_them() {
    let stack = Stack::start().await;
    let mut drawn = Vec::new();
    // One draw of four hundred lies outside by chance; two in a row do not.
    for _ in 0..2 {
        let [stable, canary] = draw(&stack).await;
        assert_eq!(stable + canary, DRAWN);
        if is_a_tenth(canary, DRAWN) {
            return;
        }
        drawn.push(canary);
    }
    panic!("of {DRAWN} requests the canary got {drawn:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_chooses_the_version_that_it_is_for() {
    let stack = Stack::start().await;
    for protocol in Protocol::ALL {
        for (header, value, expected) in [
            ("x-canary", "always", [0, 1, 0]),
            ("x-canary", "Always", [1, 0, 0]),
            ("x-canary", "always-not", [1, 0, 0]),
            ("x-kind", "beta-7", [0, 0, 1]),
            ("x-kind", "alpha-beta-7", [1, 0, 0]),
            ("x-other", "always", [1, 0, 0]),
        ] {
            let before = stack.got("picked");
            let call = Call::post("/picked/page").header(header, value).body("x");
            stack.gateway.client(protocol).send(&call).await.expect(200);
            let after = stack.got("picked");
            let got = [0, 1, 2].map(|at| after[at] - before[at]);
            assert_eq!(got, expected, "{header}: {value}");
        }
    }
}

/// The first header that fits decides, as the document has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_headers_the_first_decides() {
    let stack = Stack::start().await;
    let call = Call::get("/picked/page").header("x-kind", "beta-1").header("x-canary", "always");
    stack.gateway.send(&call).await.expect(200);
    assert_eq!(stack.got("picked"), [0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_by_identity_is_nobodys_to_choose() {
    let stack = Stack::start().await;
    let tier = |name: &str| Token::of("alice").claim("tier", json!(name)).sign();
    let page = || Call::get("/by-tier/page");
    for protocol in Protocol::ALL {
        let client = stack.gateway.client(protocol);
        for (call, expected) in [
            (page().bearer(&tier("gold")), [0, 1, 0]),
            (page().bearer(&tier("basic")), [1, 0, 0]),
            (page(), [1, 0, 0]),
            // What a caller claims is gone before the version is chosen.
            (page().header("x-postern-tier", "gold"), [1, 0, 0]),
            (page().header("x-postern-tier", "gold").bearer(&tier("basic")), [1, 0, 0]),
            (page().header("X-Postern-Tier", "gold").header("x-postern-tier", "gold"), [1, 0, 0]),
            (page().header("x_postern_tier", "gold"), [1, 0, 0]),
            (page().header("x-postern-tier", "basic").bearer(&tier("gold")), [0, 1, 0]),
        ] {
            let before = stack.got("by-tier");
            client.send(&call).await.expect(200);
            let after = stack.got("by-tier");
            let got = [0, 1, 2].map(|at| after[at] - before[at]);
            assert_eq!(got, expected, "{call:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_tell_endpoints_of_a_version() {
    let stack = Stack::start().await;
    for _ in 0..6 {
        stack.gateway.send(&Call::get("/labelled/page")).await.expect(200);
    }
    assert_eq!(stack.got("labelled"), [0, 6, 0]);
}
