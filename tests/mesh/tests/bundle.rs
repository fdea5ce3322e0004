//! A gateway that Istio configures by what `postern render istio` writes decides as the document
//! says: with the module as a TrafficExtension, and as the WasmPlugin of older versions.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::time::{Duration, Instant};

use postern_e2e::keys::{self, Token};
use postern_mesh::caller::{send, until_status};
use postern_mesh::mesh::Mesh;

/// Far below the time after which Envoy gives up a request that a filter holds.
const AT_ONCE: Duration = Duration::from_millis(800);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_traffic_extension_decides() {
    decides("1.31", "trafficextension/istio-system.postern").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wasm_plugin_decides() {
    decides("1.29", "trafficextension/istio-system.postern~istio-translated-wasmplugin").await;
}

async fn decides(version: &str, module: &str) {
    let mesh = Mesh::builder().version(version).start().await;
    let listeners = mesh.gateway().filters().await;
    assert_eq!(listeners.len(), 1, "{listeners:?}");
    let filters = listeners.values().next().expect("a listener");
    let position = |end: &str| filters.iter().position(|filter| filter.ends_with(end));
    let in_order = ["http.ext_authz", module, "http.ext_proc", "http.router"].map(position);
    assert!(in_order.iter().all(Option::is_some) && in_order.is_sorted(), "{filters:?}");

    tokens_and_headers(&mesh).await;
    limits(&mesh).await;
    ext_proc(&mesh).await;
    mesh.assert_nothing_rejected().await;
}

async fn tokens_and_headers(mesh: &Mesh) {
    let outside = mesh.outside();
    let subject = keys::subject("reader");
    let good = Token::of(&subject).scope("content.read").sign();
    until_status(200, || outside.get("/content/a").bearer_auth(&good)).await;

    let before = mesh.upstream.total();
    send(outside.get("/content/a")).await.expect_denial(401, "UNAUTHORIZED");
    let narrow = Token::of(&subject).scope("other").sign();
    let narrow = outside.get("/content/a").bearer_auth(&narrow);
    send(narrow).await.expect_denial(403, "INSUFFICIENT_SCOPE");
    let tampered = outside.get("/content/a").bearer_auth(keys::tampered(&good));
    send(tampered).await.expect_denial(401, "INVALID_TOKEN");
    send(outside.get("/nowhere")).await.expect_denial(404, "NOT_FOUND");
    assert_eq!(mesh.upstream.total(), before, "what is refused reaches nobody");

    let forged = outside
        .get("/content/a")
        .bearer_auth(&good)
        .header("x-postern-subject", "admin")
        .header("x-postern-scope-admin", "true")
        .header("x-tenant", "another");
    let answer = send(forged).await.expect(200);
    let header = |name: &str| answer.upstream_header(name);
    assert_eq!(header("x-postern-subject"), Some(subject.clone().into()), "{answer}");
    assert_eq!(header("x-postern-scope-content.read"), Some("true".into()), "{answer}");
    assert_eq!(header("x-postern-scope-admin"), None, "{answer}");
    assert_eq!(header("x-tenant"), None, "{answer}");

    let open = outside.get("/content/open/a").header("x-postern-subject", "admin");
    let answer = send(open).await.expect(200);
    assert_eq!(answer.upstream_header("x-postern-subject"), None, "{answer}");

    // On through the mesh to a sidecar that takes mutual TLS and nothing else.
    let paying = Token::of(&subject).scope("payments.read").sign();
    let answer = send(outside.get("/payments/a").bearer_auth(&paying)).await.expect(200);
    let client = answer.upstream_header("x-forwarded-client-cert").expect("the gateway's name");
    assert!(client.to_string().contains("sa/istio-ingressgateway-service-account"), "{client}");
}

async fn limits(mesh: &Mesh) {
    let outside = mesh.outside();
    for (path, limit) in [("/content/limited/local", 3), ("/content/limited/exact", 4)] {
        let token = Token::of(&keys::subject("limited")).sign();
        let call = || outside.get(path).bearer_auth(&token);
        for left in (0..limit).rev() {
            let answer = send(call()).await.expect(200);
            assert_eq!(answer.number("x-ratelimit-remaining"), left, "{path}: {answer}");
        }
        let refused = send(call()).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
        assert!(refused.number("retry-after") >= 1, "{path}: {refused}");
    }
}

async fn ext_proc(mesh: &Mesh) {
    let outside = mesh.outside();
    let subject = keys::subject("buyer");
    let token = Token::of(&subject).scope("content.read").sign();
    let asked = || mesh.gateway().count(".ext_proc.streams_started");

    let before = asked().await;
    let answer = send(outside.get("/commerce/a").bearer_auth(&token)).await.expect(200);
    let caller = format!("user={subject}; route=commerce");
    assert_eq!(answer.upstream_header("x-caller"), Some(caller.into()), "{answer}");
    assert_eq!(asked().await, before + 1, "a route that needs it");

    send(outside.get("/content/a").bearer_auth(&token)).await.expect(200);
    assert_eq!(asked().await, before + 1, "a route that does not");
}

/// Such a request belongs to no route, so that nothing switches a filter off for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_envoy_does_not_take_is_answered_at_once() {
    let mesh = Mesh::start().await;
    let outside = mesh.outside();
    until_status(200, || outside.get("/content/open/a")).await;
    let asked = mesh.gateway().count(".ext_proc.streams_started").await;
    let began = Instant::now();
    let answer = send(outside.get("/content/open/a%2fb")).await;
    assert!((400..500).contains(&answer.status), "{answer}");
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert_eq!(mesh.gateway().count(".ext_proc.streams_started").await, asked);
}
