//! Issuers' key sets, for those who want them from the feed.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest as _, Sha256};

use crate::news::News;

/// The longest key set; the parser's bound.
const MAX_JWKS_BYTES: usize = 262_144;

/// An issuer's keys as they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKeys {
    /// `iss`
    pub issuer: String,
    /// RFC 7517 §5, as JSON text.
    pub jwks: String,
    /// Tells one text from another.
    pub digest: String,
}

/// A key set longer than anybody takes: its issuer's fault. The one before stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key set has at most {MAX_JWKS_BYTES} bytes")]
pub struct TooLong;

/// Whoever fetches issuers' keys: told when somebody saw a token with a key that is not there.
pub trait KeysWanted: Send + Sync {
    /// An Envoy wants this issuer's keys fetched again. It may be nobody's name, and the same
    /// one again and again: what that costs is for the implementation to bound.
    fn wanted(&self, issuer: &str);
}

/// The key sets of all issuers, as background tasks bring them.
pub struct KeySets {
    sets: RwLock<BTreeMap<String, Arc<PublishedKeys>>>,
    news: Arc<News>,
}

impl KeySets {
    pub(crate) const fn new(news: Arc<News>) -> Self {
        Self { sets: RwLock::new(BTreeMap::new()), news }
    }

    /// Takes over an issuer's keys; whoever waits is told, unless it is the same text again.
    ///
    /// # Errors
    /// When the text is too long.
    pub fn set(&self, issuer: &str, jwks: String) -> Result<(), TooLong> {
        if jwks.len() > MAX_JWKS_BYTES {
            return Err(TooLong);
        }
        let digest = digest(&jwks);
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        if sets.get(issuer).is_some_and(|before| before.digest == digest) {
            return Ok(());
        }
        let keys = PublishedKeys { issuer: issuer.to_owned(), jwks, digest };
        sets.insert(issuer.to_owned(), Arc::new(keys));
        drop(sets);
        self.news.publish();
        Ok(())
    }

    /// Forgets the keys of issuers that no document names any more.
    pub fn retain(&self, is_named: impl Fn(&str) -> bool) {
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        sets.retain(|issuer, _| is_named(issuer));
    }

    /// An issuer's keys, as they are sent.
    #[must_use]
    pub fn get(&self, issuer: &str) -> Option<Arc<PublishedKeys>> {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        sets.get(issuer).cloned()
    }

    /// The sets of the issuers named in `digests` that are not the ones named there, up to
    /// `max_bytes` but at least one; and whether there are more.
    pub(crate) fn changed(
        &self,
        digests: &BTreeMap<String, String>,
        max_bytes: usize,
    ) -> (Vec<Arc<PublishedKeys>>, bool) {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        let mut changed: Vec<Arc<PublishedKeys>> = Vec::new();
        let mut bytes = 0_usize;
        for (issuer, digest) in digests {
            let Some(keys) = sets.get(issuer).filter(|keys| keys.digest != *digest) else {
                continue;
            };
            bytes = bytes.saturating_add(keys.jwks.len());
            if bytes > max_bytes && !changed.is_empty() {
                return (changed, true);
            }
            changed.push(Arc::clone(keys));
        }
        (changed, false)
    }
}

/// Half of SHA-256, in hexadecimal: it names a text, it proves nothing.
fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets() -> (KeySets, tokio::sync::watch::Receiver<u64>) {
        let news = Arc::new(News::new());
        let heard = news.subscribe();
        (KeySets::new(news), heard)
    }

    fn ask(digests: &[(&str, &str)]) -> BTreeMap<String, String> {
        digests.iter().map(|(issuer, digest)| ((*issuer).into(), (*digest).into())).collect()
    }

    #[test]
    fn only_sets_that_are_asked_for_and_differ_are_sent() {
        let (sets, mut heard) = sets();
        sets.set("a", "{}".to_owned()).unwrap();
        sets.set("b", "[]".to_owned()).unwrap();
        assert!(heard.has_changed().unwrap());
        heard.mark_unchanged();
        sets.set("a", "{}".to_owned()).unwrap();
        assert!(!heard.has_changed().unwrap(), "the same again is no news");

        let (changed, more) = sets.changed(&ask(&[("a", ""), ("c", "")]), 100);
        assert_eq!((changed.len(), more), (1, false));
        let a = changed.first().unwrap();
        assert_eq!((a.issuer.as_str(), a.jwks.as_str(), a.digest.len()), ("a", "{}", 32));
        assert_eq!(sets.changed(&ask(&[("a", a.digest.as_str())]), 100), (Vec::new(), false));
        assert_eq!(sets.changed(&ask(&[]), 100), (Vec::new(), false));
        assert_eq!(sets.get("a").as_ref(), Some(a));
        assert_eq!(sets.get("c"), None);
        sets.retain(|issuer| issuer == "b");
        assert_eq!((sets.get("a"), sets.get("b").is_some()), (None, true));
    }

    #[test]
    fn what_is_sent_at_once_is_bounded() {
        let (sets, _heard) = sets();
        for issuer in ["a", "b", "c"] {
            sets.set(issuer, "x".repeat(60)).unwrap();
        }
        let all = ask(&[("a", ""), ("b", ""), ("c", "")]);
        for (max_bytes, expected) in [(1, (1, true)), (120, (2, true)), (180, (3, false))] {
            let (changed, more) = sets.changed(&all, max_bytes);
            assert_eq!((changed.len(), more), expected, "{max_bytes}");
        }
        assert_eq!(sets.set("a", "x".repeat(MAX_JWKS_BYTES + 1)), Err(TooLong));
        assert_eq!(sets.changed(&ask(&[("a", "")]), 1).0.first().unwrap().jwks.len(), 60);
    }
}
