//! Upstreams that are not there, hang, break off or fail: what a caller is told, and how often
//! they are asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postern_e2e::client::{Answer, Call, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::{documents, ports};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Reads requests, says the beginning of an answer and closes.
struct BreakingOff {
    address: SocketAddr,
    asked: Arc<AtomicU64>,
}

impl BreakingOff {
    /// Listens until the test ends.
    async fn after(said: &'static [u8]) -> Self {
        let listener = TcpListener::bind(ports::local(0)).await.expect("a listener");
        let address = listener.local_addr().expect("its address");
        let asked = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                if read_request(&mut stream).await {
                    counter.fetch_add(1, Ordering::SeqCst);
                    // An error means that the other side went away first.
                    drop(stream.write_all(said).await);
                }
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Whether a request came. It is read to its end, so that what follows is a clean close.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
            return false;
        }
    }
    true
}

struct Stack {
    gateway: Gateway,
    breaking: BreakingOff,
    closing: BreakingOff,
}

async fn stack() -> Stack {
    let breaking = BreakingOff::after(b"HTTP/1.1 200 OK\r\ncontent-type: text/pl").await;
    let closing = BreakingOff::after(b"").await;
    let document = documents::UPSTREAMS
        .replace("$NOBODY", &ports::local(ports::free()).to_string())
        .replace("$BREAKING", &breaking.address.to_string())
        .replace("$CLOSING", &closing.address.to_string());
    let gateway = Gateway::builder().document(document).start().await;
    Stack { gateway, breaking, closing }
}

/// Envoy's own answer, in the form of every other denial.
fn assert_ours(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
    let id = answer.header("x-correlation-id").expect("an id");
    assert_eq!(answer.json()["correlation_id"], id, "{answer}");
    assert!(answer.number("x-response-time") < 60_000, "{answer}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer}");
    assert_eq!(answer.header("server"), None, "{answer}");
    // Where an upstream stands, and why it failed, is nobody's business.
    let text = answer.text();
    for hint in ["127.0.0.1", "reset", "upstream connect", "refused"] {
        assert!(!text.contains(hint), "`{hint}` in:\n{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_not_there_is_tried_three_times() {
    let Stack { gateway, .. } = stack().await;
    let stat = |name: &str| {
        let name = format!("cluster.service-nobody.{name}");
        let envoy = &gateway.envoy;
        async move { envoy.stat(&name).await }
    };
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        // Nothing was sent, so any method may be tried again.
        for call in [Call::get("/nobody/page"), Call::post("/nobody/page").body("once")] {
            let tried = (stat("upstream_cx_connect_fail").await, stat("upstream_rq_retry").await);
            let answer = client.send(&call).await.expect_denial(503, "UNAVAILABLE");
            assert!(answer.number("retry-after") >= 1, "{answer}");
            assert_ours(&answer);
            assert_eq!(stat("upstream_cx_connect_fail").await - tried.0, 3, "{call}");
            assert_eq!(stat("upstream_rq_retry").await - tried.1, 2, "{call}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_is_given_up_when_the_routes_time_is_over() {
    let Stack { gateway, .. } = stack().await;
    for protocol in Protocol::ALL {
        let before = gateway.upstream.requests("hanging");
        let client = gateway.client(protocol);
        let answer = client.send(&Call::get("/hanging/slow/30000")).await;
        let answer = answer.expect_denial(504, "GATEWAY_TIMEOUT");
        assert_ours(&answer);
        // The route's 300 ms, not at once. Envoy counts them from the moment it last looked at the
        // clock, and the filter from when it came by: on a busy machine these lie apart.
        assert!(answer.number("x-response-time") >= 150, "{answer}");
        // It may be at work on it: nothing is sent twice.
        assert_eq!(gateway.upstream.requests("hanging") - before, 1);
        // What it answers in time passes.
        client.send(&Call::get("/hanging/slow/1")).await.expect(200);
    }
    assert_eq!(gateway.envoy.stat("cluster.service-hanging.upstream_rq_timeout").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_breaks_off_is_asked_again_where_the_document_says_so() {
    let Stack { gateway, breaking, closing } = stack().await;
    for protocol in Protocol::ALL {
        for (path, upstream, times, status, code) in [
            ("/breaking/x", &breaking, 1, 502, "BAD_GATEWAY"),
            ("/breaking-again/x", &breaking, 3, 502, "BAD_GATEWAY"),
            ("/closing/x", &closing, 1, 503, "UNAVAILABLE"),
            ("/closing-again/x", &closing, 3, 503, "UNAVAILABLE"),
        ] {
            let before = upstream.asked();
            let answer = gateway.client(protocol).send(&Call::get(path)).await;
            assert_ours(&answer.expect_denial(status, code));
            assert_eq!(upstream.asked() - before, times, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_says_itself_is_passed_on() {
    let Stack { gateway, .. } = stack().await;
    for status in [500, 502, 503] {
        gateway.upstream.fail("failing", status);
        for protocol in Protocol::ALL {
            let before = gateway.upstream.requests("failing");
            let answer = gateway.client(protocol).send(&Call::get("/failing/page")).await;
            let answer = answer.expect(status);
            assert_eq!(answer.json()["error"], "SAMPLE_FAILURE", "{answer}");
            assert!(answer.header("x-correlation-id").is_some(), "{answer}");
            assert_eq!(gateway.upstream.requests("failing") - before, 1, "asked again");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circuit_opens_for_one_that_is_not_there() {
    let Stack { gateway, .. } = stack().await;
    let call = Call::get("/nobody-guarded/page");
    for _ in 0..3 {
        gateway.send(&call).await.expect_denial(503, "UNAVAILABLE");
    }
    let answer = gateway.send(&call).await.expect_denial(503, "CIRCUIT_OPEN");
    assert!(answer.number("retry-after") > 1, "{answer}");
    let failed = "cluster.service-nobody-guarded.upstream_cx_connect_fail";
    let before = gateway.envoy.stat(failed).await;
    gateway.send(&call).await.expect_denial(503, "CIRCUIT_OPEN");
    assert_eq!(gateway.envoy.stat(failed).await, before, "it was tried all the same");
}
