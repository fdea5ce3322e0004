//! What is made to go wrong.

use std::time::{Duration, Instant};

use postern_e2e::client::{Call, Protocol};
use postern_e2e::keys::Token;

use crate::traffic::Stack;

/// What callers would send to a fault filter that listens to them.
const ASKING_FOR_FAULTS: [(&str, &str); 6] = [
    ("x-envoy-fault-abort-request", "418"),
    ("x-envoy-fault-abort-request-percentage", "100"),
    ("x-envoy-fault-abort-grpc-request", "5"),
    ("x-envoy-fault-delay-request", "3000"),
    ("x-envoy-fault-delay-request-percentage", "100"),
    ("x-envoy-fault-throughput-response", "1"),
];

fn asking(call: Call) -> Call {
    ASKING_FOR_FAULTS.iter().fold(call, |call, (name, value)| call.header(name, *value))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_refused_as_the_document_says() {
    let stack = Stack::start().await;
    let token = Token::of("alice").sign();
    for protocol in Protocol::ALL {
        let client = stack.gateway.client(protocol);
        let call = Call::get("/aborted/page").bearer(&token);
        let answer = client.send(&call).await.expect_denial(503, "UNAVAILABLE");
        assert!(answer.header("x-correlation-id").is_some(), "{answer}");
        // Nobody gets out of it, and it says nothing to somebody who may not call at all.
        client.send(&asking(call)).await.expect_denial(503, "UNAVAILABLE");
        let call = Call::get("/aborted/page");
        client.send(&call).await.expect_denial(401, "UNAUTHORIZED");
    }
    assert_eq!(stack.gateway.upstream.requests("aborted"), 0, "the service was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_wait_as_the_document_says() {
    let stack = Stack::start().await;
    let began = Instant::now();
    stack.gateway.send(&Call::get("/delayed/page")).await.expect(200);
    // Envoy counts from the moment it last looked at the clock.
    assert!(began.elapsed() >= Duration::from_millis(650), "{:?}", began.elapsed());
    let stats = stack.gateway.envoy.stats().await;
    assert_eq!(stats.get("http.postern.fault.delays_injected"), Some(&1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_caller_asks_for_a_fault() {
    let stack = Stack::start().await;
    for protocol in Protocol::ALL {
        let client = stack.gateway.client(protocol);
        for path in ["/plain/page", "/split/page", "/delayed/page"] {
            client.send(&asking(Call::get(path))).await.expect(200);
        }
    }
    let stats = stack.gateway.envoy.stats().await;
    assert_eq!(stats.get("http.postern.fault.aborts_injected").copied().unwrap_or(0), 0);
    // Those of the route that has one.
    assert_eq!(stats.get("http.postern.fault.delays_injected"), Some(&2));
}
