//! Revocations' part of the contract.

use postern_request::UnixMillis;
use postern_revocation::{Revocation, RevocationKind};

use crate::durable::revocations::{
    MAX_REVOCATIONS_PAGE, NewRevocation, RevocationRecord, RevocationStore,
};

const ISSUER: &str = "https://api.example.test/'; --";
/// In milliseconds, where revocations end by the second.
const NOW: UnixMillis = UnixMillis(1_000_999);

pub(super) async fn run(store: &dyn RevocationStore) {
    identity(store).await;
    what_is_revoked_is_read_in_order(store).await;
    again_is_wider_and_new(store).await;
    the_expired_are_left_out_and_deleted(store).await;
    many(store).await;
}

fn new(kind: RevocationKind, value: &str, now: u64, expires_at: u64) -> NewRevocation {
    NewRevocation {
        revocation: Revocation::at(now, kind, ISSUER, value, expires_at).unwrap(),
        created_at: UnixMillis(now * 1000 + 123),
        reason: None,
    }
}

fn token(value: &str, expires_at: u64) -> NewRevocation {
    new(RevocationKind::Token, value, 900, expires_at)
}

fn what(record: &RevocationRecord) -> &Revocation {
    record.revocation.as_ref().unwrap()
}

async fn values_since(store: &dyn RevocationStore, after_seq: u64) -> Vec<(u64, String)> {
    let records = store.revocations_since(after_seq, u32::MAX, NOW).await.unwrap();
    records.iter().map(|one| (one.seq, what(one).value().to_owned())).collect()
}

async fn identity(store: &dyn RevocationStore) {
    let identity = store.feed_identity().await.unwrap();
    assert_ne!(identity.epoch, 0);
    assert_ne!(identity.fingerprint_key.expose(), &[0; 16]);
    assert_eq!(store.feed_identity().await.unwrap(), identity, "the same ever after");
}

async fn what_is_revoked_is_read_in_order(store: &dyn RevocationStore) {
    assert!(store.revocations_since(0, 10, NOW).await.unwrap().is_empty());
    assert!(store.revoke(Vec::new()).await.unwrap().is_empty());
    assert_eq!(store.count_revocations(NOW).await.unwrap(), 0);

    let all: Vec<NewRevocation> = RevocationKind::ALL
        .into_iter()
        .map(|kind| new(kind, "alice — 'x'", 900, 5_000))
        .chain([NewRevocation {
            reason: Some("stolen laptop, ticket 'é'".to_owned()),
            ..token("t-9", u64::from(u32::MAX) * 2)
        }])
        .collect();
    assert_eq!(store.revoke(all[..4].to_vec()).await.unwrap(), [1, 2, 3, 4]);
    assert_eq!(store.revoke(all[4..].to_vec()).await.unwrap(), [5, 6]);
    assert_eq!(store.count_revocations(NOW).await.unwrap(), 6);

    let found = store.revocations_since(0, 100, NOW).await.unwrap();
    assert_eq!(found.iter().map(|one| one.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let back = found.into_iter().map(|one| NewRevocation {
        revocation: one.revocation.unwrap(),
        created_at: one.created_at,
        reason: one.reason,
    });
    assert_eq!(back.collect::<Vec<_>>(), all, "what was kept comes back as it was");

    let page = store.revocations_since(2, 3, NOW).await.unwrap();
    assert_eq!(page.iter().map(|one| one.seq).collect::<Vec<_>>(), [3, 4, 5]);
    assert!(store.revocations_since(2, 0, NOW).await.unwrap().is_empty());
    assert!(store.revocations_since(6, 10, NOW).await.unwrap().is_empty());
    assert!(store.revocations_since(u64::MAX, 10, NOW).await.unwrap().is_empty());
}

async fn again_is_wider_and_new(store: &dyn RevocationStore) {
    let subject = |now, expires_at, reason: Option<&str>| NewRevocation {
        reason: reason.map(str::to_owned),
        ..new(RevocationKind::Subject, "bob", now, expires_at)
    };
    let seqs = store.revoke(vec![subject(950, 4_000, Some("first"))]).await.unwrap();
    assert_eq!(seqs, [7]);
    // Revoked later, ending sooner: the later moment and the later end hold.
    assert_eq!(store.revoke(vec![subject(980, 3_000, None)]).await.unwrap(), [8]);
    let found = store.revocations_since(6, 10, NOW).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let wider = &found[0];
    assert_eq!(wider.seq, 8);
    assert_eq!(what(wider).issued_before(), Some(981));
    assert_eq!(what(wider).expires_at(), 4_000);
    assert_eq!(wider.reason.as_deref(), Some("first"), "silence takes no reason away");
    assert_eq!(wider.created_at, UnixMillis(980_123));

    // An older one widens nothing and is new all the same, and within one call, too.
    let pair = vec![subject(940, 2_000, Some("second")), subject(941, 2_000, None)];
    assert_eq!(store.revoke(pair).await.unwrap(), [9, 10]);
    let found = store.revocations_since(6, 10, NOW).await.unwrap();
    let [only] = &found[..] else { panic!("one of a name: {found:?}") };
    assert_eq!(only.seq, 10);
    assert_eq!(what(only).issued_before(), Some(981));
    assert_eq!(what(only).expires_at(), 4_000);
    assert_eq!(only.reason.as_deref(), Some("second"));
    assert_eq!(store.count_revocations(NOW).await.unwrap(), 7);
}

async fn the_expired_are_left_out_and_deleted(store: &dyn RevocationStore) {
    let ended = vec![token("ended", 999), token("ends", 1_000)];
    assert_eq!(store.revoke(ended).await.unwrap(), [11, 12]);
    let far_ahead = UnixMillis(u64::from(u32::MAX) * 1_000_000);
    for clock in [NOW, far_ahead] {
        let deleted = store.delete_expired_revocations(clock, 10).await.unwrap();
        assert_eq!(deleted, 0, "the newest was made before either ended: {clock:?}");
    }
    let lives = new(RevocationKind::Token, "lives", 1_000, 1_001);
    assert_eq!(store.revoke(vec![lives]).await.unwrap(), [13]);
    assert_eq!(values_since(store, 10).await, [(13, "lives".to_owned())]);
    assert_eq!(store.count_revocations(NOW).await.unwrap(), 8);

    assert_eq!(store.delete_expired_revocations(NOW, 1).await.unwrap(), 1);
    assert_eq!(store.delete_expired_revocations(NOW, 10).await.unwrap(), 1);
    for clock in [NOW, far_ahead] {
        assert_eq!(store.delete_expired_revocations(clock, 10).await.unwrap(), 0, "{clock:?}");
    }
    assert_eq!(store.count_revocations(NOW).await.unwrap(), 8, "the others are still there");
    let earlier = store.revocations_since(10, 10, UnixMillis(0)).await.unwrap();
    assert_eq!(earlier.len(), 1, "deleted is deleted: {earlier:?}");

    // No number is given twice, even when its revocation is gone.
    assert_eq!(store.revoke(vec![token("ended", 2_000)]).await.unwrap(), [14]);
    assert_eq!(values_since(store, 13).await, [(14, "ended".to_owned())]);
}

async fn many(store: &dyn RevocationStore) {
    let last = u64::from(MAX_REVOCATIONS_PAGE) + 20;
    let values: Vec<String> = (0..last).map(|at| format!("many-{at}")).collect();
    for part in values.chunks(1_000) {
        store.revoke(part.iter().map(|value| token(value, 9_000)).collect()).await.unwrap();
    }
    let page = store.revocations_since(14, u32::MAX, NOW).await.unwrap();
    assert_eq!(page.len(), usize::try_from(MAX_REVOCATIONS_PAGE).unwrap(), "a page has a bound");
    let rest = values_since(store, page.last().unwrap().seq).await;
    assert_eq!(rest.len(), 20);
    assert_eq!(rest.last(), values.last().map(|value| (14 + last, value.clone())).as_ref());
}
