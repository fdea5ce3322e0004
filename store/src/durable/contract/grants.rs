//! Consents' and families' part of the contract.

use postern_request::UnixMillis;

use super::{client, conflicts, entries, entry};
use crate::durable::{ConsentRecord, FamilyRecord, IdentityStore, MAX_PAGE};

pub(super) async fn run(store: &dyn IdentityStore) {
    for id in ["consent-a", "consent-b"] {
        store.insert_client(client(id)).await.unwrap();
    }
    a_consent_stands_until_the_next(store).await;
    families_are_kept_and_listed(store).await;
    a_family_ends_once(store).await;
    a_session_takes_its_families_along(store).await;
    a_user_loses_all_families_at_once(store).await;
    families_are_deleted_after_their_end(store).await;
    a_page_has_a_bound(store).await;
}

fn consent(user_id: &str, client_id: &str) -> ConsentRecord {
    ConsentRecord {
        user_id: user_id.to_owned(),
        client_id: client_id.to_owned(),
        scopes: ["read", "write"].map(str::to_owned).to_vec(),
        resources: vec!["https://api.example.test/'x y".to_owned(), "urn:b".to_owned()],
        granted_at: UnixMillis(1_800_000_000_001),
    }
}

/// Users are not looked up: an outside provider's may be none of ours.
async fn a_consent_stands_until_the_next(store: &dyn IdentityStore) {
    let said = entry("consent.granted", "consent-a");
    let before = entries(store).await;
    assert_eq!(store.find_consent("u'1", "consent-a").await.unwrap(), None);
    for (user, client) in [("u'1", "consent-b"), ("u'1", "consent-a"), ("u2", "consent-a")] {
        store.put_consent(consent(user, client), &said).await.unwrap();
    }
    let both = [consent("u'1", "consent-a"), consent("u'1", "consent-b")];
    assert_eq!(store.list_consents("u'1").await.unwrap(), both);
    assert_eq!(store.find_consent("u'1", "consent-a").await.unwrap().as_ref(), Some(&both[0]));

    let less = ConsentRecord {
        scopes: Vec::new(),
        resources: Vec::new(),
        granted_at: UnixMillis(1_800_000_000_002),
        ..consent("u'1", "consent-a")
    };
    store.put_consent(less.clone(), &said).await.unwrap();
    assert_eq!(store.list_consents("u'1").await.unwrap(), [less, both[1].clone()]);
    assert_eq!(entries(store).await, before + 4);

    assert!(store.put_consent(consent("u2", "no-client"), &said).await.is_err());
    for (user, client) in [("U2", "consent-a"), ("u2", "consent-b"), ("u2\0", "consent-a")] {
        assert_eq!(store.find_consent(user, client).await.unwrap(), None, "{user:?} {client}");
        assert!(!store.delete_consent(user, client, &said).await.unwrap(), "{user:?} {client}");
    }
    assert_eq!(entries(store).await, before + 4, "nothing happened");

    assert!(store.delete_consent("u'1", "consent-a", &said).await.unwrap());
    assert!(!store.delete_consent("u'1", "consent-a", &said).await.unwrap());
    assert_eq!(entries(store).await, before + 5);
    assert_eq!(store.list_consents("u'1").await.unwrap(), [both[1].clone()]);
    assert_eq!(store.list_consents("u2").await.unwrap(), [consent("u2", "consent-a")]);
}

const END: UnixMillis = UnixMillis(2_000_000_000_000);

fn family(id: u8, user_id: &str, session_id: &str) -> FamilyRecord {
    FamilyRecord {
        id: [id; 32],
        user_id: user_id.to_owned(),
        client_id: "consent-a".to_owned(),
        session_id: session_id.to_owned(),
        scopes: ["read", "offline_access"].map(str::to_owned).to_vec(),
        created_at: UnixMillis(1_800_000_000_000),
        ends_at: END,
        ended_at: None,
        end_reason: None,
    }
}

async fn families_are_kept_and_listed(store: &dyn IdentityStore) {
    assert_eq!(store.find_family([2; 32]).await.unwrap(), None);
    let bare = FamilyRecord { scopes: Vec::new(), ..family(0xff, "u1", "s2") };
    let all = [family(1, "u1", "s1"), family(0x0a, "u1", "s1"), bare];
    for record in [&all[2], &all[0], &family(2, "u2", "s3"), &all[1]] {
        store.insert_family(record.clone()).await.unwrap();
        assert_eq!(store.find_family(record.id).await.unwrap().as_ref(), Some(record));
    }
    assert!(conflicts(&store.insert_family(family(1, "u9", "s9")).await));
    assert_eq!(store.find_family([1; 32]).await.unwrap().as_ref(), Some(&all[0]));

    assert_eq!(store.families_of("u1", None, 10).await.unwrap(), all, "by their ids");
    assert_eq!(store.families_of("u1", None, 2).await.unwrap(), all[..2]);
    assert_eq!(store.families_of("u1", Some([2; 32]), 10).await.unwrap(), all[1..]);
    assert!(store.families_of("u1", Some([0xff; 32]), 10).await.unwrap().is_empty());
    for other in ["U1", "nobody", "u1\0"] {
        assert!(store.families_of(other, None, 10).await.unwrap().is_empty(), "{other:?}");
    }
}

async fn a_family_ends_once(store: &dyn IdentityStore) {
    let said = entry("refresh.reused", "family");
    let before = entries(store).await;
    assert_eq!(store.end_family([2; 32], UnixMillis(50), "reused, 'é'", &said).await, Ok(true));
    assert_eq!(store.end_family([2; 32], UnixMillis(60), "logged out", &said).await, Ok(false));
    assert_eq!(store.end_family([3; 32], UnixMillis(60), "logged out", &said).await, Ok(false));
    assert_eq!(entries(store).await, before + 1);
    let ended = FamilyRecord {
        ended_at: Some(UnixMillis(50)),
        end_reason: Some("reused, 'é'".to_owned()),
        ..family(2, "u2", "s3")
    };
    assert_eq!(store.find_family([2; 32]).await.unwrap(), Some(ended), "the first end stands");
}

async fn a_session_takes_its_families_along(store: &dyn IdentityStore) {
    let before = entries(store).await;
    let end = async |session_id: &str, at| {
        let ended = store.end_families_of_session(session_id, UnixMillis(at), "logged out").await;
        let mut ended = ended.unwrap();
        ended.sort_unstable();
        ended
    };
    for other in ["S1", "none", "s1\0", ""] {
        assert!(end(other, 60).await.is_empty(), "{other:?}");
    }
    assert_eq!(end("s1", 70).await, [[1_u8; 32], [0x0a; 32]]);
    assert!(end("s1", 80).await.is_empty(), "they have ended");
    assert!(end("s3", 80).await.is_empty(), "it was ended alone");
    for (id, ended_at) in [(1, Some(70)), (0x0a, Some(70)), (2, Some(50)), (0xff, None)] {
        let found = store.find_family([id; 32]).await.unwrap().unwrap();
        assert_eq!(found.ended_at, ended_at.map(UnixMillis), "{id}");
        assert_eq!(found.end_reason.is_some(), ended_at.is_some(), "{id}");
    }
    assert_eq!(entries(store).await, before, "whoever ends a session says so");
}

async fn a_user_loses_all_families_at_once(store: &dyn IdentityStore) {
    for (id, session_id) in [(0x30, "s6"), (0x31, "s6"), (0x32, "s7")] {
        store.insert_family(family(id, "u'5", session_id)).await.unwrap();
    }
    let said = entry("refresh.reused", "family");
    assert_eq!(store.end_family([0x31; 32], UnixMillis(50), "reused", &said).await, Ok(true));
    let before = entries(store).await;
    let end = async |user_id: &str, at| {
        let ended = store.end_families_of_user(user_id, UnixMillis(at), "user_changed").await;
        let mut ended = ended.unwrap();
        ended.sort_unstable();
        ended
    };
    for other in ["U'5", "nobody", "u'5\0", "", "s6"] {
        assert!(end(other, 60).await.is_empty(), "{other:?}");
    }
    assert_eq!(end("u'5", 70).await, [[0x30_u8; 32], [0x32; 32]], "of every session");
    assert!(end("u'5", 80).await.is_empty(), "they have ended");
    for (id, ended_at, reason) in
        [(0x30, 70, "user_changed"), (0x31, 50, "reused"), (0x32, 70, "user_changed")]
    {
        let found = store.find_family([id; 32]).await.unwrap().unwrap();
        assert_eq!(found.ended_at, Some(UnixMillis(ended_at)), "{id}");
        assert_eq!(found.end_reason.as_deref(), Some(reason), "{id}");
    }
    let another = store.find_family([0xff; 32]).await.unwrap().unwrap();
    assert_eq!(another.ended_at, None, "somebody else's");
    assert_eq!(entries(store).await, before, "whoever ends them says so");
}

/// By their last end alone: one that was ended is what keeps its tokens from coming back.
async fn families_are_deleted_after_their_end(store: &dyn IdentityStore) {
    for (id, ends_at) in [(0x20, 1_000), (0x21, 2_000), (0x22, 2_000)] {
        let ends_at = UnixMillis(ends_at);
        let record = FamilyRecord { ends_at, ..family(id, "u3", "s4") };
        store.insert_family(record).await.unwrap();
    }
    let delete = |before, limit| store.delete_ended_families(before, limit);
    assert_eq!(delete(UnixMillis(1_000), 10).await, Ok(0), "it ends at that moment");
    assert_eq!(delete(UnixMillis(1_001), 0).await, Ok(0));
    assert_eq!(delete(UnixMillis(1_001), 10).await, Ok(1));
    assert_eq!(delete(END, 1).await, Ok(1));
    assert_eq!(delete(END, 10).await, Ok(1));
    assert!(store.families_of("u3", None, 10).await.unwrap().is_empty());
    assert!(store.find_family([1; 32]).await.unwrap().unwrap().ended_at.is_some());
}

async fn a_page_has_a_bound(store: &dyn IdentityStore) {
    for at in 0..=MAX_PAGE {
        let mut record = family(0, "u4", "s5");
        record.id[..4].copy_from_slice(&at.to_be_bytes());
        record.id[4] = 1;
        store.insert_family(record).await.unwrap();
    }
    let page = store.families_of("u4", None, u32::MAX).await.unwrap();
    assert_eq!(page.len(), usize::try_from(MAX_PAGE).unwrap());
    let rest = store.families_of("u4", page.last().map(|last| last.id), u32::MAX).await.unwrap();
    assert_eq!(rest.len(), 1);
}
