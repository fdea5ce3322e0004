//! What an API key looks like: `pk_<id>_<secret>`.
//!
//! The id finds the record, the hash of the whole text proves the key. Keys that a document names,
//! keys of the durable store and keys that are just being made look alike.

/// What every key begins with.
pub const PREFIX: &str = "pk_";
/// Longest id, in bytes.
pub const MAX_ID_BYTES: usize = 64;
/// Longest key, in bytes; keys that people bring along may be longer than ours.
pub const MAX_KEY_BYTES: usize = 256;

/// The id within a key: letters and digits between the two underscores. None when the text is not
/// in the form of a key.
#[must_use]
pub fn id(key: &str) -> Option<&str> {
    if key.len() > MAX_KEY_BYTES {
        return None;
    }
    let (id, secret) = key.strip_prefix(PREFIX)?.split_once('_')?;
    (is_id(id) && !secret.is_empty()).then_some(id)
}

/// Whether a text can be the id of a key: 1 to [`MAX_ID_BYTES`] letters and digits.
#[must_use]
pub fn is_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The key of an id and a secret.
#[must_use]
pub fn join(id: &str, secret: &str) -> String {
    [PREFIX, id, "_", secret].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_read_strictly() {
        for (key, expected) in [
            ("pk_a1_secret", "a1"),
            ("pk_abc1_secret_with_more", "abc1"),
            ("pk_A_s\u{e9}cret", "A"),
            ("pk_a__", "a"),
        ] {
            assert_eq!(id(key), Some(expected), "{key}");
        }
        for bad in [
            "",
            "pk_",
            "pk__x",
            "pk_a",
            "pk_a_",
            "sk_a_b",
            "PK_a_b",
            " pk_a_b",
            "pk_a-b_c",
            "pk_a 1_c",
            "pk_\u{e9}_c",
        ] {
            assert_eq!(id(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_and_their_ids_have_a_greatest_length() {
        let longest = "a".repeat(MAX_ID_BYTES);
        assert_eq!(id(&join(&longest, "x")), Some(longest.as_str()));
        assert_eq!(id(&join(&format!("{longest}a"), "x")), None);
        let secret = "x".repeat(MAX_KEY_BYTES - join("a", "").len());
        assert_eq!(id(&join("a", &secret)), Some("a"));
        assert_eq!(id(&join("a", &format!("{secret}x"))), None);
    }
}
