//! API keys: listed, made, changed, rotated, revoked.

use postern_document::LimitMode;
use postern_oauth::ScopeSet;
use postern_request::UnixMillis;
use postern_revocation::{API_KEYS_ISSUER, RevocationKind};
use postern_store::durable::{ApiKeyRecord, PageAsk, Paged};

use super::Operators;
use crate::admin::api_keys::{self, CreatedApiKey, NewApiKey};
use crate::admin::{Actor, check_text, scopes_nobody_knows};
use crate::{IdentityError, audit};

/// How long the end of a key is told, in seconds: far longer than anybody remembers its record.
const TOLD_SECS: u64 = 86_400;
/// How long two keys may stand beside each other, in milliseconds: a minute to 90 days.
const OVERLAP_MS: std::ops::RangeInclusive<u64> = 60_000..=7_776_000_000;

/// What of an API key is to change; what is none stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApiKeyEdit {
    /// Another name, or none any more.
    pub name: Option<Option<String>>,
    /// Other scopes.
    pub scopes: Option<ScopeSet>,
    /// Another tier, or none any more.
    pub tier: Option<Option<String>>,
    /// Other limits of its own.
    pub limits: Option<Vec<String>>,
    /// Another end, or none any more.
    pub expires_at: Option<Option<UnixMillis>>,
}

impl Operators {
    /// A part of the list of API keys.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn api_keys(&self, ask: PageAsk) -> Result<Paged<ApiKeyRecord>, IdentityError> {
        Ok(self.store.page_api_keys(ask).await?)
    }

    /// The API key with this id, whatever became of it.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the store.
    pub async fn api_key(&self, id: &str) -> Result<ApiKeyRecord, IdentityError> {
        self.store.find_api_key(id).await?.ok_or(IdentityError::NotFound("API key"))
    }

    /// Whether a client is registered; keys may also belong to others.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn knows_client(&self, client_id: &str) -> Result<bool, IdentityError> {
        Ok(self.store.find_client(client_id).await?.is_some())
    }

    /// Makes an API key.
    ///
    /// # Errors
    /// [`IdentityError::Invalid`] and those of the store.
    pub async fn create_api_key(
        &self,
        new: NewApiKey,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<CreatedApiKey, IdentityError> {
        api_keys::check_limits(&new.limits)?;
        self.judge_limits(&new.limits)?;
        self.judge_scopes(&new.scopes)?;
        let created = api_keys::create_api_key(&*self.store, new, now).await?;
        let detail = [("subject", created.record.subject.as_str())];
        self.write_down("apikey.created", &created.record.id, &detail, by, now).await?;
        Ok(created)
    }

    /// Changes an API key that stands. Servers that remember it learn of that by themselves.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Invalid`] and those of the store.
    pub async fn change_api_key(
        &self,
        id: &str,
        edit: ApiKeyEdit,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<ApiKeyRecord, IdentityError> {
        let mut record = self.api_key(id).await?;
        stands(&record, now)?;
        let texts = [("name", edit.name.as_ref()), ("tier", edit.tier.as_ref())];
        for (what, text) in texts {
            if let Some(Some(text)) = text {
                check_text(what, text)?;
            }
        }
        if let Some(limits) = &edit.limits {
            api_keys::check_limits(limits)?;
            self.judge_limits(limits)?;
        }
        edit.scopes.as_ref().map_or(Ok(()), |scopes| self.judge_scopes(scopes))?;
        if let Some(Some(end)) = edit.expires_at
            && end <= now
        {
            return Err(IdentityError::invalid("expiry", "it is over already"));
        }
        record.name = edit.name.unwrap_or(record.name);
        record.scopes = edit.scopes.map_or(record.scopes, |scopes| scopes.names().to_vec());
        record.tier = edit.tier.unwrap_or(record.tier);
        record.limits = edit.limits.unwrap_or(record.limits);
        record.expires_at = edit.expires_at.unwrap_or(record.expires_at);
        self.keep_api_key("apikey.changed", record.clone(), &[], by, now).await?;
        Ok(record)
    }

    /// Makes a key that takes the place of another one, which is good for `overlap_ms` more, so
    /// that nobody who uses it has to change at once.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Invalid`], also where that was done before,
    /// and those of the store.
    pub async fn rotate_api_key(
        &self,
        id: &str,
        overlap_ms: u64,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<CreatedApiKey, IdentityError> {
        if !OVERLAP_MS.contains(&overlap_ms) {
            let reason = "it must be a minute to 90 days; to end a key at once, revoke it";
            return Err(IdentityError::invalid("overlap", reason));
        }
        let mut old = self.api_key(id).await?;
        stands(&old, now)?;
        if old.successor.is_some() {
            let reason = "another key has taken its place already";
            return Err(IdentityError::invalid("API key", reason));
        }
        let new = NewApiKey {
            subject: old.subject.clone(),
            name: old.name.clone(),
            client_id: old.client_id.clone(),
            scopes: scopes_of(&old)?,
            tier: old.tier.clone(),
            limits: old.limits.clone(),
            expires_at: old.expires_at,
        };
        // By no document: where a limit is gone from it, the key before this one holds no better.
        let created = api_keys::create_api_key(&*self.store, new, now).await?;
        let last = UnixMillis(now.0.saturating_add(overlap_ms));
        old.expires_at = Some(old.expires_at.map_or(last, |end| end.min(last)));
        old.successor = Some(created.record.id.clone());
        let detail = [("successor", created.record.id.as_str())];
        let kept = self.keep_api_key("apikey.rotated", old, &detail, by, now).await;
        if kept.is_err() {
            // Nobody was shown the new one, and it takes nobody's place.
            drop(self.store.revoke_api_key(&created.record.id, now).await);
        }
        kept.map(|()| created)
    }

    /// Revokes an API key for good. Servers that remember it are told.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the stores.
    pub async fn revoke_api_key(
        &self,
        id: &str,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<ApiKeyRecord, IdentityError> {
        const WHY: &str = "api_key_revoked";
        if !self.store.revoke_api_key(id, now).await? {
            return Err(IdentityError::NotFound("API key"));
        }
        self.revoke(RevocationKind::Token, API_KEYS_ISSUER, id, TOLD_SECS, WHY, now).await?;
        self.write_down("apikey.revoked", id, &[], by, now).await?;
        self.api_key(id).await
    }

    async fn keep_api_key(
        &self,
        action: &str,
        record: ApiKeyRecord,
        detail: &[(&str, &str)],
        by: &Actor,
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        let entry = audit::entry(now, by.as_str(), action, &record.id, detail);
        if self.store.change_api_key(record, &entry).await? {
            return Ok(());
        }
        // It was there a moment ago, and keys are not deleted.
        let reason = "it was revoked or replaced this moment: look at it again";
        Err(IdentityError::invalid("API key", reason))
    }

    /// Where a document is at hand. A key with a limit that nobody counts would open nothing. The
    /// names are such as limits may have.
    fn judge_limits(&self, names: &[String]) -> Result<(), IdentityError> {
        let Some(document) = &self.document else { return Ok(()) };
        let document = document.load();
        for name in names {
            let found = document.limits.iter().find(|limit| limit.name == *name);
            let told = match found.map(|limit| limit.mode) {
                Some(LimitMode::Exact { .. }) => continue,
                Some(mode) => format!("`{name}` has `mode: {}`", mode.as_str()),
                None => format!("the document has no limit `{name}`"),
            };
            let reason = format!("{told}; a key's own limits have `mode: exact`");
            return Err(IdentityError::invalid("limits", reason));
        }
        Ok(())
    }

    /// Where the document at hand says which scopes there are: with another one a key would open
    /// nothing.
    fn judge_scopes(&self, scopes: &ScopeSet) -> Result<(), IdentityError> {
        let Some(document) = &self.document else { return Ok(()) };
        let document = document.load();
        if document.oauth.is_none() {
            return Ok(());
        }
        let unknown = scopes_nobody_knows(&document, scopes);
        let Some(scope) = unknown.first() else { return Ok(()) };
        let reason = format!(
            "`oauth.scopes` of the document says nothing of `{scope}`, and no route asks for it"
        );
        Err(IdentityError::invalid("scopes", reason))
    }
}

/// Whether a key is still good for something.
fn stands(record: &ApiKeyRecord, now: UnixMillis) -> Result<(), IdentityError> {
    let is_over = record.expires_at.is_some_and(|end| end <= now);
    if record.revoked_at.is_some() || is_over {
        let reason = "it was revoked or is over; make another one";
        return Err(IdentityError::invalid("API key", reason));
    }
    Ok(())
}

fn scopes_of(record: &ApiKeyRecord) -> Result<ScopeSet, IdentityError> {
    let corrupt = |_| postern_store::StoreError::Corrupt("scopes of an API key".to_owned());
    let scopes = ScopeSet::from_names(record.scopes.iter().map(String::as_str));
    Ok(scopes.map_err(corrupt)?)
}
