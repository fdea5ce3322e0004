//! base64url without padding (RFC 7515 §2), one spelling a value.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Decodes; none on padding, characters outside the alphabet or stray trailing bits.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Encodes without padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_a_value() {
        assert_eq!(decode("Zg"), Some(b"f".to_vec()));
        for bad in ["Zg==", "Zh", "Z", "Z g", "Zg\n", "+/", "é"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
