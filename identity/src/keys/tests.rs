use super::*;
use crate::admin::{ACTIVATION_DELAY_MS, Rotation, retire_key, rotate_keys};
use postern_request::json;
use postern_store::durable::memory::MemoryDurableStore;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const DAY_MS: u64 = 86_400_000;

fn kek(text: &str) -> KeyEncryptionKey {
    KeyEncryptionKey::from_text(&format!("{text}a5").repeat(16)).unwrap()
}

fn later(millis: u64) -> UnixMillis {
    UnixMillis(NOW.0 + millis)
}

async fn rotate(store: &MemoryDurableStore, now: UnixMillis) -> String {
    rotate_to(store, Algorithm::Es256, now).await
}

async fn rotate_to(store: &MemoryDurableStore, algorithm: Algorithm, now: UnixMillis) -> String {
    let rotation = Rotation { algorithm, ..Rotation::default() };
    rotate_keys(store, &kek("0f"), rotation, now).await.unwrap().kid
}

async fn ring(store: &Arc<MemoryDurableStore>, now: UnixMillis) -> KeyRing {
    let store: Arc<dyn DurableStore> = Arc::<MemoryDurableStore>::clone(store);
    KeyRing::load(store, Some(kek("0f")), now).await.unwrap()
}

fn kids(ring: &KeyRing, now: UnixMillis) -> Vec<String> {
    ring.key_set(now).keys.into_iter().filter_map(|key| key.id).collect()
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs() {
    let store = Arc::new(MemoryDurableStore::new());
    let ring = ring(&store, NOW).await;
    assert!(matches!(ring.signer(None, NOW), Err(IdentityError::NoSigningKey)));
    assert_eq!(ring.jwks(NOW), "{\"keys\":[]}");

    let first = rotate(&store, NOW).await;
    ring.refresh(NOW).await.unwrap();
    assert_eq!(ring.signer(None, NOW).unwrap().kid, first, "the first one signs at once");

    let second = rotate(&store, later(1)).await;
    ring.refresh(later(1)).await.unwrap();
    assert_eq!(kids(&ring, later(1)), [first.clone(), second.clone()]);
    assert_eq!(ring.signer(None, later(1)).unwrap().kid, first);
    let start = later(1 + ACTIVATION_DELAY_MS);
    assert_eq!(ring.signer(None, UnixMillis(start.0 - 1)).unwrap().kid, first);
    assert_eq!(ring.signer(None, start).unwrap().kid, second, "without reading the store again");

    let last_token_over = start.0 + DAY_MS;
    assert!(kids(&ring, UnixMillis(last_token_over)).contains(&first));
    assert_eq!(kids(&ring, UnixMillis(last_token_over + DAY_MS)), [second]);
}

#[tokio::test]
async fn the_published_set_is_one_that_others_read() {
    let store = Arc::new(MemoryDurableStore::new());
    rotate(&store, NOW).await;
    rotate(&store, NOW).await;
    let ring = ring(&store, NOW).await;
    let text = ring.jwks(NOW);
    let set = KeySet::parse(text.as_bytes()).unwrap();
    assert_eq!((set.keys.len(), set.skipped.len()), (2, 0));
    let value = json::parse(text.as_bytes()).unwrap();
    for key in value.get("keys").unwrap().as_array().unwrap() {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "{private}");
        }
    }
    assert_eq!(ring.algorithms(NOW), [Algorithm::Es256]);
}

#[tokio::test]
async fn a_retired_key_is_gone_at_the_next_reading() {
    let store = Arc::new(MemoryDurableStore::new());
    let (first, second) = (rotate(&store, NOW).await, rotate(&store, NOW).await);
    let ring = ring(&store, NOW).await;
    assert!(!retire_key(&*store, &first, NOW).await.unwrap(), "nothing signs now");
    ring.refresh(NOW).await.unwrap();
    assert_eq!(kids(&ring, NOW), [second]);
    assert!(matches!(ring.signer(None, NOW), Err(IdentityError::NoSigningKey)));
}

#[tokio::test]
async fn each_algorithm_has_a_key_that_signs() {
    let store = Arc::new(MemoryDurableStore::new());
    let first = rotate(&store, NOW).await;
    let rsa = rotate_to(&store, Algorithm::Rs256, later(1)).await;
    let second = rotate(&store, later(2)).await;
    let ring = ring(&store, later(2)).await;
    let signs =
        |algorithm, at: UnixMillis| ring.signer(Some(algorithm), at).ok().map(|it| it.kid.clone());
    assert_eq!(signs(Algorithm::Es256, later(2)), Some(first.clone()));
    assert_eq!(signs(Algorithm::Rs256, later(2)), None, "it is published first");
    let preferred = ring.signer_by_preference(Some(Algorithm::Rs256), later(2)).unwrap();
    assert_eq!(preferred.kid, first, "and until then another one signs");

    let all = later(2 + ACTIVATION_DELAY_MS);
    assert_eq!(signs(Algorithm::Es256, all), Some(second));
    assert_eq!(signs(Algorithm::Rs256, all), Some(rsa.clone()));
    assert_eq!(signs(Algorithm::EdDsa, all), None);
    assert_eq!(ring.signing_algorithms(all), [Algorithm::Rs256, Algorithm::Es256]);
    // A key of another algorithm is no reason to stop: ID tokens are still signed with it.
    assert_eq!(signs(Algorithm::Rs256, later(30 * DAY_MS)), Some(rsa));
    assert!(!kids(&ring, later(30 * DAY_MS)).contains(&first));
}

#[tokio::test]
async fn the_wrong_key_encryption_key_is_told_plainly() {
    let store = Arc::new(MemoryDurableStore::new());
    let kid = rotate(&store, NOW).await;
    let wrong = KeyRing::load(Arc::<MemoryDurableStore>::clone(&store), Some(kek("1e")), NOW);
    let error = wrong.await.err().unwrap();
    assert!(matches!(&error, IdentityError::Unseal { kid: of } if *of == kid), "{error}");

    let error = rotate_keys(&*store, &kek("1e"), Rotation::default(), NOW).await.unwrap_err();
    assert!(matches!(error, IdentityError::Unseal { .. }), "two keys must not mix: {error}");

    let without = KeyRing::load(Arc::<MemoryDurableStore>::clone(&store), None, NOW).await.unwrap();
    assert_eq!(kids(&without, NOW), [kid], "checking needs no key");
    assert!(matches!(without.signer(None, NOW), Err(IdentityError::SigningKey { .. })));
}

#[tokio::test]
async fn a_key_that_does_not_sign_stops_nothing() {
    let store = Arc::new(MemoryDurableStore::new());
    let kid = rotate(&store, NOW).await;
    let mut record = store.list_signing_keys().await.unwrap().remove(0);
    record.kid = "swapped".to_owned();
    record.activates_at = later(1);
    store.insert_signing_key(record).await.unwrap();
    let ring = ring(&store, NOW).await;
    assert_eq!(kids(&ring, NOW), std::slice::from_ref(&kid));
    assert_eq!(ring.signer(None, NOW).unwrap().kid, kid);
    // Once it should sign, going on with the old one would hide the trouble.
    assert!(ring.refresh(later(1)).await.is_err());
    assert_eq!(ring.signer(None, later(1)).unwrap().kid, kid, "the old ones stay");
}

#[tokio::test]
async fn no_more_keys_than_verifiers_read() {
    let store = Arc::new(MemoryDurableStore::new());
    for _ in 0..MAX_PUBLISHED_KEYS {
        rotate(&store, NOW).await;
    }
    let error = rotate_keys(&*store, &kek("0f"), Rotation::default(), NOW).await.unwrap_err();
    assert!(matches!(error, IdentityError::TooManyKeys), "{error}");
}
