//! The keys of an issuer: a JWK Set (RFC 7517 §5).

use postern_request::json::{self, Value};

use crate::algorithm::Algorithm;
use crate::jwk::Key;

/// Most keys that one set may bring.
pub const MAX_KEYS: usize = 32;
/// Longest JWK Set that is read, in bytes.
pub const MAX_SET_BYTES: usize = 262_144;

/// The usable keys of a set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeySet {
    /// In the order of the set.
    pub keys: Vec<Key>,
    /// Keys that were left out, and why.
    pub skipped: Vec<SkippedKey>,
}

/// A key that cannot be used here. RFC 7517 §5 says to ignore those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its place in the set, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Why a whole set was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Longer than [`MAX_SET_BYTES`] or with more than [`MAX_KEYS`] keys.
    #[error("the key set is too large")]
    TooLarge,
    /// Not strict JSON with an array `keys`.
    #[error("not a JWK set: a JSON object with an array `keys`")]
    Form,
    /// Two keys with one `kid` and one algorithm.
    #[error("two keys share one kid")]
    RepeatedId,
    /// There are keys, and none is usable.
    #[error("the set has no public key for RS, PS or ES 256 to 512 or EdDSA")]
    Empty,
}

impl KeySet {
    /// Reads a JWK Set. One without any key is a set, too: who has withdrawn the last of its keys
    /// says so by it.
    ///
    /// # Errors
    /// When the set as a whole cannot be used. Single keys of other kinds are skipped.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        if text.len() > MAX_SET_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let value = json::parse(text).map_err(|_| KeySetError::Form)?;
        let keys = value.get("keys").and_then(Value::as_array).ok_or(KeySetError::Form)?;
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooLarge);
        }
        let mut set = Self::default();
        for (index, jwk) in keys.iter().enumerate() {
            match Key::read(jwk, None) {
                Ok(key) if set.has_id_of(&key) => return Err(KeySetError::RepeatedId),
                Ok(key) => set.keys.push(key),
                Err(reason) => set.skipped.push(SkippedKey { index, reason }),
            }
        }
        if set.keys.is_empty() && !keys.is_empty() { Err(KeySetError::Empty) } else { Ok(set) }
    }

    fn has_id_of(&self, key: &Key) -> bool {
        key.id.is_some() && self.keys.iter().any(|k| k.id == key.id && k.algorithm == key.algorithm)
    }

    /// The keys that may have made a signature with this header: those of the algorithm that
    /// have the `kid`, or all of the algorithm when the token names none.
    pub fn candidates<'k>(
        &'k self,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> impl Iterator<Item = &'k Key> {
        self.keys
            .iter()
            .filter(move |key| key.algorithm == algorithm)
            .filter(move |key| kid.is_none() || key.id.as_deref() == kid)
    }

    /// Whether a key of this id is there. A token with another one may be signed by a key that
    /// is newer than the set.
    #[must_use]
    pub fn has_id(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(kid))
    }
}

#[cfg(test)]
mod tests;
