use postern_document::{Fingerprint, FingerprintPart};
use postern_store::durable::{FactorStore as _, UserChange, UserStore as _};

use super::*;
use crate::login::fixture::{EMAIL, ISSUER, NOW, PASSWORD, World, caller, later, secret, vault};
use crate::login::phc::Phc;
use crate::login::{DirectLogin, LoggedIn, Outcome, Screen, totp};
use crate::vault::Purpose;

/// Another step, whose code was not used.
const STEP_MS: u64 = 30_000;

fn done(outcome: Result<Outcome, LoginError>) -> LoggedIn {
    match outcome {
        Ok(Outcome::Done(done)) => *done,
        other => panic!("{other:?}"),
    }
}

async fn logged_in(world: &World, email: &str, now: UnixMillis) -> LoggedIn {
    let cookie = world.begin(Acr::OneFactor).await;
    done(world.password(&cookie, email, PASSWORD, now).await)
}

/// Sets an application up; its seed.
async fn enrol(world: &World, user_id: &str) -> Vec<u8> {
    let begun = world.login.factors().start_totp(user_id, "a", "Example", NOW).await.unwrap();
    let factors = world.store.factors_of(user_id).await.unwrap();
    let factor = factors.iter().find(|factor| factor.id == begun.factor_id).unwrap();
    let seed = vault().open(Purpose::Totp, factor.id.as_bytes(), &factor.sealed).unwrap();
    let code = totp::code_at(&seed, NOW);
    assert!(world.login.factors().confirm_totp(user_id, &factor.id, &code, NOW).await.unwrap());
    seed.to_vec()
}

fn direct(password: &str, mfa_token: Option<&str>) -> DirectLogin {
    DirectLogin {
        email: EMAIL.to_owned(),
        password: secret(password),
        mfa_token: mfa_token.map(secret),
        device_id: Some("phone-1".to_owned()),
        remember: false,
    }
}

#[tokio::test]
async fn a_password_opens_a_session_and_its_cookie_alone_opens_that() {
    let world = World::new();
    let user = world.user("student").await;
    let begun = logged_in(&world, EMAIL, NOW).await;
    assert_eq!((begun.session.user_id.as_str(), begun.max_age_secs), (user.id.as_str(), None));
    assert_eq!(begun.session.scopes, ["content.read"]);
    assert_eq!(begun.session.methods, ["pwd"]);
    let cookie = begun.cookie.expose();
    let found = world.login.session(Some(cookie.as_bytes()), NOW).await.unwrap().unwrap();
    assert_eq!(found.id, begun.session.id);
    let other = logged_in(&world, EMAIL, NOW).await;
    let (id, _) = cookie.split_once('.').unwrap();
    let (_, other_secret) = other.cookie.expose().split_once('.').unwrap();
    for bad in [
        String::new(),
        id.to_owned(),
        format!("{id}."),
        format!("{id}.{other_secret}"),
        format!("{cookie}x"),
        cookie.to_uppercase(),
    ] {
        assert_eq!(world.login.session(Some(bad.as_bytes()), NOW).await, Ok(None), "{bad}");
    }
    assert_eq!(world.login.session(None, NOW).await, Ok(None));
    assert_eq!(world.actions().await, ["login.succeeded", "login.succeeded"]);
}

#[tokio::test]
async fn a_copy_of_the_store_does_not_say_where_a_log_in_leads_to() {
    let world = World::new();
    world.user("student").await;
    let there = "/login/device?user_code=BCDF-GHJK";
    let return_to = ReturnTo::parse(there, ISSUER, &[]).unwrap();
    let cookie = world.login.begin(return_to, Acr::OneFactor, NOW).await.unwrap();
    let key = FlowKey::of(FlowKind::Login, cookie.expose().as_bytes());
    // What goes on is sealed anew.
    for _ in 0..2 {
        let kept = world.flows.peek(key, NOW).await.unwrap().unwrap();
        for known in [&b"BCDF-GHJK"[..], b"return_to"] {
            assert!(!kept.windows(known.len()).any(|window| window == known));
        }
        let refused = world.password(cookie.expose().as_bytes(), EMAIL, "wrong", NOW).await;
        assert_eq!(refused, Err(LoginError::Credentials));
    }
    let done = done(world.password(cookie.expose().as_bytes(), EMAIL, PASSWORD, NOW).await);
    assert_eq!(done.return_to.as_str(), there);
}

#[tokio::test]
async fn who_is_wrong_and_who_is_nobody_are_told_the_same() {
    let world = World::new();
    world.user("student").await;
    for (email, password) in [
        (EMAIL, "wrong"),
        ("nobody@example.test", PASSWORD),
        (EMAIL, ""),
        ("", PASSWORD),
        (EMAIL, &"x".repeat(1000)),
    ] {
        let cookie = world.begin(Acr::OneFactor).await;
        let refused = world.password(&cookie, email, password, NOW).await;
        assert_eq!(refused, Err(LoginError::Credentials), "{email}");
    }
    // The last one was never hashed, and so is no try.
    assert_eq!(world.actions().await, vec!["login.failed"; 4]);
}

#[tokio::test]
async fn a_user_without_a_password_cannot_be_guessed() {
    let world = World::new();
    world.user_with("student", |user| user.password = None).await;
    let refused = world.login.direct(direct("", None), &caller(), NOW).await;
    assert_eq!(refused, Err(LoginError::Credentials));
    let refused = world.login.direct(direct(PASSWORD, None), &caller(), NOW).await;
    assert_eq!(refused, Err(LoginError::Credentials));
}

#[tokio::test]
async fn tries_are_limited_and_success_is_none() {
    let world = World::new();
    world.user("student").await;
    for _ in 0..20 {
        logged_in(&world, EMAIL, NOW).await;
    }
    for _ in 0..5 {
        let refused = world.login.direct(direct("wrong", None), &caller(), NOW).await;
        assert_eq!(refused, Err(LoginError::Credentials));
    }
    let refused = world.login.direct(direct(PASSWORD, None), &caller(), NOW).await;
    assert!(matches!(refused, Err(LoginError::Limited { .. })), "the right one, too: {refused:?}");
    let elsewhere = Caller { ip: Some([198, 51, 100, 7].into()), ..caller() };
    assert!(world.login.direct(direct(PASSWORD, None), &elsewhere, NOW).await.is_ok());
    let much_later = later(31 * 60 * 1000);
    assert!(world.login.direct(direct(PASSWORD, None), &caller(), much_later).await.is_ok());
}

#[tokio::test]
async fn five_wrong_passwords_end_a_log_in() {
    let world = World::new();
    world.user("student").await;
    let cookie = world.begin(Acr::OneFactor).await;
    for expected in [LoginError::Credentials, LoginError::Exhausted] {
        let tries = if expected == LoginError::Credentials { 4 } else { 1 };
        for _ in 0..tries {
            let refused = world.password(&cookie, EMAIL, "wrong", NOW).await;
            assert_eq!(refused, Err(expected.clone()));
        }
    }
    let refused = world.password(&cookie, EMAIL, PASSWORD, NOW).await;
    assert_eq!(refused, Err(LoginError::Expired));
    assert_eq!(world.login.flow(&cookie, NOW).await, Ok(None));
}

#[tokio::test]
async fn no_cookie_of_a_log_in_no_log_in() {
    let world = World::new();
    world.user("student").await;
    let cookie = world.begin(Acr::OneFactor).await;
    for bad in [&b""[..], b"made up", &[0xff; 43], &[b'a'; 1000]] {
        let refused = world.password(bad, EMAIL, PASSWORD, NOW).await;
        assert_eq!(refused, Err(LoginError::Expired));
    }
    done(world.password(&cookie, EMAIL, PASSWORD, NOW).await);
    let again = world.password(&cookie, EMAIL, PASSWORD, NOW).await;
    assert_eq!(again, Err(LoginError::Expired), "it was used");
    let cookie = world.begin(Acr::OneFactor).await;
    let late = world.password(&cookie, EMAIL, PASSWORD, later(FLOW_LIFE_MS)).await;
    assert_eq!(late, Err(LoginError::Expired));
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_is_good_once() {
    let world = World::new();
    let user = world.user("student").await;
    let seed = enrol(&world, &user.id).await;
    let cookie = world.begin(Acr::OneFactor).await;
    let early = world.login.code(&cookie, "123456", &caller(), NOW).await;
    assert_eq!(early, Err(LoginError::Expired), "nothing was shown yet");
    let asked = world.password(&cookie, EMAIL, PASSWORD, NOW).await;
    let mfa = Screen::Mfa { totp: true, passkey: false, recovery: false };
    assert_eq!(asked, Ok(Outcome::Ask(mfa)));
    assert_eq!(world.login.screen(&cookie, NOW).await, Ok(mfa), "and again");
    let wrong = world.login.code(&cookie, "000000", &caller(), NOW).await;
    assert_eq!(wrong, Err(LoginError::Credentials));
    let next = later(STEP_MS);
    let code = totp::code_at(&seed, next);
    let begun = done(world.login.code(&cookie, &code, &caller(), next).await);
    assert_eq!(begun.session.mfa_at, Some(next));
    assert_eq!(begun.session.methods, ["pwd", "otp", "mfa"]);
    let cookie = world.begin(Acr::OneFactor).await;
    world.password(&cookie, EMAIL, PASSWORD, next).await.unwrap();
    let again = world.login.code(&cookie, &code, &caller(), next).await;
    assert_eq!(again, Err(LoginError::Credentials));
    let told = ["mfa.started", "mfa.enrolled", "mfa.failed", "login.succeeded", "mfa.failed"];
    assert_eq!(world.actions().await, told);
}

#[tokio::test]
async fn codes_have_a_limit_of_their_own_across_log_ins() {
    let world = World::new();
    let user = world.user("student").await;
    enrol(&world, &user.id).await;
    for _ in 0..5 {
        let refused = world.login.direct(direct(PASSWORD, Some("000000")), &caller(), NOW).await;
        assert_eq!(refused, Err(LoginError::MfaWrong(vec!["totp"])));
    }
    let cookie = world.begin(Acr::OneFactor).await;
    world.password(&cookie, EMAIL, PASSWORD, NOW).await.unwrap();
    let refused = world.login.code(&cookie, "000000", &caller(), NOW).await;
    assert!(matches!(refused, Err(LoginError::Limited { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_role_that_asks_for_a_factor_has_one_set_up_first() {
    let world = World::new();
    let user = world.user("staff").await;
    let cookie = world.begin(Acr::OneFactor).await;
    let asked = world.password(&cookie, &user.email, PASSWORD, NOW).await;
    assert_eq!(asked, Ok(Outcome::Ask(Screen::EnrolTotp)));
    let begun = world.login.start_enrolment(&cookie, NOW).await.unwrap();
    let factors = world.store.factors_of(&user.id).await.unwrap();
    let sealed = &factors[0].sealed;
    let seed = vault().open(Purpose::Totp, begun.factor_id.as_bytes(), sealed).unwrap();
    let wrong = world.login.finish_enrolment(&cookie, "000000", &caller(), NOW).await;
    assert_eq!(wrong, Err(LoginError::Credentials));
    let code = totp::code_at(&seed, NOW);
    let enrolled = world.login.finish_enrolment(&cookie, &code, &caller(), NOW).await.unwrap();
    assert_eq!(enrolled.recovery_codes.len(), 10);
    assert_eq!(done(Ok(enrolled.outcome)).session.mfa_at, Some(NOW));

    let cookie = world.begin(Acr::OneFactor).await;
    world.password(&cookie, &user.email, PASSWORD, NOW).await.unwrap();
    let refused = world.login.start_enrolment(&cookie, NOW).await;
    assert_eq!(refused, Err(LoginError::Expired), "a password alone adds no second application");
    let code = enrolled.recovery_codes[0].expose();
    done(world.login.code(&cookie, code, &caller(), NOW).await);
}

#[tokio::test]
async fn a_password_that_must_be_changed_is_changed_first() {
    let world = World::new();
    let user = world.user_with("student", |user| user.must_change_password = true).await;
    let refused = world.login.direct(direct(PASSWORD, None), &caller(), NOW).await;
    assert_eq!(refused, Err(LoginError::PasswordPolicy("must_change")));
    let cookie = world.begin(Acr::OneFactor).await;
    let asked = world.password(&cookie, EMAIL, PASSWORD, NOW).await;
    assert_eq!(asked, Ok(Outcome::Ask(Screen::ChangePassword)));
    for (new, word) in [("short", "short"), (PASSWORD, "same"), (EMAIL, "email")] {
        let refused = world.login.change_password(&cookie, secret(new), &caller(), NOW).await;
        assert_eq!(refused, Err(LoginError::PasswordPolicy(word)));
    }
    let new = "another horse battery";
    done(world.login.change_password(&cookie, secret(new), &caller(), NOW).await);
    let kept = world.store.find_user(&user.id).await.unwrap().unwrap();
    assert!(!kept.must_change_password);
    assert!(world.login.direct(direct(new, None), &caller(), NOW).await.is_ok());
    let old = world.login.direct(direct(PASSWORD, None), &caller(), NOW).await;
    assert_eq!(old, Err(LoginError::Credentials));
}

#[tokio::test]
async fn another_password_ends_all_other_sessions() {
    let world = World::new();
    let user = world.user("student").await;
    let (own, other) = (logged_in(&world, EMAIL, NOW).await, logged_in(&world, EMAIL, NOW).await);
    let new = secret("another horse battery");
    let keep = Some(own.session.id.as_str());
    world.login.replace_password(&user, new, keep, NOW).await.unwrap();
    let left = world.login.sessions_of(&user.id, NOW).await.unwrap();
    assert_eq!(left.iter().map(|session| &session.id).collect::<Vec<_>>(), [&own.session.id]);
    assert_eq!(world.revocations.names(RevocationKind::Session), [other.session.id]);
    assert!(world.revocations.names(RevocationKind::Subject).is_empty());
    let cookie = own.cookie.expose().as_bytes();
    assert!(world.login.session(Some(cookie), NOW).await.unwrap().is_some());
}

#[tokio::test]
async fn a_step_up_renews_the_session_and_its_secret() {
    let world = World::new();
    let user = world.user("student").await;
    let begun = logged_in(&world, EMAIL, NOW).await;
    let seed = enrol(&world, &user.id).await;
    let up = world.login.step_up(&begun.session, ReturnTo::default(), NOW).await.unwrap();
    let up = up.expose().as_bytes();
    assert!(matches!(world.login.screen(up, NOW).await, Ok(Screen::Mfa { .. })));
    let next = later(STEP_MS);
    let code = totp::code_at(&seed, next);
    let renewed = done(world.login.code(up, &code, &caller(), next).await);
    assert_eq!(renewed.session.id, begun.session.id);
    assert_eq!(renewed.session.mfa_at, Some(next));
    assert_eq!(renewed.session.created_at, NOW);
    let (old, new) = (begun.cookie.expose().as_bytes(), renewed.cookie.expose().as_bytes());
    assert_eq!(world.login.session(Some(old), next).await, Ok(None), "the cookie from before");
    assert!(world.login.session(Some(new), next).await.unwrap().is_some());
}

#[tokio::test]
async fn a_step_up_revives_no_session_that_has_ended() {
    let world = World::new();
    let user = world.user("student").await;
    let begun = logged_in(&world, EMAIL, NOW).await;
    let seed = enrol(&world, &user.id).await;
    let up = world.login.step_up(&begun.session, ReturnTo::default(), NOW).await.unwrap();
    assert!(world.login.end_session(&begun.session.id, &user.id, NOW).await.unwrap());
    let next = later(STEP_MS);
    let code = totp::code_at(&seed, next);
    let refused = world.login.code(up.expose().as_bytes(), &code, &caller(), next).await;
    assert_eq!(refused, Err(LoginError::Expired), "nor begins another one without the password");
    assert!(world.login.sessions_of(&user.id, next).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_step_up_sets_no_second_factor_up() {
    let world = World::new();
    let user = world.user("student").await;
    let begun = logged_in(&world, EMAIL, NOW).await;
    enrol(&world, &user.id).await;
    let up = world.login.step_up(&begun.session, ReturnTo::default(), NOW).await.unwrap();
    let up = up.expose().as_bytes();
    // The one that was to be shown is taken away meanwhile.
    for factor in world.login.factors().list(&user.id).await.unwrap() {
        world.login.factors().remove(&user.id, &factor.id, &user.id, NOW).await.unwrap();
    }
    let refused = world.login.start_enrolment(up, NOW).await;
    assert_eq!(refused, Err(LoginError::Expired), "that takes the password");
    let refused = world.login.finish_enrolment(up, "000000", &caller(), NOW).await;
    assert_eq!(refused.map(|_| ()), Err(LoginError::Expired));
}

/// What an operator changes, a moment later than the fixture's present.
async fn changed(world: &World, user_id: &str, change: UserChange) {
    let entry = audit::entry(NOW, "test", "user.changed", user_id, &[]);
    let change = UserChange { at: later(1), ..change };
    assert!(world.store.change_user(user_id, change, &entry).await.unwrap());
}

async fn another_password() -> UserChange {
    let hasher = crate::login::hashing::tests::hasher(crate::login::hashing::tests::CHEAP);
    let hash = hasher.make(secret("another horse battery")).await.unwrap();
    UserChange { password: Some((hash, false)), ..UserChange::default() }
}

#[tokio::test]
async fn a_password_of_before_goes_no_further_once_there_is_another() {
    let world = World::new();
    let user = world.user("student").await;
    let seed = enrol(&world, &user.id).await;
    let cookie = world.begin(Acr::OneFactor).await;
    assert!(matches!(
        world.password(&cookie, EMAIL, PASSWORD, NOW).await,
        Ok(Outcome::Ask(Screen::Mfa { .. }))
    ));
    changed(&world, &user.id, another_password().await).await;
    let next = later(STEP_MS);
    let code = totp::code_at(&seed, next);
    let refused = world.login.code(&cookie, &code, &caller(), next).await;
    assert_eq!(refused, Err(LoginError::Expired));

    // Nor does it choose the next one.
    let world = World::new();
    let user = world.user_with("student", |user| user.must_change_password = true).await;
    let cookie = world.begin(Acr::OneFactor).await;
    world.password(&cookie, EMAIL, PASSWORD, NOW).await.unwrap();
    let mut change = another_password().await;
    if let Some((_, must_change)) = &mut change.password {
        *must_change = true;
    }
    changed(&world, &user.id, change).await;
    let refused = world.login.change_password(&cookie, secret("mine now!"), &caller(), NOW).await;
    assert_eq!(refused, Err(LoginError::Expired));
}

#[tokio::test]
async fn a_session_that_begins_behind_a_change_of_the_password_ends() {
    let world = World::new();
    let user = world.user("student").await;
    let begun = logged_in(&world, EMAIL, NOW).await;
    let stands = world.login.confirm(&begun.session, user.updated_at, NOW).await;
    assert_eq!(stands, Ok(()), "nothing has changed");
    changed(&world, &user.id, another_password().await).await;
    let overtaken = world.login.confirm(&begun.session, user.updated_at, NOW).await;
    assert_eq!(overtaken, Err(LoginError::Expired));
    assert_eq!(
        world.revocations.names(RevocationKind::Session),
        std::slice::from_ref(&begun.session.id)
    );
    assert!(world.login.sessions_of(&user.id, NOW).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_revoked_opens_nothing_though_the_store_still_has_it() {
    let world = World::new();
    let user = world.user("student").await;
    let begun = logged_in(&world, EMAIL, NOW).await;
    let cookie = begun.cookie.expose().as_bytes();
    world.login.end_all(&user.id, &user.id, NOW).await.unwrap();
    // As a store that came back from a copy would have it.
    world.flows.start_session(&begun.session, NOW).await.unwrap();
    assert_eq!(world.login.session(Some(cookie), NOW).await, Ok(None));
    assert!(world.login.sessions_of(&user.id, NOW).await.unwrap().is_empty());
    let after = later(2000);
    let fresh = logged_in(&world, EMAIL, after).await;
    let cookie = fresh.cookie.expose().as_bytes();
    assert!(world.login.session(Some(cookie), after).await.unwrap().is_some());
}

#[tokio::test]
async fn who_logs_in_within_the_second_in_which_all_was_ended_stays_in() {
    let world = World::new();
    let user = world.user("student").await;
    world.login.end_all(&user.id, &user.id, NOW).await.unwrap();
    let (soon, next) = (later(980), later(1000));
    let browsers = logged_in(&world, EMAIL, soon).await;
    assert_eq!(browsers.session.created_at, next);
    let cookie = browsers.cookie.expose().as_bytes();
    assert!(world.login.session(Some(cookie), next).await.unwrap().is_some());
    let direct = world.login.direct(direct(PASSWORD, None), &caller(), soon).await.unwrap();
    assert_eq!(direct.session.created_at, next, "and its tokens are no older");
    assert_eq!(world.login.sessions_of(&user.id, next).await.unwrap().len(), 2);
}

#[tokio::test]
async fn who_is_remembered_is_longer() {
    let world = World::new();
    world.user("student").await;
    let cookie = world.begin(Acr::OneFactor).await;
    let password = secret(PASSWORD);
    let outcome = world.login.password(&cookie, EMAIL, password, true, &caller(), NOW).await;
    let long = done(outcome);
    let short = logged_in(&world, EMAIL, NOW).await;
    assert_eq!(long.max_age_secs, Some(30 * 24 * 3600));
    let month = later(29 * 24 * 3600 * 1000);
    let cookie = long.cookie.expose().as_bytes();
    assert!(world.login.session(Some(cookie), month).await.unwrap().is_some());
    let idle = later(12 * 3600 * 1000);
    let cookie = short.cookie.expose().as_bytes();
    assert_eq!(world.login.session(Some(cookie), idle).await, Ok(None));
}

#[tokio::test]
async fn a_hash_of_yesterday_is_made_anew_after_the_log_in() {
    let world = World::new();
    let user = world.user("student").await;
    let costly = crate::login::phc::Argon2Parameters { memory_kib: 72, iterations: 1 };
    let hasher = crate::login::hashing::tests::hasher(costly);
    let other = hasher.make(secret(PASSWORD)).await.unwrap();
    let replaced =
        world.store.upgrade_password(&user.id, &user.password.unwrap(), other.clone()).await;
    assert!(replaced.unwrap());
    logged_in(&world, EMAIL, NOW).await;
    for _ in 0..200 {
        let kept = world.store.find_user(&user.id).await.unwrap().unwrap().password.unwrap();
        if kept != other {
            let kept = Phc::parse(&kept.0).unwrap();
            assert_eq!(kept.parameters, crate::login::hashing::tests::CHEAP);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the hash is still the old one");
}

#[tokio::test]
async fn a_session_without_a_browser_is_bound_to_its_device_and_no_cookie_opens_it() {
    let world = World::new();
    world.user("student").await;
    let begun = world.login.direct(direct(PASSWORD, None), &caller(), NOW).await.unwrap();
    let session = begun.session;
    assert_eq!(session.device_id.as_deref(), Some("phone-1"));
    assert_eq!(session.client_id.as_deref(), Some(crate::login::LOGIN_CLIENT_ID));
    assert_eq!(session.secret, None);
    let guess = format!("{}.{}", session.id, "A".repeat(43));
    assert_eq!(world.login.session(Some(guess.as_bytes()), NOW).await, Ok(None));
}

#[tokio::test]
async fn another_browser_with_the_same_cookie_is_judged_as_the_document_says() {
    let other = Caller { user_agent: "Other/2".to_owned(), ..caller() };
    for (on_change, expected) in [
        (OnChange::Log, BrowserVerdict::Same),
        (OnChange::AskMfa, BrowserVerdict::AskSecondFactor),
        (OnChange::End, BrowserVerdict::Ended),
    ] {
        let world = World::new().with(|login| {
            login.fingerprint = Fingerprint { parts: vec![FingerprintPart::UserAgent], on_change };
        });
        world.user("student").await;
        let begun = logged_in(&world, EMAIL, NOW).await;
        let cookie = begun.cookie.expose().as_bytes();
        let same = world.login.judge_browser(cookie, &begun.session, &caller(), NOW).await;
        assert_eq!(same, Ok(BrowserVerdict::Same));
        let judged = world.login.judge_browser(cookie, &begun.session, &other, NOW).await;
        assert_eq!(judged, Ok(expected));
        let found = world.login.session(Some(cookie), NOW).await.unwrap();
        assert_eq!(found.is_none(), expected == BrowserVerdict::Ended);
    }
}

/// A browser that shows this cookie.
fn with_cookie(cookie: &str) -> Caller {
    Caller { session: Some(secret(cookie)), ..caller() }
}

async fn log_in_with(world: &World, email: &str, caller: &Caller) -> LoggedIn {
    let cookie = world.begin(Acr::OneFactor).await;
    done(world.login.password(&cookie, email, secret(PASSWORD), false, caller, NOW).await)
}

#[tokio::test]
async fn a_session_ends_where_another_one_begins_in_its_browser() {
    let world = World::new();
    world.user("student").await;
    world.user("admin").await;
    for email in [EMAIL, "admin@example.test"] {
        let before = logged_in(&world, EMAIL, NOW).await;
        let after = log_in_with(&world, email, &with_cookie(before.cookie.expose())).await;
        assert_ne!(after.session.id, before.session.id);
        let old = world.login.session(Some(before.cookie.expose().as_bytes()), NOW).await;
        assert_eq!(old, Ok(None), "{email}");
        let new = world.login.session(Some(after.cookie.expose().as_bytes()), NOW).await;
        assert_eq!(new.unwrap().map(|session| session.id), Some(after.session.id), "{email}");
        let revoked = world.revocations.names(RevocationKind::Session);
        assert_eq!(revoked.last(), Some(&before.session.id), "for good, whatever store is lost");
    }
    assert!(world.actions().await.contains(&"session.ended".to_owned()));
}

#[tokio::test]
async fn a_session_is_ended_by_nobody_who_has_not_its_secret() {
    let world = World::new();
    world.user("student").await;
    let others = logged_in(&world, EMAIL, NOW).await;
    let (id, _) = others.cookie.expose().split_once('.').unwrap();
    for cookie in [format!("{id}.{}", "A".repeat(43)), id.to_owned(), "x.y".to_owned()] {
        log_in_with(&world, EMAIL, &with_cookie(&cookie)).await;
        let found = world.login.session(Some(others.cookie.expose().as_bytes()), NOW).await;
        assert!(found.unwrap().is_some(), "{cookie}");
    }
}

#[tokio::test]
async fn who_authenticates_again_keeps_the_session() {
    let world = World::new();
    world.user("student").await;
    let before = logged_in(&world, EMAIL, NOW).await;
    let to = ReturnTo::default();
    let again = world.login.authenticate_again(&before.session, to, Acr::OneFactor, 0, NOW);
    let flow = again.await.unwrap();
    let caller = with_cookie(before.cookie.expose());
    let flow = flow.expose().as_bytes();
    let after = world.login.password(flow, EMAIL, secret(PASSWORD), false, &caller, NOW).await;
    let after = done(after);
    assert_eq!(after.session.id, before.session.id);
    let found = world.login.session(Some(after.cookie.expose().as_bytes()), NOW).await;
    assert!(found.unwrap().is_some());
}
