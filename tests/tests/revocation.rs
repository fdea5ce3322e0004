//! A revoked token stops working in every worker of an Envoy, without a call for each request,
//! and nothing but its end takes a revocation back.

use std::time::Duration;

use postern_e2e::client::Call;
use postern_e2e::documents;
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::keys::{self, Token};

fn document(when_stale: &str) -> String {
    let rules = format!("revocation:\n  max_staleness: 3s\n  when_stale: {when_stale}\n");
    format!("{}\n{rules}", documents::GATEWAY)
}

async fn gateway(store: Store, workers: u32) -> Gateway {
    let builder = Gateway::builder().document(document("deny")).store(store).durable();
    builder.workers(workers).start().await
}

fn content(subject: &str) -> Call {
    Call::get("/content/items").bearer(&Token::of(subject).scope("content.read").sign())
}

async fn a_revoked_subject_stops_everywhere(store: Store) {
    let gateway = gateway(store, 4).await;
    let (alice, bob) = (content(&keys::subject("alice")), content(&keys::subject("bob")));
    gateway.until_status(200, &alice).await;
    for call in [&alice, &bob] {
        gateway.until_everywhere(200, call).await;
    }
    let subject = keys::subject("carol");
    let carol = content(&subject);
    gateway.until_status(200, &carol).await;
    gateway.revoke(&["--subject", &subject]).await;
    gateway.until_revoked_everywhere(&carol).await;
    // Others go on, and so does a token that the same subject gets later.
    for call in [&alice, &bob] {
        assert!(gateway.everywhere(call).await.iter().all(|answer| answer.status == 200));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_subject_stops_in_every_worker_without_a_bus() {
    a_revoked_subject_stops_everywhere(Store::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_subject_stops_in_every_worker_by_redis() {
    a_revoked_subject_stops_everywhere(Store::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_token_is_revoked_and_the_server_knows_it_too() {
    let gateway = gateway(Store::Redis, 1).await;
    let subject = keys::subject("dora");
    let token = || Token::of(&subject).scope("content.read payments.read").sign();
    let (one, other) = (token(), token());
    let (content, payments) = ("/content/items", "/payments/charges");
    for token in [&one, &other] {
        gateway.until_status(200, &Call::get(content).bearer(token)).await;
        gateway.until_status(200, &Call::get(payments).bearer(token)).await;
    }
    gateway.revoke(&[&one]).await;
    for path in [content, payments] {
        let refused = gateway.until_status(401, &Call::get(path).bearer(&one)).await;
        refused.expect_denial(401, "TOKEN_REVOKED");
        gateway.send(&Call::get(path).bearer(&other)).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_server_tokens_stop_after_the_bound_where_the_document_says_so() {
    for (when_stale, expected) in [("deny", 503), ("allow", 200)] {
        let builder = Gateway::builder().document(document(when_stale)).durable();
        let mut gateway = builder.start().await;
        let call = content(&keys::subject("erin"));
        gateway.until_status(200, &call).await;
        gateway.server.take_down();
        gateway.send(&call).await.expect(200);
        tokio::time::sleep(Duration::from_secs(9)).await;
        gateway.send(&call).await.expect(expected);
    }
}
