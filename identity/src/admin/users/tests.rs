use postern_revocation::{Revocation, RevocationKind};
use postern_store::durable::{FactorStore as _, UserStore as _};
use postern_store::{BoxFuture, FlowStore, StoreError};

use super::*;
use crate::login::fixture::{ISSUER, NOW, World, later, rules, secret, tests_hasher};
use crate::metrics::LoginMetrics;
use crate::ports::Announce;

fn new(email: &str) -> NewUser {
    NewUser {
        email: email.to_owned(),
        profile: Profile {
            first_name: "Ada".to_owned(),
            last_name: "L".to_owned(),
            ..Profile::default()
        },
        ..NewUser::default()
    }
}

async fn create(world: &World, new: NewUser) -> Result<CreatedUser, IdentityError> {
    create_user(&*world.store, &tests_hasher(), &rules(), new, "cli:root", NOW).await
}

async fn change(world: &World, id: &str, edit: UserEdit) -> Result<Option<Secret>, IdentityError> {
    let (hasher, rules) = (tests_hasher(), rules());
    let (store, ending) = (&*world.store, &*world.ending);
    let with = UserWork { store, hasher: &hasher, rules: &rules, ending };
    change_user(&with, id, edit, "cli:root", NOW).await
}

#[tokio::test]
async fn a_generated_password_is_shown_once_and_logs_in() {
    let world = World::new();
    let wanted = NewUser { password: NewPassword::Generated, ..new("a@example.test") };
    let created = create(&world, wanted).await.unwrap();
    let password = created.password.unwrap();
    assert!(!format!("{:?}", created.record).contains(password.expose()));
    assert_eq!(created.record.role, "student", "the default");
    let cookie = world.begin(postern_oauth::Acr::OneFactor).await;
    let done = world.password(&cookie, "A@example.test", password.expose(), NOW).await;
    assert!(matches!(done, Ok(crate::Outcome::Done(_))), "{done:?}");
}

#[tokio::test]
async fn nobody_chooses_an_id() {
    let world = World::new();
    let one = create(&world, new("a@example.test")).await.unwrap().record.id;
    let two = create(&world, new("b@example.test")).await.unwrap().record.id;
    assert_ne!(one, two);
    assert!(postern_request::correlation::is_uuid(one.as_bytes()));
}

#[tokio::test]
async fn nonsense_is_refused() {
    let world = World::new();
    create(&world, new("taken@example.test")).await.unwrap();
    let long = format!("{}@example.test", "a".repeat(250));
    for email in ["", "a", "@b", "a@", "a b@c", "a@b@c", "a@.b", "a@b\n", " a@b", &long] {
        let refused = create(&world, new(email)).await;
        assert!(matches!(refused, Err(IdentityError::Invalid { what: "e-mail", .. })), "{email}");
    }
    let refused = create(&world, new("Taken@Example.test")).await.unwrap_err().to_string();
    assert!(refused.contains("another user has it"), "{refused}");
    let nameless = NewUser { profile: Profile::default(), ..new("a@b") };
    let of_no_role = NewUser { role: Some("gone".to_owned()), ..new("a@b") };
    let short = NewUser { password: NewPassword::Given(secret("short")), ..new("a@b") };
    let long = NewUser { password: NewPassword::Given(secret(&"a".repeat(129))), ..new("a@b") };
    for (bad, expected) in [
        (nameless, "first name"),
        (of_no_role, "no such role; it has student, staff, admin"),
        (short, "too short: at least 8 characters"),
        (long, "too long: at most 128 characters"),
    ] {
        let refused = create(&world, bad).await.unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}

#[tokio::test]
async fn whoever_is_switched_off_is_logged_out_and_stays_out() {
    let world = World::new();
    let user = world.user("student").await;
    let cookie = world.begin(postern_oauth::Acr::OneFactor).await;
    let password = crate::login::fixture::PASSWORD;
    world.password(&cookie, &user.email, password, NOW).await.unwrap();
    let off = UserEdit { is_active: Some(false), ..UserEdit::default() };
    change(&world, &user.id, off).await.unwrap();
    assert_eq!(world.revocations.names(RevocationKind::Subject), std::slice::from_ref(&user.id));
    assert!(world.login.sessions_of(&user.id, later(1)).await.unwrap().is_empty());
    let cookie = world.begin(postern_oauth::Acr::OneFactor).await;
    let refused = world.password(&cookie, &user.email, password, later(1)).await;
    assert_eq!(refused, Err(LoginError::Blocked));
    let wrong = world.password(&cookie, &user.email, "wrong", later(1)).await;
    assert_eq!(wrong, Err(LoginError::Credentials), "who does not know it is told nothing");
}

#[tokio::test]
async fn the_last_who_may_administer_stays() {
    let world = World::new();
    let admin = world.user("admin").await;
    let off = UserEdit { is_active: Some(false), ..UserEdit::default() };
    let down = UserEdit { role: Some("student".to_owned()), ..UserEdit::default() };
    for edit in [&off, &down] {
        let refused = change(&world, &admin.id, edit.clone()).await.unwrap_err().to_string();
        assert!(refused.contains("nobody else"), "{refused}");
    }
    world.user_with("admin", |user| user.email = "second@example.test".to_owned()).await;
    change(&world, &admin.id, off).await.unwrap();
}

#[tokio::test]
async fn a_change_of_nothing_that_counts_logs_nobody_out() {
    let world = World::new();
    let user = world.user("student").await;
    let tier = UserEdit { tier: Some(Some("gold".to_owned())), ..UserEdit::default() };
    change(&world, &user.id, tier).await.unwrap();
    let changed = world.store.find_user(&user.id).await.unwrap().unwrap();
    assert_eq!(changed.tier.as_deref(), Some("gold"));
    assert!(world.revocations.all().is_empty());
    let gone = change(&world, "nobody", UserEdit::default()).await;
    assert!(matches!(gone, Err(IdentityError::Invalid { what: "user", .. })), "{gone:?}");
}

#[tokio::test]
async fn lost_factors_are_taken_away_with_all_sessions() {
    let world = World::new();
    let user = world.user("student").await;
    world.login.factors().new_recovery_codes(&user.id, NOW).await.unwrap();
    let count = reset_factors(&*world.store, &world.ending, &user.id, "cli:root", NOW).await;
    assert_eq!(count.unwrap(), 1);
    assert!(world.store.factors_of(&user.id).await.unwrap().is_empty());
    assert_eq!(world.revocations.names(RevocationKind::Subject), std::slice::from_ref(&user.id));
    let again = reset_factors(&*world.store, &world.ending, &user.id, "cli:root", NOW).await;
    assert_eq!(again.unwrap(), 0);
}

/// Nobody can be told.
struct Nowhere;

impl Announce for Nowhere {
    fn revoke<'a>(
        &'a self,
        _: Vec<Revocation>,
        _: &'a str,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(std::future::ready(Err(StoreError::Unavailable("away".to_owned()))))
    }
}

#[tokio::test]
async fn factors_stay_where_nobody_can_be_logged_out() {
    let world = World::new();
    let user = world.user("student").await;
    world.login.factors().new_recovery_codes(&user.id, NOW).await.unwrap();
    let store = Arc::<_>::clone(&world.store) as Arc<dyn IdentityStore>;
    let flows = Arc::<_>::clone(&world.flows) as Arc<dyn FlowStore>;
    let metrics = LoginMetrics::unregistered();
    let ending = Ending::new(store, flows, Arc::new(Nowhere), ISSUER, metrics);
    let refused = reset_factors(&*world.store, &ending, &user.id, "cli:root", NOW).await;
    assert!(matches!(refused, Err(IdentityError::Store(_))), "{refused:?}");
    let left = world.store.factors_of(&user.id).await.unwrap();
    assert_eq!(left.len(), 1, "whoever asks again gets all of it");
}

#[tokio::test]
async fn a_password_that_an_operator_chooses_is_looked_for_in_breaches() {
    struct Known(Result<bool, crate::ports::OutboundError>);
    impl BreachedPasswords for Known {
        fn is_breached(
            &self,
            _: [u8; 20],
        ) -> postern_store::BoxFuture<'_, Result<bool, crate::ports::OutboundError>> {
            Box::pin(std::future::ready(self.0.clone()))
        }
    }
    let mut rules = rules();
    rules.login.passwords.breached = Some(postern_document::Breached {
        source: postern_document::BreachedSource::File("/list".to_owned()),
        when_unavailable: postern_document::OnFailure::Deny,
    });
    let away = || Err(crate::ports::OutboundError::TooLarge);
    for (answer, is_good) in [(Ok(false), true), (Ok(true), false), (away(), false)] {
        let known: Arc<dyn BreachedPasswords> = Arc::new(Known(answer));
        let chosen = NewPassword::Given(secret("correct horse battery"));
        let judged = judge_chosen(&chosen, "a@b.test", &rules, Some(&known)).await;
        assert_eq!(judged.is_ok(), is_good, "{judged:?}");
        for unasked in [NewPassword::Generated, NewPassword::None] {
            assert!(judge_chosen(&unasked, "a@b.test", &rules, Some(&known)).await.is_ok());
        }
    }
}
