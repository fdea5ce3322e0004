//! What `postern render istio` writes for workloads asks for nothing that the document does not.

use crate::istio::{IstioOptions, RequestAuth, render};

use super::*;

const DOCUMENT: &str = "
version: 1
credentials:
  jwt:
    issuers:
      - {issuer: https://idp.test, audiences: [api], jwks: {uri: https://idp.test/jwks, fetched_by: server}}
feed:
  forwarded_client_cert: local_proxy
  peers:
    - {spiffe: spiffe://cluster.local/ns/istio-ingress/sa/gateway, workloads: [edge]}
    - {spiffe: spiffe://cluster.local/ns/shop/sa/pay, workloads: [pay]}
workloads:
  edge:
    gateway: true
    namespace: istio-ingress
    labels: {istio: ingressgateway}
    service_account: gateway
  pay: {namespace: shop, labels: {app: pay}, service_account: pay, ports: [8080]}
services:
  pay: {upstream: pay.shop.svc.cluster.local:8080, workload: pay, guard: workload}
routes:
  - name: read
    match: {path: '/pay/{rest=**}', methods: [GET]}
    service: pay
    auth: {any: [jwt], scopes: [pay.read]}
    peers: [edge, spiffe://cluster.local/ns/shop/sa/web]
  - name: write
    match: {path: '/pay/{rest=**}', methods: [POST]}
    service: pay
    auth: {any: [jwt], scopes: [pay.write]}
    peers: [edge]
";

#[test]
fn what_was_rendered_for_a_workload_comes_back() {
    let original = load(&[source("d", DOCUMENT)], &|_: &str| Err(String::new())).unwrap();
    let options =
        IstioOptions { request_authentication: RequestAuth::Workloads, ..IstioOptions::default() };
    let files = render(&original, &options).unwrap();
    // What goes by headers that only the bundle writes says nothing to who has no bundle.
    let of_workload = |text: &&str| {
        if text.contains("request.headers[x-postern-") {
            return false;
        }
        ["AuthorizationPolicy", "RequestAuthentication", "PeerAuthentication"]
            .iter()
            .any(|kind| text.contains(&format!("\nkind: {kind}\n")))
            && text.contains("\n  namespace: shop\n")
    };
    let texts: Vec<&str> =
        files.iter().flat_map(|file| file.content.split("\n---\n")).filter(of_workload).collect();
    assert!(texts.len() > 1, "{texts:?}");
    let import = imported(&texts.join("\n---\n"));
    let again = document(&import);
    assert_eq!(again.issuers[0].issuer.issuer, "https://idp.test");
    for route in &original.routes {
        let method = &route.methods[0];
        let found = again.find_route("shop.test", method, "/pay/x").unwrap();
        let found = found.unwrap_or_else(|| panic!("{}: {}", route.name, told(&import)));
        assert_eq!(found.service_name(), "pay");
        for peer in &route.peers {
            let id = peer.to_string();
            let is_taken =
                found.peers.is_empty() || found.peers.iter().any(|known| known.matches(&id));
            assert!(is_taken, "{id} may call `{}`: {:?}", route.name, found.peers);
        }
        assert!(found.auth.authorize(None).is_ok(), "the bundle alone asks for scopes");
    }
    // And nobody else comes in than what the policies let in.
    let everybody = again.routes.iter().find(|route| route.peers.is_empty());
    assert!(everybody.is_none(), "{everybody:?}");
}
