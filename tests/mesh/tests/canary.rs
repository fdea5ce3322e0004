//! Versions of a service in the mesh, faults, retries and times, as `postern render istio` writes
//! them: in Istio's own words, and in those of the Gateway API.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::time::{Duration, Instant};

use postern_e2e::client::Answer;
use postern_e2e::keys::Token;
use postern_e2e::ports;
use postern_mesh::caller::{Caller, send, until_status};
use postern_mesh::mesh::{HOST, Mesh};
use postern_mesh::rendered::Rendered;
use postern_mesh::workload::{Kind, Port, Workload};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const DOCUMENT: &str = include_str!("../fixtures/canary.yaml");
/// Requests of a draw, and how many at a time.
const DRAWN: u64 = 2000;
const AT_A_TIME: u64 = 8;

/// The canary's workload: its sidecar tells itself from the other one by its name.
fn canary(upstream: u16) -> Workload {
    Workload {
        name: "payments-canary",
        namespace: "shop",
        service_account: "payments-canary",
        labels: vec![("app", "payments-canary"), ("version", "v2")],
        kind: Kind::Sidecar,
        last: 31,
        ports: vec![Port { number: 8080, name: "http-api", protocol: "HTTP", program: upstream }],
        sees: vec!["./*", "postern-system/*"],
    }
}

/// The pods that istiod would start for a Gateway of the Gateway API.
fn gateway() -> Workload {
    Workload {
        name: "gateway-api",
        namespace: "istio-system",
        service_account: "postern-istio",
        labels: vec![("gateway.networking.k8s.io/gateway-name", "postern")],
        kind: Kind::Gateway,
        last: 12,
        ports: Vec::new(),
        sees: Vec::new(),
    }
}

fn service(name: &str, namespace: &str, selector: &Value, port: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": selector, "ports": [port]},
    })
}

async fn start() -> Mesh {
    let mut mesh = Mesh::builder().document(DOCUMENT).start().await;
    let port = json!({"name": "http-api", "port": 8080, "targetPort": 8080});
    let selector = json!({"app": "payments-canary"});
    mesh.put("canary", &[service("payments-canary", "shop", &selector, &port)]).await;
    let upstream = mesh.upstream.address().port();
    mesh.add(&canary(upstream)).await;
    mesh
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn virtual_services_carry_the_traffic_of_the_document() {
    let mesh = start().await;
    carries(&mesh, &mesh.outside()).await;
    let clusters = mesh.gateway().clusters("outbound|8080|payments--").await;
    assert_eq!(clusters.len(), 2, "{clusters:?}");
    for cluster in clusters {
        let outliers = &cluster["outlier_detection"];
        assert_eq!(outliers["consecutive_5xx"], 500, "{cluster}");
        assert_eq!(outliers["max_ejection_percent"], 50, "{cluster}");
        assert_eq!(outliers["base_ejection_time"], "60s", "{cluster}");
    }
    mesh.assert_nothing_rejected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_routes_carry_the_same_traffic() {
    let mut mesh = start().await;
    let document = mesh.folder().join("gateway.yaml");
    let folder = mesh.folder().join("gateway-api");
    std::fs::create_dir_all(&folder).expect("a folder");
    let rendered = Rendered::with(&document, "1.31", &folder, &["--api", "gateway"]).await;
    let rendered = rendered.on_one_machine(&mesh.address_of("gateway"));
    // In place of what was rendered: one document, one way.
    mesh.put("rendered", &rendered.resources).await;
    let listen = ports::free();
    let port = json!({"name": "https", "port": 443, "targetPort": listen});
    let selector = json!({"gateway.networking.k8s.io/gateway-name": "postern"});
    mesh.put("gateway-api", &[service("postern-istio", "istio-system", &selector, &port)]).await;
    mesh.add(&gateway()).await;
    for one in mesh.control_plane.conditions().await.as_array().expect("conditions") {
        let expected = if one["type"] == "Conflicted" { "False" } else { "True" };
        assert_eq!(one["status"], expected, "{one}");
    }
    let outside = Caller::unverified(HOST, ports::local(listen));
    carries(&mesh, &outside).await;
    mesh.assert_nothing_rejected().await;
}

/// Everything that the document says of its traffic.
async fn carries(mesh: &Mesh, outside: &Caller) {
    until_status(200, || outside.get("/split/a")).await;
    shares(outside).await;
    headers(outside).await;
    faults(mesh, outside).await;
    retries(mesh, outside).await;
    times(outside).await;
}

/// Which version answered: `canary` or not.
fn is_of_canary(answer: &Answer) -> bool {
    let shown = answer.upstream_header("x-forwarded-client-cert").expect("who was called");
    shown.as_str().expect("text").contains("By=spiffe://cluster.local/ns/shop/sa/payments-canary")
}

/// Whether so many of all are a tenth, give or take three standard deviations.
fn is_a_tenth(canary: u64, all: u64) -> bool {
    // n·p ± 3·√(n·p·q), squared to stay whole: (10·c − n)² ≤ 9·9·n.
    let off = (canary * 10).abs_diff(all);
    off * off <= 81 * all
}

#[test]
fn three_deviations_are_what_they_are_taken_for() {
    for (canary, expected) in [(200, true), (160, true), (159, false), (240, true), (241, false)] {
        assert_eq!(is_a_tenth(canary, 2000), expected, "{canary}");
    }
}

async fn draw(outside: &Caller) -> u64 {
    let mut senders = JoinSet::new();
    for _ in 0..AT_A_TIME {
        let outside = outside.clone();
        senders.spawn(async move {
            let mut canary = 0;
            for _ in 0..DRAWN / AT_A_TIME {
                let answer = send(outside.get("/split/a")).await.expect(200);
                canary += u64::from(is_of_canary(&answer));
            }
            canary
        });
    }
    senders.join_all().await.into_iter().sum()
}

async fn shares(outside: &Caller) {
    let first = draw(outside).await;
    if is_a_tenth(first, DRAWN) {
        return;
    }
    // One draw of four hundred lies outside by chance; two in a row do not.
    let second = draw(outside).await;
    assert!(is_a_tenth(second, DRAWN), "of {DRAWN} requests the canary got {first}, {second}");
}

async fn headers(outside: &Caller) {
    for (header, value, expected) in [
        ("x-canary", "always", true),
        ("x-canary", "Always", false),
        ("x-kind", "beta-7", true),
        ("x-kind", "alpha-beta-7", false),
        ("x-other", "always", false),
    ] {
        let answer = send(outside.get("/picked/a").header(header, value)).await.expect(200);
        assert_eq!(is_of_canary(&answer), expected, "{header}: {value}: {answer}");
    }
    // What a caller claims is gone before the version is chosen.
    let tier = |name: &str| Token::of("alice").claim("tier", json!(name)).sign();
    let page = || outside.get("/by-tier/a");
    for (request, expected) in [
        (page(), false),
        (page().header("x-postern-tier", "gold"), false),
        (page().bearer_auth(tier("gold")), true),
        (page().bearer_auth(tier("basic")).header("x-postern-tier", "gold"), false),
    ] {
        let answer = send(request).await.expect(200);
        assert_eq!(is_of_canary(&answer), expected, "{answer}");
    }
}

async fn faults(mesh: &Mesh, outside: &Caller) {
    // A fault says nothing to somebody who may not call at all.
    send(outside.get("/aborted/a")).await.expect_denial(401, "UNAUTHORIZED");
    let token = Token::of("alice").sign();
    for _ in 0..20 {
        let answer = send(outside.get("/aborted/a").bearer_auth(&token)).await;
        answer.expect_denial(503, "UNAVAILABLE");
    }
    assert_eq!(mesh.upstream.requests("aborted"), 0, "the service was asked");
}

async fn retries(mesh: &Mesh, outside: &Caller) {
    let before = mesh.upstream.requests("trying");
    mesh.upstream.fail("trying", 503);
    let answer = send(outside.get("/trying/a")).await.expect(503);
    assert_eq!(answer.json()["error"], "SAMPLE_FAILURE", "the last answer: {answer}");
    assert_eq!(mesh.upstream.requests("trying"), before + 3, "three attempts");
    mesh.upstream.recover("trying");
    send(outside.get("/trying/a")).await.expect(200);
    assert_eq!(mesh.upstream.requests("trying"), before + 4, "one");
}

async fn times(outside: &Caller) {
    let began = Instant::now();
    let answer = send(outside.get("/timed/slow/15000")).await;
    answer.expect_denial(504, "GATEWAY_TIMEOUT");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(10), "{took:?}");
}
