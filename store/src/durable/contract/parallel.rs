//! What many do at once, one does.

use std::future::Future;
use std::sync::Arc;

use postern_request::UnixMillis;
use tokio::task::JoinSet;

use super::revisions::revision;
use super::signing_keys::signing_key;
use super::{audit, conflicts, entries, entry, user};
use crate::StoreError;
use crate::durable::{
    FactorKind, FactorRecord, FamilyRecord, IdentityStore, PasswordHash, Sealed, UserChange,
    UserRecord,
};

/// How many try.
const MANY: u32 = 100;

type Shared = Arc<dyn IdentityStore>;

/// Lets many change the same at once. The store may hold what the other suite has left.
///
/// # Panics
/// When the store breaks the contract.
pub async fn run(store: Shared) {
    one_user_gets_an_email(&store).await;
    one_upgrades_a_password(&store).await;
    the_last_of_many_stays(&store).await;
    one_uses_a_code(&store).await;
    one_rotates(&store).await;
    one_ends_a_family(&store).await;
    one_adds_the_next_revision(&store).await;
    all_are_audited(&store).await;
}

async fn all<F>(store: &Shared, call: impl Fn(Shared, u32) -> F) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let mut calls = JoinSet::new();
    for at in 0..MANY {
        calls.spawn(call(Arc::clone(store), at));
    }
    calls.join_all().await
}

/// How many answers were a yes; none may be an error.
fn wins(answers: Vec<Result<bool, StoreError>>) -> usize {
    answers.into_iter().filter(|answer| *answer.as_ref().unwrap()).count()
}

fn parallel_user() -> UserRecord {
    let password = Some(PasswordHash("from".to_owned()));
    UserRecord { password, ..user("parallel", "parallel@example.test") }
}

async fn one_user_gets_an_email(store: &Shared) {
    let before = entries(&**store).await;
    let answers = all(store, |store, at| async move {
        let email = if at % 2 == 0 { "Many@example.test" } else { "many@Example.test" };
        let said = entry("user.created", "many");
        store.insert_user(user(&format!("parallel-{at}"), email), &said).await
    });
    let answers = answers.await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.iter().all(|answer| answer.is_ok() || conflicts(answer)), "{answers:?}");
    assert_eq!(entries(&**store).await, before + 1);
    store.insert_user(parallel_user(), &entry("user.created", "parallel")).await.unwrap();
}

async fn one_upgrades_a_password(store: &Shared) {
    let answers = all(store, |store, at| async move {
        let (from, to) = (PasswordHash("from".to_owned()), PasswordHash(format!("to-{at}")));
        store.upgrade_password("parallel", &from, to).await
    });
    assert_eq!(wins(answers.await), 1);
}

/// All of those who have a role go at once, and one does not.
async fn the_last_of_many_stays(store: &Shared) {
    for at in 0..MANY {
        let id = format!("chief-{at}");
        let chief = UserRecord { role: "chief".to_owned(), ..user(&id, &format!("{id}@x.test")) };
        store.insert_user(chief, &entry("user.created", &id)).await.unwrap();
    }
    let before = entries(&**store).await;
    let answers = all(store, |store, at| async move {
        let id = format!("chief-{at}");
        let said = entry("user.changed", &id);
        // Some are switched off, and others get another role.
        let change = match at % 2 {
            0 => UserChange { is_active: Some(false), ..UserChange::default() },
            _ => UserChange { role: Some("student".to_owned()), ..UserChange::default() },
        };
        store.change_user_but_the_last(&id, change, &["chief".to_owned()], &said).await
    });
    let gone = u64::try_from(wins(answers.await)).unwrap();
    assert_eq!(gone, u64::from(MANY) - 1);
    assert_eq!(store.count_active_users(&["chief".to_owned()]).await, Ok(1));
    assert_eq!(entries(&**store).await, before + gone);
}

async fn one_uses_a_code(store: &Shared) {
    let factor = FactorRecord {
        id: "parallel".to_owned(),
        user_id: "parallel".to_owned(),
        kind: FactorKind::RecoveryCodes,
        name: "codes".to_owned(),
        sealed: Sealed(vec![0]),
        credential_id: None,
        last_step: 0,
        confirmed_at: None,
        created_at: UnixMillis(1),
        last_used_at: None,
    };
    store.insert_factor(factor, &entry("mfa.enrolled", "parallel")).await.unwrap();
    // The content changes as with recovery codes, or the step does as with TOTP.
    for (from, to, after, step) in [(0, 1, 0, 0), (1, 1, 0, 9)] {
        let answers = all(store, |store, _| async move {
            let (from, to) = (Sealed(vec![from]), Sealed(vec![to]));
            store.use_factor("parallel", &from, to, after, step, UnixMillis(2)).await
        });
        assert_eq!(wins(answers.await), 1);
    }
    let before = entries(&**store).await;
    let answers = all(store, |store, _| async move {
        let said = entry("mfa.enrolled", "parallel");
        store.confirm_factor("parallel", UnixMillis(3), &said).await
    });
    assert_eq!(wins(answers.await), 1);
    assert_eq!(entries(&**store).await, before + 1);
}

async fn one_rotates(store: &Shared) {
    let first = signing_key("parallel", "parallel", 1_000);
    assert_eq!(store.insert_signing_key_after(first, None).await, Ok(true));
    let answers = all(store, |store, at| async move {
        let key = signing_key(&format!("parallel-{at}"), "parallel", 2_000);
        store.insert_signing_key_after(key, Some("parallel")).await
    });
    assert_eq!(wins(answers.await), 1);
}

async fn one_ends_a_family(store: &Shared) {
    let family = |id| FamilyRecord {
        id: [id; 32],
        user_id: "parallel".to_owned(),
        client_id: "parallel".to_owned(),
        session_id: "parallel".to_owned(),
        scopes: Vec::new(),
        created_at: UnixMillis(1),
        ends_at: UnixMillis(2_000_000_000_000),
        ended_at: None,
        end_reason: None,
    };
    store.insert_family(family(0xe0)).await.unwrap();
    let before = entries(&**store).await;
    let answers = all(store, |store, at| async move {
        let said = entry("refresh.reused", "parallel");
        store.end_family([0xe0; 32], UnixMillis(u64::from(at)), "reused", &said).await
    });
    assert_eq!(wins(answers.await), 1);
    assert_eq!(entries(&**store).await, before + 1);

    for id in [0xe1, 0xe2] {
        store.insert_family(family(id)).await.unwrap();
    }
    let answers = all(store, |store, at| async move {
        let at = UnixMillis(u64::from(at));
        store.end_families_of_session("parallel", at, "logged out").await
    });
    let mut ended: Vec<_> = answers.await.into_iter().flat_map(Result::unwrap).collect();
    ended.sort_unstable();
    assert_eq!(ended, [[0xe1_u8; 32], [0xe2; 32]], "each by one");

    for id in [0xe3, 0xe4] {
        store.insert_family(family(id)).await.unwrap();
    }
    let answers = all(store, |store, at| async move {
        // Those who end a session and those who end all of its user's are at it together.
        match at % 2 {
            0 => store.end_families_of_user("parallel", UnixMillis(1), "user_changed").await,
            _ => store.end_families_of_session("parallel", UnixMillis(1), "logged out").await,
        }
    });
    let mut ended: Vec<_> = answers.await.into_iter().flat_map(Result::unwrap).collect();
    ended.sort_unstable();
    assert_eq!(ended, [[0xe3_u8; 32], [0xe4; 32]], "each by one");
}

async fn one_adds_the_next_revision(store: &Shared) {
    let last = store.active_revision().await.unwrap().map_or(0, |active| active.number);
    let before = entries(&**store).await;
    let answers = all(store, move |store, _| async move {
        let said = entry("config.applied", "many");
        store.add_revision(revision(last + 1), &said).await
    });
    assert_eq!(wins(answers.await), 1);
    assert_eq!(entries(&**store).await, before + 1);
    let active = store.active_revision().await.unwrap();
    assert_eq!(active, Some(revision(last + 1).summary), "and no two are");
}

async fn all_are_audited(store: &Shared) {
    let before = entries(&**store).await;
    let answers = all(store, |store, at| async move {
        store.append_audit(&entry("token.revoked", &at.to_string())).await
    });
    let mut seqs: Vec<_> = answers.await.into_iter().map(Result::unwrap).collect();
    seqs.sort_unstable();
    let expected: Vec<_> = (before + 1..=before + u64::from(MANY)).collect();
    assert_eq!(seqs, expected);
    audit::is_whole(&**store).await;
}
