//! By the real server: another document that it takes over, and what its registry says.

use std::fs;

use postern_e2e::client::{Answer, Call, Client, Kept, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Token};
use postern_e2e::wait;
use serde_json::{Value, json};

use super::{LONGEST, PROTOCOLS};

const SKEW: &str = "postern_document_skew_total";
const SECRET: &str = "5b0f21c2-admin-credential-of-this-test-alone";
const SHOP: &str = "/admin/v1/services/shop/instances";
const FOUND: &str = "version: 1
services:
  shop: {discover: {registry: shop}}
routes:
  - {name: shop, match: {path: '/shop/{rest=**}'}, service: shop, auth: none}
";

/// A connection that is there goes on with the old bundle, which takes verdicts by its own document
/// alone, and with the routes of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_is_taken_over_reaches_envoy_and_its_connections_go_on() {
    for protocol in PROTOCOLS {
        let gateway = Gateway::builder().discovered();
        let gateway = gateway.render_with([format!("--xds-protocol={protocol}")]);
        let mut gateway = gateway.start().await;
        let token = Token::of("alice").scope("content.read").sign();
        let by_token = Call::get("/content/items").bearer(&token);
        let by_key = Call::get("/commerce/orders").header("x-api-key", keys::API_KEY);
        gateway.until_status(200, &by_token).await;
        let mut kept = Kept::of(gateway.client(Protocol::Http1));
        assert_eq!(kept.try_send(&by_key).await.expect("an answer").status, 200);

        let text = fs::read_to_string(gateway.document()).expect("the document");
        let later = "\nroutes:\n  - {name: later, match: {path: '/later/{rest=**}'}, \
                     service: open, auth: none}\n";
        fs::write(gateway.document(), text.replacen("\nroutes:\n", later, 1)).expect("a file");
        gateway.until_status(200, &Call::get("/later/x")).await;
        for call in [&by_key, &by_token, &by_key] {
            let answer = kept.try_send(call).await.expect("an answer");
            assert_eq!(answer.status, 200, "{protocol}: {answer}");
        }
        let labels = [("by", "ext_authz"), ("document", "earlier")];
        let judged = gateway.server.metric(SKEW, &labels).await;
        assert!(judged >= 1, "{protocol}: nothing was judged by the document of the old bundle");
        for call in [&by_key, &by_token] {
            gateway.send(call).await.expect(200);
        }
        gateway.send(&Call::get("/commerce/orders")).await.expect_denial(401, "UNAUTHORIZED");
        gateway.envoy.assert_no_failed_machine().await;
    }
}

async fn ask(gateway: &Gateway, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let call = Call::new(method, path).bearer(SECRET);
    let call = match body {
        Some(body) => call.header("content-type", "application/json").body(body.to_string()),
        None => call,
    };
    Client::new(Protocol::Http1, gateway.server.ports().admin).send(&call).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_of_the_registry_come_and_go() {
    for protocol in PROTOCOLS {
        let folder = tempfile::tempdir().expect("a folder");
        let credential = folder.path().join("admin-token");
        fs::write(&credential, SECRET).expect("the credential");
        let options = ["--admin-token-file".to_owned(), credential.display().to_string()];
        let gateway = Gateway::builder().document(FOUND).durable().discovered();
        let gateway = gateway.serve_with(options);
        let gateway = gateway.render_with([format!("--xds-protocol={protocol}")]);
        let mut gateway = gateway.start().await;
        let call = Call::get("/shop/x");
        gateway.until_status(503, &call).await;

        let port = gateway.upstream.address().port();
        let instance = json!({"id": "shop-1", "address": "127.0.0.1", "port": port});
        ask(&gateway, "POST", SHOP, Some(&instance)).await.expect(201);
        gateway.until_status(200, &call).await;
        // Nobody listens there.
        let dead = json!({
            "id": "shop-2", "address": "127.0.0.1", "port": 9, "protocol": "tcp", "interval": 1,
            "timeout": 1, "retries": 1, "failureThreshold": 1, "recovery": 60,
        });
        ask(&gateway, "POST", SHOP, Some(&dead)).await.expect(201);
        let envoy = &gateway.envoy;
        wait::until("instance that is told as unhealthy", LONGEST, || async move {
            let clusters = envoy.admin("/clusters").await.text();
            let is_it = |line: &&str| line.starts_with("service-shop::127.0.0.1:9::health_flags::");
            match clusters.lines().find(is_it) {
                Some(line) if line.contains("failed_eds_health") => Ok(()),
                found => Err(format!("{found:?}")),
            }
        })
        .await;
        for _ in 0..10 {
            gateway.send(&call).await.expect(200);
        }
        ask(&gateway, "DELETE", &format!("{SHOP}/shop-1"), None).await.expect(200);
        ask(&gateway, "DELETE", &format!("{SHOP}/shop-2"), None).await.expect(200);
        gateway.until_status(503, &call).await;
        gateway.envoy.assert_no_failed_machine().await;
    }
}
