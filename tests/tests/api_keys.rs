//! API keys of the durable store: limits of their own, one that takes another's place, and one that
//! is revoked while everybody remembers it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_e2e::client::{Call, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::{keys, server};
use postern_request::UnixMillis;
use postern_store::durable::{ApiKeyRecord, DurableStore as _, SecretHash};
use postern_store_sql::SqlStore;
use serde_json::json;

const DOCUMENT: &str = include_str!("../fixtures/api-keys.yaml");
/// How long the one key holds beside the other. Longer than a slow machine takes to ask twice.
const OVERLAP: Duration = Duration::from_secs(8);

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    UnixMillis(u64::try_from(since.as_millis()).expect("a time"))
}

fn key(id: &str) -> String {
    format!("pk_{id}_secret-of-{id}")
}

/// The record of [`key`], for somebody of the same name.
fn record(id: &str) -> ApiKeyRecord {
    let hash = URL_SAFE_NO_PAD.decode(keys::sha256(key(id).as_bytes())).expect("base64url");
    let sha256 = SecretHash(hash.try_into().expect("32 bytes"));
    let mut record = ApiKeyRecord::new(id.to_owned(), sha256, format!("user-{id}"), now());
    record.scopes = vec!["content.read".to_owned()];
    record
}

async fn keep(gateway: &Gateway, records: Vec<ApiKeyRecord>) {
    let durable = gateway.durable.as_ref().expect("a durable store");
    let address = durable.arguments(&[]).pop().expect("its address");
    let store = SqlStore::open_migrated(&address).await.expect("the store");
    for record in records {
        store.insert_api_key(record).await.expect("a key");
    }
    store.close().await;
}

fn with(id: &str) -> Call {
    Call::get("/content/items").header("x-api-key", key(id))
}

async fn stack(records: Vec<ApiKeyRecord>) -> Gateway {
    let gateway = Gateway::builder().document(DOCUMENT).durable().start().await;
    keep(&gateway, records).await;
    gateway
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_takes_anothers_place_holds_beside_it_for_a_while() {
    let gateway = stack(vec![record("new")]).await;
    gateway.until_status(200, &with("new")).await;
    let end = UnixMillis(now().0 + u64::try_from(OVERLAP.as_millis()).expect("a time"));
    let successor = Some("new".to_owned());
    let old = ApiKeyRecord { expires_at: Some(end), successor, ..record("old") };
    keep(&gateway, vec![old]).await;
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        for (id, subject) in [("old", "user-old"), ("new", "user-new")] {
            let answer = client.send(&with(id)).await.expect(200);
            assert_eq!(answer.upstream_header("x-postern-subject"), Some(json!(subject)));
        }
    }
    let refused = gateway.until_status(401, &with("old")).await;
    refused.expect_denial(401, "INVALID_TOKEN");
    assert!(now() >= end, "it was refused before its end");
    gateway.send(&with("new")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_have_limits_of_their_own_and_tiers() {
    let own = |id: &str, limit: &str| ApiKeyRecord { limits: vec![limit.to_owned()], ..record(id) };
    let gold = ApiKeyRecord { tier: Some("gold".to_owned()), ..own("gold", "partner") };
    let gateway =
        stack(vec![record("free"), own("held", "partner"), gold, own("odd", "gone")]).await;
    gateway.until_status(200, &with("free")).await;
    for (id, allowed) in [("free", 7), ("held", 3), ("gold", 5)] {
        // Looked up, and nothing counted: the first look may take longer than a request waits.
        let wrong = Call::get("/content/items").header("x-api-key", format!("{}!", key(id)));
        gateway.until_status(401, &wrong).await;
        for at in 0..7 {
            let answer = gateway.send(&with(id)).await;
            if at < allowed {
                answer.expect(200);
            } else {
                answer.expect_denial(429, "RATE_LIMIT_EXCEEDED");
            }
        }
    }
    // Without the limit it would have more than it was given.
    gateway.send(&with("odd")).await.expect_denial(503, "UNAVAILABLE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_stops_while_it_is_remembered() {
    let gateway = stack(vec![record("k1"), record("k2")]).await;
    for id in ["k1", "k2"] {
        gateway.until_status(200, &with(id)).await;
    }
    let durable = gateway.durable.as_ref().expect("a durable store");
    let words = ["token", "revoke", "--jti", "k1", "--issuer", "urn:postern:api-keys"];
    server::run(durable.arguments(&words)).await.expect_success();
    // Sooner than what is remembered is asked for again.
    let refused = gateway.until_status(401, &with("k1")).await;
    refused.expect_denial(401, "INVALID_TOKEN");
    gateway.send(&with("k2")).await.expect(200);
}
