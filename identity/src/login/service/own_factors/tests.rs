use postern_store::FlowStore as _;
use postern_store::durable::FactorStore as _;

use super::*;
use crate::login::fixture::{NOW, World, later, secret, vault};
use crate::login::totp;
use crate::vault::Purpose;

/// The code that the application being set up shows.
async fn code(world: &World, user: &UserRecord) -> String {
    let factors = world.store.factors_of(&user.id).await.unwrap();
    let begun = factors.iter().find(|one| one.confirmed_at.is_none()).unwrap();
    let seed = vault().open(Purpose::Totp, begun.id.as_bytes(), &begun.sealed).unwrap();
    totp::code_at(&seed, NOW)
}

/// Sets an application up; its factor's id, and the recovery codes that came with it.
async fn enrolled(world: &World, user: &UserRecord) -> (String, Vec<Secret>) {
    let begun = world.login.start_totp(user, NOW).await.unwrap();
    let code = code(world, user).await;
    let codes = world.login.finish_totp(user, &code, NOW).await.unwrap();
    (begun.factor_id, codes)
}

#[tokio::test]
async fn recovery_codes_come_with_the_first_application() {
    let world = World::new();
    let user = world.user("student").await;
    assert_eq!(world.login.finish_totp(&user, "000000", NOW).await, Err(LoginError::Expired));
    world.login.start_totp(&user, NOW).await.unwrap();
    let wrong = world.login.finish_totp(&user, "x", NOW).await;
    assert_eq!(wrong, Err(LoginError::Credentials));
    let (_, codes) = enrolled(&world, &user).await;
    assert_eq!(codes.len(), 10);
    let (_, more) = enrolled(&world, &user).await;
    assert!(more.is_empty(), "those of before are good");
    let known = world.login.factors().known(&user.id).await.unwrap();
    assert!(known.totp && known.recovery);
}

#[tokio::test]
async fn new_codes_are_instead_of_the_old_ones() {
    let world = World::new();
    let user = world.user("student").await;
    let nothing = world.login.renew_recovery_codes(&user, NOW).await.unwrap();
    assert!(nothing.is_empty(), "there is nothing to recover");
    let (_, old) = enrolled(&world, &user).await;
    let new = world.login.renew_recovery_codes(&user, NOW).await.unwrap();
    assert_eq!(new.len(), 10);
    let factors = world.login.factors();
    for code in &old {
        let verified = factors.verify(&user.id, code.expose(), NOW).await;
        assert_eq!(verified, Ok(crate::login::Verified::Wrong));
    }
    let first = new.first().unwrap();
    let verified = factors.verify(&user.id, first.expose(), NOW).await;
    assert_eq!(verified, Ok(crate::login::Verified::Recovery { left: 9 }));
}

#[tokio::test]
async fn whoever_must_have_a_factor_keeps_one() {
    let world = World::new();
    let user = world.user("staff").await;
    let (first, _) = enrolled(&world, &user).await;
    let refused = world.login.remove_factor(&user, &first, NOW).await;
    assert_eq!(refused, Ok(Removal::Last));
    let (second, _) = enrolled(&world, &user).await;
    assert_eq!(world.login.remove_factor(&user, &first, NOW).await, Ok(Removal::Done));
    assert_eq!(world.login.remove_factor(&user, &first, NOW).await, Ok(Removal::Unknown));
    assert_eq!(world.login.remove_factor(&user, &second, NOW).await, Ok(Removal::Last));
    let known = world.login.factors().known(&user.id).await.unwrap();
    assert!(known.totp && known.recovery);
}

#[tokio::test]
async fn factors_are_taken_away_one_at_a_time() {
    let world = World::new();
    let user = world.user("staff").await;
    let (first, _) = enrolled(&world, &user).await;
    let (second, _) = enrolled(&world, &user).await;
    // As while another request, anywhere, takes one away.
    let key = FlowKey::of(FlowKind::Login, &[REMOVING, user.id.as_bytes()].concat());
    assert!(world.flows.put(key, REMOVING, REMOVING_MS, NOW).await.unwrap());
    let refused = world.login.remove_factor(&user, &first, NOW).await;
    assert_eq!(refused, Err(LoginError::Busy));
    assert!(world.flows.take(key, NOW).await.unwrap().is_some());
    assert_eq!(world.login.remove_factor(&user, &first, NOW).await, Ok(Removal::Done));
    assert_eq!(world.login.remove_factor(&user, &second, NOW).await, Ok(Removal::Last));
    assert!(world.flows.take(key, NOW).await.unwrap().is_none(), "the next one need not wait");
}

#[tokio::test]
async fn whoever_need_not_may_have_none_and_no_codes_stay_behind() {
    let world = World::new();
    let user = world.user("student").await;
    let (factor, codes) = enrolled(&world, &user).await;
    assert_eq!(world.login.remove_factor(&user, &factor, later(1)).await, Ok(Removal::Done));
    assert!(world.store.factors_of(&user.id).await.unwrap().is_empty());
    let code = codes.first().unwrap();
    let verified = world.login.factors().verify(&user.id, code.expose(), NOW).await;
    assert_eq!(verified, Ok(crate::login::Verified::Wrong));
    let removed = world.actions().await;
    let removed = removed.iter().filter(|action| *action == "mfa.removed");
    assert_eq!(removed.count(), 2, "the application and its codes");
}

#[tokio::test]
async fn nobody_takes_away_what_is_somebody_elses_or_no_factor() {
    let world = World::new();
    let (user, other) = (world.user("student").await, world.user("admin").await);
    let (theirs, _) = enrolled(&world, &other).await;
    enrolled(&world, &user).await;
    let all = world.store.factors_of(&user.id).await.unwrap();
    let codes = all.iter().find(|one| one.kind == FactorKind::RecoveryCodes).unwrap();
    for id in [theirs.as_str(), &codes.id, "", "nothing"] {
        let removed = world.login.remove_factor(&user, id, NOW).await;
        assert_eq!(removed, Ok(Removal::Unknown), "{id}");
    }
    assert_eq!(world.store.factors_of(&other.id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn beginning_for_ever_is_stopped() {
    let world = World::new();
    let user = world.user("student").await;
    for _ in 0..30 {
        world.login.start_totp(&user, NOW).await.unwrap();
    }
    let limited = world.login.start_totp(&user, NOW).await;
    assert!(matches!(limited, Err(LoginError::Limited { .. })), "{limited:?}");
    assert_eq!(world.store.factors_of(&user.id).await.unwrap().len(), 1, "the last one alone");
}

#[tokio::test]
async fn another_password_takes_the_present_one() {
    let world = World::new();
    let user = world.user("student").await;
    let change = |current: &'static str, new: &'static str| {
        let (login, user) = (&world.login, &user);
        let caller = crate::login::fixture::caller();
        async move {
            let (current, new) = (secret(current), secret(new));
            login.change_own_password(user, current, new, "this", &caller, NOW).await
        }
    };
    let good = crate::login::fixture::PASSWORD;
    assert_eq!(change("wrong", "another horse").await, Err(LoginError::Credentials));
    assert_eq!(change(good, "short").await, Err(LoginError::PasswordPolicy("short")));
    assert_eq!(change(good, good).await, Err(LoginError::PasswordPolicy("same")));
    assert_eq!(change(good, "another horse").await, Ok(()));
    assert_eq!(change(good, "a third horse").await, Err(LoginError::Credentials));
    assert!(world.actions().await.contains(&"password.changed".to_owned()));
}
