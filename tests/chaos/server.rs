//! The only server dies while it is asked: nobody gets in by that, and nobody waits for it.

use postern_e2e::client::{Call, Protocol};
use postern_e2e::documents;
use postern_e2e::gateway::Gateway;
use postern_e2e::keys;
use postern_e2e::raw::UnderWay;
use tokio::task::JoinSet;

use crate::mix::{checked, content, token};
use crate::until_stat;

/// Questions under way at its end.
const ASKED: u64 = 24;
const ERRORS: &str = "http.postern.ext_authz.error";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_questions_under_way_it_lets_nobody_in() {
    let builder = Gateway::builder().document(documents::chaos(1, "30s")).durable().workers(2);
    let mut gateway = builder.start().await;
    let good = token("good");
    gateway.until_everywhere(200, &content(&good)).await;
    gateway.until_status(200, &checked(&good)).await;
    // What has passed already goes on.
    let lines = [format!("authorization: Bearer {good}")];
    let passed = UnderWay::begin(gateway.port(), "/checked/echo", &lines).await;
    assert_eq!(passed.answer.status, Some(200), "{:?}", passed.answer);

    let (asked, errors) = (gateway.upstream.total(), gateway.envoy.stat(ERRORS).await);
    gateway.server.pause();
    let mut waiting = JoinSet::new();
    for _ in 0..ASKED {
        let (client, call) = (gateway.client(Protocol::Http1), checked(&good));
        waiting.spawn(async move { client.send(&call).await });
    }
    until_stat(&gateway, "cluster.postern-grpc.upstream_rq_active", |active| active >= ASKED).await;
    gateway.server.take_down();
    for answer in waiting.join_all().await {
        let answer = answer.expect_denial(503, "UNAVAILABLE");
        assert!(answer.number("retry-after") >= 1, "{answer}");
    }
    assert_eq!(gateway.upstream.total(), asked, "the upstream was asked");
    until_stat(&gateway, ERRORS, |now| now >= errors + ASKED).await;

    // Filters go on by what they know.
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        client.send(&content(&good)).await.expect(200);
        client.send(&Call::get("/open/page")).await.expect(200);
        let tampered = content(&keys::tampered(&good));
        client.send(&tampered).await.expect_denial(401, "INVALID_TOKEN");
        client.send(&checked(&good)).await.expect_denial(503, "UNAVAILABLE");
    }
    passed.end().await;

    gateway.server.bring_up().await;
    gateway.until_status(200, &checked(&good)).await;
    gateway.until_status(200, &Call::get("/stamped/page").bearer(&good)).await;
}
