//! What is kept of users' factors, and other secrets of the server's own, each under a key of its
//! own that is made of the key-encryption key.
//!
//! Passwords are not among them: losing the key-encryption key must not lose all passwords.

use aws_lc_rs::hmac;
use postern_store::durable::Sealed;
use zeroize::Zeroizing;

use crate::seal::{open_with, seal_with};
use crate::{IdentityError, KeyEncryptionKey};

/// What a key is for. Two purposes never share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Seals the seeds of one-time passwords.
    Totp,
    /// Seals passkeys and what is kept while one is used: a public key that somebody swaps would
    /// let that somebody in.
    Passkey,
    /// Hashes recovery codes.
    Recovery,
    /// Hashes the codes that people type in for a device.
    UserCode,
    /// Makes the tokens that forms carry.
    Csrf,
    /// Hashes what a device and a browser show of themselves.
    Device,
    /// Hashes a device's cookie into what opens a log-in that has begun there.
    LogIn,
    /// Seals backups.
    Backup,
}

impl Purpose {
    /// What a key is derived by, for this purpose alone. With another name, nothing opens again.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Totp => "postern:totp:1",
            Self::Passkey => "postern:passkey:1",
            Self::Recovery => "postern:recovery:1",
            Self::UserCode => "postern:user-code:1",
            Self::Csrf => "postern:csrf:1",
            Self::Device => "postern:device:1",
            Self::LogIn => "postern:log-in:1",
            Self::Backup => "postern:backup:1",
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Totp => "the seed of a user's codes",
            Self::Passkey => "a passkey",
            Self::Backup => "the backup",
            Self::Recovery | Self::UserCode | Self::Csrf | Self::Device | Self::LogIn => "a record",
        }
    }
}

/// Seals, opens and hashes.
#[derive(Debug, Clone)]
pub struct Vault {
    kek: KeyEncryptionKey,
}

impl Vault {
    /// A vault whose keys are made of this one.
    #[must_use]
    pub const fn new(kek: KeyEncryptionKey) -> Self {
        Self { kek }
    }

    /// Seals bytes. They open only with the same `bound_to`, such as the id of their record, so
    /// that what was sealed for one record is worth nothing in another.
    ///
    /// # Errors
    /// [`IdentityError::Crypto`].
    pub fn seal(
        &self,
        purpose: Purpose,
        bound_to: &[u8],
        clear: &[u8],
    ) -> Result<Sealed, IdentityError> {
        seal_with(&self.kek.derive(purpose.label()), bound_to, clear)
    }

    /// Opens what [`Vault::seal`] made.
    ///
    /// # Errors
    /// [`IdentityError::Opened`].
    pub fn open(
        &self,
        purpose: Purpose,
        bound_to: &[u8],
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        open_with(&self.kek.derive(purpose.label()), bound_to, sealed)
            .ok_or(IdentityError::Opened { what: purpose.what() })
    }

    /// A keyed hash (HMAC-SHA-256), for what has too few possibilities for a plain one.
    #[must_use]
    pub fn tag(&self, purpose: Purpose, data: &[u8]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.kek.derive(purpose.label()));
        let tag = hmac::sign(&key, data);
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Purpose; 8] = [
        Purpose::Totp,
        Purpose::Passkey,
        Purpose::Recovery,
        Purpose::UserCode,
        Purpose::Csrf,
        Purpose::Device,
        Purpose::LogIn,
        Purpose::Backup,
    ];

    fn vault(digits: &str) -> Vault {
        Vault::new(KeyEncryptionKey::from_text(&digits.repeat(16)).unwrap())
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_its_record_alone() {
        let vault = vault("0f1e");
        let sealed = vault.seal(Purpose::Totp, b"factor", b"seed").unwrap();
        let opened = vault.open(Purpose::Totp, b"factor", &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"seed");
        assert!(vault.open(Purpose::Totp, b"other", &sealed).is_err());
        for other in ALL.into_iter().filter(|purpose| *purpose != Purpose::Totp) {
            assert!(vault.open(other, b"factor", &sealed).is_err(), "{other:?}");
        }
        let stranger = self::vault("1f1e");
        let refused = stranger.open(Purpose::Totp, b"factor", &sealed).unwrap_err();
        assert!(refused.to_string().contains("seed of a user's codes"), "{refused}");
    }

    #[test]
    fn no_two_purposes_hash_alike() {
        let vault = vault("0f1e");
        for (at, purpose) in ALL.into_iter().enumerate() {
            assert_eq!(vault.tag(purpose, b"a"), vault.tag(purpose, b"a"));
            assert_ne!(vault.tag(purpose, b"a"), vault.tag(purpose, b"b"));
            for other in ALL.into_iter().skip(at + 1) {
                assert_ne!(vault.tag(purpose, b"a"), vault.tag(other, b"a"), "{other:?}");
            }
        }
        assert!(!format!("{vault:?}").contains("0f"), "{vault:?}");
    }
}
