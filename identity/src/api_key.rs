//! What an API key looks like: `pk_<id>_<secret>`.
//!
//! The id finds the record, the hash of the whole text proves the key. Keys that a document
//! names and keys of the durable store look alike.

use postern_store::durable::SecretHash;

use crate::random;

pub(crate) const PREFIX: &str = "pk_";
/// Longest id and longest key, in bytes; keys that people bring along may be longer than ours.
const MAX_ID_BYTES: usize = 64;
const MAX_KEY_BYTES: usize = 256;

/// The id within a key; none when it is not in the form of one.
#[must_use]
pub fn api_key_id(key: &str) -> Option<&str> {
    let (id, secret) = key.strip_prefix(PREFIX)?.split_once('_')?;
    let fits = key.len() <= MAX_KEY_BYTES
        && (1..=MAX_ID_BYTES).contains(&id.len())
        && !secret.is_empty()
        && key.bytes().all(|b| b.is_ascii_graphic());
    fits.then_some(id)
}

/// What is stored of a key.
#[must_use]
pub fn api_key_hash(key: &str) -> SecretHash {
    random::sha256(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_carry_their_id() {
        for (key, expected) in [
            ("pk_a1_secret", Some("a1")),
            ("pk_a1_se_cr_et", Some("a1")),
            ("pk_a1_", None),
            ("pk__secret", None),
            ("pk_a1", None),
            ("sk_a1_secret", None),
            ("pk_a 1_secret", None),
            ("pk_a1_s\u{e9}cret", None),
            ("", None),
        ] {
            assert_eq!(api_key_id(key), expected, "{key}");
        }
        assert_eq!(api_key_id(&format!("pk_a1_{}", "x".repeat(300))), None);
        assert_eq!(api_key_id(&format!("pk_{}_x", "a".repeat(65))), None);
    }
}
