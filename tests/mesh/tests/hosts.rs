//! Hosts with certificates of their own: each keeps its own routes, whatever a connection asked for.
//!
//! Istio takes a VirtualService's routes to every host where it and its Gateway overlap. Written
//! into one Gateway, the routes of `*` would stand on `api.test` too, and go first if they are older.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use postern_e2e::{env, process, server};
use postern_mesh::caller::send;
use postern_mesh::mesh::{GATEWAY_PORT, HOST, Mesh};
use postern_mesh::rendered::Rendered;
use serde_json::json;

const OWN: &str = "api.test";
/// One path at both hosts. Who sends a request says so in a header.
const DOCUMENT: &str = "
version: 1
issuer: $ISSUER
services:
  one: {upstream: $UPSTREAM}
  other: {upstream: $UPSTREAM}
transforms:
  by-all: {request: {set: {x-sent-by: all}}}
  by-own: {request: {set: {x-sent-by: own}}}
routes:
  - {name: all, match: {path: /a}, service: one, auth: none, transform: [by-all]}
  - {name: own, match: {path: /a, hosts: [api.test]}, service: other, auth: none, transform: [by-own]}
";

/// Speaks HTTP/1.1 alone, where a header is the host.
fn client(connected: &str, address: IpAddr) -> reqwest::Client {
    reqwest::Client::builder()
        .http1_only()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .resolve(connected, SocketAddr::from((address, GATEWAY_PORT)))
        .build()
        .expect("an HTTP client")
}

fn url(connected: &str) -> String {
    format!("https://{connected}:{GATEWAY_PORT}/a")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_keep_their_own_routes_over_any_connection() {
    // The routes of `*` are the older ones.
    let mesh = Mesh::builder().document(DOCUMENT).start().await;
    let address: IpAddr = mesh.address_of("gateway").parse().expect("an address");
    let out = mesh.folder().join("by-host");
    let mut command = server::command(["render", "istio"]);
    command
        .arg(mesh.folder().join("gateway.yaml"))
        .arg("--out")
        .arg(&out)
        .args(["--istio-version", "1.31", "--host", "*", "--host", OWN])
        .args(["--tls-secret", "postern-gateway-tls", "--tls-secret", "api.test=api-tls"])
        .args(["--wasm-url", &format!("file://{}", env::bundle().display())]);
    process::run(command, Duration::from_secs(30)).await.expect_success();
    let rendered = Rendered::read(&out).on_one_machine(&address.to_string());
    let shown = mesh.certificates.of_host(OWN).await;
    let mut objects = rendered.resources;
    objects.push(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "api-tls", "namespace": "istio-system"},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": shown.certificate, "tls.key": shown.key},
    }));
    mesh.put("rendered", &objects).await;

    for (connected, host, sender) in [
        (HOST, HOST, Some("all")),
        (HOST, OWN, Some("own")),
        (OWN, OWN, Some("own")),
        (OWN, HOST, None),
    ] {
        let answer =
            send(client(connected, address).get(url(connected)).header("host", host)).await;
        let Some(sender) = sender else {
            assert_eq!(answer.status, 404, "{host} over a connection for {connected}: {answer}");
            continue;
        };
        let answer = answer.expect(200);
        let sent = answer.upstream_header("x-sent-by");
        assert_eq!(sent, Some(sender.into()), "{host} over a connection for {connected}: {answer}");
    }
    mesh.assert_nothing_rejected().await;
}
