use postern_store::durable::memory::MemoryDurableStore;
use postern_store::durable::{
    AuditStore as _, FactorStore as _, Profile, UserRecord, UserStore as _,
};

use super::*;
use crate::login::fixture::{NOW, later, vault};

const STEP_MS: u64 = 30_000;

async fn service() -> (Arc<MemoryDurableStore>, FactorService) {
    let store = Arc::new(MemoryDurableStore::new());
    for id in ["u1", "u2"] {
        let user = UserRecord {
            id: id.to_owned(),
            email: format!("{id}@example.test"),
            role: "student".to_owned(),
            is_active: true,
            profile: Profile::default(),
            password: None,
            must_change_password: false,
            tier: None,
            created_at: NOW,
            updated_at: NOW,
        };
        let entry = audit::entry(NOW, "test", "user.created", id, &[]);
        store.insert_user(user, &entry).await.unwrap();
    }
    let service = FactorService::new(Arc::<MemoryDurableStore>::clone(&store), vault());
    (store, service)
}

/// The seed that an application was told.
async fn seed(store: &MemoryDurableStore, factor_id: &str) -> Vec<u8> {
    let factors = store.factors_of("u1").await.unwrap();
    let factor = factors.iter().find(|factor| factor.id == factor_id).unwrap();
    vault().open(Purpose::Totp, factor_id.as_bytes(), &factor.sealed).unwrap().to_vec()
}

#[tokio::test]
async fn an_application_counts_once_it_has_shown_a_code() {
    let (store, service) = service().await;
    let begun = service.start_totp("u1", "a@example.test", "Example", NOW).await.unwrap();
    assert!(begun.uri.expose().contains(begun.secret.expose()));
    let good = totp::code_at(&seed(&store, &begun.factor_id).await, NOW);
    assert_eq!(service.verify("u1", &good, NOW).await, Ok(Verified::Wrong), "not yet");
    assert!(!service.known("u1").await.unwrap().has_factor());
    for (user, factor, code) in
        [("u1", begun.factor_id.as_str(), "x"), ("u2", &begun.factor_id, &good), ("u1", "f", &good)]
    {
        assert_eq!(service.confirm_totp(user, factor, code, NOW).await, Ok(false), "{user} {code}");
    }
    let (first, last) = good.split_at(3);
    let spaced = format!("{first} {last}");
    assert_eq!(service.confirm_totp("u1", &begun.factor_id, &spaced, NOW).await, Ok(true));
    assert!(service.known("u1").await.unwrap().totp);
    assert_eq!(service.verify("u1", &good, NOW).await, Ok(Verified::Wrong), "it was used");
    let next = later(STEP_MS);
    let good = totp::code_at(&seed(&store, &begun.factor_id).await, next);
    assert_eq!(service.verify("u2", &good, next).await, Ok(Verified::Wrong), "of somebody else");
    assert_eq!(service.verify("u1", &good, next).await, Ok(Verified::Totp));
    assert_eq!(service.verify("u1", &good, next).await, Ok(Verified::Wrong));
}

#[tokio::test]
async fn of_two_who_show_one_code_one_gets_in() {
    let (store, service) = service().await;
    let begun = service.start_totp("u1", "a", "Example", NOW).await.unwrap();
    let seed = seed(&store, &begun.factor_id).await;
    let good = totp::code_at(&seed, NOW);
    assert!(service.confirm_totp("u1", &begun.factor_id, &good, NOW).await.unwrap());
    let (service, next) = (Arc::new(service), later(STEP_MS));
    let good = totp::code_at(&seed, next);
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let (service, good) = (Arc::clone(&service), good.clone());
            tokio::spawn(async move { service.verify("u1", &good, next).await.unwrap() })
        })
        .collect();
    let mut right = 0;
    for one in tries {
        right += usize::from(one.await.unwrap() == Verified::Totp);
    }
    assert_eq!(right, 1);
}

#[tokio::test]
async fn an_application_that_was_never_finished_makes_room() {
    let (store, service) = service().await;
    for _ in 0..20 {
        service.start_totp("u1", "a", "Example", NOW).await.unwrap();
        assert_eq!(store.factors_of("u1").await.unwrap().len(), 1);
    }
    for round in 0..MAX_TOTP {
        let begun = service.start_totp("u1", "a", "Example", NOW).await.unwrap();
        let good = totp::code_at(&seed(&store, &begun.factor_id).await, NOW);
        let done = service.confirm_totp("u1", &begun.factor_id, &good, NOW).await;
        assert_eq!(done, Ok(true), "{round}");
    }
    let refused = service.start_totp("u1", "a", "Example", NOW).await;
    assert_eq!(refused, Err(LoginError::Blocked));
}

#[tokio::test]
async fn new_recovery_codes_put_old_ones_out() {
    let (_, service) = service().await;
    let old = service.new_recovery_codes("u1", NOW).await.unwrap();
    let known = service.known("u1").await.unwrap();
    assert!(known.recovery && !known.has_factor(), "they are no factor of their own");
    let used = service.verify("u1", old[0].expose(), NOW).await;
    assert_eq!(used, Ok(Verified::Recovery { left: 9 }));
    assert_eq!(service.verify("u1", old[0].expose(), NOW).await, Ok(Verified::Wrong));
    assert_eq!(service.verify("u2", old[1].expose(), NOW).await, Ok(Verified::Wrong));
    assert_eq!(service.list("u1").await.unwrap()[0].codes_left, Some(9));

    let new = service.new_recovery_codes("u1", NOW).await.unwrap();
    assert_eq!(service.verify("u1", old[1].expose(), NOW).await, Ok(Verified::Wrong));
    for (at, code) in new.iter().enumerate() {
        let left = new.len() - at - 1;
        let used = service.verify("u1", code.expose(), NOW).await;
        assert_eq!(used, Ok(Verified::Recovery { left }));
    }
    assert!(!service.known("u1").await.unwrap().recovery, "all are spent");
}

#[tokio::test]
async fn a_factor_is_taken_away_from_its_owner_alone_and_written_down() {
    let (store, service) = service().await;
    service.new_recovery_codes("u1", NOW).await.unwrap();
    let id = service.list("u1").await.unwrap()[0].id.clone();
    assert_eq!(service.remove("u2", &id, "u2", NOW).await, Ok(false));
    assert_eq!(service.remove("u1", &id, "admin", NOW).await, Ok(true));
    assert!(service.list("u1").await.unwrap().is_empty());
    let log = store.audit_since(0, 100).await.unwrap();
    let told: Vec<_> = log
        .iter()
        .filter(|record| record.entry.action.starts_with("mfa."))
        .map(|record| (record.entry.action.as_str(), record.entry.actor.as_str()))
        .collect();
    assert_eq!(told, [("mfa.enrolled", "u1"), ("mfa.removed", "admin")]);
}
