//! What can go wrong, for operators and logs; clients are told less.

use std::borrow::Cow;

use postern_store::StoreError;

use crate::keys::MAX_PUBLISHED_KEYS;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The operator's: the key-encryption key cannot be read. Never shows any of it.
    #[error("key-encryption key ({place}): {reason}")]
    KeyEncryptionKey {
        /// The file or variable.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operator's: the wrong key-encryption key, or a record that somebody changed.
    #[error(
        "signing key {kid} cannot be opened: it was sealed with another key-encryption key, \
         or its record was changed"
    )]
    Unseal {
        /// Which signing key.
        kid: String,
    },
    /// The operator's: as with [`IdentityError::Unseal`], for what users have.
    #[error(
        "{what} cannot be opened: it was sealed with another key-encryption key, or its record \
         was changed"
    )]
    Opened {
        /// What it is.
        what: &'static str,
    },
    /// The operator's: nothing to sign with.
    #[error("no signing key may sign now: run `postern keys rotate`")]
    NoSigningKey,
    /// The operator's: a signing key is there and cannot be used.
    #[error("signing key {kid} cannot be used: {reason}")]
    SigningKey {
        /// Which.
        kid: String,
        /// Why not.
        reason: &'static str,
    },
    /// The operator's: verifiers bound how many keys they read.
    #[error(
        "{} signing keys are published already: wait until one retires, or retire one with \
         `postern keys retire`",
        MAX_PUBLISHED_KEYS
    )]
    TooManyKeys,
    /// Nobody's: there is a new key, which is what was wanted; or ask again for another one.
    #[error("somebody else has made a new {0} key this moment: see `postern keys list`")]
    RotatedMeanwhile(String),
    /// The caller's: there is no such signing key.
    #[error("there is no signing key {0:?}")]
    UnknownKey(String),
    /// The caller's: nothing would sign any more, which has to be asked for in so many words.
    #[error(
        "it is the last key that signs: tokens that it signed would stop being accepted, and no \
         other token would be issued until there is another key"
    )]
    LastSigningKey,
    /// The caller's: a value that cannot be.
    #[error("{what}: {reason}")]
    Invalid {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// The caller's: what is named is not there.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The operator's: this process has not what it takes; the text says what, or who has it.
    #[error("{0}")]
    NotHere(&'static str),
    /// The store's; its own text says whether a retry helps.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The machine's: no random numbers, no memory.
    #[error("the cryptographic library failed")]
    Crypto,
}

impl IdentityError {
    /// A value that cannot be, and what is wrong with it.
    pub(crate) fn invalid(what: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid { what, reason: reason.into() }
    }
}
