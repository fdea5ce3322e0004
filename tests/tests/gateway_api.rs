//! Routes by the Gateway API: a real Envoy, given the rendered rules in the order that Istio sorts
//! them into, sends each request where the document says.
//!
//! What Istio does is done here by hand, so that every Envoy of the matrix can say what it makes of
//! paths and regular expressions; the mesh suite asks Istio itself.

use std::cmp::Reverse;
use std::fs;

use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::envoy::{Envoy, Ports};
use postern_e2e::server;
use serde::Deserialize as _;
use serde_json::{Value, json};

const DOCUMENT: &str = "tests/fixtures/gateway-api.yaml";
/// A host of a route, and one that no route names.
const FILES: &str = "files.partner.test";
const OTHER: &str = "api.example.test";

/// Method, host, path, and the rule that the document would have for it.
const REQUESTS: [(&str, &str, &str, &str); 24] = [
    ("GET", OTHER, "/", "web"),
    ("GET", OTHER, "/anything/else", "web"),
    ("GET", OTHER, "/health", "health"),
    ("GET", OTHER, "/health/", "web"),
    // Below, beside, and the name alone.
    ("GET", OTHER, "/files/7", "file"),
    ("GET", OTHER, "/files/7?download=1", "file"),
    ("PUT", OTHER, "/files/7", "file-write"),
    ("GET", OTHER, "/files/", "files"),
    ("GET", OTHER, "/files/7/parts", "files"),
    ("PUT", OTHER, "/files/7/", "files"),
    ("GET", OTHER, "/files", "web"),
    ("GET", OTHER, "/filesystem", "web"),
    // The shorter template is the more specific one.
    ("GET", OTHER, "/me/quarterly-reports", "own-report"),
    ("GET", OTHER, "/me/other", "own-report"),
    ("GET", OTHER, "/you/quarterly-reports", "any-report"),
    ("GET", OTHER, "/you/other", "web"),
    ("GET", OTHER, "/files/quarterly-reports", "file"),
    // The narrower host comes first, for the methods that it names.
    ("GET", FILES, "/files/7", "partner-file"),
    ("DELETE", FILES, "/files/7", "file-write"),
    ("POST", FILES, "/files/7", "file"),
    ("GET", FILES, "/files/7/parts", "files"),
    ("GET", FILES, "/me/7", "own-report"),
    ("POST", OTHER, "/orders/7", "orders"),
    ("PUT", OTHER, "/orders/7", "web"),
];

#[tokio::test]
async fn envoy_sends_each_request_where_the_document_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = Ports::free();
    let config = folder.path().join("envoy.json");
    let configuration = configuration(ports, &http_routes(&rendered().await));
    fs::write(&config, configuration.to_string()).expect("a file");
    let envoy = Envoy::start(&config, ports, 1, &folder.path().join("envoy.log")).await;
    let client = Client::new(Protocol::Http1, envoy.ports().listen);

    let mut wrong = Vec::new();
    for (method, host, path, expected) in REQUESTS {
        let call = Call::new(method, &format!("http://{host}{path}"));
        let chosen = client.send(&call).await.text();
        if chosen != expected {
            wrong.push(format!("{method} {host}{path}: {chosen} instead of {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let orders = Call::get(&format!("http://{OTHER}/orders/7"));
    for (header, value, expected) in [
        ("x-canary", "always", "orders.canary-1"),
        ("x-canary", "sometimes", "orders"),
        ("x-build", "v2.7", "orders.canary-2"),
        ("x-build", "v20", "orders"),
    ] {
        let call = orders.clone().header(header, value);
        assert_eq!(client.send(&call).await.text(), expected, "{header}: {value}");
    }
    let both = orders.header("x-build", "v2.7").header("x-canary", "always");
    assert_eq!(client.send(&both).await.text(), "orders.canary-1", "the first that fits");
}

/// The resources of the Gateway API that the document is rendered to.
async fn rendered() -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    server::run(["render", "istio", DOCUMENT, "--out", &out, "--api", "gateway"])
        .await
        .expect_success();
    let text = fs::read_to_string(folder.path().join("gateway-api.yaml")).expect("a file");
    serde_yaml_ng::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .collect()
}

/// Hosts with the rules of all HTTPRoutes that are for them.
fn http_routes(resources: &[Value]) -> Vec<(String, Vec<Value>)> {
    let mut hosts: Vec<(String, Vec<Value>)> = Vec::new();
    // The newest first: what was created when must not decide.
    for route in resources.iter().rev().filter(|resource| resource["kind"] == "HTTPRoute") {
        let rules = route["spec"]["rules"].as_array().expect("rules");
        let names = route["spec"]["hostnames"].as_array().cloned().unwrap_or(vec![json!("*")]);
        for name in names.iter().filter_map(Value::as_str) {
            match hosts.iter_mut().find(|(host, _)| host == name) {
                Some((_, known)) => known.extend(rules.iter().cloned()),
                None => hosts.push((name.to_owned(), rules.clone())),
            }
        }
    }
    assert!(hosts.len() > 1, "{hosts:?}");
    hosts
}

/// Envoy's routes of a host: one for each match, in Istio's order. Each answers with its name.
fn routes(rules: &[Value]) -> Vec<Value> {
    let mut matches: Vec<(&Value, &Value)> = Vec::new();
    for rule in rules {
        let all = rule["matches"].as_array().expect("matches");
        matches.extend(all.iter().map(|matched| (&rule["name"], matched)));
    }
    matches.sort_by_key(|(_, matched)| {
        let form = match matched["path"]["type"].as_str() {
            Some("Exact") => 3,
            Some("PathPrefix") => 2,
            Some("RegularExpression") => 1,
            other => panic!("{other:?}"),
        };
        let length = matched["path"]["value"].as_str().map_or(0, str::len);
        let headers = matched["headers"].as_array().map_or(0, Vec::len);
        Reverse((form, length, matched["method"].is_string(), headers))
    });
    let rendered = matches.iter().map(|(name, matched)| {
        json!({
            "name": name,
            "match": route_match(matched),
            "direct_response": {"status": 200, "body": {"inline_string": name}},
        })
    });
    rendered.collect()
}

fn route_match(matched: &Value) -> Value {
    let path = &matched["path"]["value"];
    let mut rendered = match matched["path"]["type"].as_str() {
        Some("Exact") => json!({"path": path}),
        Some("PathPrefix") if path == "/" => json!({"prefix": path}),
        Some("PathPrefix") => json!({"path_separated_prefix": path}),
        _ => json!({"safe_regex": {"regex": path}}),
    };
    let mut headers = Vec::new();
    if let Some(method) = matched["method"].as_str() {
        headers.push(json!({"name": ":method", "string_match": {"exact": method}}));
    }
    for header in matched["headers"].as_array().into_iter().flatten() {
        let value = &header["value"];
        let is_regex = header["type"] == "RegularExpression";
        let string = if is_regex {
            json!({"safe_regex": {"regex": value}})
        } else {
            json!({"exact": value})
        };
        headers.push(json!({"name": header["name"], "string_match": string}));
    }
    rendered["headers"] = json!(headers);
    rendered
}

fn configuration(ports: Ports, hosts: &[(String, Vec<Value>)]) -> Value {
    let address =
        |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let hosts: Vec<Value> = hosts
        .iter()
        .map(|(host, rules)| json!({"name": host, "domains": [host], "routes": routes(rules)}))
        .collect();
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway_api",
        "route_config": {"virtual_hosts": hosts},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            },
        }],
    });
    json!({
        "admin": {"address": address(ports.admin)},
        "static_resources": {"listeners": [{
            "address": address(ports.listen),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }]}],
        }]},
    })
}
