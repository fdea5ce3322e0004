//! Services that fail are cut off by the Envoy that sees it, all of its workers together, and the
//! server is not asked: neither by `ext_authz` nor by `ext_proc`.
use std::time::Duration;

use postern_e2e::client::{Answer, Call, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Token};
use postern_e2e::upstream::Upstream;
use postern_e2e::{documents, ports, wait};
use serde_json::json;

const WORKERS: u32 = 4;
/// Longer than any circuit here stays open that is meant to close.
const LONGEST: Duration = Duration::from_secs(20);

struct Stack {
    gateway: Gateway,
    /// Stands in for a service.
    spare: Upstream,
}

impl Stack {
    async fn start() -> Self {
        let spare = Upstream::start().await;
        let document = documents::CIRCUITS
            .replace("$NOBODY", &ports::local(ports::free()).to_string())
            .replace("$SPARE", &spare.address().to_string());
        let gateway = Gateway::builder().document(document).workers(WORKERS).start().await;
        Self { gateway, spare }
    }

    /// Over a connection of its own, to whichever worker takes it.
    async fn send(&self, call: &Call) -> Answer {
        self.gateway.send(call).await
    }

    async fn counted(&self, name: &str) -> u64 {
        self.filter(&format!("circuit_{name}")).await
    }

    async fn filter(&self, name: &str) -> u64 {
        let name = format!("postern_filter_{name}_total");
        self.gateway.envoy.filter_stat(&name).await.unwrap_or(0)
    }

    async fn until_counted(&self, name: &str, at_least: u64) {
        self.until_filter(&format!("circuit_{name}"), at_least).await;
    }

    /// Filters hand their counters over once a second.
    async fn until_filter(&self, name: &str, at_least: u64) {
        wait::until(&format!("{at_least} {name}"), LONGEST, || async {
            let counted = self.filter(name).await;
            if counted >= at_least { Ok(()) } else { Err(counted) }
        })
        .await;
    }

    /// Has a service fail as often as it takes, and not again.
    async fn open(&self, service: &str, failures: usize) {
        let call = Call::get(&format!("/{service}/page"));
        self.gateway.upstream.fail(service, 500);
        for _ in 0..failures {
            self.send(&call).await.expect(500);
        }
        self.gateway.upstream.recover(service);
    }

    async fn succeeds_twice(&self, call: &Call) -> Result<(), String> {
        for _ in 0..2 {
            let answer = self.send(call).await;
            if answer.status != 200 {
                return Err(answer.to_string());
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_five_failures_in_a_row_no_worker_asks_the_service() {
    let mut stack = Stack::start().await;
    let stats = stack.gateway.envoy.stats().await;
    for filter in ["ext_authz", "ext_proc"] {
        assert!(!stats.keys().any(|name| name.contains(filter)), "{filter} is there");
    }
    let call = Call::get("/shaky/page");
    let upstream = &stack.gateway.upstream;
    // One that succeeds ends the run.
    for _ in 0..2 {
        stack.send(&call).await.expect(200);
        upstream.fail("shaky", 500);
        for _ in 0..4 {
            stack.send(&call).await.expect(500);
        }
        upstream.recover("shaky");
    }
    upstream.fail("shaky", 502);
    stack.send(&call).await.expect(502);
    let asked = upstream.requests("shaky");
    for protocol in Protocol::ALL.repeat(10) {
        let answer = stack.gateway.client(protocol).send(&call).await;
        let answer = answer.expect_denial(503, "CIRCUIT_OPEN");
        // Five minutes, a tenth more or less.
        assert!((260..=330).contains(&answer.number("retry-after")), "{answer}");
        assert!(answer.header("x-correlation-id").is_some(), "{answer}");
    }
    assert_eq!(upstream.requests("shaky"), asked, "the upstream was asked");
    // Other services go on.
    stack.send(&Call::get("/backed/page")).await.expect(200);
    stack.until_counted("opened", 1).await;
    stack.until_counted("refused", 20).await;
    assert_eq!(stack.counted("opened").await, 1, "it was opened once");
    stack.gateway.envoy.assert_no_failed_machine().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_envoy_says_for_a_service_counts() {
    let stack = Stack::start().await;
    for (path, failures, status, code) in [
        ("/nobody/page", 3, 503, "UNAVAILABLE"),
        ("/hanging/slow/30000", 2, 504, "GATEWAY_TIMEOUT"),
    ] {
        let call = Call::get(path);
        for _ in 0..failures {
            stack.send(&call).await.expect_denial(status, code);
        }
        stack.send(&call).await.expect_denial(503, "CIRCUIT_OPEN");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_gateway_refuses_never_counts() {
    let stack = Stack::start().await;
    let limited = Call::get("/guarded/limit").header("x-test-caller", keys::subject("circuits"));
    stack.send(&limited).await.expect(200);
    for _ in 0..4 {
        stack.send(&Call::get("/guarded/token")).await.expect_denial(401, "UNAUTHORIZED");
        stack.send(&limited).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
        stack.send(&Call::get("/guarded/fault")).await.expect_denial(503, "UNAVAILABLE");
    }
    stack.send(&Call::get("/guarded/page")).await.expect(200);
    assert_eq!(stack.counted("opened").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_of_failures_opens_it_though_none_come_in_a_row() {
    let stack = Stack::start().await;
    let call = Call::get("/mixed/page");
    for _ in 0..20 {
        stack.send(&call).await.expect(200);
    }
    // What came through is handed over once a tick.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut failed = 0;
    for _ in 0..40 {
        stack.gateway.upstream.fail("mixed", 500);
        let answer = stack.send(&call).await;
        if answer.status == 503 {
            answer.expect_denial(503, "CIRCUIT_OPEN");
            break;
        }
        answer.expect(500);
        failed += 1;
    }
    assert!((18..=22).contains(&failed), "half of the calls: {failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_succeeds_closes_it() {
    let stack = Stack::start().await;
    let call = Call::get("/quick/page");
    stack.open("quick", 3).await;
    stack.gateway.upstream.fail("quick", 500);
    stack.send(&call).await.expect_denial(503, "CIRCUIT_OPEN");
    stack.gateway.until_status(500, &call).await;
    stack.send(&call).await.expect_denial(503, "CIRCUIT_OPEN");
    stack.gateway.upstream.recover("quick");
    wait::until("closed circuit", LONGEST, || stack.succeeds_twice(&call)).await;
    stack.until_counted("probes", 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_request_takes_nothing_of_a_limit() {
    let stack = Stack::start().await;
    let limited = Call::get("/backed/page").header("x-test-caller", keys::subject("circuits"));
    stack.send(&limited).await.expect(200);
    stack.open("backed", 3).await;
    for _ in 0..8 {
        stack.send(&limited).await.expect_denial(503, "CIRCUIT_OPEN");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_says_what_its_callers_get_while_it_is_open() {
    let stack = Stack::start().await;
    let upstream = &stack.gateway.upstream;
    let (answered, counted) = (Call::get("/answered/page"), Call::get("/counted/page"));
    // No caller chooses the other service.
    let elsewhere = Call::get("/elsewhere/page").header("x-postern-fallback", "1");
    for call in [&answered, &elsewhere, &counted] {
        let answer = stack.send(call).await.expect(200);
        assert_eq!(answer.upstream_header("x-postern-fallback"), None, "{answer}");
    }
    assert_eq!(stack.spare.total(), 0, "the circuit is closed");

    stack.open("backed", 3).await;
    let before = upstream.total();
    for protocol in Protocol::ALL {
        let client = stack.gateway.client(protocol);
        let answer = client.send(&answered).await.expect(200);
        assert_eq!(answer.text(), r#"{"items":[]}"#, "{answer}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
        assert_eq!(answer.header("x-why"), Some("circuit"), "{answer}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
        assert!(answer.header("x-correlation-id").is_some(), "{answer}");

        let answer = client.send(&elsewhere).await.expect(200);
        assert_eq!(answer.json()["path"], json!("/elsewhere/page"), "{answer}");
        assert_eq!(answer.upstream_header("x-postern-fallback"), None, "{answer}");
    }
    assert_eq!(stack.spare.requests("elsewhere"), 2);
    assert_eq!(upstream.total(), before, "the service was asked");
    for _ in 0..3 {
        stack.send(&counted).await.expect(200);
    }
    assert_eq!(upstream.requests("counted"), 4, "it only counts");
    stack.until_counted("fallback", 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_good_answer_is_given_out_while_it_is_open() {
    let mut stack = Stack::start().await;
    let good = "/kept/page?say=cache-control:max-age=0,stale-if-error=600&say=etag:one";
    let piecemeal = "/kept/bytes/5000?chunked";
    let first = stack.send(&Call::get(good)).await.expect(200);
    let in_pieces = stack.send(&Call::get(piecemeal)).await.expect(200);
    let never = [
        "/kept/page?say=cache-control:no-store",
        "/kept/page?say=cache-control:private",
        "/kept/page?say=cache-control:must-revalidate",
        "/kept/page?say=set-cookie:a=b",
        "/kept/page?say=vary:user-agent",
        "/kept/bytes/9000",
        "/kept/bytes/9000?chunked",
    ];
    for path in never {
        stack.send(&Call::get(path)).await.expect(200);
    }
    stack.send(&Call::get("/kept/mine").bearer("theirs")).await.expect(200);
    stack.until_filter("stale_kept", 2).await;
    stack.open("kept", 3).await;
    let asked = stack.gateway.upstream.total();
    // Nobody has to be asked for it.
    stack.gateway.server.take_down();
    for protocol in Protocol::ALL.repeat(4) {
        let client = stack.gateway.client(protocol);
        let answer = client.send(&Call::get(good)).await.expect(200);
        assert_eq!(answer.body, first.body, "{answer}");
        assert!(answer.number("age") < 60, "{answer}");
        let status = answer.header("cache-status").unwrap_or_default();
        assert!(status.starts_with("postern; hit; ttl="), "{answer}");
        assert!(status.ends_with("; detail=circuit-open"), "{answer}");
        for kept in ["content-type", "content-length", "cache-control", "etag", "date"] {
            assert_eq!(answer.header(kept), first.header(kept), "{kept}: {answer}");
        }
        assert_eq!(answer.header("x-powered-by"), None, "{answer}");
        let id = answer.header("x-correlation-id");
        assert!(id.is_some() && id != first.header("x-correlation-id"), "{answer}");

        let head = client.send(&Call::new("HEAD", good)).await.expect(200);
        assert_eq!(head.header("content-length"), first.header("content-length"), "{head}");
        assert!(head.body.is_empty() && head.header("age").is_some(), "{head}");

        let answer = client.send(&Call::get(piecemeal)).await.expect(200);
        assert_eq!(answer.body, in_pieces.body);
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"), "{answer}");
        let post = client.send(&Call::post(good)).await;
        post.expect_denial(503, "CIRCUIT_OPEN");
    }
    for path in never.into_iter().chain(["/kept/page", "/kept/mine"]) {
        let answer = stack.send(&Call::get(path)).await.expect_denial(503, "CIRCUIT_OPEN");
        assert!(answer.number("retry-after") > 0, "{answer}");
    }
    assert_eq!(stack.gateway.upstream.total(), asked, "the service was asked");
    stack.until_counted("stale", 24).await;
    stack.until_filter("stale_misses", 17).await;
    stack.gateway.envoy.assert_no_failed_machine().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_for_one_caller_is_given_out_to_that_one() {
    let stack = Stack::start().await;
    let of = |subject: &str| Token::of(subject).sign();
    let (alice, bob) = (of("alice"), of("bob"));
    let page = |token: &str| Call::get("/mine/page").bearer(token);
    let public = "/mine/page?say=cache-control:public";
    let first = stack.send(&page(&alice)).await.expect(200);
    stack.send(&Call::get(public).bearer(&alice)).await.expect(200);
    stack.until_filter("stale_kept", 2).await;
    stack.open("kept", 3).await;
    let again = Token::of("alice").claim("jti", json!("another")).sign();
    for token in [&alice, &again] {
        let answer = stack.send(&page(token)).await.expect(200);
        assert_eq!(answer.body, first.body, "{answer}");
    }
    stack.send(&page(&bob)).await.expect_denial(503, "CIRCUIT_OPEN");
    stack.send(&Call::get(public).bearer(&bob)).await.expect(200);
    // Who may not call it gets nothing of it.
    for path in ["/mine/page", public] {
        stack.send(&Call::get(path)).await.expect_denial(401, "UNAUTHORIZED");
    }
}
