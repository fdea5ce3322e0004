//! Services that fail, under Istio: who is cut off, who hears of it, and what callers get; and that
//! what the document says of endpoints and connections is what Envoys run.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::net::SocketAddr;
use std::time::Duration;

use postern_e2e::client::Answer;
use postern_e2e::envoy::for_each_object;
use postern_e2e::upstream::Upstream;
use postern_e2e::{ports, wait};
use postern_mesh::caller::{Caller, send, until_status};
use postern_mesh::manifests;
use postern_mesh::mesh::{HOST, Mesh};
use postern_mesh::proxy::Proxy;
use postern_mesh::rendered::Rendered;
use postern_mesh::workload::{Kind, Workload};
use serde_json::Value;

const DOCUMENT: &str = include_str!("../fixtures/circuits.yaml");
/// What every circuit of the document takes in a row.
const FAILURES: usize = 5;
/// Longer than any circuit stays open that is meant to close, and than news take.
const LONGEST: Duration = Duration::from_secs(40);
const SECOND: &str = "second";
/// Beside the first gateway's, on its address.
const SECOND_PORT: u16 = 8080;

/// Where the second gateway is, and that it may call the suite.
const BESIDE: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: edge}
---
apiVersion: v1
kind: Service
metadata: {name: second, namespace: edge}
spec:
  selector: {istio: second}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: second, namespace: postern-system}
spec:
  action: ALLOW
  selector: {matchLabels: {app.kubernetes.io/name: postern}}
  rules:
    - from: [{source: {principals: [cluster.local/ns/edge/sa/second]}}]
      to: [{operation: {ports: ["9191"]}}]
"#;

/// A mesh, whose `machines` are at this port.
async fn start(port: u16) -> Mesh {
    let document = DOCUMENT.replace("$SPARE_PORT", &port.to_string());
    Mesh::builder().document(document).start().await
}

/// Another gateway for the same document, in a zone of its own.
async fn add_second(mesh: &mut Mesh) -> Caller {
    let document = mesh.folder().join("gateway.yaml");
    let folder = mesh.folder().join(SECOND);
    std::fs::create_dir_all(&folder).expect("a folder");
    let options = ["--gateway-namespace", "edge", "--gateway-selector", "istio=second", "--no-tls"];
    let rendered = Rendered::with(&document, "1.31", &folder, &options).await;
    let rendered = rendered.on_one_machine(&mesh.address_of("gateway"));
    let mut objects = manifests::parse(BESIDE);
    objects.extend(rendered.resources);
    mesh.put(SECOND, &objects).await;
    let workload = Workload {
        name: SECOND,
        namespace: "edge",
        service_account: SECOND,
        labels: vec![
            ("istio", SECOND),
            ("topology.kubernetes.io/region", "eu"),
            ("topology.kubernetes.io/zone", "eu-1"),
        ],
        kind: Kind::Gateway,
        last: 13,
        ports: Vec::new(),
        sees: Vec::new(),
    };
    mesh.add(&workload).await;
    Caller::plain(HOST, SocketAddr::new(mesh.entrance().ip(), SECOND_PORT))
}

/// Has a service fail as often as its circuit takes, and not again.
async fn open(mesh: &Mesh, caller: &Caller, service: &str) {
    let path = format!("/{service}/page");
    mesh.upstream.fail(service, 500);
    for _ in 0..FAILURES {
        send(caller.get(&path)).await.expect(500);
    }
    mesh.upstream.recover(service);
}

async fn succeeds_twice(caller: &Caller, path: &str) -> Result<(), String> {
    for _ in 0..2 {
        let answer = send(caller.get(path)).await;
        if answer.status != 200 {
            return Err(answer.to_string());
        }
    }
    Ok(())
}

/// How often the circuit that all share has opened.
async fn opened(mesh: &Mesh, service: &str) -> u64 {
    let labels = [("service", service), ("to", "OPEN")];
    mesh.server.metric("postern_circuit_transitions_total", &labels).await
}

async fn until_opened(mesh: &Mesh, service: &str) {
    wait::until(&format!("open circuit of {service}"), LONGEST, || async {
        match opened(mesh, service).await {
            0 => Err("closed"),
            _ => Ok(()),
        }
    })
    .await;
}

/// What an Envoy's filter has counted.
async fn counted(proxy: &Proxy, name: &str) -> u64 {
    let name = format!("wasmcustom.postern_filter_circuit_{name}_total");
    proxy.stats().await.get(&name).copied().unwrap_or(0)
}

/// Whether the service behind a sidecar has answered, and none outside of the mesh.
fn is_of_the_mesh(answer: &Answer) -> bool {
    answer.upstream_header("x-forwarded-client-cert").is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_gateway_has_seen_another_one_hears_of() {
    let mut mesh = start(ports::free()).await;
    let second = add_second(&mut mesh).await;
    let first = mesh.outside();
    for caller in [&first, &second] {
        until_status(200, || caller.get("/catalogue/page")).await;
    }

    open(&mesh, &first, "shaky").await;
    for _ in 0..FAILURES {
        let answer = send(first.get("/shaky/page")).await.expect_denial(503, "CIRCUIT_OPEN");
        // Five minutes, a tenth more or less, and what has passed of them.
        assert!((200..=330).contains(&answer.number("retry-after")), "{answer}");
    }
    assert_eq!(mesh.upstream.requests("shaky"), 5, "the service was asked");

    until_opened(&mesh, "shaky").await;
    let answer = until_status(503, || second.get("/shaky/page")).await;
    let answer = answer.expect_denial(503, "CIRCUIT_OPEN");
    assert!((200..=330).contains(&answer.number("retry-after")), "{answer}");
    assert_eq!(counted(mesh.proxy(SECOND), "opened").await, 0, "it has seen nothing fail");

    // Where the document asks for two, one alone cuts off nobody else.
    open(&mesh, &first, "pair").await;
    let reporters = [("service", "pair")];
    wait::until("report of the first", LONGEST, || async {
        match mesh.server.metric("postern_circuit_reporters", &reporters).await {
            0 => Err("nobody has reported"),
            _ => Ok(()),
        }
    })
    .await;
    assert_eq!(opened(&mesh, "pair").await, 0);
    send(second.get("/pair/page")).await.expect(200);
    mesh.upstream.fail("pair", 500);
    wait::until("circuit that two have opened", LONGEST, || async {
        for caller in [&first, &second] {
            send(caller.get("/pair/page")).await;
        }
        match opened(&mesh, "pair").await {
            0 => Err("closed"),
            _ => Ok(()),
        }
    })
    .await;
    mesh.assert_nothing_rejected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_get_what_their_route_says() {
    let mesh = start(ports::free()).await;
    let outside = mesh.outside();
    let (answered, counted_only) = ("/answered/page", "/counted/page");
    // No caller chooses the other service.
    let elsewhere = || outside.get("/elsewhere/page").header("x-postern-fallback", "1");
    until_status(200, elsewhere).await;
    for request in [elsewhere(), outside.get(answered), outside.get(counted_only)] {
        let answer = send(request).await.expect(200);
        assert_eq!(answer.upstream_header("x-postern-fallback"), None, "{answer}");
        assert!(!is_of_the_mesh(&answer), "{answer}");
    }

    open(&mesh, &outside, "backed").await;
    send(outside.get("/backed/page")).await.expect_denial(503, "CIRCUIT_OPEN");
    let asked = |service: &str| mesh.upstream.requests(service);
    let before = (asked("answered"), asked("counted"));
    let answer = send(outside.get(answered)).await.expect(200);
    assert_eq!(answer.text(), r#"{"items":[]}"#, "{answer}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
    assert_eq!(answer.header("x-why"), Some("circuit"), "{answer}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");

    let answer = send(outside.get("/elsewhere/page")).await.expect(200);
    assert!(is_of_the_mesh(&answer), "{answer}");
    assert_eq!(answer.json()["path"], "/elsewhere/page", "{answer}");
    assert_eq!(answer.upstream_header("x-postern-fallback"), None, "{answer}");

    let answer = send(outside.get(counted_only)).await.expect(200);
    assert!(!is_of_the_mesh(&answer), "{answer}");
    assert_eq!((asked("answered"), asked("counted")), (before.0, before.1 + 1));

    // A probe that succeeds closes it.
    open(&mesh, &outside, "quick").await;
    send(outside.get("/quick/page")).await.expect_denial(503, "CIRCUIT_OPEN");
    wait::until("closed circuit", LONGEST, || succeeds_twice(&outside, "/quick/page")).await;
    // Filters hand over what they count once a tick.
    wait::until("probe", LONGEST, || async {
        match counted(mesh.gateway(), "probes").await {
            0 => Err("none"),
            _ => Ok(()),
        }
    })
    .await;
    mesh.assert_nothing_rejected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_server_a_gateways_own_breakers_act() {
    let mut mesh = start(ports::free()).await;
    let outside = mesh.outside();
    until_status(200, || outside.get("/catalogue/page")).await;
    mesh.server.take_down();
    for service in ["shaky", "quick"] {
        let asked = mesh.upstream.requests(service);
        open(&mesh, &outside, service).await;
        let refused = send(outside.get(&format!("/{service}/page"))).await;
        refused.expect_denial(503, "CIRCUIT_OPEN");
        assert_eq!(mesh.upstream.requests(service), asked + 5, "{service} was asked");
    }
    send(outside.get("/catalogue/page")).await.expect(200);
    wait::until("closed circuit", LONGEST, || succeeds_twice(&outside, "/quick/page")).await;
    send(outside.get("/shaky/page")).await.expect_denial(503, "CIRCUIT_OPEN");
}

/// Takes away what Envoys say of themselves to the server.
fn say_nothing(resource: &mut Value) -> bool {
    if resource["kind"] == "EnvoyFilter" {
        for_each_object(resource, &mut |members| {
            members.remove("initial_metadata");
        });
    }
    true
}

/// `ext_authz` and `ext_proc` have settings of their own on each route, beside the filters' words.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_leaves_circuits_to_the_bundle_that_says_so() {
    let mesh = start(ports::free()).await;
    let outside = mesh.outside();
    until_status(200, || outside.get("/judged/page")).await;
    let answer = until_status(200, || outside.get("/watched/page")).await;
    let told = answer.upstream_header("x-caller");
    assert_eq!(told, Some("route=watched".into()), "ext_proc was asked: {answer}");

    let refusals = || async {
        let labels = [("outcome", "CIRCUIT_OPEN")];
        mesh.server.metric("postern_ext_authz_decisions_total", &labels).await
    };
    let outcomes = |service: &'static str| {
        let server = &mesh.server;
        async move { server.metric("postern_upstream_outcomes_total", &[("service", service)]).await }
    };
    open(&mesh, &outside, "judged").await;
    until_opened(&mesh, "judged").await;
    let asked = mesh.gateway().count(".ext_authz.ok").await;
    send(outside.get("/judged/page")).await.expect_denial(503, "CIRCUIT_OPEN");
    assert_eq!(mesh.gateway().count(".ext_authz.ok").await, asked + 1, "the bundle's word");
    assert_eq!((refusals().await, outcomes("judged").await), (0, 0));

    // Without that word, it does both: the numbers above are about something.
    mesh.render_again(say_nothing).await;
    wait::until("refusal by the server", LONGEST, || async {
        send(outside.get("/judged/page")).await.expect_denial(503, "CIRCUIT_OPEN");
        match refusals().await {
            0 => Err("none"),
            _ => Ok(()),
        }
    })
    .await;
    send(outside.get("/watched/page")).await.expect(200);
    wait::until("outcome that the server has counted", LONGEST, || async {
        match outcomes("watched").await {
            0 => Err("none"),
            _ => Ok(()),
        }
    })
    .await;
    assert_eq!(outcomes("watched").await, 1, "of what went before, none");
    mesh.assert_nothing_rejected().await;
}

/// The cluster that Istio has made of a subset.
async fn cluster(proxy: &Proxy, subset: &str) -> Value {
    let clusters = proxy.clusters("outbound|").await;
    let is_it = |one: &&Value| name_of(one).split('|').nth(2) == Some(subset);
    clusters.iter().find(is_it).unwrap_or_else(|| panic!("no cluster of {subset}")).clone()
}

fn name_of(cluster: &Value) -> &str {
    cluster["name"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_endpoints_and_connections_apart_reaches_envoy() {
    let spare = Upstream::start().await;
    let mut mesh = start(spare.address().port()).await;
    let second = add_second(&mut mesh).await;
    let outside = mesh.outside();
    for path in ["/catalogue/page", "/search/page"] {
        let answer = until_status(200, || outside.get(path)).await;
        assert!(is_of_the_mesh(&answer), "{path}: {answer}");
    }
    bounds_are_those_of_the_document(&mesh).await;
    machines_are_hashed_and_asked(&mesh).await;

    // Checks leave out the one that is not there, before any request has met it.
    let nobody: SocketAddr = "127.0.0.8:1".parse().expect("an address");
    let machines = cluster(mesh.gateway(), "machines").await;
    let name = name_of(&machines);
    for (gateway, behind) in [("gateway", "0"), (SECOND, "1")] {
        let proxy = mesh.proxy(gateway);
        wait::until("endpoint that is well, and one that is not", LONGEST, || async {
            let found = proxy.endpoints(name).await;
            let flags = |address: &SocketAddr| {
                let flags = found.get(address).and_then(|told| told.get("health_flags"));
                flags.cloned().unwrap_or_default()
            };
            let (there, away) = (flags(&spare.address()), flags(&nobody));
            let is_so = there == "healthy" && away.contains("failed_active_hc");
            if is_so { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
        let found = proxy.endpoints(name).await;
        let told = |address: &SocketAddr, what: &str| found[address][what].clone();
        assert_eq!(told(&spare.address(), "weight"), "9", "{gateway}: {found:?}");
        assert_eq!(told(&nobody, "weight"), "1", "{gateway}: {found:?}");
        // Who knows its zone, asks there first.
        assert_eq!(told(&spare.address(), "priority"), "0", "{gateway}: {found:?}");
        assert_eq!(told(&nobody, "priority"), behind, "{gateway}: {found:?}");
    }
    let before = spare.requests("machines");
    for caller in [&outside, &second] {
        for basket in 0..5 {
            let request = caller.get("/machines/page").header("x-basket", basket.to_string());
            send(request).await.expect(200);
        }
    }
    assert_eq!(spare.requests("machines"), before + 10);
    mesh.assert_nothing_rejected().await;
}

async fn bounds_are_those_of_the_document(mesh: &Mesh) {
    for (subset, connections, pending, requests) in
        [("catalogue", 40, 100, 4_000), ("catalogue--search", 3, 4, 300)]
    {
        let cluster = cluster(mesh.gateway(), subset).await;
        let bounds = &cluster["circuit_breakers"]["thresholds"][0];
        assert_eq!(bounds["max_connections"], connections, "{subset}: {bounds}");
        assert_eq!(bounds["max_pending_requests"], pending, "{subset}: {bounds}");
        assert_eq!(bounds["max_requests"], requests, "{subset}: {bounds}");
        let budget = &bounds["retry_budget"];
        assert_eq!(budget["budget_percent"]["value"].as_f64(), Some(25.0), "{subset}: {bounds}");
        assert_eq!(budget["min_retry_concurrency"], 5, "{subset}: {bounds}");
        let outliers = &cluster["outlier_detection"];
        assert_eq!(outliers["consecutive_gateway_failure"], 7, "{subset}: {outliers}");
        assert_eq!(outliers["base_ejection_time"], "60s", "{subset}: {outliers}");
        assert_eq!(outliers["max_ejection_percent"], 50, "{subset}: {outliers}");
        let panic = &cluster["common_lb_config"]["healthy_panic_threshold"]["value"];
        assert_eq!(panic.as_f64(), Some(20.0), "{subset}: {cluster}");
    }
}

async fn machines_are_hashed_and_asked(mesh: &Mesh) {
    let machines = cluster(mesh.gateway(), "machines").await;
    assert_eq!(machines["lb_policy"], "RING_HASH", "{machines}");
    // 150 for the least of ten parts.
    let ring = &machines["ring_hash_lb_config"]["minimum_ring_size"];
    assert_eq!(ring, "1500", "{machines}");
    let checks = machines["health_checks"].as_array().expect("checks");
    assert_eq!(checks.len(), 1, "{machines}");
    assert_eq!(checks[0]["http_health_check"]["path"], "/healthz", "{machines}");
    let routes = mesh.gateway().routes("machines").await;
    let hashed = &routes[0]["route"]["hash_policy"][0]["header"]["header_name"];
    assert_eq!(hashed, "x-basket", "{routes:?}");
}
