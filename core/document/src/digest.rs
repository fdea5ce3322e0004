//! The document's digest: the name by which filters, server and metrics say which one they run.

use sha2::{Digest as _, Sha256};

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest of a canonical text: the first 16 bytes of its SHA-256.
pub(crate) fn of(canonical: &str) -> String {
    let hash = Sha256::digest(canonical.as_bytes());
    hex(hash.get(..16).unwrap_or(&hash))
}

/// Reads 64 hexadecimal digits.
pub(crate) fn sha256_from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}
