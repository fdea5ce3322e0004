//! Issuers' keys, as background tasks bring them, and the check of a signature.

use std::future::pending;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use postern_document::{Document, JwksSource, JwtIssuer};
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

/// The keys of one issuer, from one source. Documents that name the same issuer with the same source
/// have the same: what was fetched for one is there for the next.
#[derive(Debug, Default)]
pub struct KeyPlace {
    set: ArcSwapOption<KeySet>,
    /// Who fetches the keys waits here.
    wanted: Notify,
}

impl KeyPlace {
    /// With what stands in the document; nothing where the keys are to be fetched.
    fn of(issuer: &JwtIssuer) -> Self {
        match &issuer.jwks {
            JwksSource::Inline(keys) => {
                Self { set: ArcSwapOption::from_pointee(keys.clone()), wanted: Notify::new() }
            }
            JwksSource::Uri { .. } | JwksSource::Service { .. } | JwksSource::Discovery { .. } => {
                Self::default()
            }
        }
    }

    /// Replaces the keys.
    pub fn set(&self, keys: KeySet) {
        self.set.store(Some(Arc::new(keys)));
    }

    /// Whether there are any.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.set.load().is_some()
    }

    /// Says that a token named a key which the set lacks: it may be a new one. Anybody can make up
    /// such tokens, so whoever is woken by it bounds how often it fetches.
    pub fn want(&self) {
        self.wanted.notify_one();
    }

    /// Waits until [`KeyPlace::want`] is called; returns at once when it was since the last time.
    /// For one task a place. Nothing is lost when the wait is given up.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

/// The keys of every issuer of a document, by its index.
#[derive(Debug, Default)]
pub struct IssuerKeys {
    places: Vec<Arc<KeyPlace>>,
}

impl IssuerKeys {
    /// Takes over the keys that stand in the document; the others are missing until
    /// [`IssuerKeys::set`] brings them.
    #[must_use]
    pub fn new(document: &Document) -> Self {
        Self::sharing(document, |_| None)
    }

    /// The same, with the places that are `known` for an issuer already.
    #[must_use]
    pub fn sharing(
        document: &Document,
        known: impl Fn(&JwtIssuer) -> Option<Arc<KeyPlace>>,
    ) -> Self {
        let place =
            |issuer: &JwtIssuer| known(issuer).unwrap_or_else(|| Arc::new(KeyPlace::of(issuer)));
        Self { places: document.issuers.iter().map(place).collect() }
    }

    /// Where an issuer's keys are.
    #[must_use]
    pub fn place(&self, issuer: usize) -> Option<&Arc<KeyPlace>> {
        self.places.get(issuer)
    }

    /// Replaces an issuer's keys.
    pub fn set(&self, issuer: usize, keys: KeySet) {
        if let Some(place) = self.places.get(issuer) {
            place.set(keys);
        }
    }

    /// As [`KeyPlace::want`], of an issuer.
    pub fn unknown_key(&self, issuer: usize) {
        if let Some(place) = self.places.get(issuer) {
            place.want();
        }
    }

    /// As [`KeyPlace::wanted`], of an issuer. Never returns for one that the document does not
    /// have.
    pub async fn wanted(&self, issuer: usize) {
        match self.places.get(issuer) {
            Some(place) => place.wanted().await,
            None => pending().await,
        }
    }

    /// Whether every issuer's keys are known.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.places.iter().all(|place| place.is_filled())
    }

    /// All of them, as they are now.
    pub(crate) fn snapshot(&self) -> Vec<Option<Arc<KeySet>>> {
        self.places.iter().map(|place| place.set.load_full()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const JWKS: &str = include_str!("../../core/jose/tests/keys/jwks.json");

    /// Two issuers, the first with keys in the document.
    fn document() -> Document {
        let issuer = |name: &str, jwks: serde_json::Value| json!({"issuer": name, "audiences": ["a"], "jwks": jwks});
        let issuers = [
            issuer("https://one.test", json!({"inline": JWKS})),
            issuer("https://two.test", json!({"uri": "https://two.test/jwks"})),
        ];
        let document = json!({
            "version": 1,
            "services": {"s": {"upstream": "h:1"}},
            "credentials": {"jwt": {"issuers": issuers}},
            "routes": [
                {"name": "a", "match": {"path": "/a"}, "service": "s", "auth": {"any": ["jwt"]}},
            ],
        });
        postern_document::from_json(document.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_was_fetched_for_one_document_is_there_for_the_next() {
        let document = document();
        let first = IssuerKeys::new(&document);
        assert!(first.place(0).unwrap().is_filled() && !first.complete());
        let known = |issuer: &JwtIssuer| {
            let at = document.issuers.iter().position(|entry| entry == issuer)?;
            first.place(at).cloned()
        };
        let next = IssuerKeys::sharing(&document, known);
        first.set(1, KeySet::parse(JWKS.as_bytes()).unwrap());
        assert!(first.complete() && next.complete());
        assert!(!IssuerKeys::new(&document).complete());
    }
}
