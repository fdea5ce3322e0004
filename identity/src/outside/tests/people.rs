//! What becomes of people whom a provider vouches for.

use postern_document::{OutsideUsers, RoleClaim};
use postern_store::durable::{AuditStore as _, UserChange, UserRecord, UserStore as _};
use serde_json::Value;

use super::super::fixture::bytes;
use super::*;
use crate::audit;
use crate::login::fixture::{EMAIL, World};
use crate::login::{LoggedIn, Person};

fn who(email: &str) -> Value {
    json!({"email": email, "email_verified": true, "given_name": "Ada", "family_name": "L"})
}

fn with(users: OutsideUsers) -> OutsideProvider {
    OutsideProvider { users, role: Some("student".to_owned()), ..provider() }
}

fn done(outcome: Result<Outcome, OutsideError>) -> LoggedIn {
    match outcome {
        Ok(Outcome::Done(done)) => *done,
        other => panic!("{other:?}"),
    }
}

async fn actions(suite: &Suite) -> Vec<String> {
    let records = suite.store.audit_since(0, 1000).await.unwrap();
    records.into_iter().map(|record| record.entry.action).collect()
}

async fn found(suite: &Suite, email: &str) -> Option<UserRecord> {
    suite.store.find_user_by_email(email).await.unwrap()
}

#[tokio::test]
async fn somebody_who_is_nobody_here_has_a_session_and_nothing_else() {
    let suite = Suite::new(provider());
    let begun = done(suite.come(&who("ada@corp.test")).await);
    assert_eq!(begun.session.user_id, "corp:u-1");
    assert_eq!(begun.return_to.as_str(), "/portal");
    assert_eq!(begun.session.scopes, ["content.read"], "of the default role");
    assert!(begun.session.methods.is_empty() && begun.session.mfa_at.is_none());
    let person = Person::decode(&begun.session.person).unwrap();
    assert_eq!(person.email.as_deref(), Some("ada@corp.test"));
    assert_eq!(person.provider.as_deref(), Some("corp"));
    assert_eq!(person.profile.first_name, "Ada");
    assert!(found(&suite, "ada@corp.test").await.is_none());
    let cookie = begun.cookie.expose().as_bytes();
    assert!(suite.login.session(Some(cookie), NOW).await.unwrap().is_some());
    assert_eq!(actions(&suite).await, ["login.succeeded"]);
}

#[tokio::test]
async fn nobody_is_let_in_by_one_factor_where_two_are_asked_for() {
    let staff = OutsideProvider { role: Some("staff".to_owned()), ..provider() };
    let suite = Suite::new(staff);
    assert_eq!(suite.come(&json!({})).await, Err(OutsideError::SecondFactor));
    let suite = Suite::new(provider());
    let sent = suite.start_at("corp", Acr::SeveralFactors, None).await;
    suite.stub.gives(&suite.stub.key.sign(&claims(&sent, &json!({"amr": ["mfa"]}))));
    let refused = suite.back("corp", &sent.cookie, &query(&sent), NOW).await;
    assert_eq!(refused, Err(OutsideError::SecondFactor));
    assert!(actions(&suite).await.is_empty());
}

#[tokio::test]
async fn somebody_new_becomes_a_user_once() {
    let suite = Suite::new(with(OutsideUsers::Create));
    let first = done(suite.come(&who("Ada@corp.test")).await);
    let user = found(&suite, "ada@corp.test").await.unwrap();
    assert_eq!((first.session.user_id.as_str(), user.role.as_str()), (user.id.as_str(), "student"));
    assert_eq!(user.password, None);
    assert_eq!(actions(&suite).await, ["user.created", "identity.linked", "login.succeeded"]);
    // The subject is who they are: what else the provider says of them may change.
    let again = done(suite.come(&who("other@corp.test")).await);
    assert_eq!(again.session.user_id, user.id);
    assert!(found(&suite, "other@corp.test").await.is_none());
    let somebody_else = json!({"sub": "u-2", "email": "b@corp.test", "email_verified": true});
    let other = done(suite.come(&somebody_else).await);
    assert_ne!(other.session.user_id, user.id);
}

#[tokio::test]
async fn a_user_who_was_made_and_not_linked_is_found_again() {
    let suite = Suite::new(with(OutsideUsers::Create));
    done(suite.come(&who("ada@corp.test")).await);
    let user = found(&suite, "ada@corp.test").await.unwrap();
    let cut_off = Suite::new(with(OutsideUsers::Create));
    let entry = audit::entry(NOW, "test", "user.created", &user.id, &[]);
    cut_off.store.insert_user(user.clone(), &entry).await.unwrap();
    let begun = done(cut_off.come(&who("ada@corp.test")).await);
    assert_eq!(begun.session.user_id, user.id);
}

#[tokio::test]
async fn two_first_log_ins_at_once_make_one_user() {
    let suite = Arc::new(Suite::new(with(OutsideUsers::Create)));
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let sent = suite.start().await;
        let person = OutsidePerson {
            provider: "corp".to_owned(),
            subject: "u-1".to_owned(),
            verified_email: Some("ada@corp.test".to_owned()),
            first_name: None,
            last_name: None,
            role: Some("student".to_owned()),
            authenticated_at: None,
        };
        let login = Arc::clone(&suite.login);
        tasks.push(tokio::spawn(async move {
            login.outside(&sent.cookie, person, &caller(), NOW).await
        }));
    }
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(done(task.await.unwrap()).session.user_id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn an_account_that_was_there_is_nobodys_who_was_not_asked_for_it() {
    for users in [OutsideUsers::Create, OutsideUsers::None] {
        for has_password in [true, false] {
            let world = World::new();
            let own = world
                .user_with("student", |user| {
                    if !has_password {
                        user.password = None;
                    }
                })
                .await;
            let suite = Suite::of(world, with(users), |_| {});
            match suite.come(&who(EMAIL)).await {
                Err(OutsideError::Taken) => assert_eq!(users, OutsideUsers::Create),
                Ok(Outcome::Done(done)) => {
                    assert_eq!(users, OutsideUsers::None);
                    assert_eq!(done.session.user_id, "corp:u-1");
                }
                other => panic!("{users:?}: {other:?}"),
            }
            assert!(suite.login.sessions_of(&own.id, NOW).await.unwrap().is_empty());
            assert_eq!(suite.store.find_identity("corp", "u-1").await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn who_links_finds_their_user_and_nobody_elses() {
    let world = World::new();
    let own = world.user("student").await;
    let suite = Suite::of(world, with(OutsideUsers::Link), |_| {});
    let stranger = json!({"sub": "u-9", "email": "x@y.test", "email_verified": true});
    assert_eq!(suite.come(&stranger).await, Err(OutsideError::Nobody));
    suite.stub.says().userinfo = Ok(bytes(&json!({"sub": "u-1"})));
    let unverified = suite.come(&json!({"email": EMAIL, "email_verified": false})).await;
    assert_eq!(unverified, Err(OutsideError::Email));
    let begun = done(suite.come(&who(&EMAIL.to_uppercase())).await);
    assert_eq!(begun.session.user_id, own.id);
    let linked = suite.store.find_identity("corp", "u-1").await.unwrap();
    assert_eq!(linked, Some(own.id.clone()));
    assert_eq!(suite.store.find_identity("other", "u-1").await.unwrap(), None);
    // From now on it is the subject that counts, whatever the e-mail.
    let moved = json!({"sub": "u-1", "email": "b@c.test", "email_verified": true});
    assert_eq!(done(suite.come(&moved).await).session.user_id, own.id);
}

/// The sign of the kelvin becomes `k` in lower case: `ksenia` is who it finds.
#[tokio::test]
async fn an_address_that_only_looks_alike_is_somebody_elses() {
    const ALIKE: &str = "\u{212a}senia@corp.test";
    for (said, expected) in [(ALIKE, false), ("KSENIA@corp.test", true)] {
        let world = World::new();
        let own = world.user_with("student", |user| user.email = "ksenia@corp.test".to_owned());
        let own = own.await;
        let suite = Suite::of(world, with(OutsideUsers::Link), |_| {});
        assert!(found(&suite, said).await.is_some(), "the store takes them for one");
        let linked = suite.come(&who(said)).await.is_ok();
        assert_eq!(linked, expected, "{said}");
        let identity = suite.store.find_identity("corp", "u-1").await.unwrap();
        assert_eq!(identity, expected.then_some(own.id), "{said}");
    }
}

#[tokio::test]
async fn a_provider_vouches_for_a_users_own_address_alone() {
    let world = World::new();
    world.user("student").await;
    let suite = Suite::of(world, with(OutsideUsers::Link), |_| {});
    let vouched_by = |begun: LoggedIn| Person::decode(&begun.session.person).unwrap().provider;
    let begun = done(suite.come(&who(EMAIL)).await);
    assert_eq!(vouched_by(begun).as_deref(), Some("corp"));
    let begun = done(suite.come(&who("moved@corp.test")).await);
    assert_eq!(vouched_by(begun), None, "for another one");
}

#[tokio::test]
async fn who_is_switched_off_stays_out() {
    let world = World::new();
    let own = world.user("student").await;
    let suite = Suite::of(world, with(OutsideUsers::Link), |_| {});
    let switch =
        |is_active| UserChange { is_active: Some(is_active), at: NOW, ..UserChange::default() };
    let entry = audit::entry(NOW, "test", "user.changed", &own.id, &[]);
    suite.store.change_user(&own.id, switch(false), &entry).await.unwrap();
    let refused = suite.come(&who(EMAIL)).await;
    assert_eq!(refused, Err(OutsideError::Login(LoginError::Blocked)));
    assert_eq!(suite.store.find_identity("corp", "u-1").await.unwrap(), None, "nor linked");
    suite.store.change_user(&own.id, switch(true), &entry).await.unwrap();
    done(suite.come(&who(EMAIL)).await);
    suite.store.change_user(&own.id, switch(false), &entry).await.unwrap();
    let refused = suite.come(&who(EMAIL)).await;
    assert_eq!(refused, Err(OutsideError::Login(LoginError::Blocked)), "who was linked, too");
    assert_eq!(suite.metrics.counted("corp", OutsideOutcome::Blocked), 2);
}

#[tokio::test]
async fn a_user_shows_the_second_factor_that_the_role_asks_for() {
    let world = World::new();
    world.user("staff").await;
    let suite = Suite::of(world, with(OutsideUsers::Link), |_| {});
    let asked = suite.come(&who("staff@example.test")).await;
    assert_eq!(asked, Ok(Outcome::Ask(crate::Screen::EnrolTotp)));
    assert_eq!(suite.metrics.counted("corp", OutsideOutcome::Asked), 1);
}

#[tokio::test]
async fn only_people_of_the_documents_domains_come_in() {
    let domains = vec!["corp.test".to_owned()];
    for users in [OutsideUsers::None, OutsideUsers::Create] {
        let suite = Suite::new(OutsideProvider { domains: domains.clone(), ..with(users) });
        let elsewhere = suite.come(&who("ada@evil.test")).await;
        assert_eq!(elsewhere, Err(OutsideError::Domain));
        let unverified = json!({"email": "ada@corp.test", "email_verified": false});
        suite.stub.says().userinfo = Ok(bytes(&json!({"sub": "u-1"})));
        assert_eq!(suite.come(&unverified).await, Err(OutsideError::Email));
        done(suite.come(&who("ada@corp.test")).await);
    }
}

#[tokio::test]
async fn a_claim_says_the_role_of_those_without_a_user_each_time() {
    let role_claim = Some(RoleClaim {
        claim: "groups".to_owned(),
        values: vec![("ops".to_owned(), "admin".to_owned())],
    });
    let suite = Suite::new(OutsideProvider { role_claim, ..with(OutsideUsers::None) });
    suite.stub.says().userinfo = Ok(bytes(&json!({"sub": "u-1"})));
    for (groups, expected) in
        [(json!(["ops"]), "admin"), (json!(["dev"]), "student"), (json!(null), "student")]
    {
        let begun = done(suite.come(&json!({"groups": groups})).await);
        assert_eq!(Person::decode(&begun.session.person).unwrap().role, expected, "{groups}");
    }
}

#[tokio::test]
async fn what_the_id_token_lacks_is_asked_for_with_the_access_token() {
    let suite = Suite::new(with(OutsideUsers::Create));
    let more =
        |sub: &str| bytes(&json!({"sub": sub, "email": "ada@corp.test", "email_verified": true}));
    let away = suite.come(&json!({})).await;
    assert_eq!(away, Err(OutsideError::Away(OutboundError::Refused(500))));
    for other in [more("u-2"), bytes(&json!({"email": "ada@corp.test"})), b"a.b.c".to_vec()] {
        suite.stub.says().userinfo = Ok(other);
        let refused = suite.come(&json!({})).await;
        assert!(matches!(refused, Err(OutsideError::Answer(_))), "{refused:?}");
    }
    suite.stub.says().userinfo = Ok(more("u-1"));
    done(suite.come(&json!({})).await);
    let asked = suite.stub.says().asked.last().cloned().unwrap();
    assert_eq!(asked, "https://op.test/me authorization: Bearer at");
    // Whom nothing more is asked of is not asked about.
    let suite = Suite::new(provider());
    done(suite.come(&json!({})).await);
    assert!(!suite.stub.says().asked.iter().any(|line| line.contains("/me")));
}

/// RFC 9700 §4.5.3.2: until then all tokens are disregarded.
#[tokio::test]
async fn no_token_is_used_before_the_id_token_holds() {
    let suite = Suite::new(with(OutsideUsers::Create));
    let more = json!({"sub": "u-1", "email": "ada@corp.test", "email_verified": true});
    suite.stub.says().userinfo = Ok(bytes(&more));
    let is_asked = || suite.stub.says().asked.iter().any(|line| line.contains("/me"));
    for change in [
        json!({"nonce": "A".repeat(43)}),
        json!({"nonce": null}),
        json!({"aud": "another"}),
        json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}),
    ] {
        let refused = suite.come(&change).await;
        assert!(matches!(refused, Err(OutsideError::Answer(_))), "{change}: {refused:?}");
        assert!(!is_asked(), "{change}");
    }
    done(suite.come(&json!({})).await);
    assert!(is_asked());
}
