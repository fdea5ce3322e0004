//! Limits hold: over all workers of one Envoy, and over all servers with one store; whatever they
//! count, and whatever comes of a request.

mod ends;
mod numbers;

use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::documents;
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::keys::{self, Token};
use postern_e2e::redis::Redis;
use tokio::task::JoinSet;

/// Calls that are on their way at the same time: enough to meet on every worker, and few
/// enough that none waits longer for the server than its budget allows.
const AT_ONCE: usize = 12;

/// Sends the call many times, each on a connection of its own, and counts what passed.
async fn passed(clients: &[Client], call: &Call, times: usize) -> usize {
    let mut turns = clients.iter().copied().cycle().take(times);
    let mut passed = 0;
    loop {
        let mut calls = JoinSet::new();
        for client in turns.by_ref().take(AT_ONCE) {
            let call = call.clone();
            calls.spawn(async move { client.send(&call).await });
        }
        if calls.is_empty() {
            return passed;
        }
        for answer in calls.join_all().await {
            if answer.status == 200 {
                passed += 1;
            } else {
                answer.expect_denial(429, "RATE_LIMIT_EXCEEDED");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_limit_holds_across_four_workers() {
    let gateway = Gateway::builder().workers(4).start().await;
    for protocol in Protocol::ALL {
        let before = gateway.upstream.requests("limited");
        let caller = keys::subject("workers");
        let call = Call::get("/limited/workers").header("x-test-caller", caller.as_str());
        let clients = [gateway.client(protocol)];
        assert_eq!(passed(&clients, &call, 120).await, 40, "{protocol:?}");
        // Nothing is left, on whichever worker the next connections land.
        assert_eq!(passed(&clients, &call, 24).await, 0, "{protocol:?}");
        assert_eq!(gateway.upstream.requests("limited") - before, 40, "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exact_limit_holds_across_two_servers() {
    let redis = Redis::start().await;
    let builder = || Gateway::builder().store(Store::At(redis.url()));
    let (one, two) = (builder().start().await, builder().start().await);
    let call = |subject: &str| Call::get("/limited/replicas").bearer(&Token::of(subject).sign());
    let warm = call(&keys::subject("warm-up"));
    one.until_status(200, &warm).await;
    two.until_status(200, &warm).await;
    let without_store = || async {
        let name = "postern_ext_authz_store_failures_total";
        let label = [("answer", "local_share")];
        one.server.metric(name, &label).await + two.server.metric(name, &label).await
    };
    for protocol in Protocol::ALL {
        let clients = [one.client(protocol), two.client(protocol)];
        let mut told = false;
        // On a machine that stands still for longer than the store's budget, each server lets its
        // own share pass, and counts that it did: such a round says nothing of the store's count.
        for _ in 0..20 {
            let subject = keys::subject("replicas");
            let before = without_store().await;
            let (first, more) = (
                passed(&clients, &call(&subject), 50).await,
                passed(&clients, &call(&subject), 10).await,
            );
            if without_store().await == before {
                assert_eq!((first, more), (20, 0), "{protocol:?}");
                told = true;
                break;
            }
        }
        assert!(told, "{protocol:?}: in every round the store was away for a while");
    }
    // One after the other: what one counted the other one tells.
    let subject = keys::subject("in-turn");
    for used in 1..=6 {
        let gateway = if used % 2 == 0 { &one } else { &two };
        let answer = gateway.send(&call(&subject)).await.expect(200);
        assert_eq!(answer.number("x-ratelimit-limit"), 20, "{answer}");
        assert_eq!(answer.number("x-ratelimit-remaining"), 20 - used, "{answer}");
        assert_eq!(answer.header("ratelimit-policy"), Some("20;w=3600"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exact_limit_in_memory_holds_under_load() {
    let gateway = Gateway::builder().workers(2).start().await;
    let call = |subject: &str| Call::get("/limited/replicas").bearer(&Token::of(subject).sign());
    gateway.until_status(200, &call(&keys::subject("warm-up"))).await;
    let subject = keys::subject("load");
    let clients = Protocol::ALL.map(|protocol| gateway.client(protocol));
    assert_eq!(passed(&clients, &call(&subject), 60).await, 20);
    // The key is the subject, whichever token names it.
    assert_eq!(passed(&clients, &call(&subject), 4).await, 0);
    assert_eq!(passed(&clients, &call(&keys::subject("other")), 4).await, 4);
}

/// A call as the trusted proxy hands it on: these are its `X-Forwarded-For` lines, and the last
/// entry of the last one is what the proxy itself wrote. The rest is the client's.
fn forwarded(path: &str, lines: &[String]) -> Call {
    let call = Call::get(path)
        .header("x-real-ip", "198.51.100.1")
        .header("x-envoy-external-address", "198.51.100.2")
        .header("forwarded", "for=198.51.100.3");
    lines.iter().fold(call, |call, line| call.header("x-forwarded-for", line.as_str()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_trusted_proxy_limits_count_whom_it_names() {
    let gateway = Gateway::builder().document(documents::PROXIED).start().await;
    for path in ["/limited/exact", "/limited/local"] {
        let warm_up = forwarded(path, &["192.0.2.1".to_owned()]);
        gateway.until_status(200, &warm_up).await;
        for (protocol, one, two) in [
            (Protocol::Http1, "203.0.113.1", "203.0.113.2"),
            (Protocol::Http2, "203.0.113.3", "203.0.113.4"),
        ] {
            let client = gateway.client(protocol);
            let before = gateway.upstream.requests("limited");
            for left in [2, 1, 0] {
                let answer = client.send(&forwarded(path, &[one.to_owned()])).await.expect(200);
                assert_eq!(answer.number("x-ratelimit-remaining"), left, "{path}:\n{answer}");
            }
            // Nothing that stands further left gets the client another budget.
            for lines in [
                vec![one.to_owned()],
                vec![format!("198.51.100.7, {one}")],
                vec![format!("198.51.100.8,198.51.100.9, 127.0.0.1,{one}")],
                vec![format!("{two}, {one}")],
                vec!["198.51.100.10".to_owned(), one.to_owned()],
            ] {
                let answer = client.send(&forwarded(path, &lines)).await;
                assert_eq!(answer.status, 429, "{path} with {lines:?}:\n{answer}");
                answer.expect_denial(429, "RATE_LIMIT_EXCEEDED");
            }
            // The other one has a budget of its own, and may say whatever it likes.
            for (left, line) in [(2, two.to_owned()), (1, format!("{one}, {two}"))] {
                let answer = client.send(&forwarded(path, &[line])).await.expect(200);
                assert_eq!(answer.number("x-ratelimit-remaining"), left, "{path}:\n{answer}");
            }
            let passed = gateway.upstream.requests("limited") - before;
            assert_eq!(passed, 5, "{path}, {protocol:?}");
        }
    }
}
