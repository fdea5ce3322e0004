//! Issuers' keys, as background tasks bring them, and the check of a signature.

use std::future::pending;
use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_document::{Document, JwksSource};
use postern_jose::{Key, KeySet, SignatureVerifier, VerifyError};
use tokio::sync::Notify;

/// Checks one signature; shared by all requests.
pub type CheckSignature =
    Arc<dyn Fn(&Key, &[u8], &[u8]) -> Result<bool, VerifyError> + Send + Sync>;

/// A [`CheckSignature`] as the core wants it.
pub(crate) struct Verifier<'a>(pub(crate) &'a CheckSignature);

impl SignatureVerifier for Verifier<'_> {
    fn verify(
        &mut self,
        key: &Key,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError> {
        (self.0)(key, signing_input, signature)
    }
}

/// The keys of every issuer of a document, by its index.
#[derive(Debug, Default)]
pub struct IssuerKeys {
    sets: ArcSwap<Vec<Option<Arc<KeySet>>>>,
    /// Who fetches an issuer's keys waits here.
    wanted: Vec<Notify>,
}

impl IssuerKeys {
    /// Takes over the keys that stand in the document; the others are missing until
    /// [`IssuerKeys::set`] brings them.
    #[must_use]
    pub fn new(document: &Document) -> Self {
        let sets = document.issuers.iter().map(|issuer| match &issuer.jwks {
            JwksSource::Inline(keys) => Some(Arc::new(keys.clone())),
            JwksSource::Uri { .. } | JwksSource::Service { .. } | JwksSource::Discovery { .. } => {
                None
            }
        });
        let wanted = document.issuers.iter().map(|_| Notify::new());
        Self { sets: ArcSwap::from_pointee(sets.collect()), wanted: wanted.collect() }
    }

    /// Replaces an issuer's keys.
    pub fn set(&self, issuer: usize, keys: KeySet) {
        let keys = Arc::new(keys);
        self.sets.rcu(|sets| {
            let mut sets = Vec::clone(sets);
            if let Some(slot) = sets.get_mut(issuer) {
                *slot = Some(Arc::clone(&keys));
            }
            sets
        });
    }

    /// Says that a token named a key which its issuer's set lacks: it may be a new one. Anybody
    /// can make up such tokens, so whoever is woken by it bounds how often it fetches.
    pub fn unknown_key(&self, issuer: usize) {
        if let Some(wanted) = self.wanted.get(issuer) {
            wanted.notify_one();
        }
    }

    /// Waits until [`IssuerKeys::unknown_key`] is called for an issuer; returns at once when it
    /// was since the last time. For one task an issuer. Nothing is lost when the wait is given
    /// up. Never returns for an issuer that the document does not have.
    pub async fn wanted(&self, issuer: usize) {
        match self.wanted.get(issuer) {
            Some(wanted) => wanted.notified().await,
            None => pending().await,
        }
    }

    /// Whether every issuer's keys are known.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.sets.load().iter().all(Option::is_some)
    }

    pub(crate) fn snapshot(&self) -> Arc<Vec<Option<Arc<KeySet>>>> {
        self.sets.load_full()
    }
}
