//! API keys' part of the contract.

use postern_request::UnixMillis;

use super::{conflicts, entries, entry};
use crate::durable::{ApiKeyRecord, DurableStore, IdentityStore, PageAsk, SecretHash};

pub(super) async fn run(store: &dyn IdentityStore) {
    keys_are_kept_listed_and_revoked(store).await;
    a_change_is_of_what_may_change(store).await;
    use_is_added_up(store).await;
}

fn api_key(id: &str) -> ApiKeyRecord {
    ApiKeyRecord {
        name: Some("Reports — 'nightly'".to_owned()),
        client_id: Some("a".to_owned()),
        scopes: vec!["reports.read".to_owned()],
        tier: Some("premium".to_owned()),
        limits: ["api", "nightly"].map(str::to_owned).to_vec(),
        expires_at: Some(UnixMillis(4_102_444_800_000)),
        successor: Some("k9".to_owned()),
        last_used_at: Some(UnixMillis(6)),
        request_count: 3,
        ..bare(id)
    }
}

fn bare(id: &str) -> ApiKeyRecord {
    let (hash, subject) = (SecretHash([0xfe; 32]), "svc:reports".to_owned());
    ApiKeyRecord::new(id.to_owned(), hash, subject, UnixMillis(5))
}

async fn keys_are_kept_listed_and_revoked(store: &dyn DurableStore) {
    assert_eq!(store.find_api_key("k2").await.unwrap(), None);
    store.insert_api_key(api_key("k2")).await.unwrap();
    store.insert_api_key(bare("k1")).await.unwrap();
    assert!(conflicts(&store.insert_api_key(api_key("k1")).await));
    assert_eq!(store.find_api_key("k1").await.unwrap(), Some(bare("k1")));
    assert_eq!(store.find_api_key("k2").await.unwrap(), Some(api_key("k2")));
    assert_eq!(store.find_api_key("k2\0").await.unwrap(), None);
    assert_eq!(store.list_api_keys(None, 10).await.unwrap(), [bare("k1"), api_key("k2")]);
    assert_eq!(store.list_api_keys(Some("k1"), 10).await.unwrap(), [api_key("k2")]);
    let newest = PageAsk { newest_first: true, offset: 0, limit: 1 };
    let page = store.page_api_keys(newest).await.unwrap();
    assert_eq!((page.total, page.records), (2, vec![api_key("k2")]));

    for at in [UnixMillis(77), UnixMillis(88)] {
        assert!(store.revoke_api_key("k2", at).await.unwrap());
    }
    let revoked = ApiKeyRecord { revoked_at: Some(UnixMillis(77)), ..api_key("k2") };
    assert_eq!(store.find_api_key("k2").await.unwrap(), Some(revoked), "the first time stands");
    assert!(!store.revoke_api_key("none", UnixMillis(1)).await.unwrap());
}

/// After the case before: `k2` was revoked at 77.
async fn a_change_is_of_what_may_change(store: &dyn IdentityStore) {
    let said = entry("apikey.rotated", "k1");
    let before = entries(store).await;
    let revoked = ApiKeyRecord { revoked_at: Some(UnixMillis(77)), ..api_key("k2") };
    let asked = ApiKeyRecord { name: None, ..api_key("k2") };
    assert!(!store.change_api_key(asked, &said).await.unwrap());
    assert_eq!(store.find_api_key("k2").await.unwrap(), Some(revoked), "it is revoked as before");

    let asked = ApiKeyRecord {
        sha256: SecretHash([1; 32]),
        subject: "somebody else".to_owned(),
        created_at: UnixMillis(1),
        revoked_at: Some(UnixMillis(1)),
        ..api_key("k1")
    };
    assert!(store.change_api_key(asked, &said).await.unwrap());
    let filled =
        ApiKeyRecord { client_id: None, last_used_at: None, request_count: 0, ..api_key("k1") };
    assert_eq!(store.find_api_key("k1").await.unwrap(), Some(filled.clone()));
    // Whoever has read it before it was replaced does not know of its end.
    for successor in [None, Some("k8".to_owned())] {
        let late = ApiKeyRecord { successor, expires_at: None, ..api_key("k1") };
        assert!(!store.change_api_key(late, &said).await.unwrap());
        assert_eq!(store.find_api_key("k1").await.unwrap(), Some(filled.clone()));
    }
    let emptied = ApiKeyRecord {
        tier: Some("basic".to_owned()),
        expires_at: Some(UnixMillis(99)),
        successor: Some("k9".to_owned()),
        ..bare("k1")
    };
    assert!(store.change_api_key(emptied.clone(), &said).await.unwrap());
    assert_eq!(store.find_api_key("k1").await.unwrap(), Some(emptied));
    assert!(!store.change_api_key(bare("none"), &said).await.unwrap());
    assert_eq!(store.find_api_key("none").await.unwrap(), None, "it is not made");
    assert_eq!(entries(store).await, before + 2, "nothing happened");
}

async fn how(store: &dyn DurableStore, id: &str) -> (Option<UnixMillis>, u64) {
    let key = store.find_api_key(id).await.unwrap().unwrap();
    (key.last_used_at, key.request_count)
}

async fn use_is_added_up(store: &dyn IdentityStore) {
    let before = entries(store).await;
    let used = |id: &str, at, requests| (id.to_owned(), UnixMillis(at), requests);
    store.touch_api_keys(&[]).await.unwrap();
    let batch = [used("k1", 50, 2), used("none", 60, 1), used("k2", 60, 4)];
    store.touch_api_keys(&batch).await.unwrap();
    assert_eq!(how(store, "k1").await, (Some(UnixMillis(50)), 2));
    assert_eq!(how(store, "k2").await, (Some(UnixMillis(60)), 7), "also of those before");
    store.touch_api_keys(&[used("k1", 40, 5)]).await.unwrap();
    assert_eq!(how(store, "k1").await, (Some(UnixMillis(50)), 7), "another replica tells late");
    store.touch_api_keys(&[used("k1", 70, 1), used("k1", 65, 1)]).await.unwrap();
    assert_eq!(how(store, "k1").await, (Some(UnixMillis(70)), 9));
    assert_eq!(store.find_api_key("none").await.unwrap(), None);
    assert_eq!(entries(store).await, before, "use is not audited");
}
