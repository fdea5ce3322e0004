//! What happens to the feed, and what an Envoy knows all the same: nothing that was revoked is
//! ever good again, and what is revoked later is heard of.

mod stores;
mod trust;

use std::time::{Duration, Instant};

use postern_e2e::client::{Call, Client, Protocol};
use postern_e2e::documents;
use postern_e2e::gateway::{Builder, Gateway};
use postern_e2e::keys::{self, Token};
use postern_e2e::wait;
use postern_e2e::watch::Watch;

const LONGEST: Duration = Duration::from_secs(20);

const CALLS: &str = "postern_filter_feed_calls_total";
const FAILURES: &str = "postern_filter_feed_failures_total";
const STALENESS: &str = "postern_filter_feed_staleness_ms";
const RECORDS: &str = "postern_filter_feed_records";
const DIFFERS: &str = "postern_filter_feed_document_differs";

/// Routes of every kind, and what `feed` says. Nothing gets stale while a test looks away for a
/// moment; what is not known at all is.
fn document(feed: &str) -> String {
    let rules = "revocation:\n  max_staleness: 30s\n  when_stale: deny\n";
    format!("{}\n{rules}{feed}", documents::GATEWAY)
}

fn builder(feed: &str) -> Builder {
    Gateway::builder().document(document(feed)).durable().workers(2)
}

/// Tokens of a test.
struct Tokens {
    good: String,
    revoked: String,
    /// Good, until the test says otherwise.
    later: String,
}

fn token(name: &str) -> String {
    Token::of(&keys::subject(name)).scope("content.read payments.read").sign()
}

/// To a route that the filter decides alone.
fn content(token: &str) -> Call {
    Call::get("/content/items").bearer(token)
}

/// To a route that needs `ext_authz`.
fn payments(token: &str) -> Call {
    Call::get("/payments/charges").bearer(token)
}

fn client(gateway: &Gateway) -> Client {
    gateway.client(Protocol::Http1)
}

/// Has every worker know all of the tokens, and one of them as revoked.
async fn tokens(gateway: &Gateway) -> Tokens {
    let tokens = Tokens { good: token("good"), revoked: token("revoked"), later: token("later") };
    for token in [&tokens.good, &tokens.revoked, &tokens.later] {
        gateway.until_everywhere(200, &content(token)).await;
    }
    gateway.revoke(&[&tokens.revoked]).await;
    gateway.until_revoked_everywhere(&content(&tokens.revoked)).await;
    tokens
}

/// What is revoked from now on is heard of, and concerns nobody else.
async fn hears_of_later_ones(gateway: &Gateway, tokens: &Tokens) {
    gateway.revoke(&[&tokens.later]).await;
    gateway.until_revoked_everywhere(&content(&tokens.later)).await;
    for answer in gateway.everywhere(&content(&tokens.good)).await {
        answer.expect(200);
    }
}

/// Until every worker says that the token is revoked. Before they know, they let nobody in.
async fn closed_until_revoked(gateway: &Gateway, call: &Call) {
    let started = Instant::now();
    loop {
        let answers = gateway.everywhere(call).await;
        for answer in &answers {
            assert!([401, 503].contains(&answer.status), "{answer}");
        }
        if answers.iter().all(|answer| answer.status == 401) {
            for answer in answers {
                answer.expect_denial(401, "TOKEN_REVOKED");
            }
            return;
        }
        assert!(started.elapsed() < LONGEST, "nobody knows what is revoked");
    }
}

/// Nobody gets in: nothing is known of any token.
async fn closed(gateway: &Gateway, call: &Call) {
    for answer in gateway.everywhere(call).await {
        let answer = answer.expect_denial(503, "UNAVAILABLE");
        assert!(answer.number("retry-after") >= 1, "{answer}");
    }
}

/// Waits until what filters count or measure is so.
async fn until_stat(gateway: &Gateway, name: &str, fits: impl Fn(u64) -> bool) {
    wait::until(&format!("fitting {name}"), LONGEST, || async {
        let value = gateway.envoy.filter_stat(name).await;
        if value.is_some_and(&fits) { Ok(()) } else { Err(format!("it is {value:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_again_takes_nothing_back() {
    let mut gateway = builder("").start().await;
    let tokens = tokens(&gateway).await;
    let watch = Watch::begin(client(&gateway), content(&tokens.revoked));
    gateway.server.take_down();
    gateway.revoke(&[&tokens.later]).await;
    // Nobody can know that yet.
    for token in [&tokens.good, &tokens.later] {
        for answer in gateway.everywhere(&content(token)).await {
            answer.expect(200);
        }
    }
    gateway.server.bring_up().await;
    gateway.until_revoked_everywhere(&content(&tokens.later)).await;
    for answer in gateway.everywhere(&content(&tokens.good)).await {
        answer.expect(200);
    }
    watch.end(&[401]).await;
    until_stat(&gateway, DIFFERS, |differs| differs == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_holds_nobody_up() {
    let gateway = builder("").start().await;
    let tokens = tokens(&gateway).await;
    let good = Watch::begin(client(&gateway), content(&tokens.good));
    let revoked = Watch::begin(client(&gateway), content(&tokens.revoked));
    gateway.server.pause();
    tokio::time::sleep(Duration::from_secs(3)).await;
    gateway.server.resume();
    hears_of_later_ones(&gateway, &tokens).await;
    good.end(&[200]).await;
    revoked.end(&[401]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envoy_that_knows_nothing_yet_lets_nobody_in() {
    let mut gateway = builder("").start().await;
    let tokens = tokens(&gateway).await;
    gateway.server.take_down();
    gateway.envoy.restart().await;
    for token in [&tokens.good, &tokens.revoked] {
        closed(&gateway, &content(token)).await;
    }
    gateway.send(&Call::get("/open/page")).await.expect(200);
    gateway.server.bring_up().await;
    closed_until_revoked(&gateway, &content(&tokens.revoked)).await;
    gateway.until_everywhere(200, &content(&tokens.good)).await;
    hears_of_later_ones(&gateway, &tokens).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_poll_an_envoy_asks_again_and_again() {
    let gateway = builder("feed:\n  poll: 1s\n").start().await;
    let tokens = tokens(&gateway).await;
    // More often than calls that wait would come back.
    let calls = gateway.envoy.filter_stat(CALLS).await.unwrap_or_default();
    until_stat(&gateway, CALLS, |now| now >= calls + 4).await;
    hears_of_later_ones(&gateway, &tokens).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_long_poll_an_envoy_waits_for_what_comes() {
    let gateway = builder("").start().await;
    let tokens = tokens(&gateway).await;
    let calls = gateway.envoy.filter_stat(CALLS).await.unwrap_or_default();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let now = gateway.envoy.filter_stat(CALLS).await.unwrap_or_default();
    // One each tick would be thirty. A busy machine looks like a clock that jumps, and has it ask.
    assert!(now <= calls + 12, "{} calls in three seconds, and there was no news", now - calls);
    hears_of_later_ones(&gateway, &tokens).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_envoy_knows_is_measured() {
    let feed = "feed:\n  poll: 200ms\n";
    let other = document(feed).replace("recovery: 1500ms", "recovery: 1600ms");
    assert_ne!(other, document(feed));
    let mut gateway = builder(feed).server_document(other).start().await;
    tokens(&gateway).await;
    until_stat(&gateway, RECORDS, |records| records == 1).await;
    until_stat(&gateway, DIFFERS, |differs| differs == 1).await;
    until_stat(&gateway, STALENESS, |millis| millis < 2_000).await;
    gateway.server.take_down();
    until_stat(&gateway, STALENESS, |millis| millis > 3_000).await;
    until_stat(&gateway, FAILURES, |failures| failures > 0).await;
    gateway.server.bring_up().await;
    until_stat(&gateway, STALENESS, |millis| millis < 2_000).await;
}
