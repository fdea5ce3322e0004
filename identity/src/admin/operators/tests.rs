use std::sync::atomic::{AtomicBool, Ordering};

use postern_oauth::{AuthMethod, GrantType, ScopeSet};
use postern_revocation::API_KEYS_ISSUER;
use postern_store::BoxFuture;
use postern_store::durable::{
    AuditStore as _, ClientKind, ConsentRecord, GrantStore as _, PageAsk,
};

use super::*;
use crate::admin::{ClientEdit, NewApiKey, NewUser, UserEdit};
use crate::clients::secret_matches;
use crate::login::fixture::{ISSUER, NOW, Revocations, World, held, later, tests_hasher};

/// All that there is, over the stores of a world.
pub(crate) fn operators(world: &World) -> Operators {
    let store: Arc<dyn IdentityStore> = Arc::<_>::clone(&world.store) as Arc<dyn IdentityStore>;
    let flows = Arc::<_>::clone(&world.flows) as Arc<dyn FlowStore>;
    let announce = Arc::<_>::clone(&world.revocations) as Arc<dyn Announce>;
    Operators::new(OperatorsParts {
        store,
        flows: Some(flows),
        announce,
        ending: Some(Arc::clone(&world.ending)),
        issuer: Some(ISSUER.to_owned()),
        rules: Some(held(&world.rules)),
        tools: Some(Current::fixed(LoginTools {
            hasher: tests_hasher(),
            passkeys: None,
            breached: None,
        })),
        kek: None,
    })
}

/// Nothing can be written down any more.
pub(crate) async fn fill_the_log(world: &World) {
    let entry = audit::entry(NOW, "test", "test.filled", "", &[]);
    while world.store.append_audit(&entry).await.is_ok() {}
}

fn by() -> Actor {
    Actor::command_line(Some("root"))
}

fn named(name: &str) -> ClientEdit {
    ClientEdit { name: Some(name.to_owned()), ..ClientEdit::default() }
}

fn new_key() -> NewApiKey {
    NewApiKey {
        subject: "svc:reports".to_owned(),
        name: None,
        client_id: None,
        scopes: ScopeSet::parse("reports.read").unwrap(),
        tier: None,
        limits: vec!["nightly".to_owned()],
        expires_at: None,
    }
}

async fn audited(world: &World) -> Vec<(String, String)> {
    let records = world.store.audit_since(0, 1000).await.unwrap();
    records.into_iter().map(|record| (record.entry.actor, record.entry.action)).collect()
}

#[tokio::test]
async fn a_client_lives_and_every_step_is_written_down() {
    let world = World::new();
    let operators = operators(&world);
    let made = operators.create_client(ClientKind::Confidential, named("A"), &by(), NOW).await;
    let made = made.unwrap();
    let id = made.record.client_id.as_str();
    assert!(secret_matches(Some(&made.record), made.secret.as_ref()));
    assert_eq!(made.record.grant_types, ["client_credentials"]);

    let other = operators.rotate_client_secret(id, &by(), later(1)).await.unwrap();
    let kept = operators.client(id).await.unwrap();
    assert!(secret_matches(Some(&kept), Some(&other)));
    assert!(!secret_matches(Some(&kept), made.secret.as_ref()), "the one before is gone");

    let off = ClientEdit { is_active: Some(false), ..ClientEdit::default() };
    operators.change_client(id, off, &by(), later(2)).await.unwrap();
    assert_eq!(world.revocations.names(RevocationKind::Client), [id]);
    let nothing = operators.change_client(id, named("A"), &by(), later(3)).await.unwrap();
    assert_eq!(nothing.record.updated_at, later(2), "nothing was different");

    operators.delete_client(id, &by(), later(4)).await.unwrap();
    for gone in [
        operators.client(id).await.map(drop),
        operators.delete_client(id, &by(), later(5)).await,
        operators.rotate_client_secret(id, &by(), later(5)).await.map(drop),
    ] {
        assert!(matches!(gone, Err(IdentityError::NotFound("client"))), "{gone:?}");
    }
    let expected = ["client.created", "client.changed", "client.changed", "client.deleted"];
    let audited = audited(&world).await;
    let actions: Vec<_> = audited.iter().map(|(_, action)| action.as_str()).collect();
    assert_eq!(actions, expected);
    assert!(audited.iter().all(|(actor, _)| actor == "cli:root"), "{audited:?}");
}

#[tokio::test]
async fn a_client_that_proves_itself_otherwise_has_no_secret() {
    let world = World::new();
    let operators = operators(&world);
    let made = operators.create_client(ClientKind::Confidential, named("A"), &by(), NOW).await;
    let id = made.unwrap().record.client_id;
    let by_key = ClientEdit {
        auth_method: Some(AuthMethod::PrivateKeyJwt),
        jwks_uri: Some(Some("https://a.example/jwks".to_owned())),
        ..ClientEdit::default()
    };
    let changed = operators.change_client(&id, by_key, &by(), NOW).await.unwrap();
    assert!(changed.secret.is_none() && changed.record.secret_sha256.is_none());
    let refused = operators.rotate_client_secret(&id, &by(), NOW).await;
    assert!(matches!(refused, Err(IdentityError::Invalid { .. })), "{refused:?}");
    let back = ClientEdit { auth_method: Some(AuthMethod::Post), ..ClientEdit::default() };
    let changed = operators.change_client(&id, back, &by(), NOW).await.unwrap();
    assert!(secret_matches(Some(&changed.record), changed.secret.as_ref()));
}

#[tokio::test]
async fn without_an_issuer_no_client_is_half_ended() {
    let world = World::new();
    let whole = operators(&world);
    let made = whole.create_client(ClientKind::Confidential, named("A"), &by(), NOW).await;
    let id = made.unwrap().record.client_id;
    let without = Operators { issuer: None, ..operators(&world) };
    let off = ClientEdit { is_active: Some(false), ..ClientEdit::default() };
    for refused in [
        without.delete_client(&id, &by(), NOW).await,
        without.change_client(&id, off, &by(), NOW).await.map(drop),
    ] {
        assert!(matches!(refused, Err(IdentityError::NotHere(_))), "{refused:?}");
    }
    assert!(whole.client(&id).await.unwrap().is_active);
}

/// Fails once.
struct Flaky(AtomicBool, Arc<Revocations>);

impl Announce for Flaky {
    fn revoke<'a>(
        &'a self,
        what: Vec<Revocation>,
        reason: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        if self.0.swap(false, Ordering::Relaxed) {
            return Box::pin(std::future::ready(Err(StoreError::Unavailable("away".to_owned()))));
        }
        self.1.revoke(what, reason, now)
    }
}

#[tokio::test]
async fn a_client_whose_tokens_did_not_end_is_switched_off_again() {
    let world = World::new();
    let announce = Flaky(AtomicBool::new(true), Arc::clone(&world.revocations));
    let operators = Operators { announce: Arc::new(announce), ..operators(&world) };
    let made = operators.create_client(ClientKind::Confidential, named("A"), &by(), NOW).await;
    let id = made.unwrap().record.client_id;
    let off = ClientEdit { is_active: Some(false), ..ClientEdit::default() };
    let broken = operators.change_client(&id, off.clone(), &by(), NOW).await;
    assert!(matches!(broken, Err(IdentityError::Store(_))), "{broken:?}");
    assert!(world.revocations.all().is_empty());
    operators.change_client(&id, off, &by(), later(1)).await.unwrap();
    assert_eq!(world.revocations.names(RevocationKind::Client), [id]);
}

#[tokio::test]
async fn two_keys_stand_beside_each_other_for_a_while() {
    let world = World::new();
    let operators = operators(&world);
    let old = operators.create_api_key(new_key(), &by(), NOW).await.unwrap();
    let id = old.record.id.as_str();
    for overlap in [0, 59_999, 7_776_000_001] {
        let refused = operators.rotate_api_key(id, overlap, &by(), NOW).await;
        assert!(matches!(refused, Err(IdentityError::Invalid { .. })), "{overlap}");
    }
    let new = operators.rotate_api_key(id, 60_000, &by(), NOW).await.unwrap();
    assert_ne!(new.key, old.key);
    assert_eq!((&new.record.scopes, &new.record.limits), (&old.record.scopes, &old.record.limits));
    assert_eq!(new.record.expires_at, None, "as the one before had none");
    let kept = operators.api_key(id).await.unwrap();
    assert_eq!(kept.expires_at, Some(later(60_000)));
    assert_eq!(kept.successor.as_deref(), Some(new.record.id.as_str()));
    let again = operators.rotate_api_key(id, 60_000, &by(), NOW).await;
    assert!(matches!(again, Err(IdentityError::Invalid { .. })), "{again:?}");
    let within = operators.change_api_key(id, ApiKeyEdit::default(), &by(), later(59_999)).await;
    assert!(within.is_ok(), "within the overlap it can be changed");
    let late = operators.change_api_key(id, ApiKeyEdit::default(), &by(), later(60_000)).await;
    assert!(matches!(late, Err(IdentityError::Invalid { .. })), "{late:?}");
}

#[tokio::test]
async fn a_key_gets_only_limits_that_the_document_counts() {
    let world = World::new();
    let document = serde_json::json!({
        "version": 1,
        "services": {"s": {"upstream": "h:1"}},
        "credentials": {"api_key": {}},
        "limits": {
            "partner": {"key": ["api_key"], "mode": "exact", "rate": "2/1h"},
            "here": {"key": ["ip"], "mode": "local", "rate": "9/1h"},
        },
        "routes": [{"name": "orders", "match": {"path": "/orders"}, "service": "s",
                    "auth": {"any": ["api_key"]}}],
    });
    let document = postern_document::from_json(document.to_string().as_bytes()).unwrap();
    let operators = operators(&world).by_document(Current::fixed(document));
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    for (bad, expected) in [
        (&["gone"][..], "limits: the document has no limit `gone`; a key's own limits have"),
        (&["here"], "limits: `here` has `mode: local`; a key's own limits have `mode: exact`"),
        (&["partner", "here"], "`here` has `mode: local`"),
        (&["partner", "partner"], "each once"),
        (&["Not\na limit"], "lower-case letters"),
    ] {
        let new = NewApiKey { limits: names(bad), ..new_key() };
        let refused = operators.create_api_key(new, &by(), NOW).await.unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
    let new = NewApiKey { limits: names(&["partner"]), ..new_key() };
    let made = operators.create_api_key(new, &by(), NOW).await.unwrap();
    let id = made.record.id.as_str();
    let edit = |limits: &[&str]| ApiKeyEdit { limits: Some(names(limits)), ..Default::default() };
    let refused = operators.change_api_key(id, edit(&["here"]), &by(), NOW).await;
    assert!(matches!(refused, Err(IdentityError::Invalid { what: "limits", .. })), "{refused:?}");
    assert_eq!(operators.api_key(id).await.unwrap().limits, ["partner"]);
    operators.change_api_key(id, edit(&[]), &by(), NOW).await.unwrap();
    assert!(operators.api_key(id).await.unwrap().limits.is_empty());
}

#[test]
fn no_document_takes_tokens_of_the_name_under_which_keys_end() {
    let read = |issuer: &str| {
        let text = format!(
            r#"{{"version": 1, "credentials": {{"jwt": {{"issuers": [{{"issuer": "{issuer}",
                "audiences": ["a"], "jwks": {{"uri": "https://idp.test/keys"}}}}]}}}},
                "routes": [{{"name": "r", "match": {{"path": "/r"}}, "service": "postern",
                "auth": "none"}}]}}"#
        );
        postern_document::from_json(text.as_bytes())
    };
    assert!(read("urn:postern:others").is_ok());
    let problems = read(API_KEYS_ISSUER).err().unwrap_or_default();
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[tokio::test]
async fn a_revoked_key_is_told_of_and_stays_revoked() {
    let world = World::new();
    let operators = operators(&world);
    let key = operators.create_api_key(new_key(), &by(), NOW).await.unwrap();
    let id = key.record.id.as_str();
    let edit = ApiKeyEdit { name: Some(Some("Reports".to_owned())), ..ApiKeyEdit::default() };
    let changed = operators.change_api_key(id, edit, &by(), NOW).await.unwrap();
    assert_eq!(changed.name.as_deref(), Some("Reports"));
    assert!(world.revocations.all().is_empty(), "what is changed is not revoked");

    let revoked = operators.revoke_api_key(id, &by(), later(1)).await.unwrap();
    assert_eq!(revoked.revoked_at, Some(later(1)));
    let told = world.revocations.all();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].issuer(), told[0].value()), (API_KEYS_ISSUER, id));
    let refused = operators.change_api_key(id, ApiKeyEdit::default(), &by(), later(2)).await;
    assert!(matches!(refused, Err(IdentityError::Invalid { .. })), "{refused:?}");
    let unknown = operators.revoke_api_key("none", &by(), NOW).await;
    assert!(matches!(unknown, Err(IdentityError::NotFound("API key"))), "{unknown:?}");
}

#[tokio::test]
async fn what_is_asked_of_nobody_is_not_found() {
    let world = World::new();
    let operators = operators(&world);
    let edit = UserEdit { is_active: Some(false), ..UserEdit::default() };
    for refused in [
        operators.user("nobody").await.map(drop),
        operators.change_user("nobody", edit, &by(), NOW).await.map(drop),
        operators.sessions_of("nobody", NOW).await.map(drop),
        operators.end_sessions("nobody", &by(), NOW).await.map(drop),
        operators.reset_factors("nobody", &by(), NOW).await.map(drop),
        operators.consents_of("nobody").await.map(drop),
        operators.factors_of("nobody").await.map(drop),
    ] {
        assert!(matches!(refused, Err(IdentityError::NotFound("user"))), "{refused:?}");
    }
    assert!(world.revocations.all().is_empty(), "nobody is logged out");
    let user = world.user("student").await;
    let refused = operators.remove_factor(&user.id, "none", &by(), NOW).await;
    assert!(matches!(refused, Err(IdentityError::NotFound("second factor"))), "{refused:?}");
}

#[tokio::test]
async fn a_user_is_made_and_changed_by_the_documents_rules() {
    let world = World::new();
    let operators = operators(&world);
    let new = NewUser {
        email: "ada@example.test".to_owned(),
        profile: postern_store::durable::Profile {
            first_name: "Ada".to_owned(),
            last_name: "L".to_owned(),
            ..Default::default()
        },
        ..NewUser::default()
    };
    let made = operators.create_user(new.clone(), &by(), NOW).await.unwrap();
    let page = PageAsk { newest_first: true, offset: 0, limit: 10 };
    assert_eq!(operators.users(page).await.unwrap().total, 1);
    let found = operators.user_by_email("ADA@example.test").await.unwrap();
    assert_eq!(found.as_ref(), Some(&made.record));
    let edit = UserEdit { role: Some("staff".to_owned()), ..UserEdit::default() };
    let changed = operators.change_user(&made.record.id, edit, &by(), NOW).await.unwrap();
    assert_eq!(changed.record.role, "staff");
    let without = Operators { rules: None, ..super::tests::operators(&world) };
    let refused = without.create_user(new, &by(), NOW).await;
    assert!(matches!(refused, Err(IdentityError::NotHere(_))), "{refused:?}");
}

#[tokio::test]
async fn a_consent_is_taken_back_once() {
    let world = World::new();
    let operators = operators(&world);
    let user = world.user("student").await;
    let client = operators.create_client(ClientKind::Confidential, named("A"), &by(), NOW).await;
    let client_id = client.unwrap().record.client_id;
    let consent = ConsentRecord {
        user_id: user.id.clone(),
        client_id: client_id.clone(),
        scopes: vec!["content.read".to_owned()],
        resources: Vec::new(),
        granted_at: NOW,
    };
    let entry = audit::entry(NOW, "test", "consent.granted", &user.id, &[]);
    world.store.put_consent(consent.clone(), &entry).await.unwrap();
    assert_eq!(operators.consents_of(&user.id).await.unwrap(), [consent]);
    operators.revoke_consent(&user.id, &client_id, &by(), NOW).await.unwrap();
    let again = operators.revoke_consent(&user.id, &client_id, &by(), NOW).await;
    assert!(matches!(again, Err(IdentityError::NotFound("consent"))), "{again:?}");
}

#[tokio::test]
async fn signing_keys_are_made_where_they_can_be_sealed() {
    let world = World::new();
    let without = operators(&world);
    let refused = without.rotate_signing_key(crate::admin::Rotation::default(), &by(), NOW).await;
    let Err(IdentityError::NotHere(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("`identity`"), "{why}");
    let kek = KeyEncryptionKey::from_text(&"0f1e".repeat(16)).unwrap();
    let with = Operators { kek: Some(kek), ..operators(&world) };
    let rotation = crate::admin::Rotation {
        algorithm: postern_jose::Algorithm::Es256,
        ..crate::admin::Rotation::default()
    };
    let made = with.rotate_signing_key(rotation, &by(), NOW).await.unwrap();
    assert_eq!(without.signing_keys(NOW).await.unwrap().len(), 1);
    let last = without.retire_signing_key(&made.kid, false, &by(), NOW).await;
    assert!(matches!(last, Err(IdentityError::LastSigningKey)), "{last:?}");
    assert!(!without.retire_signing_key(&made.kid, true, &by(), NOW).await.unwrap());
    let unknown = without.retire_signing_key("none", false, &by(), NOW).await;
    assert!(matches!(unknown, Err(IdentityError::UnknownKey(_))), "{unknown:?}");
    let actions: Vec<_> = audited(&world).await.into_iter().map(|(_, action)| action).collect();
    assert_eq!(actions, ["key.rotated", "key.retired"]);
}

#[tokio::test]
async fn clients_and_keys_get_only_what_the_document_knows() {
    let world = World::new();
    let oauth = serde_json::json!({"scopes": {"read": "Read"}, "grants": ["client_credentials"]});
    let document = |with_oauth: bool| {
        let mut document = serde_json::json!({
            "version": 1,
            "issuer": "https://gate.test",
            "services": {"s": {"upstream": "h:1"}},
            "routes": [{"name": "a", "match": {"path": "/a"}, "service": "s", "auth": "none"}],
        });
        if with_oauth {
            document["oauth"] = oauth.clone();
        }
        let document = postern_document::from_json(document.to_string().as_bytes()).unwrap();
        Current::fixed(document)
    };
    let scopes = |text: &str| Some(postern_oauth::ScopeSet::parse(text).unwrap());
    let bounded = operators(&world).by_document(document(true));
    let kind = ClientKind::Confidential;
    let edit = ClientEdit { scopes: scopes("read gone"), ..named("A") };
    let refused = bounded.create_client(kind, edit.clone(), &by(), NOW).await;
    assert!(matches!(refused, Err(IdentityError::Invalid { what: "scopes", .. })), "{refused:?}");
    let known = ClientEdit { scopes: scopes("read postern.admin"), ..named("A") };
    let made = bounded.create_client(kind, known, &by(), NOW).await.unwrap().record;
    let more = ClientEdit { scopes: scopes("gone"), ..ClientEdit::default() };
    let refused = bounded.change_client(&made.client_id, more, &by(), NOW).await;
    assert!(matches!(refused, Err(IdentityError::Invalid { what: "scopes", .. })), "{refused:?}");
    let exchange = Some(vec![GrantType::ClientCredentials, GrantType::TokenExchange]);
    let exchange = ClientEdit { grant_types: exchange, ..ClientEdit::default() };
    let refused = bounded.change_client(&made.client_id, exchange, &by(), NOW).await;
    let told = refused.unwrap_err().to_string();
    assert!(told.starts_with("grant types: ") && told.contains("`token_exchange`"), "{told}");
    let key = NewApiKey { scopes: ScopeSet::parse("gone").unwrap(), limits: vec![], ..new_key() };
    let refused = bounded.create_api_key(key.clone(), &by(), NOW).await;
    let told = refused.unwrap_err().to_string();
    assert!(told.starts_with("scopes: ") && told.contains("`gone`"), "{told}");
    let read = NewApiKey { scopes: ScopeSet::parse("read").unwrap(), ..key.clone() };
    let id = bounded.create_api_key(read, &by(), NOW).await.unwrap().record.id;
    let gone = ApiKeyEdit { scopes: scopes("gone"), ..ApiKeyEdit::default() };
    let refused = bounded.change_api_key(&id, gone, &by(), NOW).await;
    assert!(matches!(refused, Err(IdentityError::Invalid { what: "scopes", .. })), "{refused:?}");
    // Where nobody says which scopes there are, all are taken.
    let free = operators(&world).by_document(document(false));
    free.create_client(kind, edit.clone(), &by(), NOW).await.unwrap();
    free.create_api_key(key, &by(), NOW).await.unwrap();
    operators(&world).create_client(kind, edit, &by(), NOW).await.unwrap();
}
