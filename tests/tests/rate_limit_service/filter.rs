//! What callers of an Envoy see.

use postern_e2e::client::{Answer, Call, Protocol};
use postern_e2e::keys;
use serde_json::{Value, json};

use crate::rate_limit_service::{Limits, Stack};

/// Years, so that no test runs into another window.
const RULES: &str = "
domain: shop
descriptors:
  - key: user
    rate_limit: {name: each, unit: year, requests_per_unit: 3}
  - key: user
    value: vip
    rate_limit: {unit: year, requests_per_unit: 5}
  - key: path
    value: /files/*
    rate_limit: {unit: year, requests_per_unit: 2}
  - key: path
    value: /files/big/*
    rate_limit: {unit: year, requests_per_unit: 1}
  - key: path
    value: /shared/*
    share_threshold: true
    rate_limit: {unit: year, requests_per_unit: 2}
  - key: outer
    value: a
    descriptors:
      - key: inner
        rate_limit: {unit: year, requests_per_unit: 2}
  - key: outer
    rate_limit: {unit: year, requests_per_unit: 1}
  - key: free
    rate_limit: {unlimited: true}
  - key: closed
    rate_limit: {unit: minute, requests_per_unit: 0}
  - key: tenant
    rate_limit: {name: tenant, unit: year, requests_per_unit: 1}
  - key: partner
    rate_limit: {name: partner, replaces: [{name: tenant}], unit: year, requests_per_unit: 3}
  - key: tried
    shadow_mode: true
    rate_limit: {unit: year, requests_per_unit: 1}
  - key: quota
    quota_mode: true
    rate_limit: {unit: year, requests_per_unit: 1}
  - key: detail
    detailed_metric: true
    rate_limit: {unit: year, requests_per_unit: 1}
";
const YEAR: u64 = 365 * 86_400;

async fn stack() -> Stack {
    Stack::start(Limits::start(RULES).await).await
}

/// A call with these headers.
fn call(target: &str, headers: &[(&str, &str)]) -> Call {
    headers.iter().fold(Call::get(target), |call, (name, value)| call.header(name, *value))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rule_that_fits_best_counts() {
    let stack = stack().await;
    // As many as pass; none is more than are sent.
    let by = |header, value| call("/any/page", &[(header, value)]);
    stack.lets_pass(&by("x-user", "alice"), 3).await;
    stack.lets_pass(&by("x-user", "vip"), 5).await;
    // Each value for itself, unless it says otherwise.
    stack.lets_pass(&by("x-path", "/files/a"), 2).await;
    stack.lets_pass(&by("x-path", "/files/b"), 2).await;
    stack.lets_pass(&by("x-path", "/files/big/a"), 1).await;
    for value in ["/shared/a", "/shared/b"] {
        assert_eq!(stack.statuses(&by("x-path", value), 1).await, [200]);
    }
    stack.lets_pass(&by("x-path", "/shared/c"), 0).await;
    assert_eq!(stack.statuses(&by("x-path", "/other"), 3).await, [200; 3], "no rule");

    let nested = |outer, inner| call("/nested/page", &[("x-outer", outer), ("x-inner", inner)]);
    stack.lets_pass(&nested("a", "1"), 2).await;
    stack.lets_pass(&nested("a", "2"), 2).await;
    assert_eq!(stack.statuses(&nested("b", "1"), 3).await, [200; 3], "not so deep");
    let outer = |value| call("/outer/page", &[("x-outer", value)]);
    stack.lets_pass(&outer("b"), 1).await;
    assert_eq!(stack.statuses(&outer("a"), 3).await, [200; 3], "deeper than that");

    assert_eq!(stack.statuses(&by("x-free", "1"), 5).await, [200; 5]);
    stack.lets_pass(&by("x-closed", "1"), 0).await;
    stack.lets_pass(&by("x-tenant", "t1"), 1).await;
    let partner = call("/any/page", &[("x-tenant", "t2"), ("x-partner", "p")]);
    stack.lets_pass(&partner, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_takes_from_all_of_its_rules_or_from_none() {
    let stack = stack().await;
    let user = keys::subject("user");
    let both = call("/any/page", &[("x-user", user.as_str()), ("x-tenant", "t")]);
    let before = stack.upstream.total();
    stack.lets_pass(&both, 1).await;
    assert_eq!(stack.upstream.total() - before, 1, "the upstream was asked");
    let client = stack.client(Protocol::Http1);
    let answer = client.send(&call("/any/page", &[("x-user", user.as_str())])).await.expect(200);
    assert_eq!(answer.number("x-ratelimit-remaining"), 1, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_and_refusals_tell_where_a_caller_stands_in_http_and_grpc_alike() {
    let stack = stack().await;
    for protocol in Protocol::ALL {
        let user = keys::subject("told");
        let (plain, grpc) = (by_user(Call::get("/any/page"), &user), grpc_call(&user));
        let client = stack.client(protocol);
        for (used, call) in [(1, &plain), (2, &grpc), (3, &plain)] {
            let answer = client.send(call).await.expect(200);
            assert_standing(&answer, 3 - used);
            assert_eq!(answer.header("retry-after"), None, "{answer}");
            assert_eq!(answer.header("grpc-status"), None, "{answer}");
        }
        let asked = stack.upstream.total();
        let answer = client.send(&plain).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
        assert_standing(&answer, 0);
        assert!((1..=YEAR).contains(&answer.number("retry-after")), "{answer}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
        // Envoy says which request it is about.
        let id = answer.header("x-request-id").expect("an id");
        assert_eq!(answer.json()["correlation_id"], id, "{answer}");
        assert_eq!(answer.header("x-correlation-id"), Some(id), "{answer}");

        let answer = client.send(&grpc).await.expect(200);
        assert_eq!(answer.header("grpc-status"), Some("8"), "{answer}");
        let message = answer.header("grpc-message").expect("a message");
        assert!(message.contains("RATE_LIMIT_EXCEEDED"), "{answer}");
        assert_standing(&answer, 0);
        assert!((1..=YEAR).contains(&answer.number("retry-after")), "{answer}");
        assert_eq!(stack.upstream.total(), asked, "the upstream was asked");
    }
}

fn by_user(call: Call, user: &str) -> Call {
    call.header("x-user", user)
}

fn grpc_call(user: &str) -> Call {
    let call = Call::post("/any/page").header("content-type", "application/grpc");
    by_user(call.header("te", "trailers"), user)
}

fn assert_standing(answer: &Answer, left: u64) {
    for prefix in ["x-ratelimit", "ratelimit"] {
        assert_eq!(answer.number(&format!("{prefix}-limit")), 3, "{answer}");
        assert_eq!(answer.number(&format!("{prefix}-remaining")), left, "{answer}");
        let reset = answer.number(&format!("{prefix}-reset"));
        assert!((1..=YEAR).contains(&reset), "{answer}");
    }
    let policy = format!("3;w={YEAR}");
    assert_eq!(answer.header("ratelimit-policy"), Some(policy.as_str()), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_counts_refuses_nobody_and_is_told() {
    let stack = stack().await;
    let shadow = call("/any/page", &[("x-tried", "1")]);
    assert_eq!(stack.statuses(&shadow, 4).await, [200; 4]);
    assert_eq!(hits(&stack, "shop.tried", "shadow").await, 3);

    let client = stack.client(Protocol::Http1);
    let quota = call("/any/page", &[("x-quota", "1")]);
    let told = told(&client.send(&quota).await.expect(200));
    assert_eq!(told, json!({"quotaModeEnabled": true}));
    for _ in 0..2 {
        let answer = client.send(&quota).await.expect(200);
        let violations = self::told(&answer)["quotaModeViolations"].clone();
        let violations: Vec<_> =
            violations.as_array().expect("numbers").iter().map(Value::as_f64).collect();
        assert_eq!(violations, [Some(0.0)], "{answer}");
        assert_eq!(answer.header("x-ratelimit-limit"), None, "{answer}");
    }
    assert_eq!(hits(&stack, "shop.quota", "shadow").await, 2);

    stack.lets_pass(&call("/any/page", &[("x-detail", "seen")]), 1).await;
    assert_eq!(hits(&stack, "shop.detail_seen", "over").await, 2);
}

/// What the service told by dynamic metadata.
fn told(answer: &Answer) -> Value {
    let text = answer.header("x-told").unwrap_or_else(|| panic!("nothing is told:\n{answer}"));
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{answer}"))
}

async fn hits(stack: &Stack, rule: &str, outcome: &str) -> u64 {
    let labels = [("rule", rule), ("outcome", outcome)];
    stack.limits.server.metric("postern_rate_limit_rule_hits_total", &labels).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_may_say_how_much_a_request_counts_and_in_which_domain() {
    let stack = stack().await;
    let client = stack.client(Protocol::Http1);
    let user = keys::subject("weighed");
    let heavy = by_user(Call::get("/weighed/page"), &user);
    assert_standing(&client.send(&heavy).await.expect(200), 1);
    assert_standing(&client.send(&heavy).await.expect(429), 1);
    assert_standing(&client.send(&by_user(Call::get("/any/page"), &user)).await.expect(200), 0);

    // A domain that no file has is held to nothing.
    let elsewhere = by_user(Call::get("/elsewhere/page"), &user);
    for _ in 0..5 {
        let answer = client.send(&elsewhere).await.expect(200);
        assert_eq!(answer.header("x-ratelimit-limit"), None, "{answer}");
    }
    let labels = [("domain", "unknown"), ("code", "OK")];
    let server = &stack.limits.server;
    assert_eq!(server.metric("postern_rate_limit_requests_total", &labels).await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_too_long_gets_past_no_limit() {
    let stack = stack().await;
    let client = stack.client(Protocol::Http1);
    let long = "v".repeat(17_000);
    let before = stack.upstream.total();
    for _ in 0..2 {
        client.send(&by_user(Call::get("/any/page"), &long)).await.expect(429);
    }
    assert_eq!(stack.upstream.total(), before, "the upstream was asked");
    let fits = "v".repeat(16_000);
    stack.lets_pass(&by_user(Call::get("/any/page"), &fits), 3).await;
}
