//! Factors' part of the contract.

use postern_request::UnixMillis;

use super::{conflicts, entries, entry, user};
use crate::durable::{FactorKind, FactorRecord, IdentityStore, Sealed};

pub(super) async fn run(store: &dyn IdentityStore) {
    for (id, email) in [(EVE, "eve@example.test"), (FAY, "fay@example.test")] {
        store.insert_user(user(id, email), &entry("user.created", id)).await.unwrap();
    }
    factors_are_kept_and_found(store).await;
    what_is_taken_is_taken(store).await;
    a_factor_counts_from_its_first_use_on(store).await;
    what_was_used_is_used(store).await;
    nobody_deletes_anothers(store).await;
}

const EVE: &str = "eve";
const FAY: &str = "fay";

fn totp(id: &str, user_id: &str, created_at: u64) -> FactorRecord {
    FactorRecord {
        id: id.to_owned(),
        user_id: user_id.to_owned(),
        kind: FactorKind::Totp,
        name: "Eve's phone — 'old'".to_owned(),
        sealed: Sealed((0..=u8::MAX).collect()),
        credential_id: None,
        last_step: 0,
        confirmed_at: None,
        created_at: UnixMillis(created_at),
        last_used_at: None,
    }
}

fn passkey(id: &str, user_id: &str, credential: &str) -> FactorRecord {
    FactorRecord {
        kind: FactorKind::Passkey,
        sealed: Sealed(vec![1]),
        credential_id: Some(credential.to_owned()),
        confirmed_at: Some(UnixMillis(7)),
        last_used_at: Some(UnixMillis(8)),
        ..totp(id, user_id, 2_000)
    }
}

fn recovery(id: &str, user_id: &str) -> FactorRecord {
    let kind = FactorKind::RecoveryCodes;
    FactorRecord { kind, sealed: Sealed(Vec::new()), last_step: 9, ..totp(id, user_id, 3_000) }
}

async fn factors_are_kept_and_found(store: &dyn IdentityStore) {
    assert!(store.factors_of(EVE).await.unwrap().is_empty());
    let before = entries(store).await;
    let eves = [totp("z-first", EVE, 1_000), passkey("p", EVE, "AbC_-1"), recovery("a-last", EVE)];
    for factor in [&eves[2], &eves[0], &eves[1], &totp("f", FAY, 1)] {
        let said = entry("mfa.enrolled", &factor.id);
        store.insert_factor(factor.clone(), &said).await.unwrap();
    }
    assert_eq!(entries(store).await, before + 4);
    assert_eq!(store.factors_of(EVE).await.unwrap(), eves, "oldest first");
    assert_eq!(store.factors_of(FAY).await.unwrap(), [totp("f", FAY, 1)]);
    for other in ["Eve", "nobody", "eve\0", ""] {
        assert!(store.factors_of(other).await.unwrap().is_empty(), "{other:?}");
    }
    assert_eq!(store.find_passkey("AbC_-1").await.unwrap().as_ref(), Some(&eves[1]));
    for other in ["abc_-1", "", "z-first", "p", "AbC_-1\0", "%"] {
        assert_eq!(store.find_passkey(other).await.unwrap(), None, "{other:?}");
    }
}

async fn what_is_taken_is_taken(store: &dyn IdentityStore) {
    let before = entries(store).await;
    let said = entry("mfa.enrolled", "x");
    let same_id = totp("p", FAY, 5);
    let same_credential = passkey("q", FAY, "AbC_-1");
    for taken in [same_id, same_credential] {
        assert!(conflicts(&store.insert_factor(taken.clone(), &said).await), "{taken:?}");
    }
    assert!(store.insert_factor(totp("n", "nobody", 5), &said).await.is_err());
    assert_eq!(store.factors_of(FAY).await.unwrap(), [totp("f", FAY, 1)]);
    assert!(store.factors_of("nobody").await.unwrap().is_empty());
    assert_eq!(entries(store).await, before, "nothing happened");
}

async fn a_factor_counts_from_its_first_use_on(store: &dyn IdentityStore) {
    let said = entry("mfa.enrolled", "f");
    let before = entries(store).await;
    assert!(store.confirm_factor("f", UnixMillis(50), &said).await.unwrap());
    for id in ["f", "none", "p"] {
        let confirmed = store.confirm_factor(id, UnixMillis(60), &said).await.unwrap();
        assert!(!confirmed, "{id}: it was before, or is none");
    }
    assert_eq!(entries(store).await, before + 1);
    let confirmed = FactorRecord { confirmed_at: Some(UnixMillis(50)), ..totp("f", FAY, 1) };
    assert_eq!(store.factors_of(FAY).await.unwrap(), [confirmed], "the first time stands");
}

async fn what_was_used_is_used(store: &dyn IdentityStore) {
    let before = entries(store).await;
    let (seed, other) = (totp("f", FAY, 1).sealed, Sealed(vec![9, 9]));
    let take = async |from: &Sealed, to: &Sealed, after, step| {
        store.use_factor("f", from, to.clone(), after, step, UnixMillis(step)).await.unwrap()
    };
    assert!(!take(&other, &other, 0, 100).await, "another content stands there");
    assert!(!take(&seed, &other, 1, 100).await, "another step does");
    assert!(take(&seed, &seed, 0, 100).await);
    assert!(!take(&seed, &seed, 0, 100).await, "the same code again");
    assert!(take(&seed, &other, 100, 101).await);
    assert!(!take(&seed, &seed, 101, 102).await);
    let used = FactorRecord {
        sealed: other.clone(),
        last_step: 101,
        confirmed_at: Some(UnixMillis(50)),
        last_used_at: Some(UnixMillis(101)),
        ..totp("f", FAY, 1)
    };
    assert_eq!(store.factors_of(FAY).await.unwrap(), [used]);
    let unknown = store.use_factor("none", &seed, other, 0, 1, UnixMillis(1)).await;
    assert_eq!(unknown, Ok(false));
    assert_eq!(entries(store).await, before, "whoever uses it says so");
}

async fn nobody_deletes_anothers(store: &dyn IdentityStore) {
    let said = entry("mfa.removed", "p");
    let before = entries(store).await;
    for (user_id, id) in [(FAY, "p"), ("nobody", "p"), (EVE, "none"), (EVE, "P"), (EVE, "p\0")] {
        let deleted = store.delete_factor(user_id, id, &said).await.unwrap();
        assert!(!deleted, "{user_id} {id:?}");
    }
    assert_eq!(entries(store).await, before);
    assert!(store.find_passkey("AbC_-1").await.unwrap().is_some());
    assert!(store.delete_factor(EVE, "p", &said).await.unwrap());
    assert_eq!(store.find_passkey("AbC_-1").await.unwrap(), None);
    assert_eq!(store.factors_of(EVE).await.unwrap().len(), 2, "the others stay");
    assert_eq!(entries(store).await, before + 1);
    // What is gone leaves its place.
    store.insert_factor(passkey("q", FAY, "AbC_-1"), &said).await.unwrap();
}
