//! Who may speak to whom: STRICT, principals, and the policies of the suite itself.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use postern_mesh::caller::{Caller, send, try_send, until_status};
use postern_mesh::mesh::Mesh;

const ONLY_THE_GATEWAY: &str = r#"
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: shop}
spec:
  selector: {matchLabels: {app: payments}}
  action: ALLOW
  rules:
    - from:
        - source:
            principals: [cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account]
"#;

/// What is new, a policy or a certificate, is for new connections: those that are there keep what
/// they began with until they end.
const A_CONNECTION_EACH: &str = r#"
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: payments, namespace: shop}
spec:
  host: payments.shop.svc.cluster.local
  trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_takes_certificates_of_the_mesh_and_nothing_else() {
    let mesh = Mesh::start().await;
    mesh.put_yaml("connections", A_CONNECTION_EACH).await;
    let web = mesh.web();
    let answer = until_status(200, || web.get("/payments/a")).await;
    let client = answer.upstream_header("x-forwarded-client-cert").expect("the caller's name");
    assert!(client.to_string().contains("spiffe://cluster.local/ns/shop/sa/web"), "{client}");

    let plain = try_send(mesh.in_plain_text().get("/payments/a")).await;
    assert!(plain.is_err(), "plain text was answered: {plain:?}");
    let stranger = mesh.certificates.of_stranger("shop", "web").await;
    let answer = try_send(mesh.at_payments(&stranger).get("/payments/a")).await;
    assert!(answer.is_err(), "a stranger was answered: {answer:?}");
    let known = mesh.certificates.of_workload("shop", "web").await;
    send(mesh.at_payments(&known).get("/payments/a")).await.expect(200);

    mesh.put_yaml("callers", ONLY_THE_GATEWAY).await;
    until_status(403, || web.get("/payments/a")).await;
    send(mesh.at_payments(&known).get("/payments/a")).await.expect(403);
    let gateway = ("istio-system", "istio-ingressgateway-service-account");
    let gateway = mesh.certificates.of_workload(gateway.0, gateway.1).await;
    send(mesh.at_payments(&gateway).get("/payments/a")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_is_open_to_the_gateway_and_to_nobody_else() {
    let mesh = Mesh::start().await;
    let web = mesh.proxy("web").workload();
    let host = "postern.postern-system.svc.cluster.local";
    for port in [9191, 9192] {
        let caller = Caller::plain(host, mesh.outbound(web, port));
        let answer = until_status(403, || caller.post("/oauth2/token")).await;
        assert_eq!(answer.text(), "RBAC: access denied", "{port}: {answer}");
    }
    assert!(mesh.proxy("postern").count(".rbac.denied").await >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_replaced_while_requests_go_on() {
    let mesh = Mesh::start().await;
    mesh.put_yaml("connections", A_CONNECTION_EACH).await;
    let web = mesh.web();
    let fingerprint = |answer: &postern_e2e::client::Answer| {
        let client = answer.upstream_header("x-forwarded-client-cert").expect("the caller's name");
        let text = client.as_str().unwrap_or_default().to_owned();
        text.split(';').find(|part| part.starts_with("Hash=")).map(str::to_owned)
    };
    let before = fingerprint(&until_status(200, || web.get("/payments/a")).await);
    assert!(before.is_some());
    mesh.certificates.rotate().await;
    let renewed = || async {
        let answer = try_send(web.get("/payments/a")).await?;
        // A request on the way must not notice.
        assert_eq!(answer.status, 200, "{answer}");
        let now = fingerprint(&answer);
        if now == before { Err("the old certificate".to_owned()) } else { Ok(()) }
    };
    let longest = std::time::Duration::from_secs(20);
    postern_e2e::wait::until("other certificate", longest, renewed).await;
    mesh.assert_nothing_rejected().await;
}
