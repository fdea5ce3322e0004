use postern_oauth::Acr;
use postern_request::login::ReturnTo;
use postern_store::FlowStore as _;
use postern_store::durable::{AuditStore as _, FactorStore as _, UserChange, UserStore as _};
use serde_json::Value;

use super::*;
use crate::login::fixture::{EMAIL, ISSUER, NOW, PASSWORD, World, caller, later, secret, vault};
use crate::login::{LoggedIn, Screen};
use crate::passkeys::soft::SoftPasskey;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn done(outcome: Result<Outcome, LoginError>) -> LoggedIn {
    match outcome {
        Ok(Outcome::Done(done)) => *done,
        other => panic!("{other:?}"),
    }
}

async fn by_password(world: &World) -> LoggedIn {
    let cookie = world.begin(Acr::OneFactor).await;
    done(world.password(&cookie, EMAIL, PASSWORD, NOW).await)
}

/// Makes a passkey for a user who has logged in by a password before they had one.
async fn enrolled(world: &World, user: &UserRecord, seed: u8) -> SoftPasskey {
    let own = world.login.sessions_of(&user.id, NOW).await.unwrap();
    let session = match own.into_iter().next() {
        Some(session) => session,
        None => by_password(world).await.session,
    };
    let mut soft = SoftPasskey::new(seed, ISSUER);
    let options = world.login.start_passkey(user, &session, NOW).await.unwrap();
    let answer = soft.create(&json(&options)).to_string();
    let kept = world.login.finish_passkey(user, &session, "My phone", &answer, NOW).await;
    assert_eq!(kept, Ok(()));
    soft
}

/// An answer to what is asked for a log-in.
async fn answered(world: &World, cookie: &[u8], soft: &mut SoftPasskey) -> String {
    let options = world.login.passkey_options(cookie, NOW).await.unwrap();
    soft.get(&json(&options)).to_string()
}

async fn shown(world: &World, cookie: &[u8], answer: &str) -> Result<Outcome, LoginError> {
    world.login.passkey(cookie, answer, false, &caller(), NOW).await
}

#[tokio::test]
async fn a_passkey_is_two_factors_and_needs_no_name() {
    let world = World::new();
    // A role that asks for a second factor is content with it.
    let user = world.user("staff").await;
    world.user("student").await;
    let mut session = by_password(&world).await.session;
    session.user_id.clone_from(&user.id);
    let mut soft = SoftPasskey::new(1, ISSUER);
    let options = world.login.start_passkey(&user, &session, NOW).await.unwrap();
    let answer = soft.create(&json(&options)).to_string();
    world.login.finish_passkey(&user, &session, " ", &answer, NOW).await.unwrap();
    let cookie = world.begin(Acr::SeveralFactors).await;
    let answer = answered(&world, &cookie, &mut soft).await;
    let begun = done(shown(&world, &cookie, &answer).await);
    assert_eq!(begun.session.user_id, user.id);
    assert_eq!(begun.session.methods, ["hwk", "user", "mfa"]);
    assert_eq!(begun.session.mfa_at, Some(NOW));
    let factors = world.store.factors_of(&user.id).await.unwrap();
    assert_eq!(factors.len(), 1);
    assert_eq!((factors[0].name.as_str(), factors[0].last_used_at), ("Passkey", Some(NOW)));
    assert!(world.login.passkey_options(&cookie, NOW).await.is_err(), "the log-in is over");
}

#[tokio::test]
async fn behind_a_password_it_is_the_second_factor() {
    let world = World::new();
    let user = world.user("student").await;
    let mut soft = enrolled(&world, &user, 1).await;
    let cookie = world.begin(Acr::OneFactor).await;
    let asked = world.password(&cookie, EMAIL, PASSWORD, NOW).await;
    let mfa = Screen::Mfa { totp: false, passkey: true, recovery: false };
    assert_eq!(asked, Ok(Outcome::Ask(mfa)));
    let answer = answered(&world, &cookie, &mut soft).await;
    let begun = done(shown(&world, &cookie, &answer).await);
    assert_eq!(begun.session.methods, ["pwd", "hwk", "user", "mfa"]);
}

#[tokio::test]
async fn an_answer_is_good_once() {
    let world = World::new();
    let user = world.user("student").await;
    let mut soft = enrolled(&world, &user, 1).await;
    soft.counts = false;
    let cookie = world.begin(Acr::OneFactor).await;
    let answer = answered(&world, &cookie, &mut soft).await;
    let other = world.begin(Acr::OneFactor).await;
    world.login.passkey_options(&other, NOW).await.unwrap();
    let elsewhere = shown(&world, &other, &answer).await;
    assert_eq!(elsewhere, Err(LoginError::Credentials), "in another browser");
    let wrong = shown(&world, &cookie, "{}").await;
    assert_eq!(wrong, Err(LoginError::Credentials));
    let late = shown(&world, &cookie, &answer).await;
    assert_eq!(late, Err(LoginError::Credentials), "the challenge was used");
    let unasked = shown(&world, &cookie, &answer).await;
    assert_eq!(unasked, Err(LoginError::Credentials));
    let answer = answered(&world, &cookie, &mut soft).await;
    done(shown(&world, &cookie, &answer).await);
}

#[tokio::test]
async fn a_counter_that_goes_back_lets_nobody_in() {
    let world = World::new();
    let user = world.user("student").await;
    let mut soft = enrolled(&world, &user, 1).await;
    let mut copy = soft.clone();
    for _ in 0..2 {
        let cookie = world.begin(Acr::OneFactor).await;
        let answer = answered(&world, &cookie, &mut soft).await;
        done(shown(&world, &cookie, &answer).await);
    }
    let cookie = world.begin(Acr::OneFactor).await;
    let answer = answered(&world, &cookie, &mut copy).await;
    assert_eq!(shown(&world, &cookie, &answer).await, Err(LoginError::Credentials));
    let last = world.actions().await.pop();
    assert_eq!(last.as_deref(), Some("login.failed"));
}

#[tokio::test]
async fn five_wrong_answers_end_a_log_in() {
    let world = World::new();
    world.user("student").await;
    let cookie = world.begin(Acr::OneFactor).await;
    for _ in 0..4 {
        assert_eq!(shown(&world, &cookie, "{}").await, Err(LoginError::Credentials));
    }
    assert_eq!(shown(&world, &cookie, "{}").await, Err(LoginError::Exhausted));
    assert_eq!(world.login.flow(&cookie, NOW).await, Ok(None));
    for bad in [&b""[..], b"nothing"] {
        let refused = world.login.passkey_options(bad, NOW).await;
        assert_eq!(refused, Err(LoginError::Expired));
    }
}

#[tokio::test]
async fn one_address_cannot_try_for_ever() {
    let world = World::new();
    for _ in 0..100 {
        let cookie = world.begin(Acr::OneFactor).await;
        assert_eq!(shown(&world, &cookie, "{}").await, Err(LoginError::Credentials));
    }
    let cookie = world.begin(Acr::OneFactor).await;
    let limited = shown(&world, &cookie, "{}").await;
    assert!(matches!(limited, Err(LoginError::Limited { .. })), "{limited:?}");
}

#[tokio::test]
async fn who_is_switched_off_and_who_is_gone_are_kept_out() {
    let world = World::new();
    let user = world.user("student").await;
    let mut soft = enrolled(&world, &user, 1).await;
    let change = UserChange { is_active: Some(false), at: NOW, ..UserChange::default() };
    let entry = audit::entry(NOW, "test", "user.changed", &user.id, &[]);
    assert!(world.store.change_user(&user.id, change, &entry).await.unwrap());
    let cookie = world.begin(Acr::OneFactor).await;
    let answer = answered(&world, &cookie, &mut soft).await;
    assert_eq!(shown(&world, &cookie, &answer).await, Err(LoginError::Blocked));
    // A passkey that says it is somebody else's.
    soft.user = vec![7; 16];
    let cookie = world.begin(Acr::OneFactor).await;
    let answer = answered(&world, &cookie, &mut soft).await;
    assert_eq!(shown(&world, &cookie, &answer).await, Err(LoginError::Credentials));
}

#[tokio::test]
async fn a_record_that_somebody_swaps_in_the_database_opens_nothing() {
    let world = World::new();
    let user = world.user("student").await;
    let mut soft = enrolled(&world, &user, 1).await;
    let mut thief = enrolled(&world, &user, 2).await;
    let factors = world.store.factors_of(&user.id).await.unwrap();
    let of = |soft: &SoftPasskey| {
        let id = postern_jose::base64url::encode(&soft.id);
        factors.iter().find(|one| one.credential_id.as_deref() == Some(id.as_str())).unwrap()
    };
    let (mine, stolen) = (of(&soft), of(&thief));
    // The thief's public key under the victim's credential.
    let swapped =
        world.store.use_factor(&mine.id, &mine.sealed, stolen.sealed.clone(), 0, 0, NOW).await;
    assert!(swapped.unwrap());
    (thief.id, thief.counter) = (soft.id.clone(), 9);
    let cookie = world.begin(Acr::OneFactor).await;
    let answer = answered(&world, &cookie, &mut thief).await;
    assert_eq!(shown(&world, &cookie, &answer).await, Err(LoginError::Internal));
    let answer = answered(&world, &cookie, &mut soft).await;
    assert_eq!(shown(&world, &cookie, &answer).await, Err(LoginError::Internal));
}

#[tokio::test]
async fn what_is_kept_between_two_requests_is_sealed_for_its_browser() {
    let world = World::new();
    world.user("student").await;
    let (mine, yours) = (world.begin(Acr::OneFactor).await, world.begin(Acr::OneFactor).await);
    world.login.passkey_options(&mine, NOW).await.unwrap();
    let key = Begun::LogIn(&mine).key();
    let kept = world.flows.take(key, NOW).await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&kept).contains("challenge"));
    // Whoever can write to the store puts it under another log-in.
    let key = Begun::LogIn(&yours).key();
    assert!(world.flows.put(key, &kept, FLOW_LIFE_MS, NOW).await.unwrap());
    assert_eq!(shown(&world, &yours, "{}").await, Err(LoginError::Internal));
    let opened = vault().open(Purpose::Passkey, &Begun::LogIn(&mine).name(), &Sealed(kept));
    assert!(opened.is_ok());
    let enrolment = Begun::Enrolment("a").name();
    assert_ne!(enrolment, Begun::LogIn(b"a").name());
}

#[tokio::test]
async fn a_passkey_is_made_once_and_is_one_users() {
    let world = World::new();
    let user = world.user("student").await;
    let session = by_password(&world).await.session;
    let soft = enrolled(&world, &user, 1).await;
    let unasked = world.login.finish_passkey(&user, &session, "x", "{}", NOW).await;
    assert_eq!(unasked, Err(LoginError::Expired));
    world.login.start_passkey(&user, &session, NOW).await.unwrap();
    let wrong = world.login.finish_passkey(&user, &session, "x", "{}", NOW).await;
    assert_eq!(wrong, Err(LoginError::Credentials));
    // The same credential for somebody else.
    let other = world.user("admin").await;
    let mut theirs = session.clone();
    theirs.user_id.clone_from(&other.id);
    let options = world.login.start_passkey(&other, &theirs, NOW).await.unwrap();
    let answer = soft.clone().create(&json(&options)).to_string();
    let taken = world.login.finish_passkey(&other, &theirs, "x", &answer, NOW).await;
    assert_eq!(taken, Err(LoginError::Credentials));
    assert!(world.store.factors_of(&other.id).await.unwrap().is_empty());
    let enrolled = world.store.audit_since(0, 1000).await.unwrap();
    let enrolled: Vec<_> =
        enrolled.iter().filter(|one| one.entry.action == "mfa.enrolled").collect();
    assert_eq!(enrolled.len(), 1);
    assert!(enrolled[0].entry.detail.contains("passkey"));
}

#[tokio::test]
async fn nobody_has_more_than_anybody_needs() {
    let world = World::new();
    let user = world.user("student").await;
    let session = by_password(&world).await.session;
    for seed in 1..=10 {
        let mut soft = SoftPasskey::new(seed, ISSUER);
        let options = world.login.start_passkey(&user, &session, NOW).await.unwrap();
        let answer = soft.create(&json(&options)).to_string();
        let long = "ä\n".repeat(100);
        world.login.finish_passkey(&user, &session, &long, &answer, NOW).await.unwrap();
    }
    let names = world.login.factors().list(&user.id).await.unwrap();
    assert!(names.iter().all(|one| one.name == "ä".repeat(MAX_NAME_CHARS)), "{names:?}");
    let full = world.login.start_passkey(&user, &session, NOW).await;
    assert_eq!(full, Err(LoginError::Blocked));
}

#[tokio::test]
async fn beginning_for_ever_is_stopped() {
    let world = World::new();
    let user = world.user("student").await;
    let session = by_password(&world).await.session;
    for _ in 0..30 {
        world.login.start_passkey(&user, &session, NOW).await.unwrap();
    }
    let limited = world.login.start_passkey(&user, &session, NOW).await;
    assert!(matches!(limited, Err(LoginError::Limited { .. })), "{limited:?}");
}

#[tokio::test]
async fn who_authenticates_again_goes_on_in_the_same_session() {
    let world = World::new();
    let user = world.user("student").await;
    let before = by_password(&world).await;
    let soft = &mut enrolled(&world, &user, 1).await;
    let now = later(60 * 60 * 1000);
    let again = world.login.authenticate_again(
        &before.session,
        ReturnTo::default(),
        Acr::OneFactor,
        0,
        now,
    );
    let cookie = again.await.unwrap();
    let cookie = cookie.expose().as_bytes();
    assert_eq!(world.login.screen(cookie, now).await, Ok(Screen::Password));
    let options = world.login.passkey_options(cookie, now).await.unwrap();
    let answer = soft.get(&json(&options)).to_string();
    let after = done(world.login.passkey(cookie, &answer, false, &caller(), now).await);
    assert_eq!(after.session.id, before.session.id);
    assert_eq!((after.session.authenticated_at, after.session.mfa_at), (now, Some(now)));
    let old = world.login.session(Some(before.cookie.expose().as_bytes()), now).await;
    assert_eq!(old, Ok(None), "the cookie from before");
    // Somebody else at the same browser begins a session of their own.
    world.user("admin").await;
    let again =
        world.login.authenticate_again(&after.session, ReturnTo::default(), Acr::OneFactor, 0, now);
    let cookie = again.await.unwrap();
    let cookie = cookie.expose().as_bytes();
    let other = "admin@example.test";
    let other = world.login.password(cookie, other, secret(PASSWORD), false, &caller(), now).await;
    assert_ne!(done(other).session.id, before.session.id);
}
