//! The credential of the admin API.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Fewest characters: 32 of them hold 128 random bits however they are written.
const LEAST: usize = 32;
const MOST: usize = 4096;

/// What the admin API asks for. Only its hash is kept.
#[derive(Clone)]
pub struct AdminCredential([u8; 32]);

impl fmt::Debug for AdminCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminCredential(…)")
    }
}

impl AdminCredential {
    /// Reads it from a file; white space around it does not count.
    ///
    /// # Errors
    /// When the file cannot be read or holds no credential. The text names the file and nothing
    /// of its content.
    pub fn from_file(file: &Path) -> Result<Self> {
        let place = || format!("--admin-token-file {}", file.display());
        let content = Zeroizing::new(std::fs::read(file).with_context(place)?);
        Self::read(&content).with_context(place)
    }

    fn read(content: &[u8]) -> Result<Self> {
        let text = content.trim_ascii();
        ensure!(
            (LEAST..=MOST).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic),
            "the admin API's credential has {LEAST} to {MOST} visible ASCII characters"
        );
        let first = text.first();
        ensure!(
            text.iter().any(|byte| Some(byte) != first),
            "one character again and again is no credential"
        );
        Ok(Self(Sha256::digest(text).into()))
    }

    /// Whether this is it. Hashes are compared, so that the time taken tells nothing, not even
    /// how long the credential is.
    pub fn is(&self, shown: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(shown).into();
        self.0.as_slice().ct_eq(digest.as_slice()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_long_enough_and_is_not_shown() {
        let secret = "correct-horse-battery-staple-0001";
        let credential = AdminCredential::read(format!(" {secret}\n").as_bytes()).unwrap();
        assert!(credential.is(secret.as_bytes()));
        for wrong in ["", "correct", &secret.to_uppercase(), &format!("{secret} ")] {
            assert!(!credential.is(wrong.as_bytes()), "{wrong}");
        }
        assert!(!format!("{credential:?}").contains("correct"));
        for bad in [
            &b""[..],
            &secret.as_bytes()[..31],
            b"two words are not one credential at all",
            "ä".repeat(32).as_bytes(),
            "a".repeat(40).as_bytes(),
            "ab".repeat(3_000).as_bytes(),
        ] {
            let error = format!("{:#}", AdminCredential::read(bad).unwrap_err());
            assert!(!error.contains("correct"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named_with_its_option() {
        let error = AdminCredential::from_file(Path::new("/no/such/file")).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("--admin-token-file /no/such/file"), "{error}");
    }
}
