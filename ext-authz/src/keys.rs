//! Issuers' keys, as background tasks bring them, and the check of a signature.

use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_document::{Document, JwksSource};
use postern_jose::{Key, KeySet, SignatureVerifier, VerifyError};

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
}

impl IssuerKeys {
    /// Takes over the keys that stand in the document; the others are missing until
    /// [`IssuerKeys::set`] brings them.
    #[must_use]
    pub fn new(document: &Document) -> Self {
        let sets = document.issuers.iter().map(|issuer| match &issuer.jwks {
            JwksSource::Inline(keys) => Some(Arc::new(keys.clone())),
            JwksSource::Uri { .. } | JwksSource::Service { .. } => None,
        });
        Self { sets: ArcSwap::from_pointee(sets.collect()) }
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

    /// Whether every issuer's keys are known.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.sets.load().iter().all(Option::is_some)
    }

    pub(crate) fn snapshot(&self) -> Arc<Vec<Option<Arc<KeySet>>>> {
        self.sets.load_full()
    }
}
