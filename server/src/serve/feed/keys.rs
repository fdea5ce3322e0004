//! What Envoys say of keys that they lack.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_document::Document;
use postern_ext_authz::IssuerKeys;
use postern_feed::KeysWanted;

/// Tells whoever fetches an issuer's keys, by the issuer's name.
pub struct WantedKeys {
    places: BTreeMap<String, usize>,
    keys: Arc<IssuerKeys>,
}

impl WantedKeys {
    /// Of the issuers of a document.
    pub fn new(document: &Document, keys: Arc<IssuerKeys>) -> Self {
        let names = document.issuers.iter().map(|entry| entry.issuer.issuer.clone());
        Self { places: names.zip(0..).collect(), keys }
    }
}

impl KeysWanted for WantedKeys {
    fn wanted(&self, issuer: &str) {
        if let Some(place) = self.places.get(issuer) {
            self.keys.unknown_key(*place);
        }
    }
}
