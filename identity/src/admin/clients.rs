//! Clients: registered.

use postern_oauth::{GrantType, ScopeSet, Secret};
use postern_request::UnixMillis;
use postern_store::durable::{ClientKind, ClientRecord, DurableStore};

use super::check_text;
use super::client_edit::judge_redirect_uris;
use crate::{IdentityError, MAX_LIFETIME_SECS, random};

/// A client to be registered; its id and secret are made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClient {
    /// What people call it.
    pub name: String,
    /// What it may ask for.
    pub scopes: ScopeSet,
    /// How it may ask.
    pub grant_types: Vec<GrantType>,
    /// How long its access tokens live, in seconds.
    pub access_token_lifetime_secs: u64,
}

/// A registered client, and the only time that its secret is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedClient {
    /// What is stored.
    pub record: ClientRecord,
    /// The secret, of which only a hash is stored.
    pub secret: Secret,
}

/// Registers a confidential client.
///
/// # Errors
/// [`IdentityError::Invalid`] and those of the store.
pub async fn create_client(
    store: &dyn DurableStore,
    new: NewClient,
    now: UnixMillis,
) -> Result<CreatedClient, IdentityError> {
    check_text("name", &new.name)?;
    if new.grant_types.is_empty() {
        let reason = "a client without one can do nothing";
        return Err(IdentityError::invalid("grant types", reason));
    }
    check_lifetime(new.access_token_lifetime_secs)?;
    let secret = random::secret()?;
    let client_id = random::uuid()?;
    let record = ClientRecord {
        secret_sha256: Some(random::sha256(secret.expose().as_bytes())),
        grant_types: new.grant_types.iter().map(|grant| grant.as_str().to_owned()).collect(),
        scopes: new.scopes.names().to_vec(),
        access_token_lifetime_secs: new.access_token_lifetime_secs,
        ..ClientRecord::new(client_id, new.name, ClientKind::Confidential, now)
    };
    store.insert_client(record.clone()).await?;
    Ok(CreatedClient { record, secret })
}

/// A client that can keep no secret, such as a page's script or an app; its id is made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPublicClient {
    /// What people call it.
    pub name: String,
    /// What it may ask for.
    pub scopes: ScopeSet,
    /// Where codes are sent.
    pub redirect_uris: Vec<String>,
    /// Whether people are asked before it gets anything of theirs.
    pub require_consent: bool,
    /// How long its access tokens live, in seconds.
    pub access_token_lifetime_secs: u64,
}

/// Registers a public client: by authorization codes with PKCE, and refresh tokens.
///
/// # Errors
/// [`IdentityError::Invalid`] and those of the store.
pub async fn create_public_client(
    store: &dyn DurableStore,
    new: NewPublicClient,
    now: UnixMillis,
) -> Result<ClientRecord, IdentityError> {
    check_text("name", &new.name)?;
    check_lifetime(new.access_token_lifetime_secs)?;
    if new.redirect_uris.is_empty() {
        let reason = "without one, no code could be sent anywhere";
        return Err(IdentityError::invalid("redirect URIs", reason));
    }
    judge_redirect_uris("redirect URIs", &new.redirect_uris)?;
    let grants = [GrantType::AuthorizationCode, GrantType::RefreshToken];
    let record = ClientRecord {
        grant_types: grants.iter().map(|grant| grant.as_str().to_owned()).collect(),
        response_types: vec!["code".to_owned()],
        redirect_uris: new.redirect_uris,
        scopes: new.scopes.names().to_vec(),
        require_consent: new.require_consent,
        access_token_lifetime_secs: new.access_token_lifetime_secs,
        ..ClientRecord::new(random::uuid()?, new.name, ClientKind::Public, now)
    };
    store.insert_client(record.clone()).await?;
    Ok(record)
}

fn check_lifetime(secs: u64) -> Result<(), IdentityError> {
    if (1..=MAX_LIFETIME_SECS).contains(&secs) {
        return Ok(());
    }
    let reason = "it must be 1 to 86400 seconds";
    Err(IdentityError::invalid("access token lifetime", reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::secret_matches;
    use postern_store::durable::memory::MemoryDurableStore;

    fn new() -> NewClient {
        NewClient {
            name: "Nightly billing".to_owned(),
            scopes: ScopeSet::parse("payments.read").unwrap(),
            grant_types: vec![GrantType::ClientCredentials],
            access_token_lifetime_secs: 3600,
        }
    }

    #[tokio::test]
    async fn a_client_is_stored_without_its_secret() {
        let store = MemoryDurableStore::new();
        let created = create_client(&store, new(), UnixMillis(5)).await.unwrap();
        let stored = store.find_client(&created.record.client_id).await.unwrap();
        assert_eq!(stored.as_ref(), Some(&created.record));
        assert!(secret_matches(stored.as_ref(), Some(&created.secret)));
        assert!(!format!("{created:?}").contains(created.secret.expose()));
        let another = create_client(&store, new(), UnixMillis(5)).await.unwrap();
        assert_ne!(another.record.client_id, created.record.client_id);
    }

    #[tokio::test]
    async fn nonsense_is_refused() {
        let store = MemoryDurableStore::new();
        for bad in [
            NewClient { name: String::new(), ..new() },
            NewClient { name: "a\nb".to_owned(), ..new() },
            NewClient { grant_types: Vec::new(), ..new() },
            NewClient { access_token_lifetime_secs: 0, ..new() },
            NewClient { access_token_lifetime_secs: 86_401, ..new() },
        ] {
            let refused = create_client(&store, bad.clone(), UnixMillis(5)).await;
            assert!(matches!(refused, Err(IdentityError::Invalid { .. })), "{bad:?}");
        }
        assert!(store.list_clients(None, 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_public_client_has_no_secret_and_somewhere_to_send_codes() {
        let store = MemoryDurableStore::new();
        let new = NewPublicClient {
            name: "Portal".to_owned(),
            scopes: ScopeSet::parse("openid").unwrap(),
            redirect_uris: vec!["https://app.example/callback".to_owned()],
            require_consent: false,
            access_token_lifetime_secs: 600,
        };
        let made = create_public_client(&store, new.clone(), UnixMillis(5)).await.unwrap();
        assert_eq!((made.kind, made.secret_sha256.is_none()), (ClientKind::Public, true));
        assert!(made.require_pkce && !made.require_consent);
        for bad in [Vec::new(), vec!["http://app.example/".to_owned()], vec!["/x".to_owned()]] {
            let bad = NewPublicClient { redirect_uris: bad, ..new.clone() };
            let refused = create_public_client(&store, bad, UnixMillis(5)).await;
            assert!(matches!(refused, Err(IdentityError::Invalid { .. })), "{refused:?}");
        }
        assert_eq!(store.list_clients(None, 10).await.unwrap().len(), 1);
    }
}
