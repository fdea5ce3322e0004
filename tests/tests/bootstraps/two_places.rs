//! An edge, and behind it a workload whose own Envoy enforces its routes. The certificates in
//! `fixtures/tls` and their keys exist for these tests alone.

use std::fs;
use std::path::Path;
use std::time::Duration;

use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::envoy::{self, Envoy, Ports};
use postern_e2e::keys::Token;
use postern_e2e::upstream::Upstream;
use postern_e2e::{documents, env, server, wait};
use tempfile::TempDir;

const DOCUMENT: &str = include_str!("../../fixtures/two-places.yaml");

struct Stack {
    edge: Envoy,
    sidecar: Envoy,
    upstream: Upstream,
    _folder: TempDir,
}

async fn start() -> Stack {
    start_as("payments").await
}

/// With this certificate in the workload's place.
async fn start_as(name: &str) -> Stack {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (edge, sidecar) = (Ports::free(), Ports::free());
    let text = DOCUMENT.replace("$SIDECAR", &sidecar.listen.to_string());
    let document = folder.path().join("gateway.yaml");
    let text = documents::fill_in(&text, upstream.address(), "http://127.0.0.1:8080");
    fs::write(&document, text).expect("the document");

    let mut beside = certificates(name);
    beside.extend(["--kind=sidecar".to_owned(), "--workload=payments".to_owned()]);
    beside.push(format!("--upstream-port={}", upstream.address().port()));
    let sidecar = run(&document, &folder.path().join("sidecar"), sidecar, &beside).await;
    let at_edge = certificates("edge");
    let edge = run(&document, &folder.path().join("edge"), edge, &at_edge).await;
    Stack { edge, sidecar, upstream, _folder: folder }
}

fn certificates(name: &str) -> Vec<String> {
    let file =
        |name: &str| env::repository().join("tests/fixtures/tls").join(name).display().to_string();
    vec![
        format!("--mesh-ca={}", file("mesh-ca.pem")),
        format!("--mesh-cert={}", file(&format!("mesh-{name}.pem"))),
        format!("--mesh-key={}", file(&format!("mesh-{name}-key.pem"))),
    ]
}

async fn run(document: &Path, out: &Path, ports: Ports, options: &[String]) -> Envoy {
    let server_ports = server::Ports::free();
    let rendered = envoy::render_with(document, out, ports, server_ports, options).await;
    rendered.expect_success();
    Envoy::start(&envoy::config_file(out), ports, 1, &out.join("envoy.log")).await
}

impl Stack {
    fn client(&self) -> Client {
        Client::new(Protocol::Http1, self.edge.ports().listen)
    }
}

fn pay(subject: &str, scope: &str) -> Call {
    Call::get("/payments/charges").bearer(&Token::of(subject).scope(scope).sign())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_workloads_own_envoy_decides_behind_an_edge_that_lets_pass() {
    let mut stack = start().await;
    let client = stack.client();
    let passed = client.send(&pay("alice", "payments.read")).await.expect(200);
    assert_eq!(passed.upstream_header("x-postern-subject"), Some("alice".into()));
    let refused = client.send(&pay("alice", "content.read")).await;
    refused.expect_denial(403, "INSUFFICIENT_SCOPE");
    let before = stack.upstream.requests("payments");
    let refused = client.send(&Call::get("/payments/charges")).await;
    refused.expect_denial(401, "UNAUTHORIZED");
    assert_eq!(stack.upstream.requests("payments"), before, "the service was asked");

    let denied = "postern_filter_denied_401_total";
    // Whoever refused counted it. Workers tell their counts now and then.
    wait::until("the sidecar's count", Duration::from_secs(10), || async {
        let count = stack.sidecar.filter_stat(denied).await.unwrap_or(0);
        if count == 1 { Ok(()) } else { Err(format!("it is {count}")) }
    })
    .await;
    assert_eq!(stack.edge.filter_stat(denied).await.unwrap_or(0), 0);
    stack.edge.assert_no_failed_machine().await;
    stack.sidecar.assert_no_failed_machine().await;
}

/// What a caller claims about itself is gone before the edge's word is spoken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identity_from_outside_reaches_nobody() {
    let stack = start().await;
    for path in ["/payments/charges", "/payments/open"] {
        let call = Call::get(path)
            .bearer(&Token::of("alice").scope("payments.read").sign())
            .header("x-postern-subject", "mallory")
            .header("x-forwarded-client-cert", "URI=spiffe://postern.test/ns/shop/sa/payments");
        let answer = stack.client().send(&call).await.expect(200);
        assert_ne!(answer.upstream_header("x-postern-subject"), Some("mallory".into()), "{path}");
        let shown = answer.upstream_header("x-forwarded-client-cert").expect("who called");
        let shown = shown.as_str().expect("text").to_owned();
        assert!(shown.contains("URI=spiffe://postern.test/ns/ingress/sa/edge"), "{shown}");
        assert!(!shown.contains("URI=spiffe://postern.test/ns/shop/sa/payments"), "{shown}");
    }
}

/// Its limits are counted once, and its limit headers are the caller's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_the_workload_are_counted_and_told_once() {
    let stack = start().await;
    let client = stack.client();
    let call = pay("counted", "payments.read");
    for left in [2, 1, 0] {
        let answer = client.send(&call).await.expect(200);
        assert_eq!(answer.number("x-ratelimit-remaining"), left, "{answer}");
        assert_eq!(answer.number("x-ratelimit-limit"), 3, "{answer}");
    }
    let refused = client.send(&call).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
    assert!(refused.number("retry-after") >= 1, "{refused}");
    // What no sidecar guards has its headers from the edge, and its service cannot forge them.
    let open = client.send(&Call::get("/content/x")).await.expect(200);
    assert_eq!(open.header("x-ratelimit-limit"), None, "{open}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reaches_the_workload_without_a_certificate() {
    let stack = start().await;
    let direct = Client::new(Protocol::Http1, stack.sidecar.ports().listen);
    let before = stack.upstream.total();
    let answer = direct.try_send(&pay("alice", "payments.read")).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(stack.upstream.total(), before, "the service was asked");
    stack.client().send(&pay("alice", "payments.read")).await.expect(200);
}

/// The edge goes by the name in the certificate, not by the address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_edge_sends_nothing_to_somebody_else_in_the_workloads_place() {
    let stack = start_as("edge").await;
    let answer = stack.client().send(&pay("alice", "payments.read")).await;
    answer.expect_denial(503, "UNAVAILABLE");
    assert_eq!(stack.upstream.total(), 0, "the service was asked");
}
