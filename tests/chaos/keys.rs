//! The server that an issuer's keys come from is gone: what is known stays in use, and who knows
//! nothing says so.

use postern_e2e::client::Call;
use postern_e2e::documents;
use postern_e2e::fault_proxy::{FaultProxy, Way};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Key, Token};
use postern_e2e::upstream::Upstream;

use crate::mix::content;
use crate::{until_filter_stat, until_metric};

const FAILURES: &str = "postern_filter_key_fetch_failures_total";

fn token() -> Token {
    Token::of(&keys::subject("keys")).scope("content.read")
}

/// What Envoy has counted so far.
async fn failures(gateway: &Gateway) -> u64 {
    gateway.envoy.filter_stat(FAILURES).await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_key_server_an_issuer_is_known_by_its_last_good_keys() {
    let issuer = Upstream::start().await;
    issuer.publish(&keys::jwks_of(&["rsa-1"]));
    let proxy = FaultProxy::to(issuer.address()).await;
    let jwks = format!("{{uri: 'http://{}/_sample/document', refresh: 1s}}", proxy.address());
    let document = documents::keyed(keys::ISSUER, keys::AUDIENCE, &jwks);
    let mut gateway = Gateway::builder().document(document).workers(2).start().await;
    let (good, unknown) = (content(&token().sign()), content(&token().key(Key::Ec).sign()));
    gateway.until_everywhere(200, &good).await;

    for way in [Way::HalfOpen, Way::Refused] {
        proxy.switch(way).await;
        let before = failures(&gateway).await;
        until_filter_stat(&gateway, FAILURES, |failures| failures > before).await;
        for answer in gateway.everywhere(&good).await {
            answer.expect(200);
        }
        gateway.send(&unknown).await.expect_denial(401, "INVALID_TOKEN");
    }
    let labels = [("outcome", "failed")];
    until_metric(&gateway, "postern_jwks_fetches_total", &labels, |failed| failed > 0).await;

    // Nobody remembers anything.
    gateway.server.take_down();
    gateway.server.bring_up().await;
    gateway.envoy.restart().await;
    let answer = gateway.until_status(503, &good).await.expect_denial(503, "UNAVAILABLE");
    assert!(answer.number("retry-after") >= 1, "{answer}");
    gateway.send(&Call::get("/content/items")).await.expect_denial(401, "UNAUTHORIZED");
    let metrics = gateway.server.metrics().await;
    let age = metrics.lines().find(|line| line.starts_with("postern_jwks_age_seconds{"));
    assert!(age.is_some_and(|line| line.ends_with("} -1")), "{age:?}");

    proxy.switch(Way::FREE).await;
    gateway.until_everywhere(200, &good).await;
}
