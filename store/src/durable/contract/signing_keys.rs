//! Signing keys' part of the contract.

use postern_request::UnixMillis;

use super::conflicts;
use crate::durable::{DurableStore, IdentityStore, Sealed, SigningKeyRecord};

pub(super) async fn run(store: &dyn IdentityStore) {
    keys_are_kept_and_retired(store).await;
    a_key_follows_the_newest_of_its_algorithm(store).await;
}

pub(super) fn signing_key(kid: &str, algorithm: &str, created_at: u64) -> SigningKeyRecord {
    SigningKeyRecord {
        kid: kid.to_owned(),
        algorithm: algorithm.to_owned(),
        public_jwk: "{\"kty\":\"RSA\",\"é\":\"'; --\"}".to_owned(),
        private_sealed: Sealed((0..=u8::MAX).collect()),
        created_at: UnixMillis(created_at),
        activates_at: UnixMillis(created_at + 300_000),
        retires_at: None,
    }
}

async fn keys_are_kept_and_retired(store: &dyn DurableStore) {
    assert!(store.list_signing_keys().await.unwrap().is_empty());
    let old = signing_key("z-old", "RS256", 1_000);
    let new = signing_key("a-new", "RS256", 2_000);
    store.insert_signing_key(new.clone()).await.unwrap();
    store.insert_signing_key(old.clone()).await.unwrap();
    assert_eq!(store.list_signing_keys().await.unwrap(), [old.clone(), new.clone()]);

    let taken = SigningKeyRecord { algorithm: "ES256".to_owned(), ..old.clone() };
    assert!(conflicts(&store.insert_signing_key(taken).await));
    assert_eq!(store.list_signing_keys().await.unwrap(), [old.clone(), new.clone()]);

    for (end, is) in [(9_000, 9_000), (5_000, 5_000), (7_000, 5_000)] {
        let end = UnixMillis(end);
        assert!(store.set_signing_key_retirement("z-old", end).await.unwrap());
        let retired = SigningKeyRecord { retires_at: Some(UnixMillis(is)), ..old.clone() };
        assert_eq!(store.list_public_signing_keys().await.unwrap()[0], retired.public());
        assert_eq!(store.list_signing_keys().await.unwrap(), [retired, new.clone()]);
    }
    let public = store.list_public_signing_keys().await.unwrap();
    assert_eq!(public.iter().map(|key| key.kid.as_str()).collect::<Vec<_>>(), ["z-old", "a-new"]);
    assert_eq!(public[1], new.public());
    assert!(!store.set_signing_key_retirement("none", UnixMillis(1)).await.unwrap());
}

/// After the case before: of RS256 the newest is `a-new`.
async fn a_key_follows_the_newest_of_its_algorithm(store: &dyn DurableStore) {
    let count = store.list_signing_keys().await.unwrap().len();
    let rotated = signing_key("b-rotated", "RS256", 3_000);
    for other in [None, Some("z-old"), Some("none"), Some("b-rotated")] {
        let kept = store.insert_signing_key_after(rotated.clone(), other).await.unwrap();
        assert!(!kept, "{other:?} is not the newest");
    }
    assert_eq!(store.list_signing_keys().await.unwrap().len(), count);
    assert!(store.insert_signing_key_after(rotated.clone(), Some("a-new")).await.unwrap());
    let late = signing_key("c-late", "RS256", 4_000);
    assert!(!store.insert_signing_key_after(late, Some("a-new")).await.unwrap(), "the second time");
    assert_eq!(store.list_signing_keys().await.unwrap().last(), Some(&rotated));

    let first = signing_key("d-first", "ES256", 3_500);
    let of_another = store.insert_signing_key_after(first.clone(), Some("b-rotated")).await;
    assert_eq!(of_another, Ok(false), "each algorithm has a newest of its own");
    assert_eq!(store.insert_signing_key_after(first, None).await, Ok(true), "there is none yet");
    let next = signing_key("e-next", "RS256", 4_000);
    assert_eq!(store.insert_signing_key_after(next, Some("b-rotated")).await, Ok(true));

    // Retiring it makes no other one the newest.
    assert!(store.set_signing_key_retirement("e-next", UnixMillis(1)).await.unwrap());
    let after_retired = signing_key("f", "RS256", 5_000);
    let by_an_older = store.insert_signing_key_after(after_retired.clone(), Some("b-rotated"));
    assert_eq!(by_an_older.await, Ok(false));
    assert_eq!(store.insert_signing_key_after(after_retired, Some("e-next")).await, Ok(true));

    let taken = signing_key("z-old", "RS256", 6_000);
    assert!(conflicts(&store.insert_signing_key_after(taken, Some("f")).await));
}
