//! Clients' part of the contract.

use postern_request::UnixMillis;

use super::{client, conflicts, entries, entry};
use crate::durable::{
    ClientKind, ClientOrigin, ClientRecord, ConsentRecord, DurableStore, IdentityStore, MAX_PAGE,
    PageAsk, SecretHash,
};

pub(super) async fn run(store: &dyn IdentityStore) {
    clients_are_kept_and_listed(store).await;
    a_client_is_changed_whole(store).await;
    a_deleted_client_takes_consents_along(store).await;
    only_those_who_registered_themselves_are_kept_by_use(store).await;
    the_unused_are_deleted(store).await;
    a_page_has_a_bound(store).await;
}

/// One with something in every field that is not what it would be without.
fn full(client_id: &str) -> ClientRecord {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let text = |text: &str| Some(text.to_owned());
    ClientRecord {
        secret_sha256: Some(SecretHash([7; 32])),
        grant_types: texts(&["client_credentials", "urn:ietf:params:oauth:grant-type:device_code"]),
        response_types: texts(&["code"]),
        redirect_uris: texts(&["https://b.example.test/cb?x=%20", "com.example.app:/cb"]),
        post_logout_redirect_uris: texts(&["https://b.example.test/'; --"]),
        scopes: texts(&["payments.read", "orders:write"]),
        require_pkce: false,
        require_consent: false,
        require_par: true,
        bind_dpop: true,
        access_token_lifetime_secs: 61,
        refresh_token_lifetime_secs: 62,
        rate_limit_policy: text("strict"),
        auth_method: "private_key_jwt".to_owned(),
        jwks: text("{\"keys\":[{\"kty\":\"EC\",\"é\":\"'\"}]}"),
        jwks_uri: text("https://b.example.test/jwks"),
        tls_subject: text("dns:b.example.test"),
        resources: texts(&["https://api.example.test/a", "https://api.example.test/"]),
        may_introspect: texts(&["https://api.example.test/a", "*"]),
        may_act_for: texts(&["*", "another"]),
        id_token_alg: "ES256".to_owned(),
        logo_uri: text("https://b.example.test/logo.svg"),
        client_uri: text("https://b.example.test/"),
        policy_uri: text("https://b.example.test/policy"),
        is_active: false,
        origin: ClientOrigin::Registered { expires_unused_at: UnixMillis(4_102_444_800_000) },
        updated_at: UnixMillis(1_700_000_000_456),
        ..client(client_id)
    }
}

fn public(client_id: &str) -> ClientRecord {
    ClientRecord { kind: ClientKind::Public, auth_method: "none".to_owned(), ..client(client_id) }
}

async fn clients_are_kept_and_listed(store: &dyn DurableStore) {
    assert_eq!(store.find_client("b").await.unwrap(), None);
    assert!(store.list_clients(None, 10).await.unwrap().is_empty());
    for record in [full("b"), public("c"), client("a")] {
        store.insert_client(record).await.unwrap();
    }
    assert_eq!(store.find_client("b").await.unwrap(), Some(full("b")));
    assert_eq!(store.find_client("c").await.unwrap(), Some(public("c")));
    assert_eq!(store.find_client("B").await.unwrap(), None, "ids have a case");
    assert_eq!(store.find_client("b' OR '1'='1").await.unwrap(), None);
    assert_eq!(store.find_client("b\0").await.unwrap(), None, "which no text of SQL may hold");

    let taken = ClientRecord { name: "x".to_owned(), ..full("b") };
    assert!(conflicts(&store.insert_client(taken).await));
    assert_eq!(store.find_client("b").await.unwrap(), Some(full("b")));

    assert_eq!(store.list_clients(None, 2).await.unwrap(), [client("a"), full("b")]);
    assert_eq!(store.list_clients(Some("b"), 2).await.unwrap(), [public("c")]);
    assert_eq!(store.list_clients(Some("aa"), 1).await.unwrap(), [full("b")]);
    assert!(store.list_clients(Some("c"), 2).await.unwrap().is_empty());
    assert!(store.list_clients(None, 0).await.unwrap().is_empty());
    // Of one moment: their ids say which one comes first.
    let second = PageAsk { newest_first: false, offset: 1, limit: 1 };
    let page = store.page_clients(second).await.unwrap();
    assert_eq!((page.total, page.records), (3, vec![full("b")]));
}

async fn a_client_is_changed_whole(store: &dyn IdentityStore) {
    let said = entry("client.changed", "a");
    let before = entries(store).await;
    // From nothing to everything, and back.
    let mut from = client("a").updated_at;
    for to in [full("a"), public("a"), client("a")] {
        let asked = ClientRecord { created_at: UnixMillis(9), ..to.clone() };
        assert!(store.change_client(asked, from, &said).await.unwrap());
        from = to.updated_at;
        assert_eq!(store.find_client("a").await.unwrap(), Some(to), "but for its beginning");
    }
    assert_eq!(entries(store).await, before + 3);
    let late = store.change_client(full("a"), full("a").updated_at, &said).await.unwrap();
    assert!(!late, "somebody else has changed it since");
    assert_eq!(store.find_client("a").await.unwrap(), Some(client("a")));
    for unknown in ["none", "A"] {
        assert!(!store.change_client(client(unknown), from, &said).await.unwrap(), "{unknown:?}");
        assert_eq!(store.find_client(unknown).await.unwrap(), None, "it is not made");
    }
    assert_eq!(entries(store).await, before + 3, "nothing happened");
    assert_eq!(store.find_client("b").await.unwrap(), Some(full("b")), "the others stay");
}

fn consent(user_id: &str, client_id: &str) -> ConsentRecord {
    ConsentRecord {
        user_id: user_id.to_owned(),
        client_id: client_id.to_owned(),
        scopes: vec!["read".to_owned()],
        resources: Vec::new(),
        granted_at: UnixMillis(5),
    }
}

async fn a_deleted_client_takes_consents_along(store: &dyn IdentityStore) {
    store.insert_client(client("gone")).await.unwrap();
    for client_id in ["gone", "c"] {
        let said = entry("consent.granted", client_id);
        store.put_consent(consent("anna", client_id), &said).await.unwrap();
    }
    let before = entries(store).await;
    let said = entry("client.deleted", "gone");
    assert!(store.delete_client("gone", &said).await.unwrap());
    assert_eq!(store.find_client("gone").await.unwrap(), None);
    assert_eq!(store.list_consents("anna").await.unwrap(), [consent("anna", "c")]);
    for unknown in ["gone", "none", "c\0"] {
        assert!(!store.delete_client(unknown, &said).await.unwrap(), "{unknown:?}");
    }
    assert_eq!(entries(store).await, before + 1);
    assert_eq!(store.find_client("c").await.unwrap(), Some(public("c")));
    // Whoever comes later under the same id starts without anybody's consent.
    store.insert_client(client("gone")).await.unwrap();
    assert_eq!(store.find_consent("anna", "gone").await.unwrap(), None);
    assert!(store.delete_client("gone", &said).await.unwrap());
    assert!(store.delete_consent("anna", "c", &entry("consent.revoked", "c")).await.unwrap());
}

fn registered(client_id: &str, expires_unused_at: u64) -> ClientRecord {
    let expires_unused_at = UnixMillis(expires_unused_at);
    ClientRecord { origin: ClientOrigin::Registered { expires_unused_at }, ..client(client_id) }
}

async fn only_those_who_registered_themselves_are_kept_by_use(store: &dyn IdentityStore) {
    let before = entries(store).await;
    store.insert_client(registered("r1", 1_000)).await.unwrap();
    for (asked, is) in [(5_000, 5_000), (2_000, 5_000), (6_000, 6_000)] {
        assert!(store.keep_client("r1", UnixMillis(asked)).await.unwrap());
        assert_eq!(store.find_client("r1").await.unwrap(), Some(registered("r1", is)));
    }
    for other in ["a", "none", "R1"] {
        assert!(!store.keep_client(other, UnixMillis(7_000)).await.unwrap(), "{other:?}");
    }
    assert_eq!(store.find_client("a").await.unwrap(), Some(client("a")), "an operator's stays one");
    assert_eq!(entries(store).await, before, "use is not audited");
}

/// After the case before: `r1` may be unused until 6,000, and `b` until 2100.
async fn the_unused_are_deleted(store: &dyn IdentityStore) {
    for (id, end) in [("r2", 2_000), ("r3", 3_000), ("r4", 3_000)] {
        store.insert_client(registered(id, end)).await.unwrap();
    }
    let said = entry("consent.granted", "r2");
    store.put_consent(consent("anna", "r2"), &said).await.unwrap();
    let delete = |before, limit| store.delete_unused_clients(UnixMillis(before), limit);
    assert_eq!(delete(2_000, 10).await, Ok(0), "its time is not over");
    assert_eq!(delete(3_001, 0).await, Ok(0));
    assert_eq!(delete(2_001, 10).await, Ok(1));
    assert_eq!(store.find_client("r2").await.unwrap(), None);
    assert_eq!(store.find_consent("anna", "r2").await.unwrap(), None);
    assert_eq!((delete(3_001, 1).await, delete(3_001, 10).await), (Ok(1), Ok(1)));
    assert_eq!(delete(6_000, 10).await, Ok(0), "it was used, which moved its end");
    assert_eq!(delete(4_000_000_000_000, 10).await, Ok(1));
    let left = store.list_clients(None, 10).await.unwrap();
    let ids: Vec<_> = left.iter().map(|client| client.client_id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"], "operators' clients do not end");
}

async fn a_page_has_a_bound(store: &dyn DurableStore) {
    for at in 0..MAX_PAGE {
        store.insert_client(client(&format!("many-{at:03}"))).await.unwrap();
    }
    let page = store.list_clients(None, u32::MAX).await.unwrap();
    assert_eq!(page.len(), usize::try_from(MAX_PAGE).unwrap());
}
