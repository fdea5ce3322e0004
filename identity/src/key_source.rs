//! Where the key-encryption key comes from: a file, a variable, or whatever else the server knows
//! to ask, such as the program of a key management service.
//!
//! It is asked for once, at the start and before anything is served, so that it may wait.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::{IdentityError, KEY_ENCRYPTION_KEY_ENV, KeyEncryptionKey};

/// Brings the key-encryption key.
pub trait KeySource: Send + Sync {
    /// Where it comes from, in the words of whoever can change that; nothing secret.
    fn place(&self) -> String;

    /// Fetches it.
    ///
    /// # Errors
    /// [`IdentityError::KeyEncryptionKey`], with the place and nothing of the key.
    fn fetch(&self) -> Result<KeyEncryptionKey, IdentityError>;
}

/// A key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileKey(pub PathBuf);

impl KeySource for FileKey {
    fn place(&self) -> String {
        self.0.display().to_string()
    }

    fn fetch(&self) -> Result<KeyEncryptionKey, IdentityError> {
        KeyEncryptionKey::from_file(&self.0)
    }
}

/// A variable's value, as it was read.
pub struct EnvKey(Zeroizing<String>);

impl EnvKey {
    /// Of [`KEY_ENCRYPTION_KEY_ENV`]; none where it is not set.
    ///
    /// # Errors
    /// [`IdentityError::KeyEncryptionKey`], where it is no text.
    pub fn read() -> Result<Option<Self>, IdentityError> {
        match std::env::var(KEY_ENCRYPTION_KEY_ENV) {
            Ok(text) => Ok(Some(Self(Zeroizing::new(text)))),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(IdentityError::KeyEncryptionKey {
                place: KEY_ENCRYPTION_KEY_ENV.to_owned(),
                reason: "it is not UTF-8".to_owned(),
            }),
        }
    }
}

impl std::fmt::Debug for EnvKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EnvKey(…)")
    }
}

impl KeySource for EnvKey {
    fn place(&self) -> String {
        KEY_ENCRYPTION_KEY_ENV.to_owned()
    }

    fn fetch(&self) -> Result<KeyEncryptionKey, IdentityError> {
        KeyEncryptionKey::from_text(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_names_its_place_and_shows_no_key() {
        let secret = "0f1e".repeat(16);
        let env = EnvKey(Zeroizing::new(secret.clone()));
        assert!(env.fetch().is_ok());
        assert_eq!(env.place(), KEY_ENCRYPTION_KEY_ENV);
        assert!(!format!("{env:?}").contains("0f1e"));
        let folder = tempfile::tempdir().unwrap();
        let file = FileKey(folder.path().join("kek"));
        let error = file.fetch().unwrap_err().to_string();
        assert!(error.contains(&file.place()), "{error}");
        std::fs::write(&file.0, &secret).unwrap();
        assert!(file.fetch().is_ok());
    }
}
