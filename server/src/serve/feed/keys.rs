//! What Envoys say of keys that they lack.

use std::sync::Arc;

use postern_feed::KeysWanted;

use crate::serve::in_use::Kept;

/// Tells whoever fetches an issuer's keys, by the issuer's name in the newest document.
pub struct WantedKeys(Arc<Kept>);

impl WantedKeys {
    /// Of the issuers of the document in use.
    pub const fn new(kept: Arc<Kept>) -> Self {
        Self(kept)
    }
}

impl KeysWanted for WantedKeys {
    fn wanted(&self, issuer: &str) {
        let newest = self.0.newest();
        let named = |entry: &postern_document::JwtIssuer| entry.issuer.issuer == issuer;
        if let Some(place) = newest.document.issuers.iter().position(named) {
            newest.keys.unknown_key(place);
        }
    }
}
