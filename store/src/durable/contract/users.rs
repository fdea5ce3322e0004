//! Users' part of the contract.

use postern_request::UnixMillis;

use super::{conflicts, entries, entry, user};
use crate::durable::{
    IdentityStore, MAX_PAGE, PageAsk, PasswordHash, Profile, UserChange, UserRecord,
};

pub(super) async fn run(store: &dyn IdentityStore) {
    users_are_found_by_id_and_email(store).await;
    what_is_not_said_stays(store).await;
    an_email_is_one_users(store).await;
    a_password_is_upgraded_where_it_stands(store).await;
    an_outside_identity_is_one_users(store).await;
    those_who_may_log_in_are_counted(store).await;
    the_last_of_some_roles_stays(store).await;
    a_page_has_a_bound(store).await;
}

const ADA: &str = "0a1b2c3d-0000-4000-8000-000000000001";
const BOB: &str = "0a1b2c3d-0000-4000-8000-000000000002";

fn hash(text: &str) -> PasswordHash {
    PasswordHash(format!("$argon2id$v=19$m=19456,t=2,p=1${text}"))
}

/// With something in every field.
fn ada() -> UserRecord {
    UserRecord {
        role: "staff".to_owned(),
        profile: Profile {
            first_name: "Ada — 'Countess'".to_owned(),
            last_name: "O'Byron".to_owned(),
            photo: Some("https://photos.example.test/ada".to_owned()),
            department: Some("Engines".to_owned()),
        },
        password: Some(hash("ada")),
        must_change_password: true,
        tier: Some("premium".to_owned()),
        updated_at: UnixMillis(1_700_000_000_002),
        ..user(ADA, "Ada.Lovelace+Ä@Example.test")
    }
}

async fn is(store: &dyn IdentityStore, expected: &UserRecord) {
    assert_eq!(store.find_user(&expected.id).await.unwrap().as_ref(), Some(expected));
    let by_email = store.find_user_by_email(&expected.email).await.unwrap();
    assert_eq!(by_email.as_ref(), Some(expected));
}

async fn users_are_found_by_id_and_email(store: &dyn IdentityStore) {
    assert_eq!(store.find_user(ADA).await.unwrap(), None);
    assert!(store.list_users(None, 10).await.unwrap().is_empty());
    let before = entries(store).await;
    let bob = user(BOB, "bob@example.test");
    for record in [bob.clone(), ada()] {
        let said = entry("user.created", &record.id);
        store.insert_user(record.clone(), &said).await.unwrap();
        is(store, &record).await;
    }
    assert_eq!(entries(store).await, before + 2);
    for spelled in ["ada.lovelace+ä@example.test", "ADA.LOVELACE+Ä@EXAMPLE.TEST"] {
        assert_eq!(store.find_user_by_email(spelled).await.unwrap(), Some(ada()), "{spelled}");
    }
    for other in ["", "ada.lovelace+a@example.test", "' OR '1'='1", "bob@example.test\0", "%"] {
        assert_eq!(store.find_user_by_email(other).await.unwrap(), None, "{other:?}");
        assert_eq!(store.find_user(other).await.unwrap(), None, "{other:?}");
    }

    let taken = [
        user(ADA, "another@example.test"),
        user("0a1b2c3d-0000-4000-8000-000000000003", "BOB@example.test"),
    ];
    for record in taken {
        let refused = store.insert_user(record.clone(), &entry("user.created", "x")).await;
        assert!(conflicts(&refused), "{record:?}");
        assert_ne!(store.find_user(&record.id).await.unwrap(), Some(record));
    }
    assert_eq!(store.find_user_by_email("another@example.test").await.unwrap(), None);
    assert_eq!(entries(store).await, before + 2, "nothing happened");

    assert_eq!(store.list_users(None, 10).await.unwrap(), [ada(), bob.clone()]);
    assert_eq!(store.list_users(None, 1).await.unwrap(), [ada()]);
    assert_eq!(store.list_users(Some(ADA), 10).await.unwrap(), [bob]);
    assert!(store.list_users(Some(BOB), 10).await.unwrap().is_empty());
}

async fn what_is_not_said_stays(store: &dyn IdentityStore) {
    let said = entry("user.changed", ADA);
    let before = entries(store).await;
    let at = UnixMillis(1_800_000_000_000);
    let nothing = UserChange { at, ..UserChange::default() };
    let mut ada = UserRecord { updated_at: at, ..ada() };
    assert!(store.change_user(ADA, nothing.clone(), &said).await.unwrap());
    is(store, &ada).await;

    let role = UserChange { role: Some("admin".to_owned()), ..nothing.clone() };
    assert!(store.change_user(ADA, role, &said).await.unwrap());
    ada.role = "admin".to_owned();
    is(store, &ada).await;

    let off = UserChange { is_active: Some(false), tier: Some(None), ..nothing.clone() };
    assert!(store.change_user(ADA, off, &said).await.unwrap());
    (ada.is_active, ada.tier) = (false, None);
    is(store, &ada).await;

    let profile = Profile { first_name: "A".to_owned(), ..Profile::default() };
    let all = UserChange {
        email: Some("ada@example.test".to_owned()),
        is_active: Some(true),
        profile: Some(profile.clone()),
        tier: Some(Some("basic".to_owned())),
        password: Some((hash("new"), false)),
        ..nothing.clone()
    };
    assert!(store.change_user(ADA, all, &said).await.unwrap());
    ada.email = "ada@example.test".to_owned();
    (ada.is_active, ada.profile, ada.tier) = (true, profile, Some("basic".to_owned()));
    (ada.password, ada.must_change_password) = (Some(hash("new")), false);
    is(store, &ada).await;
    let old = store.find_user_by_email("ada.lovelace+ä@example.test").await.unwrap();
    assert_eq!(old, None, "the e-mail from before is nobody's");
    assert_eq!(entries(store).await, before + 4);

    for unknown in ["none", "ADA", "x\0"] {
        assert!(!store.change_user(unknown, nothing.clone(), &said).await.unwrap(), "{unknown:?}");
    }
    assert_eq!(entries(store).await, before + 4, "nothing happened");
}

/// After the case before: Ada is `ada@example.test`.
async fn an_email_is_one_users(store: &dyn IdentityStore) {
    let said = entry("user.changed", BOB);
    let to = |email: &str, at| UserChange {
        email: Some(email.to_owned()),
        role: Some("teacher".to_owned()),
        at: UnixMillis(at),
        ..UserChange::default()
    };
    let before = entries(store).await;
    assert!(conflicts(&store.change_user(BOB, to("Ada@Example.test", 7), &said).await));
    is(store, &user(BOB, "bob@example.test")).await;
    assert_eq!(entries(store).await, before);
    // One's own may be spelled another way.
    assert!(store.change_user(BOB, to("Bob@example.test", 8), &said).await.unwrap());
    let bob = UserRecord {
        role: "teacher".to_owned(),
        updated_at: UnixMillis(8),
        ..user(BOB, "Bob@example.test")
    };
    is(store, &bob).await;
}

/// After the case before: Ada's password is `new`, Bob has none.
async fn a_password_is_upgraded_where_it_stands(store: &dyn IdentityStore) {
    let before = entries(store).await;
    let ada = store.find_user(ADA).await.unwrap().unwrap();
    for (id, from) in [(ADA, "ada"), (BOB, "new"), ("none", "new")] {
        let upgraded = store.upgrade_password(id, &hash(from), hash("stronger")).await.unwrap();
        assert!(!upgraded, "{id} {from}");
    }
    is(store, &ada).await;
    assert!(store.upgrade_password(ADA, &hash("new"), hash("stronger")).await.unwrap());
    is(store, &UserRecord { password: Some(hash("stronger")), ..ada }).await;
    assert!(!store.upgrade_password(ADA, &hash("new"), hash("other")).await.unwrap());
    assert_eq!(entries(store).await, before, "nobody is told");
}

async fn an_outside_identity_is_one_users(store: &dyn IdentityStore) {
    let said = entry("user.changed", ADA);
    let before = entries(store).await;
    assert_eq!(store.find_identity("corp", "s'1").await.unwrap(), None);
    for (provider, subject, id) in
        [("corp", "s'1", ADA), ("corp", "S'1", BOB), ("other", "s'1", BOB)]
    {
        store.link_identity(provider, subject, id, &said).await.unwrap();
    }
    assert_eq!(entries(store).await, before + 3);
    for id in [ADA, BOB] {
        assert!(conflicts(&store.link_identity("corp", "s'1", id, &said).await), "{id}");
    }
    assert!(store.link_identity("corp", "s2", "nobody", &said).await.is_err());
    assert_eq!(entries(store).await, before + 3, "nothing happened");
    for (provider, subject, id) in [
        ("corp", "s'1", Some(ADA)),
        ("corp", "S'1", Some(BOB)),
        ("other", "s'1", Some(BOB)),
        ("corp", "s2", None),
        ("Corp", "s'1", None),
        ("corp", "s'1\0", None),
    ] {
        let found = store.find_identity(provider, subject).await.unwrap();
        assert_eq!(found.as_deref(), id, "{provider} {subject:?}");
    }
}

/// After the cases before: Ada is an active admin, Bob an active teacher.
async fn those_who_may_log_in_are_counted(store: &dyn IdentityStore) {
    let count = async |roles: &[&str]| {
        let roles: Vec<_> = roles.iter().map(|role| (*role).to_owned()).collect();
        store.count_active_users(&roles).await.unwrap()
    };
    assert_eq!(count(&["admin", "teacher"]).await, 2);
    assert_eq!(count(&["admin", "admin"]).await, 1, "nobody counts twice");
    assert_eq!((count(&[]).await, count(&["Admin", "student"]).await), (0, 0));
    let off = UserChange { is_active: Some(false), at: UnixMillis(9), ..UserChange::default() };
    assert!(store.change_user(ADA, off, &entry("user.changed", ADA)).await.unwrap());
    assert_eq!(count(&["admin", "teacher"]).await, 1);
}

/// After the case before: Ada is a switched off admin, Bob an active teacher.
async fn the_last_of_some_roles_stays(store: &dyn IdentityStore) {
    let change = async |id: &str, roles: &[&str], change: UserChange| {
        let roles: Vec<_> = roles.iter().map(|role| (*role).to_owned()).collect();
        let said = entry("user.changed", id);
        let change = UserChange { at: UnixMillis(10), ..change };
        store.change_user_but_the_last(id, change, &roles, &said).await
    };
    let off = || UserChange { is_active: Some(false), ..UserChange::default() };
    let down = || UserChange { role: Some("student".to_owned()), ..UserChange::default() };
    let before = entries(store).await;
    let bob = store.find_user(BOB).await.unwrap();
    for roles in [&["teacher"][..], &["admin", "teacher"], &["teacher", "teacher"]] {
        for what in [off(), down()] {
            assert_eq!(change(BOB, roles, what).await, Ok(false), "{roles:?}");
        }
    }
    for unknown in ["none", "BOB", "x\0"] {
        assert_eq!(change(unknown, &["teacher"], off()).await, Ok(false), "{unknown:?}");
    }
    assert_eq!(store.find_user(BOB).await.unwrap(), bob, "nothing of it was done");
    assert_eq!(entries(store).await, before, "nothing happened");

    assert_eq!(change(ADA, &["admin", "teacher"], off()).await, Ok(true), "she is none of those");
    assert_eq!(change(BOB, &["admin"], off()).await, Ok(true), "nor is he of these");
    let on = || UserChange { is_active: Some(true), ..UserChange::default() };
    for id in [ADA, BOB] {
        assert_eq!(change(id, &[], on()).await, Ok(true));
    }
    // Each of two roles has one, and one of the two goes.
    assert_eq!(change(ADA, &["admin", "teacher"], off()).await, Ok(true));
    assert_eq!(change(BOB, &["admin", "teacher"], off()).await, Ok(false));
    let ada = UserChange { email: Some("bob@example.test".to_owned()), ..off() };
    assert!(conflicts(&change(ADA, &["admin", "teacher"], ada).await));
    assert_eq!(entries(store).await, before + 5);
}

async fn a_page_has_a_bound(store: &dyn IdentityStore) {
    for at in 0..MAX_PAGE {
        let record = user(&format!("many-{at:03}"), &format!("many-{at:03}@example.test"));
        store.insert_user(record, &entry("user.created", "many")).await.unwrap();
    }
    let page = store.list_users(None, u32::MAX).await.unwrap();
    assert_eq!(page.len(), usize::try_from(MAX_PAGE).unwrap());
    a_list_is_looked_through_by_place(store).await;
}

/// All were made at one moment, so that their ids say which one comes first.
async fn a_list_is_looked_through_by_place(store: &dyn IdentityStore) {
    let total = u64::from(MAX_PAGE) + 2;
    let ids = async |newest_first, offset, limit| {
        let page = store.page_users(PageAsk { newest_first, offset, limit }).await.unwrap();
        assert_eq!(page.total, total);
        page.records.into_iter().map(|user| user.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(false, 0, 3).await, [ADA, BOB, "many-000"]);
    assert_eq!(ids(false, 1, 2).await, [BOB, "many-000"]);
    assert_eq!(ids(true, total - 2, 10).await, [BOB, ADA]);
    assert_eq!(ids(true, 0, 1).await, ["many-099"]);
    assert!(ids(true, total, 10).await.is_empty());
    assert!(ids(false, u64::MAX, 10).await.is_empty());
    assert_eq!(ids(false, 0, u32::MAX).await.len(), usize::try_from(MAX_PAGE).unwrap());
}
