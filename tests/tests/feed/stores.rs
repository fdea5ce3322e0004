//! What happens to the stores behind the server.

use postern_e2e::client::Call;
use postern_e2e::envoy;
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::keys;
use postern_e2e::postgres::Postgres;
use postern_e2e::redis::Redis;
use postern_e2e::server::{self, Server};
use postern_e2e::wait;
use postern_e2e::watch::Watch;
use serde_json::Value;

use super::{
    LONGEST, Tokens, builder, client, closed_until_revoked, content, document, hears_of_later_ones,
    payments, token, tokens,
};

/// The filter and `ext_authz` refuse what was revoked, and an Envoy that comes now does, too.
async fn nothing_is_good_again(gateway: &mut Gateway, tokens: &Tokens) {
    refused_twice(gateway, tokens).await;
    gateway.until_status(200, &payments(&tokens.good)).await;

    gateway.envoy.restart().await;
    closed_until_revoked(gateway, &content(&tokens.revoked)).await;
    gateway.until_everywhere(200, &content(&tokens.good)).await;
    refused_twice(gateway, tokens).await;
    hears_of_later_ones(gateway, tokens).await;
}

/// By the filter, and by `ext_authz` before it.
async fn refused_twice(gateway: &Gateway, tokens: &Tokens) {
    refused(gateway, &content(&tokens.revoked)).await;
    let by_server = "http.postern.ext_authz.denied";
    let before = gateway.envoy.stat(by_server).await;
    refused(gateway, &payments(&tokens.revoked)).await;
    assert!(gateway.envoy.stat(by_server).await > before, "the server has not refused it");
}

async fn refused(gateway: &Gateway, call: &Call) {
    for answer in gateway.everywhere(call).await {
        answer.expect_denial(401, "TOKEN_REVOKED");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_flushed_takes_nothing_back() {
    // One of its own: in one that was lent, others have theirs.
    let Some(mut redis) = Redis::down_or_skip() else { return };
    redis.bring_up().await;
    let mut gateway = builder("").store(Store::At(redis.url())).start().await;
    let tokens = tokens(&gateway).await;
    let watch = Watch::begin(client(&gateway), content(&tokens.revoked));
    redis.flush().await;
    nothing_is_good_again(&mut gateway, &tokens).await;
    watch.end(&[401, 503]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_starts_again_takes_nothing_back() {
    let Some(mut redis) = Redis::down_or_skip() else { return };
    redis.bring_up().await;
    let mut gateway = builder("").store(Store::At(redis.url())).start().await;
    let tokens = tokens(&gateway).await;
    let watch = Watch::begin(client(&gateway), content(&tokens.revoked));
    redis.take_down();
    refused_twice(&gateway, &tokens).await;
    gateway.until_everywhere(200, &content(&tokens.good)).await;
    redis.bring_up().await;
    nothing_is_good_again(&mut gateway, &tokens).await;
    watch.end(&[401, 503]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_two_servers_that_are_not_at_one_nothing_flaps() {
    // Each hears of other things first: one by Redis at once, and else within half a minute; the
    // other within a second, whatever it is.
    let feed = "feed:\n  poll: 200ms\n";
    let postgres = Postgres::start().await;
    let url = postgres.database("gate").await;
    let ports = server::Ports::free();
    let builder = Gateway::builder().document(document(feed)).store(Store::Redis).workers(2);
    let ask_also = move |config: &mut Value| {
        // In turn.
        envoy::lead_also_to(envoy::cluster(config, "postern_feed"), ports.grpc);
    };
    let builder = builder.durable_at(url).edit_envoy(ask_also);
    let gateway = builder.start().await;
    let folder = tempfile::tempdir().expect("a folder for the other server");
    let options = server::Options {
        document: gateway.document().to_path_buf(),
        volatile: "memory".to_owned(),
        durable: gateway.durable.clone(),
        folder: folder.path().to_path_buf(),
    };
    let other = Server::start(options, ports).await;
    let tokens = tokens(&gateway).await;

    let mut watches = vec![Watch::begin(client(&gateway), content(&tokens.revoked))];
    for round in 0..4 {
        let revoked = token("round");
        gateway.until_everywhere(200, &content(&revoked)).await;
        if round % 2 == 0 {
            gateway.revoke(&[&revoked]).await;
        } else {
            revoke_quietly(&gateway, &revoked).await;
        }
        gateway.until_revoked_everywhere(&content(&revoked)).await;
        watches.push(Watch::begin(client(&gateway), content(&revoked)));
    }
    // Until each of them has answered some more.
    for server in [&gateway.server, &other] {
        let before = exchanges(server).await;
        wait::until("exchange with either server", LONGEST, || async {
            let more = exchanges(server).await - before;
            if more >= 8 { Ok(()) } else { Err(format!("{more} more")) }
        })
        .await;
    }
    for watch in watches {
        watch.end(&[401]).await;
    }
    for answer in gateway.everywhere(&content(&tokens.good)).await {
        answer.expect(200);
    }
}

async fn exchanges(server: &Server) -> u64 {
    server.metric("postern_feed_exchanges_total", &[]).await
}

/// Nobody is told: whoever reads the store finds it.
async fn revoke_quietly(gateway: &Gateway, token: &str) {
    let durable = gateway.durable.as_ref().expect("a durable store");
    let words = ["token", "revoke", "--issuer", keys::ISSUER, token];
    server::run(durable.arguments(&words)).await.expect_success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_database_is_another_truth() {
    let mut gateway = builder("").start().await;
    let tokens = tokens(&gateway).await;
    // The old list is longer than the new one will be.
    for _ in 0..3 {
        gateway.revoke(&["--subject", &keys::subject("of the old list")]).await;
    }
    gateway.server.take_down();
    gateway.durable.as_ref().expect("a durable store").replace().await;
    let only_here = token("only-here");
    gateway.until_everywhere(200, &content(&only_here)).await;
    gateway.revoke(&[&only_here]).await;
    gateway.server.bring_up().await;
    gateway.until_revoked_everywhere(&content(&only_here)).await;
    gateway.until_status(401, &payments(&only_here)).await.expect_denial(401, "TOKEN_REVOKED");
    hears_of_later_ones(&gateway, &tokens).await;
}
