//! Private keys at rest: AES-256-GCM under a key that never lies beside them.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use postern_jose::base64url;
use postern_store::durable::Sealed;
use zeroize::Zeroizing;

use crate::IdentityError;

/// The variable that may hold the key itself, where there is no file for it.
pub const KEY_ENCRYPTION_KEY_ENV: &str = "POSTERN_KEY_ENCRYPTION_KEY";

/// First byte of everything sealed, so that another way of sealing can follow.
const VERSION: u8 = 1;
/// What a key is sealed for: bytes that were sealed for something else never open as a key.
const PURPOSE: &[u8] = b"postern:signing-key:1:";
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// Opens and seals private keys.
#[derive(Clone)]
pub struct KeyEncryptionKey(Zeroizing<[u8; KEY_BYTES]>);

impl std::fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyEncryptionKey(…)")
    }
}

impl KeyEncryptionKey {
    /// Reads a key file: 32 bytes as they are, in hexadecimal or in base64.
    ///
    /// # Errors
    /// [`IdentityError::KeyEncryptionKey`], with the file's name and none of its content.
    pub fn from_file(path: &Path) -> Result<Self, IdentityError> {
        let failed = |reason: String| IdentityError::KeyEncryptionKey {
            place: path.display().to_string(),
            reason,
        };
        let content = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let content = Zeroizing::new(content);
        Self::from_bytes(&content).map_err(|reason| failed(reason.to_owned()))
    }

    /// Reads the value of [`KEY_ENCRYPTION_KEY_ENV`]: hexadecimal or base64.
    ///
    /// # Errors
    /// [`IdentityError::KeyEncryptionKey`], with none of the text.
    pub fn from_text(text: &str) -> Result<Self, IdentityError> {
        Self::from_encoded(text).map_err(|reason| IdentityError::KeyEncryptionKey {
            place: KEY_ENCRYPTION_KEY_ENV.to_owned(),
            reason: reason.to_owned(),
        })
    }

    /// Reads what another place than a file has brought, in the forms that a key file takes.
    ///
    /// # Errors
    /// [`IdentityError::KeyEncryptionKey`], with the place and none of the content.
    pub fn from_content(place: &str, content: &[u8]) -> Result<Self, IdentityError> {
        Self::from_bytes(content).map_err(|reason| IdentityError::KeyEncryptionKey {
            place: place.to_owned(),
            reason: reason.to_owned(),
        })
    }

    fn from_bytes(content: &[u8]) -> Result<Self, &'static str> {
        match <[u8; KEY_BYTES]>::try_from(content) {
            Ok(raw) => Self::checked(raw),
            Err(_) => Self::from_encoded(std::str::from_utf8(content).map_err(|_| FORMS)?),
        }
    }

    fn from_encoded(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let bytes = Zeroizing::new(match text.len() {
            64 => from_hex(text).ok_or(FORMS)?,
            _ => from_base64(text).ok_or(FORMS)?,
        });
        Self::checked(<[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| FORMS)?)
    }

    fn checked(key: [u8; KEY_BYTES]) -> Result<Self, &'static str> {
        if key.iter().all(|byte| Some(byte) == key.first()) {
            return Err("32 equal bytes are not a key");
        }
        Ok(Self(Zeroizing::new(key)))
    }

    /// A key for something else, from which this one cannot be told: HMAC-SHA256 of what it is
    /// for. Two purposes never share a key.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Zeroizing<Vec<u8>> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice());
        Zeroizing::new(hmac::sign(&key, purpose.as_bytes()).as_ref().to_vec())
    }

    /// Whether this is the key that the private half of a signing key was sealed with.
    #[must_use]
    pub fn opens(&self, kid: &str, sealed: &Sealed) -> bool {
        self.open(kid, sealed).is_ok()
    }

    /// Seals the private half of a signing key. The key's id goes into the seal: records whose
    /// private halves were swapped do not open.
    ///
    /// # Errors
    /// [`IdentityError::Crypto`].
    pub(crate) fn seal(&self, kid: &str, private: &[u8]) -> Result<Sealed, IdentityError> {
        seal_with(self.0.as_slice(), &purpose(kid), private)
    }

    /// Opens what [`KeyEncryptionKey::seal`] made.
    ///
    /// # Errors
    /// [`IdentityError::Unseal`]: AES-GCM cannot tell a wrong key from changed bytes.
    pub(crate) fn open(
        &self,
        kid: &str,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        open_with(self.0.as_slice(), &purpose(kid), sealed)
            .ok_or_else(|| IdentityError::Unseal { kid: kid.to_owned() })
    }
}

/// Seals bytes by AES-256-GCM under a random nonce. `bound_to` is not kept: whoever opens them has
/// to know it.
///
/// # Errors
/// [`IdentityError::Crypto`].
pub(crate) fn seal_with(
    key: &[u8],
    bound_to: &[u8],
    clear: &[u8],
) -> Result<Sealed, IdentityError> {
    // Room for the tag from the start: a buffer that grows leaves the clear text behind.
    let mut sealed = Vec::with_capacity(clear.len() + TAG_BYTES);
    sealed.extend_from_slice(clear);
    let nonce = cipher(key)
        .ok_or(IdentityError::Crypto)?
        .seal_in_place_append_tag(Aad::from(bound_to), &mut sealed)
        .map_err(|_| IdentityError::Crypto)?;
    let nonce: &[u8; NONCE_LEN] = nonce.as_ref();
    Ok(Sealed([&[VERSION], nonce.as_slice(), sealed.as_slice()].concat()))
}

/// Opens what [`seal_with`] made; none for another key, something else that it was bound to, and
/// bytes that were changed, which AES-GCM cannot tell apart.
pub(crate) fn open_with(
    key: &[u8],
    bound_to: &[u8],
    sealed: &Sealed,
) -> Option<Zeroizing<Vec<u8>>> {
    let (version, rest) = sealed.0.split_first()?;
    let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
    if *version != VERSION {
        return None;
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let length =
        cipher(key)?.open_in_place(nonce, Aad::from(bound_to), buffer.as_mut_slice()).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}

/// Made anew each time: that takes no longer than the rest of it.
fn cipher(key: &[u8]) -> Option<RandomizedNonceKey> {
    RandomizedNonceKey::new(&AES_256_GCM, key).ok()
}

const FORMS: &str = "it must hold 32 random bytes, as they are, in hexadecimal or in base64 \
                     (for instance from `openssl rand -base64 32`)";

fn purpose(kid: &str) -> Vec<u8> {
    [PURPOSE, kid.as_bytes()].concat()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let mut digits = text.chars().map(|digit| digit.to_digit(16));
    let mut bytes = Vec::with_capacity(KEY_BYTES);
    while let Some(high) = digits.next() {
        bytes.push(u8::try_from(high? * 16 + digits.next()??).ok()?);
    }
    Some(bytes)
}

/// Both alphabets, with padding or without.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let url_safe: Zeroizing<String> = Zeroizing::new(
        text.trim_end_matches('=')
            .chars()
            .map(|c| match c {
                '+' => '-',
                '/' => '_',
                other => other,
            })
            .collect(),
    );
    base64url::decode(&url_safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(first: u8) -> KeyEncryptionKey {
        let mut bytes = [7; KEY_BYTES];
        bytes[0] = first;
        KeyEncryptionKey::checked(bytes).unwrap()
    }

    #[test]
    fn a_key_file_may_be_written_in_three_ways() {
        let raw: Vec<u8> = (200..232).collect();
        let hex: String = raw.iter().map(|byte| format!("{byte:02X}")).collect();
        let unpadded = base64url::encode(&raw);
        let padded = format!("{}=\n", unpadded.replace('-', "+").replace('_', "/"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        for content in [&raw[..], hex.as_bytes(), unpadded.as_bytes(), padded.as_bytes()] {
            std::fs::write(&path, content).unwrap();
            let read = KeyEncryptionKey::from_file(&path).unwrap();
            assert_eq!(read.0.as_slice(), raw);
        }
        assert!(KeyEncryptionKey::from_text(&padded).is_ok());
    }

    #[test]
    fn a_bad_key_file_says_so_and_shows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        for content in [
            &b""[..],
            b"hunter2hunter2",
            &[0; 32],
            &[0xff; 33],
            &b"zz".repeat(32),
            &b"ab".repeat(31),
        ] {
            std::fs::write(&path, content).unwrap();
            let text = KeyEncryptionKey::from_file(&path).unwrap_err().to_string();
            assert!(text.contains("kek") && !text.contains("hunter2"), "{text}");
        }
        let missing = KeyEncryptionKey::from_file(&folder.path().join("none")).unwrap_err();
        assert!(missing.to_string().contains("none"), "{missing}");
        assert!(!format!("{:?}", key(1)).contains('7'));
    }

    #[test]
    fn what_is_sealed_opens_again_and_only_as_it_was() {
        let kek = key(1);
        let sealed = kek.seal("kid", b"private").unwrap();
        assert_eq!(kek.open("kid", &sealed).unwrap().as_slice(), b"private");
        assert!(!sealed.0.windows(7).any(|window| window == b"private"));
        assert_ne!(kek.seal("kid", b"private").unwrap(), sealed, "nonces are random");

        assert!(kek.open("other", &sealed).is_err(), "another key's seal");
        let wrong = key(2).open("kid", &sealed).err().unwrap().to_string();
        assert!(wrong.contains("another key-encryption key"), "{wrong}");
        for at in 0..sealed.0.len() {
            let mut tampered = sealed.clone();
            tampered.0[at] ^= 1;
            assert!(kek.open("kid", &tampered).is_err(), "byte {at}");
        }
        for length in 0..sealed.0.len() {
            assert!(kek.open("kid", &Sealed(sealed.0[..length].to_vec())).is_err(), "{length}");
        }
    }
}
