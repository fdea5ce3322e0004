//! API keys: made.

use std::collections::BTreeSet;

use postern_oauth::{ScopeSet, Secret};
use postern_request::{UnixMillis, api_key};
use postern_store::durable::{ApiKeyRecord, DurableStore};

use super::check_text;
use crate::{IdentityError, random};

/// Most limits that a key has of its own: each of them is counted for every request.
const MAX_LIMITS: usize = 16;
/// Longest name of a limit, as documents have them.
const MAX_LIMIT_NAME: usize = 63;

/// An API key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// Who it stands for.
    pub subject: String,
    /// What people call it.
    pub name: Option<String>,
    /// The client that it belongs to.
    pub client_id: Option<String>,
    /// What it allows.
    pub scopes: ScopeSet,
    /// For limits.
    pub tier: Option<String>,
    /// Limits of the document that hold for it besides the route's.
    pub limits: Vec<String>,
    /// From when on it is not valid any more.
    pub expires_at: Option<UnixMillis>,
}

/// An API key, and the only time that it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedApiKey {
    /// What is stored.
    pub record: ApiKeyRecord,
    /// The key, of which only a hash is stored.
    pub key: Secret,
}

/// Makes an API key.
///
/// # Errors
/// [`IdentityError::Invalid`] and those of the store.
pub async fn create_api_key(
    store: &dyn DurableStore,
    new: NewApiKey,
    now: UnixMillis,
) -> Result<CreatedApiKey, IdentityError> {
    check_text("subject", &new.subject)?;
    let texts = [("name", &new.name), ("client id", &new.client_id), ("tier", &new.tier)];
    for (what, text) in texts {
        if let Some(text) = text {
            check_text(what, text)?;
        }
    }
    check_limits(&new.limits)?;
    if new.expires_at.is_some_and(|end| end <= now) {
        let reason = "it is over already";
        return Err(IdentityError::invalid("expiry", reason));
    }
    let id = random::short_id()?;
    let key = Secret::new(api_key::join(&id, random::secret()?.expose()));
    let sha256 = random::sha256(key.expose().as_bytes());
    let record = ApiKeyRecord {
        name: new.name,
        limits: new.limits,
        client_id: new.client_id,
        scopes: new.scopes.names().to_vec(),
        tier: new.tier,
        expires_at: new.expires_at,
        ..ApiKeyRecord::new(id, sha256, new.subject, now)
    };
    store.insert_api_key(record.clone()).await?;
    Ok(CreatedApiKey { record, key })
}

/// Names as documents give them to limits, each once: one that is there twice would count twice.
pub(super) fn check_limits(names: &[String]) -> Result<(), IdentityError> {
    let each_once = names.iter().collect::<BTreeSet<_>>().len() == names.len();
    if names.len() <= MAX_LIMITS && each_once && names.iter().all(|name| is_limit(name)) {
        return Ok(());
    }
    let reason = "at most 16 names, each once, of lower-case letters, digits and inner hyphens";
    Err(IdentityError::invalid("limits", reason))
}

fn is_limit(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_LIMIT_NAME).contains(&name.len())
        && name.bytes().all(fits)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_store::durable::memory::MemoryDurableStore;

    fn new() -> NewApiKey {
        NewApiKey {
            subject: "svc:reports".to_owned(),
            name: Some("Nightly".to_owned()),
            client_id: None,
            scopes: ScopeSet::parse("reports.read").unwrap(),
            tier: Some("premium".to_owned()),
            limits: Vec::new(),
            expires_at: Some(UnixMillis(100)),
        }
    }

    #[tokio::test]
    async fn a_key_finds_its_record_and_is_not_in_it() {
        let store = MemoryDurableStore::new();
        let created = create_api_key(&store, new(), UnixMillis(5)).await.unwrap();
        let id = api_key::id(created.key.expose()).unwrap();
        let stored = store.find_api_key(id).await.unwrap().unwrap();
        assert_eq!(stored, created.record);
        assert_eq!(stored.sha256, random::sha256(created.key.expose().as_bytes()));
        assert!(!format!("{created:?}").contains(created.key.expose()));
    }

    #[tokio::test]
    async fn nonsense_is_refused() {
        let store = MemoryDurableStore::new();
        for bad in [
            NewApiKey { subject: String::new(), ..new() },
            NewApiKey { tier: Some("a\r\nb".to_owned()), ..new() },
            NewApiKey { expires_at: Some(UnixMillis(5)), ..new() },
            NewApiKey { limits: vec![String::new()], ..new() },
            NewApiKey { limits: vec!["two words".to_owned()], ..new() },
            NewApiKey { limits: vec!["-a".to_owned()], ..new() },
            NewApiKey { limits: vec!["a".repeat(64)], ..new() },
            NewApiKey { limits: vec!["a".to_owned(), "b".to_owned(), "a".to_owned()], ..new() },
            NewApiKey { limits: (0..17).map(|at| format!("l{at}")).collect(), ..new() },
        ] {
            let refused = create_api_key(&store, bad.clone(), UnixMillis(5)).await;
            assert!(matches!(refused, Err(IdentityError::Invalid { .. })), "{bad:?}");
        }
    }
}
