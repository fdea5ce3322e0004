//! What can be known beforehand: issuers' keys, and the API key that the request shows.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use postern_document::{Document, JwksSource};
use postern_explain::{Request, StoredKey};
use postern_identity::KeyRing;
use postern_jose::KeySet;
use postern_request::headers::{self, HeaderView as _};
use postern_request::principal::Credential;
use postern_request::{Principal, UnixMillis, api_key};
use postern_store::durable::{ApiKeyRecord, DurableStore};

use super::NO_KEY_FILE;
use crate::cli::Explain;
use crate::revoking::Listed;
use crate::settings;

/// What is known.
pub struct Known {
    /// Keys, by the issuer's place in the document.
    pub keys: Vec<Option<KeySet>>,
    /// Whether API keys were looked up.
    pub has_store: bool,
    /// What was revoked, where the list was read.
    pub revocations: Option<Listed>,
    key: Option<(String, StoredKey)>,
}

impl Known {
    /// Reads what the options name.
    ///
    /// # Errors
    /// When a file or the store cannot be read, or nobody can say whose the keys are.
    pub async fn read(
        document: &Document,
        arguments: &Explain,
        request: &Request,
        now: UnixMillis,
    ) -> Result<Self> {
        let mut known = Self { keys: Vec::new(), has_store: false, revocations: None, key: None };
        known.keys.resize_with(document.issuers.len(), || None);
        if let Some(address) = &arguments.durable {
            let store = settings::durable(address).await?;
            known.ask(document, request, store, now).await?;
        }
        if let Some(path) = &arguments.keys {
            let issuer = issuer_of_keys(document, arguments)?;
            if let Some(slot) = known.keys.get_mut(issuer) {
                *slot = Some(read_keys(path)?);
            }
        }
        Ok(known)
    }

    async fn ask(
        &mut self,
        document: &Document,
        request: &Request,
        store: Arc<dyn DurableStore>,
        now: UnixMillis,
    ) -> Result<()> {
        self.has_store = true;
        self.revocations = Some(Listed::read(store.as_ref(), now).await?);
        let ring = KeyRing::load(Arc::clone(&store), None, now).await;
        let ring = settings::opened(ring, &NO_KEY_FILE)?;
        let own = document
            .issuers
            .iter()
            .position(|entry| document.issuer.as_ref() == Some(&entry.issuer.issuer));
        if let Some(slot) = own.and_then(|at| self.keys.get_mut(at)) {
            *slot = Some(ring.key_set(now));
        }
        let shown = request.headers.single(headers::API_KEY).one();
        let shown = shown.and_then(|key| core::str::from_utf8(key).ok());
        if let Some(id) = shown.and_then(api_key::id) {
            let record = store.find_api_key(id).await?;
            let record = record.filter(|record| record.revoked_at.is_none());
            self.key = record.map(|record| (id.to_owned(), stored(record)));
        }
        Ok(())
    }

    /// The API key of this id.
    pub fn stored(&self, id: &str) -> Option<StoredKey> {
        let (known, key) = self.key.as_ref()?;
        (known == id).then(|| key.clone())
    }
}

fn stored(record: ApiKeyRecord) -> StoredKey {
    StoredKey {
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
    }
}

/// An issuer's place in the document.
///
/// # Errors
/// When it has none of this name.
pub fn issuer(document: &Document, name: &str) -> Result<usize> {
    let found = document.issuers.iter().position(|entry| entry.issuer.issuer == name);
    found.with_context(|| format!("the document has no issuer `{name}`"))
}

/// Whose the keys of `--keys` are: those of the only issuer whose keys are elsewhere.
fn issuer_of_keys(document: &Document, arguments: &Explain) -> Result<usize> {
    if let Some(name) = &arguments.issuer {
        return issuer(document, name).context("--issuer");
    }
    let elsewhere =
        |entry: &postern_document::JwtIssuer| !matches!(entry.jwks, JwksSource::Inline(_));
    let mut issuers = document.issuers.iter().enumerate().filter(|(_, entry)| elsewhere(entry));
    match (issuers.next(), issuers.next()) {
        (Some((at, _)), None) => Ok(at),
        (None, _) => bail!("--keys: the document has no issuer whose keys are elsewhere"),
        (Some(_), Some(_)) => bail!("--keys: say by --issuer whose they are"),
    }
}

fn read_keys(path: &Path) -> Result<KeySet> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    KeySet::parse(&text).with_context(|| format!("{}", path.display()))
}
