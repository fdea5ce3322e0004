//! A verdict that every worker remembers never outlives what it rests on: the token's end, a
//! revocation, the key, the document.

use std::fs;
use std::path::Path;
use std::time::Duration;

use postern_e2e::client::{Call, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Key, Token};
use postern_e2e::watch::Watch;
use postern_e2e::{documents, envoy, server, wait};
use serde_json::{Value, json};

const LONGEST: Duration = Duration::from_secs(20);
const WORKERS: u32 = 2;
/// Of all documents here.
const LEEWAY_SECS: u64 = 1;
/// Nothing is stale within one of these tests, with the server or without.
const REVOCATION: &str = "\nrevocation:\n  max_staleness: 60s\n  when_stale: deny\n";

fn token() -> Token {
    Token::of(&keys::subject("warm")).scope("content.read")
}

fn content(token: &str) -> Call {
    Call::get("/content/items").bearer(token)
}

/// Has every worker remember a token, and see it good by memory alone.
async fn warm(gateway: &Gateway, call: &Call) {
    let before = uses(gateway).await;
    gateway.until_everywhere(200, call).await;
    let answers = gateway.everywhere(call).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{call}");
    wait::until("use of what was remembered", LONGEST, || async {
        let uses = uses(gateway).await - before;
        if uses >= answers.len() as u64 { Ok(()) } else { Err(format!("{uses} uses")) }
    })
    .await;
}

/// How often a token was judged from memory.
async fn uses(gateway: &Gateway) -> u64 {
    let count = gateway.envoy.filter_stat("postern_filter_tokens_cached_total").await;
    count.unwrap_or_default()
}

async fn until_invalid_everywhere(gateway: &Gateway, call: &Call) {
    for answer in gateway.until_everywhere(401, call).await {
        answer.expect_denial(401, "INVALID_TOKEN");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verdict_outlives_the_token() {
    let gateway = Gateway::builder().workers(WORKERS).start().await;
    // Has the workers ready, whatever that takes.
    gateway.until_everywhere(200, &content(&token().sign())).await;
    let exp = keys::now() + 8;
    let call = content(&token().claim("exp", json!(exp)).sign());
    warm(&gateway, &call).await;
    while keys::now() < exp + LEEWAY_SECS {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for answer in gateway.everywhere(&call).await {
        answer.expect_denial(401, "INVALID_TOKEN");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verdict_outlives_a_revocation() {
    let document = format!("{}{REVOCATION}", documents::GATEWAY);
    let builder = Gateway::builder().document(document).durable();
    let gateway = builder.workers(WORKERS).start().await;
    let (revoked, other) = (token().sign(), content(&token().sign()));
    for call in [&content(&revoked), &other] {
        warm(&gateway, call).await;
    }
    gateway.revoke(&[&revoked]).await;
    gateway.until_revoked_everywhere(&content(&revoked)).await;
    for answer in gateway.everywhere(&other).await {
        answer.expect(200);
    }
}

/// A stack that takes the tokens which its own server issues. Envoy has the keys by the feed.
async fn own_issuer() -> Gateway {
    let jwks = "{service: postern, fetched_by: server}";
    let document = documents::keyed("$ISSUER", "$ISSUER", jwks);
    Gateway::builder().document(document).durable().workers(WORKERS).start().await
}

/// A command of `postern` on the stack's own keys.
async fn own(gateway: &Gateway, words: &[&str]) -> String {
    let durable = gateway.durable.as_ref().expect("a durable store");
    server::run(durable.arguments_with_key(words)).await.expect_success()
}

/// A call with a token that was issued here, and the key that signed it.
async fn issued(gateway: &Gateway) -> (Call, String) {
    let document = gateway.document().display().to_string();
    let words = ["token", "issue", "--document", &document, "--subject", "warm"];
    let words = [&words[..], &["--scope", "content.read"]].concat();
    let token = own(gateway, &words).await;
    let keys: Value = serde_json::from_str(&own(gateway, &["keys", "list", "--json"]).await)
        .expect("the keys as JSON");
    let kid = keys[0]["kid"].as_str().expect("the first key").to_owned();
    (content(token.trim()), kid)
}

/// `postern keys retire …`, the last one too.
async fn retire(gateway: &Gateway, kid: &str) {
    let durable = gateway.durable.as_ref().expect("a durable store");
    server::run(durable.arguments(&["keys", "retire", kid, "--yes"])).await.expect_success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verdict_outlives_a_key_that_is_retired() {
    let gateway = own_issuer().await;
    let (call, kid) = issued(&gateway).await;
    warm(&gateway, &call).await;
    // Another one is published beside it, and goes on being so.
    own(&gateway, &["keys", "rotate"]).await;
    retire(&gateway, &kid).await;
    until_invalid_everywhere(&gateway, &call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verdict_outlives_the_only_key() {
    let gateway = own_issuer().await;
    let (call, kid) = issued(&gateway).await;
    warm(&gateway, &call).await;
    retire(&gateway, &kid).await;
    // Whatever the word for it: no key is left that could have signed the token.
    gateway.until_everywhere(401, &call).await;
}

/// A stack whose Envoy fetches the keys of the test issuer from the sample upstream, so often.
async fn fetching(refresh: &str) -> Gateway {
    let jwks = format!("{{service: content, path: /_sample/document, refresh: {refresh}}}");
    let document = documents::keyed(keys::ISSUER, keys::AUDIENCE, &jwks);
    Gateway::builder().document(document).workers(WORKERS).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verdict_outlives_a_key_that_its_issuer_withdraws() {
    let gateway = fetching("1s").await;
    gateway.upstream.publish(&keys::jwks_of(&["rsa-1", "ec-1"]));
    let (by_rsa, by_ec) = (content(&token().sign()), content(&token().key(Key::Ec).sign()));
    for call in [&by_rsa, &by_ec] {
        warm(&gateway, call).await;
    }
    gateway.upstream.publish(&keys::jwks_of(&["rsa-1"]));
    until_invalid_everywhere(&gateway, &by_ec).await;
    for answer in gateway.everywhere(&by_rsa).await {
        answer.expect(200);
    }
    // Back again, and good again.
    gateway.upstream.publish(&keys::jwks_of(&["ec-1", "rsa-1"]));
    gateway.until_everywhere(200, &by_ec).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_is_found_by_a_token_that_names_it() {
    // Nothing but that token makes Envoy fetch again within this test.
    let gateway = fetching("5m").await;
    gateway.upstream.publish(&keys::jwks_of(&["rsa-1"]));
    let (by_rsa, by_ec) = (content(&token().sign()), content(&token().key(Key::Ec).sign()));
    warm(&gateway, &by_rsa).await;
    gateway.upstream.publish(&keys::jwks_of(&["rsa-1", "ec-1"]));
    gateway.send(&by_ec).await.expect_denial(401, "INVALID_TOKEN");
    gateway.until_everywhere(200, &by_ec).await;
    for answer in gateway.everywhere(&by_rsa).await {
        answer.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verdict_outlives_the_document() {
    let document = format!("{}{REVOCATION}", documents::GATEWAY);
    let elsewhere = document.replace("[gateway, somebody-else-too]", "[elsewhere]");
    let narrower = elsewhere.replace("scopes: [content.read]", "scopes: [content.audit]");
    assert!(document != elsewhere && elsewhere != narrower);

    let folder = tempfile::tempdir().expect("a folder for the listener");
    let place = folder.path().to_path_buf();
    let builder = Gateway::builder().document(document).durable().workers(WORKERS);
    let builder = builder.edit_envoy(move |config| listen_by_file(config, &place));
    let mut gateway = builder.start().await;

    let here = content(&token().sign());
    let for_both = || token().claim("aud", json!([keys::AUDIENCE, "elsewhere"]));
    let (revoked, good) = (for_both().sign(), content(&for_both().sign()));
    for call in [&here, &content(&revoked), &good] {
        warm(&gateway, call).await;
    }
    gateway.revoke(&[&revoked]).await;
    let revoked = content(&revoked);
    gateway.until_revoked_everywhere(&revoked).await;
    let limited = Call::get("/limited/local").bearer(&for_both().sign());
    for _ in 0..2 {
        gateway.send(&limited).await.expect(200);
    }

    // Whatever is known from now on is known from before.
    gateway.server.take_down();
    let client = gateway.client(Protocol::Http1);
    let never = Watch::begin(client, revoked.clone());
    let always = Watch::begin(client, good.clone());
    change_document(&gateway, folder.path(), "elsewhere", &elsewhere).await;
    until_invalid_everywhere(&gateway, &here).await;
    for answer in gateway.everywhere(&revoked).await {
        answer.expect_denial(401, "TOKEN_REVOKED");
    }
    for answer in gateway.everywhere(&good).await {
        answer.expect(200);
    }
    // The third of three an hour, whichever document counted the others.
    gateway.send(&limited).await.expect(200);
    gateway.send(&limited).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
    never.end(&[401]).await;
    always.end(&[200]).await;

    change_document(&gateway, folder.path(), "narrower", &narrower).await;
    for answer in gateway.until_everywhere(403, &good).await {
        answer.expect_denial(403, "INSUFFICIENT_SCOPE");
    }
    for answer in gateway.everywhere(&revoked).await {
        answer.expect_denial(401, "TOKEN_REVOKED");
    }
    assert_eq!(gateway.envoy.stat("listener_manager.lds.update_rejected").await, 0);
    gateway.envoy.assert_no_failed_machine().await;
}

/// Has Envoy read its listener from a folder, and again whenever another one is moved there.
fn listen_by_file(config: &mut Value, folder: &Path) {
    move_in(folder, "first", &take_listener(config));
    let path = |path: &Path| path.display().to_string();
    let source = json!({
        "path": path(&folder.join(LISTENER)),
        "watched_directory": {"path": path(folder)},
    });
    config["dynamic_resources"] =
        json!({"lds_config": {"path_config_source": source, "resource_api_version": "V3"}});
}

const LISTENER: &str = "listener.json";

/// The listener of a rendered configuration, as it stands in a file of its own.
fn take_listener(config: &mut Value) -> Value {
    let resources = config["static_resources"].as_object_mut().expect("resources");
    let mut listener = resources.remove("listeners").expect("listeners")[0].take();
    listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    listener
}

fn move_in(folder: &Path, version: &str, listener: &Value) {
    let part = folder.join("part");
    let file = json!({"version_info": version, "resources": [listener]});
    fs::write(&part, file.to_string()).expect("a listener");
    fs::rename(part, folder.join(LISTENER)).expect("a listener in its place");
}

/// Gives a running Envoy what would have been rendered of another document.
async fn change_document(gateway: &Gateway, folder: &Path, version: &str, document: &str) {
    let file = gateway.folder().join(format!("{version}.yaml"));
    let document = documents::fill_in(document, gateway.upstream.address(), &gateway.url(""));
    fs::write(&file, document).expect("a document");
    let out = gateway.folder().join(version);
    let (envoy_ports, server_ports) = (gateway.envoy.ports(), gateway.server.ports());
    envoy::render(&file, &out, envoy_ports, server_ports).await.expect_success();
    envoy::edit(&envoy::config_file(&out), |config| {
        envoy::be_patient(config);
        move_in(folder, version, &take_listener(config));
    });
}
