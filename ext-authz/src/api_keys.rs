//! API keys, kept and compared as SHA-256 of the whole key.
//!
//! A key has 256 bits of randomness, so its plain hash cannot be searched.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postern_document::Document;
use postern_request::principal::{Credential, Principal};
use postern_request::{UnixMillis, api_key, headers};
use postern_store::StoreError;
use postern_store::durable::DurableStore;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

/// How long a key's record may be remembered (the contract allows 60 s).
const REMEMBERED_MS: u64 = 30_000;
const MAX_REMEMBERED: usize = 10_000;
/// Most look-ups in the durable store at a time, and the longest time for one.
const LOOKUPS: usize = 16;
const LOOKUP: Duration = Duration::from_millis(100);

/// An API key that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundKey {
    /// Its id.
    pub id: String,
    /// Who it stands for.
    pub principal: Principal,
    /// Names of limits of the document that hold for it besides its route's.
    pub limits: Vec<String>,
}

#[derive(Debug, Clone)]
struct Known {
    sha256: [u8; 32],
    principal: Principal,
    limits: Vec<String>,
    /// When the key itself ends.
    expires: Option<UnixMillis>,
}

/// Looks keys up: first those of the document, then those of the durable store.
pub struct ApiKeys {
    durable: Option<Arc<dyn DurableStore>>,
    remembered: Mutex<HashMap<String, (UnixMillis, Option<Known>)>>,
    lookups: Semaphore,
}

impl ApiKeys {
    /// Keys of the document alone, or of a durable store too.
    #[must_use]
    pub fn new(durable: Option<Arc<dyn DurableStore>>) -> Self {
        Self { durable, remembered: Mutex::default(), lookups: Semaphore::new(LOOKUPS) }
    }

    /// What is known of a key; none when it is not one of ours. Whether it was revoked since it
    /// was remembered is for the caller to ask.
    ///
    /// # Errors
    /// When the durable store cannot be asked.
    pub async fn find(
        &self,
        document: &Document,
        key: &str,
        now: UnixMillis,
    ) -> Result<Option<FoundKey>, StoreError> {
        let Some(id) = api_key::id(key) else { return Ok(None) };
        let presented: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        if let Some(own) = document.api_keys.iter().find(|own| own.id == id) {
            let equal = bool::from(own.sha256.ct_eq(&presented));
            return Ok(equal.then(|| FoundKey {
                id: id.to_owned(),
                principal: own.principal.clone(),
                limits: Vec::new(),
            }));
        }
        let Some(known) = self.recall(id, now).await? else { return Ok(None) };
        let equal = bool::from(known.sha256.ct_eq(&presented));
        let over = known.expires.is_some_and(|end| end <= now);
        let Known { principal, limits, .. } = known;
        Ok((equal && !over).then(|| FoundKey { id: id.to_owned(), principal, limits }))
    }

    /// Forgets a key that was revoked: the store says more of it by now.
    pub fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    async fn recall(&self, id: &str, now: UnixMillis) -> Result<Option<Known>, StoreError> {
        let Some(durable) = &self.durable else { return Ok(None) };
        if let Some((since, known)) = self.lock().get(id)
            && now >= *since
            && now.millis_since(*since) < REMEMBERED_MS
        {
            return Ok(known.clone());
        }
        // Anybody can make ids up: what they may cost the store is bounded.
        let Ok(_turn) = self.lookups.try_acquire() else {
            return Err(StoreError::Unavailable(
                "too many API keys are being looked up".to_owned(),
            ));
        };
        let Ok(record) = tokio::time::timeout(LOOKUP, durable.find_api_key(id)).await else {
            return Err(StoreError::Unavailable("no answer in time".to_owned()));
        };
        let record = record?;
        let known = record.filter(|record| record.revoked_at.is_none()).map(|record| Known {
            sha256: record.sha256.0,
            principal: Principal {
                subject: record.subject,
                client_id: record.client_id,
                scopes: record.scopes,
                tier: record.tier,
                credential: Credential::ApiKey,
                ..Principal::default()
            },
            limits: record.limits,
            expires: record.expires_at,
        });
        let usable = known.as_ref().is_none_or(|known| is_usable(&known.principal));
        if !usable {
            return Err(StoreError::Corrupt("an API key's record".to_owned()));
        }
        let mut remembered = self.lock();
        if remembered.len() >= MAX_REMEMBERED {
            // Made-up ids go first; real ones are as many as there are keys.
            remembered.retain(|_, (_, known)| known.is_some());
            if remembered.len() >= MAX_REMEMBERED {
                remembered.clear();
            }
        }
        remembered.insert(id.to_owned(), (now, known.clone()));
        Ok(known)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (UnixMillis, Option<Known>)>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came from a store must be fit for headers like everything else.
fn is_usable(principal: &Principal) -> bool {
    let texts = [Some(&principal.subject), principal.client_id.as_ref(), principal.tier.as_ref()];
    texts
        .into_iter()
        .flatten()
        .chain(&principal.scopes)
        .all(|text| headers::is_identity_value(text))
}
