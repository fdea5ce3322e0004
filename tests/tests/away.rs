//! A part of the suite is away, and only that one: `ext_proc`, Redis for circuits, the durable
//! store. What needs it says so, or goes on without it; everything else goes on as always.

use std::net::TcpListener;

use postern_e2e::client::{Answer, Call, Protocol};
use postern_e2e::envoy::{cluster, for_each_object, lead_to};
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::keys::{self, Token};
use postern_e2e::oauth::{api_key, client_credentials};
use postern_e2e::redis::Redis;
use postern_e2e::{documents, ports};
use serde_json::{Value, json};

/// The document with this answer to an `ext_proc` that is away.
fn away(answer: &str) -> String {
    documents::AWAY.replace("$EXT_PROC", answer)
}

/// Values that only `ext_proc` may write, as a client might send them.
fn forged(call: Call) -> Call {
    call.header("x-caller", "user=admin")
        .header("X-Caller", "user=root")
        .header("x_caller", "user=admin")
        .header("x-caller-request", "chosen by the client")
        .header("x-gateway", "chosen by the client")
}

/// Needs `ext_proc` alone.
fn stamped() -> Call {
    forged(Call::get("/stamped/page"))
}

/// Needs `ext_authz` and `ext_proc`.
fn keyed() -> Call {
    forged(Call::get("/keyed/page")).header("x-api-key", keys::API_KEY)
}

/// Needs neither.
fn plain() -> Call {
    Call::get("/plain/page")
}

/// What `ext_proc` computes is there, and nothing that the client sent in its place.
fn assert_stamped(answer: &Answer) {
    let caller = answer.upstream_header("x-caller");
    assert_eq!(caller, Some(json!("user=; route=stamped")), "{answer}");
    let id = answer.header("x-correlation-id").expect("an id");
    assert_eq!(answer.upstream_header("x-caller-request"), Some(json!(id)), "{answer}");
    assert_eq!(answer.header("x-served-by"), Some("stamped"), "{answer}");
}

/// The request went on without `ext_proc`, and took nothing along that only `ext_proc` may say.
fn assert_unstamped(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer}");
    for name in ["x-caller", "x_caller", "x-caller-request"] {
        assert_eq!(answer.upstream_header(name), None, "{name}:\n{answer}");
    }
    assert_eq!(answer.header("x-served-by"), None, "{answer}");
    // Fixed values are Envoy's own business.
    assert_eq!(answer.upstream_header("x-gateway"), Some(json!("postern")), "{answer}");
}

/// Listens where the server listened: connections stand, and no answer ever comes.
fn hang(gateway: &Gateway) -> TcpListener {
    TcpListener::bind(ports::local(gateway.server.ports().grpc)).expect("the server's port")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_ext_proc_its_routes_are_closed() {
    let mut gateway = Gateway::builder().document(away("deny")).start().await;
    assert_stamped(&gateway.until_status(200, &stamped()).await);

    gateway.server.take_down();
    for protocol in Protocol::ALL {
        closed(&gateway, protocol, 503, "UNAVAILABLE").await;
    }
    assert!(gateway.envoy.stat("http.postern.ext_proc.streams_failed").await > 0);

    let silent = hang(&gateway);
    for protocol in Protocol::ALL {
        closed(&gateway, protocol, 504, "GATEWAY_TIMEOUT").await;
    }
    assert!(gateway.envoy.stat("http.postern.ext_proc.message_timeouts").await > 0);

    drop(silent);
    gateway.server.bring_up().await;
    assert_stamped(&gateway.until_status(200, &stamped()).await);
}

async fn closed(gateway: &Gateway, protocol: Protocol, status: u16, code: &str) {
    let client = gateway.client(protocol);
    let before = gateway.upstream.requests("stamped");
    let answer = client.send(&stamped()).await.expect_denial(status, code);
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
    assert_eq!(gateway.upstream.requests("stamped"), before, "the upstream was asked");
    // The bundle has let it through: its id is on the answer.
    let id = answer.header("x-correlation-id").expect("an id");
    assert_eq!(answer.json()["correlation_id"], id, "{answer}");
    client.send(&plain()).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_may_be_missing_requests_go_on_without_forged_values() {
    let mut gateway = Gateway::builder().document(away("allow")).start().await;
    assert_stamped(&gateway.until_status(200, &stamped()).await);
    gateway.until_status(200, &keyed()).await;

    gateway.server.take_down();
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        assert_unstamped(&client.send(&stamped()).await);
        // `ext_authz` has an answer of its own.
        client.send(&keyed()).await.expect_denial(503, "UNAVAILABLE");
    }
    let silent = hang(&gateway);
    for protocol in Protocol::ALL {
        assert_unstamped(&gateway.client(protocol).send(&stamped()).await);
    }
    assert!(gateway.envoy.stat("http.postern.ext_proc.message_timeouts").await > 0);
    assert!(gateway.envoy.stat("http.postern.ext_proc.failure_mode_allowed").await > 0);

    drop(silent);
    gateway.server.bring_up().await;
    gateway.until_status(200, &keyed()).await;
    assert_stamped(&gateway.send(&stamped()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_ext_proc_alone_ext_authz_still_decides() {
    for (answer, status) in [("deny", 503), ("allow", 200)] {
        let builder = Gateway::builder().document(away(answer));
        let gateway = builder.edit_envoy(ext_proc_elsewhere).start().await;
        // Refused by the server, which is there.
        let without_key = forged(Call::get("/keyed/page"));
        gateway.until_status(401, &without_key).await.expect_denial(401, "UNAUTHORIZED");
        for protocol in Protocol::ALL {
            let client = gateway.client(protocol);
            let before = gateway.upstream.total();
            for call in [stamped(), keyed()] {
                let answer = client.send(&call).await;
                if status == 200 {
                    assert_unstamped(&answer);
                } else {
                    answer.expect_denial(503, "UNAVAILABLE");
                }
            }
            let passed = if status == 200 { 2 } else { 0 };
            assert_eq!(gateway.upstream.total() - before, passed, "{answer}");
        }
        if status == 200 {
            let known = gateway.send(&keyed()).await;
            assert_eq!(known.upstream_header("x-postern-subject"), Some(json!("robot")));
        }
        assert!(gateway.envoy.stat("http.postern.ext_authz.ok").await > 0, "{answer}");
    }
}

/// Sends `ext_proc` to a port where nobody listens; `ext_authz` stays with the server.
fn ext_proc_elsewhere(config: &mut Value) {
    let mut elsewhere = cluster(config, "postern-grpc").clone();
    elsewhere["name"] = json!("elsewhere");
    elsewhere["load_assignment"]["cluster_name"] = json!("elsewhere");
    lead_to(&mut elsewhere, ports::free());
    let clusters = config["static_resources"]["clusters"].as_array_mut().expect("clusters");
    clusters.push(elsewhere);
    let mut sent = 0;
    for_each_object(config, &mut |object| {
        let is_ext_proc = object.get("name") == Some(&json!("envoy.filters.http.ext_proc"));
        if let (true, Some(typed)) = (is_ext_proc, object.get_mut("typed_config")) {
            typed["grpc_service"]["envoy_grpc"]["cluster_name"] = json!("elsewhere");
            sent += 1;
        }
    });
    assert_eq!(sent, 1, "the rendered configuration has no ext_proc");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_a_circuit_opens_by_what_each_envoy_has_seen() {
    let Some(mut redis) = Redis::down_or_skip() else { return };
    redis.bring_up().await;
    // Open for longer than this test takes.
    let document = documents::GATEWAY.replace("recovery: 1500ms", "recovery: 5m");
    assert_ne!(document, documents::GATEWAY);
    let builder = || Gateway::builder().document(document.as_str()).store(Store::At(redis.url()));
    let (one, two) = (builder().start().await, builder().start().await);
    let token = Token::of("alice").scope("payments.read").sign();
    let call = Call::get("/payments/charges").bearer(&token);
    for gateway in [&one, &two] {
        gateway.until_status(200, &call).await;
    }

    redis.take_down();
    for gateway in [&one, &two] {
        gateway.send(&call).await.expect(200);
        gateway.upstream.fail("payments", 500);
        // Whatever another Envoy has seen, this one has seen nothing yet.
        for _ in 0..5 {
            gateway.send(&call).await.expect(500);
        }
        let asked = gateway.upstream.requests("payments");
        let answer = gateway.send(&call).await.expect_denial(503, "CIRCUIT_OPEN");
        assert!(answer.number("retry-after") >= 1, "{answer}");
        assert_eq!(gateway.upstream.requests("payments"), asked, "the upstream was asked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_durable_store_only_what_must_be_looked_up_stops() {
    let gateway = Gateway::builder().document(documents::sample()).durable().start().await;
    let durable = gateway.durable.clone().expect("a durable store");
    let with_key = |key: &str| Call::get("/commerce/orders").header("x-api-key", key);
    let remembered = with_key(&api_key(&durable).await);
    gateway.until_status(200, &remembered).await;
    // Written last, so that the server must read anew, and never asked for.
    let unseen = with_key(&api_key(&durable).await);
    let (grant, secret) = client_credentials(&durable).await;

    let labels = [("route", "commerce"), ("outcome", "UNAVAILABLE")];
    let unavailable = || gateway.server.metric("postern_ext_authz_decisions_total", &labels);
    let counted = unavailable().await;
    let outage = durable.take_away();
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        let before = gateway.upstream.total();
        let answer = client.send(&unseen).await.expect_denial(503, "UNAVAILABLE");
        assert!(answer.number("retry-after") >= 1, "{answer}");
        assert_eq!(gateway.upstream.total(), before, "the upstream was asked");

        // RFC 6749 §4.1.2.1 has the word; nothing of the request comes back.
        let answer = client.send(&grant).await.expect_denial(503, "temporarily_unavailable");
        assert!(answer.number("retry-after") >= 1, "{answer}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
        assert!(!answer.text().contains(&secret), "a secret comes back");

        // What need not be looked up: a key that was seen before, one of the document, the
        // published keys.
        client.send(&remembered).await.expect(200);
        client.send(&with_key(&documents::sample_api_key())).await.expect(200);
        client.send(&Call::get("/oauth2/jwks")).await.expect(200);
    }
    assert_eq!(unavailable().await - counted, 2, "one for each protocol");

    outage.end();
    gateway.until_status(200, &unseen).await;
    gateway.until_status(200, &grant).await;
}
