//! Envoy's own filter, which asks the suite's rate limit service what the document's routes say.

use postern_e2e::client::{Call, Protocol};
use postern_e2e::keys::{self, Token};

use crate::traffic::Stack;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_counts_by_what_the_route_tells() {
    let stack = Stack::start().await;
    let call = Call::get("/by-address/page");
    for _ in 0..3 {
        stack.gateway.send(&call).await.expect(200);
    }
    let before = stack.gateway.upstream.requests("by-address");
    for protocol in Protocol::ALL {
        // Another address in a header is nobody's.
        let forged = call.clone().header("x-forwarded-for", "203.0.113.9");
        let answer = stack.gateway.client(protocol).send(&forged).await;
        let answer = answer.expect_denial(429, "RATE_LIMIT_EXCEEDED");
        assert!(answer.number("retry-after") >= 1, "{answer}");
        assert_eq!(answer.number("x-ratelimit-remaining"), 0, "{answer}");
    }
    assert_eq!(stack.gateway.upstream.requests("by-address"), before, "the service was asked");
    // A route that tells nothing is not counted.
    for _ in 0..5 {
        stack.gateway.send(&Call::get("/plain/page")).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_are_counted_by_who_they_are_and_only_once_they_may_call() {
    let stack = Stack::start().await;
    let page = || Call::get("/by-caller/page");
    let (first, second) = (keys::subject("first"), keys::subject("second"));
    let of = |subject: &str| page().bearer(&Token::of(subject).sign());
    for _ in 0..3 {
        // What the bundle refuses costs nobody anything.
        let call = page().header("x-postern-subject", first.as_bytes());
        stack.gateway.send(&call).await.expect_denial(401, "UNAUTHORIZED");
    }
    for _ in 0..2 {
        stack.gateway.send(&of(&first)).await.expect(200);
    }
    stack.gateway.send(&of(&first)).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
    // Whoever calls itself somebody else is still counted as who it is.
    let disguised = of(&first).header("x-postern-subject", second.as_bytes());
    stack.gateway.send(&disguised).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
    for _ in 0..2 {
        stack.gateway.send(&of(&second)).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_headers_stand_there_once() {
    let stack = Stack::start().await;
    let answer = stack.gateway.send(&Call::get("/by-both/page")).await.expect(200);
    // A header that is repeated fails here. The document's own limit is what is told.
    assert_eq!(answer.number("x-ratelimit-limit"), 1000, "{answer}");
    assert_eq!(answer.number("ratelimit-limit"), 1000, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_service_requests_are_refused_where_the_document_says_so() {
    let mut stack = Stack::start().await;
    stack.gateway.send(&Call::get("/by-address/page")).await.expect(200);
    stack.gateway.server.take_down();
    let answer = stack.gateway.send(&Call::get("/by-address/page")).await;
    answer.expect_denial(503, "UNAVAILABLE");
    stack.gateway.send(&Call::get("/plain/page")).await.expect(200);
}
