//! What operators do, whichever face they use: the command line and the admin API call the same
//! methods, and each says who it is for the audit log.

mod api_keys;
mod circuits;
mod clients;
mod keys;
mod people;
mod services;
mod sessions;

use std::sync::Arc;

use postern_document::{Current, Document};
use postern_request::UnixMillis;
use postern_revocation::{Revocation, RevocationKind};
use postern_store::durable::{AuditEntry, AuditRecord};
use postern_store::volatile::CircuitStore;
use postern_store::{FlowStore, IdentityStore, Registry, StoreError};

use super::Actor;
use crate::ending::Ending;
use crate::login::{CurrentLoginRules, CurrentLoginTools, LoginRules, LoginTools};
use crate::ports::Announce;
use crate::{IdentityError, KeyEncryptionKey, audit};

pub use api_keys::ApiKeyEdit;
pub use circuits::{ForcedFor, ShownCircuit, circuits_of, list_circuits};
pub use clients::ClientWithSecret;
pub use people::{ChangedUser, UserFactor};

/// How long the end of a client's tokens is remembered, in seconds: longer than they live.
const REMEMBER_SECS: u64 = crate::MAX_LIFETIME_SECS + 3600;

/// What operators work with. What is none is not at hand, and what takes it says so.
pub struct OperatorsParts {
    /// Everything that is kept.
    pub store: Arc<dyn IdentityStore>,
    /// Sessions.
    pub flows: Option<Arc<dyn FlowStore>>,
    /// Revokes.
    pub announce: Arc<dyn Announce>,
    /// Ends what tokens of the issuer stand for.
    pub ending: Option<Arc<Ending>>,
    /// The document's issuer.
    pub issuer: Option<String>,
    /// What users may be.
    pub rules: Option<CurrentLoginRules>,
    /// Hashes passwords, and knows those from breaches where the document wants that.
    pub tools: Option<CurrentLoginTools>,
    /// Seals signing keys.
    pub kek: Option<KeyEncryptionKey>,
}

/// What operators do.
pub struct Operators {
    store: Arc<dyn IdentityStore>,
    flows: Option<Arc<dyn FlowStore>>,
    announce: Arc<dyn Announce>,
    ending: Option<Arc<Ending>>,
    issuer: Option<String>,
    rules: Option<CurrentLoginRules>,
    tools: Option<CurrentLoginTools>,
    kek: Option<KeyEncryptionKey>,
    document: Option<Current<Document>>,
    registry: Option<Arc<dyn Registry>>,
    circuits: Option<Arc<dyn CircuitStore>>,
}

impl Operators {
    /// Of its parts.
    #[must_use]
    pub fn new(parts: OperatorsParts) -> Self {
        let OperatorsParts { store, flows, announce, ending, issuer, rules, tools, kek } = parts;
        Self {
            store,
            flows,
            announce,
            ending,
            issuer,
            rules,
            tools,
            kek,
            document: None,
            registry: None,
            circuits: None,
        }
    }

    /// The same, with a registry of services.
    #[must_use]
    pub fn with_registry(mut self, registry: Arc<dyn Registry>) -> Self {
        self.registry = Some(registry);
        self
    }

    /// The same, by the word of a document on which limits, scopes and circuits there are.
    #[must_use]
    pub fn by_document(mut self, document: Current<Document>) -> Self {
        self.document = Some(document);
        self
    }

    /// Records of the audit log by their numbers, beginning after `after`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn audit_since(
        &self,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, IdentityError> {
        Ok(self.store.audit_since(after, limit).await?)
    }

    /// Writes down that somebody was refused whom the server knows.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn denied(
        &self,
        what: &str,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        self.write_down("admin.denied", what, &[], by, now).await
    }

    /// Ends one access token of the issuer, until it would have ended by itself (`expires_at` in
    /// seconds).
    ///
    /// # Errors
    /// Those of the store.
    pub async fn revoke_token(
        &self,
        jti: &str,
        expires_at: u64,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        Ok(self.ending()?.token(jti, expires_at, by.as_str(), now).await?)
    }

    fn ending(&self) -> Result<&Ending, IdentityError> {
        const WHY: &str = "there is no issuer whose sessions and tokens could end: name the \
                           document, with an `issuer`";
        self.ending.as_deref().ok_or(IdentityError::NotHere(WHY))
    }

    fn flows(&self) -> Result<&dyn FlowStore, IdentityError> {
        const WHY: &str = "sessions are in the volatile store, and none is named";
        self.flows.as_deref().ok_or(IdentityError::NotHere(WHY))
    }

    fn rules(&self) -> Result<Arc<LoginRules>, IdentityError> {
        const WHY: &str = "the document does not say in `login` how people log in";
        let rules = self.rules.as_ref().ok_or(IdentityError::NotHere(WHY))?;
        Ok(rules.load())
    }

    fn tools(&self) -> Result<Arc<LoginTools>, IdentityError> {
        const WHY: &str = "nothing hashes passwords here";
        let tools = self.tools.as_ref().ok_or(IdentityError::NotHere(WHY))?;
        Ok(tools.load())
    }

    /// Revokes something by its name, of an issuer, for so long.
    async fn revoke(
        &self,
        kind: RevocationKind,
        issuer: &str,
        value: &str,
        remember_secs: u64,
        why: &'static str,
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        let until = now.as_secs().saturating_add(remember_secs);
        let revocation = Revocation::at(now.as_secs(), kind, issuer, value, until)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(self.announce.revoke(vec![revocation], why, now).await?)
    }

    async fn write_down(
        &self,
        action: &str,
        target: &str,
        detail: &[(&str, &str)],
        by: &Actor,
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        let entry: AuditEntry = audit::entry(now, by.as_str(), action, target, detail);
        self.store.append_audit(&entry).await?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
