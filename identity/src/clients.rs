//! Client records in the protocol's terms, and those that were looked up lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use postern_jose::Algorithm;
use postern_oauth::{AuthMethod, Client, ClientKind, GrantType, RedirectUri, ScopeSet, Secret};
use postern_request::UnixMillis;
use postern_revocation::RevocationKind;
use postern_store::StoreError;
use postern_store::durable::{self, ClientRecord, DurableStore};

use crate::ports::RevokedTokens;
use crate::random;

/// How long a client is remembered. What an operator changes at another replica holds here after
/// so long.
const REMEMBERED_MS: u64 = 10_000;
/// Most clients that are remembered.
const MOST_REMEMBERED: usize = 10_000;

/// A client as it is kept, and in the protocol's terms.
#[derive(Debug)]
pub(crate) struct KnownClient {
    pub(crate) record: ClientRecord,
    pub(crate) client: Client,
}

/// Looks clients up. Those that are none are asked for every time: whoever sends requests chooses
/// their names, and could push the real ones out. So is one whose tokens were revoked a moment ago:
/// it was switched off, and a token that it got after that would be none of those.
pub(crate) struct Clients {
    store: Arc<dyn DurableStore>,
    revoked: Arc<dyn RevokedTokens>,
    remembered: Mutex<HashMap<String, (UnixMillis, Arc<KnownClient>)>>,
}

impl Clients {
    pub(crate) fn new(store: Arc<dyn DurableStore>, revoked: Arc<dyn RevokedTokens>) -> Self {
        Self { store, revoked, remembered: Mutex::default() }
    }

    /// The client with this id.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn find(
        &self,
        client_id: &str,
        now: UnixMillis,
    ) -> Result<Option<Arc<KnownClient>>, StoreError> {
        if let Some((read_at, known)) = self.remembered(client_id, now)
            && !self.was_switched_off(client_id, read_at, now)
        {
            return Ok(Some(known));
        }
        let Some(record) = self.store.find_client(client_id).await? else { return Ok(None) };
        let client = client_of(&record)?;
        let known = Arc::new(KnownClient { record, client });
        self.remember(client_id, &known, now);
        Ok(Some(known))
    }

    /// Whether what was read then may be from before the client was switched off. Whoever does
    /// that has read the clock a while before it is done.
    fn was_switched_off(&self, client_id: &str, read_at: UnixMillis, now: UnixMillis) -> bool {
        let since = UnixMillis(read_at.0.saturating_sub(REMEMBERED_MS)).as_secs();
        self.revoked.is_named_revoked(RevocationKind::Client, client_id, Some(since), now)
    }

    fn remembered(
        &self,
        client_id: &str,
        now: UnixMillis,
    ) -> Option<(UnixMillis, Arc<KnownClient>)> {
        // Nothing panics under this lock, so what a poisoned one guards is whole.
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, known) = remembered.get(client_id)?;
        (now.millis_since(*read_at) < REMEMBERED_MS).then(|| (*read_at, Arc::clone(known)))
    }

    fn remember(&self, client_id: &str, known: &Arc<KnownClient>, now: UnixMillis) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST_REMEMBERED {
            remembered.retain(|_, (read_at, _)| now.millis_since(*read_at) < REMEMBERED_MS);
        }
        if remembered.len() < MOST_REMEMBERED {
            remembered.insert(client_id.to_owned(), (now, Arc::clone(known)));
        }
    }
}

/// The client of a record. Grant types and addresses that this build does not take are left out:
/// another build may have written them.
pub(crate) fn client_of(record: &ClientRecord) -> Result<Client, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("{what} of a client"));
    let scopes = ScopeSet::from_names(record.scopes.iter().map(String::as_str))
        .map_err(|_| corrupt("scopes"))?;
    let redirect_uris = record.redirect_uris.iter().filter_map(|uri| RedirectUri::parse(uri).ok());
    Ok(Client {
        client_id: record.client_id.clone(),
        kind: match record.kind {
            durable::ClientKind::Public => ClientKind::Public,
            durable::ClientKind::Confidential => ClientKind::Confidential,
        },
        auth_method: AuthMethod::parse(&record.auth_method)
            .ok_or_else(|| corrupt("authentication method"))?,
        grant_types: record.grant_types.iter().filter_map(|name| GrantType::parse(name)).collect(),
        redirect_uris: redirect_uris.collect(),
        post_logout_redirect_uris: record.post_logout_redirect_uris.clone(),
        scopes,
        resources: record.resources.clone(),
        require_pkce: record.require_pkce,
        require_consent: record.require_consent,
        require_par: record.require_par,
        bind_dpop: record.bind_dpop,
        access_token_lifetime_secs: record.access_token_lifetime_secs,
        refresh_token_lifetime_secs: record.refresh_token_lifetime_secs,
        id_token_alg: Algorithm::parse(&record.id_token_alg)
            .ok_or_else(|| corrupt("ID token algorithm"))?,
        may_introspect: record.may_introspect.clone(),
        may_act_for: record.may_act_for.clone(),
        is_active: record.is_active,
    })
}

/// Whether the secret is the client's. What is not there is hashed and compared all the same,
/// so that an unknown client takes as long as a wrong secret.
pub(crate) fn secret_matches(record: Option<&ClientRecord>, presented: Option<&Secret>) -> bool {
    let kept = record.and_then(|record| record.secret_sha256);
    let hash = random::sha256(presented.map_or("", Secret::expose).as_bytes());
    let equal = verify_slices_are_equal(&hash.0, &kept.map_or([0; 32], |kept| kept.0)).is_ok();
    equal && kept.is_some() && presented.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::fixture::{ISSUER, Revocations};
    use crate::ports::Announce as _;
    use postern_revocation::Revocation;
    use postern_store::durable::memory::MemoryDurableStore;

    fn record() -> ClientRecord {
        ClientRecord {
            secret_sha256: Some(random::sha256(b"s3cret")),
            grant_types: vec!["client_credentials".to_owned(), "urn:later".to_owned()],
            redirect_uris: vec!["https://app.example/cb".to_owned(), "javascript:x".to_owned()],
            scopes: vec!["read".to_owned()],
            ..ClientRecord::new(
                "web".to_owned(),
                "Web".to_owned(),
                durable::ClientKind::Confidential,
                UnixMillis(1),
            )
        }
    }

    #[test]
    fn only_the_right_secret_of_a_client_that_has_one_matches() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let bare = ClientRecord { secret_sha256: None, ..record() };
        let of_empty = ClientRecord { secret_sha256: Some(random::sha256(b"")), ..record() };
        for (client, presented, expected) in [
            (Some(record()), Some(secret("s3cret")), true),
            (Some(record()), Some(secret("S3cret")), false),
            (Some(record()), None, false),
            (Some(bare), Some(secret("s3cret")), false),
            (Some(of_empty), None, false),
            (None, Some(secret("s3cret")), false),
            (None, None, false),
        ] {
            let matches = secret_matches(client.as_ref(), presented.as_ref());
            assert_eq!(matches, expected, "{client:?} {presented:?}");
        }
    }

    #[test]
    fn records_of_another_build_are_read_as_far_as_they_are_known() {
        let client = client_of(&record()).unwrap();
        assert_eq!(client.grant_types, [GrantType::ClientCredentials]);
        assert_eq!(client.redirect_uris.len(), 1, "nobody is sent to a script");
        for damaged in [
            ClientRecord { scopes: vec!["a\"b".to_owned()], ..record() },
            ClientRecord { auth_method: "client_secret_jwt".to_owned(), ..record() },
            ClientRecord { id_token_alg: "none".to_owned(), ..record() },
        ] {
            assert!(matches!(client_of(&damaged), Err(StoreError::Corrupt(_))), "{damaged:?}");
        }
    }

    #[tokio::test]
    async fn a_client_is_remembered_for_a_moment_and_a_stranger_never() {
        let store = Arc::new(MemoryDurableStore::new());
        let revoked = Arc::new(Revocations::default());
        let clients = Clients::new(Arc::<MemoryDurableStore>::clone(&store), revoked);
        let at = |millis| UnixMillis(1_800_000_000_000 + millis);
        assert!(clients.find("web", at(0)).await.unwrap().is_none());
        store.insert_client(record()).await.unwrap();
        assert!(clients.find("web", at(1)).await.unwrap().is_some(), "at once");
        assert!(clients.remembered("web", at(REMEMBERED_MS)).is_some());
        assert!(clients.remembered("web", at(REMEMBERED_MS + 1)).is_none());
        assert!(clients.remembered("other", at(2)).is_none());
    }

    #[tokio::test]
    async fn a_client_that_was_switched_off_is_not_remembered_as_it_was() {
        let store = Arc::new(MemoryDurableStore::new());
        let revoked = Arc::new(Revocations::default());
        let known: Arc<dyn RevokedTokens> = Arc::<Revocations>::clone(&revoked);
        let clients = Clients::new(Arc::<MemoryDurableStore>::clone(&store), known);
        let at = |millis: u64| UnixMillis(1_800_000_000_000 + millis);
        store.insert_client(record()).await.unwrap();
        let is_active = async |now| {
            let found = clients.find("web", now).await.unwrap();
            found.is_some_and(|found| found.client.is_active)
        };
        assert!(is_active(at(0)).await);
        let off = ClientRecord { is_active: false, ..record() };
        let entry = crate::audit::entry(at(1), "system", "client.changed", "web", &[]);
        assert_eq!(store.change_client(off, record().updated_at, &entry).await, Ok(true));
        assert!(is_active(at(1)).await, "nobody has told");
        let ended = Revocation::at(
            at(1).as_secs(),
            RevocationKind::Client,
            ISSUER,
            "web",
            at(90_000_000).as_secs(),
        );
        revoked.revoke(vec![ended.unwrap()], "client_ended", at(1)).await.unwrap();
        assert!(!is_active(at(2)).await, "at once");
    }

    #[tokio::test]
    async fn no_more_clients_are_remembered_than_there_is_room_for() {
        let revoked = Arc::new(Revocations::default());
        let clients = Clients::new(Arc::new(MemoryDurableStore::new()), revoked);
        let record = record();
        let client = client_of(&record).unwrap();
        let known = Arc::new(KnownClient { record, client });
        for at in 0..MOST_REMEMBERED {
            clients.remember(&at.to_string(), &known, UnixMillis(0));
        }
        clients.remember("one more", &known, UnixMillis(1));
        assert!(clients.remembered("one more", UnixMillis(1)).is_none());
        clients.remember("later", &known, UnixMillis(REMEMBERED_MS));
        assert!(clients.remembered("later", UnixMillis(REMEMBERED_MS)).is_some());
        assert_eq!(clients.remembered.lock().unwrap().len(), 1);
    }
}
