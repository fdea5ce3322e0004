//! The contract of [`DurableStore`], as a test suite that every implementation passes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "assertions of a test suite, compiled for tests only"
)]

mod revocations;

use postern_request::UnixMillis;

use super::{
    ApiKeyRecord, ClientKind, ClientRecord, DurableStore, MAX_PAGE, Sealed, SecretHash,
    SigningKeyRecord,
};
use crate::StoreError;

/// Runs the suite on an empty store.
///
/// # Panics
/// When the store breaks the contract.
pub async fn run(store: &dyn DurableStore) {
    store.ping().await.unwrap();
    signing_keys(store).await;
    clients(store).await;
    api_keys(store).await;
    revocations::run(store).await;
}

fn conflicts<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict))
}

fn signing_key(kid: &str, created_at: u64) -> SigningKeyRecord {
    SigningKeyRecord {
        kid: kid.to_owned(),
        algorithm: "RS256".to_owned(),
        public_jwk: "{\"kty\":\"RSA\",\"é\":\"'; --\"}".to_owned(),
        private_sealed: Sealed((0..=u8::MAX).collect()),
        created_at: UnixMillis(created_at),
        activates_at: UnixMillis(created_at + 300_000),
        retires_at: None,
    }
}

async fn signing_keys(store: &dyn DurableStore) {
    assert!(store.list_signing_keys().await.unwrap().is_empty());
    let (old, new) = (signing_key("z-old", 1_000), signing_key("a-new", 2_000));
    store.insert_signing_key(new.clone()).await.unwrap();
    store.insert_signing_key(old.clone()).await.unwrap();
    assert_eq!(store.list_signing_keys().await.unwrap(), [old.clone(), new.clone()]);

    let taken = SigningKeyRecord { algorithm: "ES256".to_owned(), ..old.clone() };
    assert!(conflicts(&store.insert_signing_key(taken).await));
    assert_eq!(store.list_signing_keys().await.unwrap(), [old.clone(), new.clone()]);

    for end in [UnixMillis(9_000), UnixMillis(5_000)] {
        assert!(store.set_signing_key_retirement("z-old", end).await.unwrap());
        let retired = SigningKeyRecord { retires_at: Some(end), ..old.clone() };
        assert_eq!(store.list_signing_keys().await.unwrap(), [retired, new.clone()]);
    }
    assert!(!store.set_signing_key_retirement("none", UnixMillis(1)).await.unwrap());
}

fn client(client_id: &str) -> ClientRecord {
    ClientRecord {
        client_id: client_id.to_owned(),
        name: "Billing — nightly 'run'".to_owned(),
        kind: ClientKind::Confidential,
        secret_sha256: Some(SecretHash([7; 32])),
        grant_types: vec!["client_credentials".to_owned()],
        scopes: ["payments.read", "orders:write"].map(str::to_owned).to_vec(),
        access_token_lifetime_secs: 3600,
        is_active: true,
        created_at: UnixMillis(1_700_000_000_123),
    }
}

async fn clients(store: &dyn DurableStore) {
    assert_eq!(store.find_client("b").await.unwrap(), None);
    assert!(store.list_clients(None, 10).await.unwrap().is_empty());
    let bare = ClientRecord {
        kind: ClientKind::Public,
        secret_sha256: None,
        grant_types: Vec::new(),
        scopes: Vec::new(),
        is_active: false,
        ..client("c")
    };
    for record in [client("b"), bare.clone(), client("a")] {
        store.insert_client(record).await.unwrap();
    }
    assert_eq!(store.find_client("b").await.unwrap(), Some(client("b")));
    assert_eq!(store.find_client("c").await.unwrap(), Some(bare.clone()));
    assert_eq!(store.find_client("B").await.unwrap(), None, "ids have a case");
    assert_eq!(store.find_client("b' OR '1'='1").await.unwrap(), None);
    assert_eq!(store.find_client("b\0").await.unwrap(), None, "which no text of SQL may hold");

    assert!(conflicts(
        &store.insert_client(ClientRecord { name: "x".to_owned(), ..client("b") }).await
    ));
    assert_eq!(store.find_client("b").await.unwrap(), Some(client("b")));

    assert_eq!(store.list_clients(None, 2).await.unwrap(), [client("a"), client("b")]);
    assert_eq!(store.list_clients(Some("b"), 2).await.unwrap(), [bare]);
    assert_eq!(store.list_clients(Some("aa"), 1).await.unwrap(), [client("b")]);
    assert!(store.list_clients(Some("c"), 2).await.unwrap().is_empty());
    assert!(store.list_clients(None, 0).await.unwrap().is_empty());
    for at in 0..MAX_PAGE {
        store.insert_client(client(&format!("many-{at:03}"))).await.unwrap();
    }
    let page = store.list_clients(None, u32::MAX).await.unwrap();
    assert_eq!(page.len(), usize::try_from(MAX_PAGE).unwrap(), "a page has a bound");
}

fn api_key(id: &str) -> ApiKeyRecord {
    ApiKeyRecord {
        id: id.to_owned(),
        sha256: SecretHash([0xfe; 32]),
        subject: "svc:reports".to_owned(),
        client_id: Some("a".to_owned()),
        scopes: vec!["reports.read".to_owned()],
        tier: Some("premium".to_owned()),
        expires_at: Some(UnixMillis(4_102_444_800_000)),
        created_at: UnixMillis(5),
        revoked_at: None,
    }
}

async fn api_keys(store: &dyn DurableStore) {
    assert_eq!(store.find_api_key("k2").await.unwrap(), None);
    let bare = ApiKeyRecord {
        client_id: None,
        scopes: Vec::new(),
        tier: None,
        expires_at: None,
        ..api_key("k1")
    };
    store.insert_api_key(api_key("k2")).await.unwrap();
    store.insert_api_key(bare.clone()).await.unwrap();
    assert!(conflicts(&store.insert_api_key(api_key("k1")).await));
    assert_eq!(store.find_api_key("k1").await.unwrap(), Some(bare.clone()));
    assert_eq!(store.find_api_key("k2").await.unwrap(), Some(api_key("k2")));
    assert_eq!(store.find_api_key("k2\0").await.unwrap(), None);
    assert_eq!(store.list_api_keys(None, 10).await.unwrap(), [bare, api_key("k2")]);
    assert_eq!(store.list_api_keys(Some("k1"), 10).await.unwrap(), [api_key("k2")]);

    for at in [UnixMillis(77), UnixMillis(88)] {
        assert!(store.revoke_api_key("k2", at).await.unwrap());
    }
    let revoked = ApiKeyRecord { revoked_at: Some(UnixMillis(77)), ..api_key("k2") };
    assert_eq!(store.find_api_key("k2").await.unwrap(), Some(revoked), "the first time stands");
    assert!(!store.revoke_api_key("none", UnixMillis(1)).await.unwrap());
}
