//! Keys of the durable store: revoked, replaced, and with limits of their own.

use postern_request::ErrorCode;
use postern_store::durable::memory::MemoryDurableStore;
use postern_store::durable::{ApiKeyRecord, DurableStore, SecretHash};
use sha2::{Digest as _, Sha256};

use super::*;

const KEY: &str = "pk_k1_secret";

fn document() -> Document {
    let document = json!({
        "version": 1,
        "services": {"s": {"upstream": "h:1"}},
        "credentials": {"api_key": {}},
        "limits": {
            "partner": {"key": ["api_key"], "mode": "exact", "rate": "2/1h",
                        "tiers": {"gold": "3/1h"}},
            "here": {"key": ["ip"], "mode": "local", "rate": "9/1h"},
        },
        "routes": [
            {"name": "orders", "match": {"path": "/orders"}, "service": "s",
             "auth": {"any": ["api_key"]}},
            {"name": "held", "match": {"path": "/held"}, "service": "s",
             "auth": {"any": ["api_key"]}, "limits": ["partner", "here"]},
        ],
    });
    postern_document::from_json(document.to_string().as_bytes()).unwrap()
}

fn record() -> ApiKeyRecord {
    let sha256 = SecretHash(Sha256::digest(KEY.as_bytes()).into());
    ApiKeyRecord::new("k1".to_owned(), sha256, "partner".to_owned(), NOW)
}

/// A gateway with one key.
async fn gateway(record: ApiKeyRecord) -> Gateway {
    let store = Arc::new(MemoryDurableStore::new());
    store.insert_api_key(record).await.unwrap();
    let durable: Arc<dyn DurableStore> = store;
    Gateway::of(document(), memory(), |parts| parts.api_keys = ApiKeys::new(Some(durable)))
}

fn with_key(path: &str) -> Incoming {
    request("GET", path, &[("x-api-key", KEY)])
}

/// Knows of every key that it was revoked.
struct KeysRevoked;

impl Revoked for KeysRevoked {
    fn check(
        &self,
        _: &Document,
        _: &postern_jose::VerifiedToken,
        _: UnixMillis,
    ) -> Result<(), Denial> {
        Ok(())
    }

    fn check_named(&self, _: &Document, named: Named<'_>, _: UnixMillis) -> Result<(), Denial> {
        assert_eq!(named, Named::ApiKey("k1"));
        Err(Denial::new(ErrorCode::TokenRevoked, "token_revoked"))
    }
}

#[tokio::test]
async fn a_key_that_is_remembered_ends_with_its_revocation() {
    let mut gateway = gateway(record()).await;
    assert_eq!(gateway.status(&with_key("/orders"), NOW).await, 200);
    gateway.authorizer.parts.revoked = Arc::new(KeysRevoked);
    let denial = gateway.identify(&with_key("/orders")).await.unwrap_err();
    assert_eq!((denial.code, denial.reason), (ErrorCode::InvalidToken, "api_key_revoked"));
}

#[tokio::test]
async fn a_key_that_was_replaced_holds_until_its_overlap_is_over() {
    let end = UnixMillis(NOW.0 + 10_000);
    let successor = Some("k2".to_owned());
    let gateway = gateway(ApiKeyRecord { expires_at: Some(end), successor, ..record() }).await;
    assert_eq!(gateway.status(&with_key("/orders"), NOW).await, 200);
    assert_eq!(gateway.status(&with_key("/orders"), UnixMillis(end.0 - 1)).await, 200);
    assert_eq!(gateway.status(&with_key("/orders"), end).await, 401, "remembered or not");
}

#[tokio::test]
async fn a_key_has_limits_of_its_own_besides_the_routes() {
    let limits = vec!["partner".to_owned()];
    let own = ApiKeyRecord { limits, ..record() };
    for (record, path, allowed) in [
        (record(), "/orders", 9),
        (own.clone(), "/orders", 2),
        (ApiKeyRecord { tier: Some("gold".to_owned()), ..own.clone() }, "/orders", 3),
        // Where the route has the limit too, it counts once.
        (own, "/held", 2),
    ] {
        let gateway = gateway(record.clone()).await;
        for at in 0..9 {
            let expected = if at < allowed { 200 } else { 429 };
            let status = gateway.status(&with_key(path), NOW).await;
            assert_eq!(status, expected, "{at} {path} {record:?}");
        }
    }
}

#[tokio::test]
async fn a_key_with_a_limit_that_nobody_counts_opens_nothing() {
    for name in ["gone", "here"] {
        let own = ApiKeyRecord { limits: vec![name.to_owned()], ..record() };
        let gateway = gateway(own).await;
        assert_eq!(gateway.status(&with_key("/orders"), NOW).await, 503, "{name}");
    }
}

#[tokio::test]
async fn what_passed_by_a_key_is_counted() {
    let store = Arc::new(MemoryDurableStore::new());
    store.insert_api_key(record()).await.unwrap();
    let durable: Arc<dyn DurableStore> = Arc::<MemoryDurableStore>::clone(&store);
    let gateway = Gateway::of(document(), memory(), |parts| {
        let flows: Arc<dyn FlowStore> = Arc::new(MemoryFlowStore::default());
        let metrics = parts.metrics.clone();
        parts.api_keys = ApiKeys::new(Some(Arc::clone(&durable)));
        parts.touched = Arc::new(Touched::new(flows, Some(durable), metrics));
    });
    for _ in 0..3 {
        gateway.status(&with_key("/orders"), NOW).await;
    }
    gateway.status(&request("GET", "/orders", &[("x-api-key", "pk_k1_wrong")]), NOW).await;
    gateway.authorizer.parts.touched.finish().await;
    let kept = store.find_api_key("k1").await.unwrap().unwrap();
    assert_eq!((kept.request_count, kept.last_used_at), (3, Some(NOW)));
}
