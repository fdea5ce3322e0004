//! What the rendering for the Gateway API relies on, asked of Istio itself: whose route wins, how
//! routes are called, where requests can go, and what is tried again.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use postern_e2e::ports;
use postern_mesh::caller::{Caller, send};
use postern_mesh::mesh::{HOST, Mesh};
use postern_mesh::workload::{Kind, Workload};
use serde_json::{Value, json};

const NAMESPACE: &str = "edge";
const NAME: &str = "api";
/// The host of a ServiceEntry outside of the mesh.
const OUTSIDE: &str = "outside.upstream.postern.internal";

/// Pods of a Gateway as Istio would make them: known by their labels.
fn workload() -> Workload {
    Workload {
        name: "gateway-api",
        namespace: NAMESPACE,
        service_account: "api-istio",
        labels: vec![("gateway.networking.k8s.io/gateway-name", NAME)],
        kind: Kind::Gateway,
        last: 11,
        ports: Vec::new(),
        sees: Vec::new(),
    }
}

fn surroundings(listen: u16, upstream: std::net::SocketAddr) -> Vec<Value> {
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": format!("{NAME}-istio"), "namespace": NAMESPACE},
            "spec": {
                "selector": {"gateway.networking.k8s.io/gateway-name": NAME},
                "ports": [{"name": "http", "port": 80, "targetPort": listen}],
            },
        }),
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {
                "gatewayClassName": "istio",
                "listeners": [{
                    "name": "http", "port": 80, "protocol": "HTTP",
                    "allowedRoutes": {"namespaces": {"from": "Same"}},
                }],
            },
        }),
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": "outside", "namespace": NAMESPACE},
            "spec": {
                "hosts": [OUTSIDE],
                "location": "MESH_EXTERNAL",
                "resolution": "STATIC",
                "ports": [{"name": "http", "number": upstream.port(), "protocol": "HTTP"}],
                "endpoints": [{"address": upstream.ip().to_string()}],
            },
        }),
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1beta1",
            "kind": "ReferenceGrant",
            "metadata": {"name": "api", "namespace": "shop"},
            "spec": {
                "from": [{
                    "group": "gateway.networking.k8s.io", "kind": "HTTPRoute",
                    "namespace": NAMESPACE,
                }],
                "to": [{"group": "", "kind": "Service"}],
            },
        }),
    ]
}

/// A rule that tells the upstream its name.
fn rule(name: &str, path: &Value, port: u16) -> Value {
    json!({
        "name": name,
        "matches": [{"path": path}],
        "filters": [{
            "type": "RequestHeaderModifier",
            "requestHeaderModifier": {"set": [{"name": "x-rule", "value": name}]},
        }],
        "backendRefs": [{
            "group": "networking.istio.io", "kind": "Hostname", "name": OUTSIDE, "port": port,
        }],
        "retry": {"attempts": 0},
    })
}

fn route(rules: &[Value]) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "routes", "namespace": NAMESPACE},
        "spec": {"parentRefs": [{"name": NAME}], "rules": rules},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_are_ordered_named_and_tried_as_the_rendering_counts_on() {
    let mut mesh = Mesh::start().await;
    let listen = ports::free();
    let port = mesh.upstream.address().port();
    let path = |kind: &str, value: &str| json!({"type": kind, "value": value});
    let mut canary = rule("canary", &path("PathPrefix", "/c"), port);
    canary["matches"][0]["headers"] = json!([{
        "type": "RegularExpression", "name": "x-canary", "value": "y.*",
    }]);
    let mut payments = rule("payments", &path("PathPrefix", "/payments"), port);
    payments["backendRefs"] = json!([{"name": "payments", "namespace": "shop", "port": 8080}]);
    payments.as_object_mut().expect("a rule").remove("retry");
    let rules = [
        rule("a-regex", &path("RegularExpression", "/a/[^/]+"), port),
        rule("a-prefix", &path("PathPrefix", "/a"), port),
        rule("a-exact", &path("Exact", "/a/exact"), port),
        // Made longer than the next one by what means nothing.
        rule("b-first", &path("RegularExpression", "/b/[^/]+(?:)(?:)"), port),
        rule("b-second", &path("RegularExpression", "/b(?:/.*)?"), port),
        rule("c-plain", &path("PathPrefix", "/c"), port),
        canary,
        payments,
    ];
    let mut objects = surroundings(listen, mesh.upstream.address());
    objects.push(route(&rules));
    mesh.put("gateway-api", &objects).await;
    mesh.add(&workload()).await;

    let conditions = mesh.control_plane.conditions().await;
    for one in conditions.as_array().expect("conditions") {
        let expected = if one["type"] == "Conflicted" { "False" } else { "True" };
        assert_eq!(one["status"], expected, "{one}");
    }
    let said = conditions.to_string();
    assert!(said.contains("HTTPRoute edge/routes") && said.contains("ResolvedRefs"), "{said}");

    let gateway = Caller::plain(HOST, ports::local(listen));
    for (path, winner) in [
        // Exact before a prefix before an expression, however they are written.
        ("/a/exact", "a-exact"),
        ("/a/1", "a-prefix"),
        ("/a", "a-prefix"),
        // The longer expression first.
        ("/b/1", "b-first"),
        ("/b/1/2", "b-second"),
        ("/c/1", "c-plain"),
        // By mutual TLS into the mesh.
        ("/payments/a", "payments"),
    ] {
        let answer = send(gateway.get(path)).await.expect(200);
        assert_eq!(answer.upstream_header("x-rule"), Some(winner.into()), "{path}: {answer}");
    }
    let answer = send(gateway.get("/c/1").header("x-canary", "yes")).await.expect(200);
    assert_eq!(answer.upstream_header("x-rule"), Some("canary".into()), "{answer}");
    // A prefix ends where a segment does.
    assert_eq!(send(gateway.get("/ab")).await.status, 404);

    let proxy = mesh.proxy("gateway-api");
    for (name, tried_again) in [("a-prefix", false), ("payments", true)] {
        let routes = proxy.routes(name).await;
        assert_eq!(routes.len(), 1, "{name}: {routes:?}");
        assert_eq!(routes[0]["route"].get("retry_policy").is_some(), tried_again, "{routes:?}");
    }
    mesh.assert_nothing_rejected().await;
}
