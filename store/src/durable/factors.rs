//! Second factors, and passkeys, which are two at once.

use postern_request::UnixMillis;

use super::{AuditEntry, Sealed};
use crate::{BoxFuture, StoreError};

/// What somebody proves more with than a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactorKind {
    /// Codes of an application that follow the clock (RFC 6238).
    Totp,
    /// Codes that are good once each, for when nothing else is at hand.
    RecoveryCodes,
    /// A WebAuthn credential.
    Passkey,
}

impl FactorKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Totp, Self::RecoveryCodes, Self::Passkey];

    /// As it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::RecoveryCodes => "recovery_codes",
            Self::Passkey => "passkey",
        }
    }

    /// Reads what [`FactorKind::as_str`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A factor of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactorRecord {
    /// Its id, a UUID.
    pub id: String,
    /// Whose.
    pub user_id: String,
    /// What it is.
    pub kind: FactorKind,
    /// What its owner calls it.
    pub name: String,
    /// The seed; keyed hashes of the codes that are left; the credential's public part.
    pub sealed: Sealed,
    /// The credential's id in base64url, by which it is found; passkeys alone have one.
    pub credential_id: Option<String>,
    /// The step of the last code that was taken.
    pub last_step: u64,
    /// When its owner has shown that it works; it counts from then on.
    pub confirmed_at: Option<UnixMillis>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was used last.
    pub last_used_at: Option<UnixMillis>,
}

/// Factors.
///
/// # Errors
/// As with [`super::DurableStore`]. Where an entry for the audit log comes along, both are written
/// or none is; it is written where something was changed.
pub trait FactorStore: Send + Sync {
    /// Keeps a new factor; [`StoreError::Conflict`] when its id or its credential is taken. It
    /// fails where there is no such user.
    fn insert_factor<'a>(
        &'a self,
        factor: FactorRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The factors of a user, oldest first, confirmed or not.
    fn factors_of<'a>(
        &'a self,
        user_id: &'a str,
    ) -> BoxFuture<'a, Result<Vec<FactorRecord>, StoreError>>;

    /// The passkey with this credential, whoever's.
    fn find_passkey<'a>(
        &'a self,
        credential_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<FactorRecord>, StoreError>>;

    /// Uses a factor: puts `to` and `step` there, only while `from` and `after_step` stand there;
    /// false when somebody was faster. So a code and a passkey's counter are good once.
    fn use_factor<'a>(
        &'a self,
        id: &'a str,
        from: &'a Sealed,
        to: Sealed,
        after_step: u64,
        step: u64,
        at: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Says that a factor works; whether there is one that nobody had said it of.
    fn confirm_factor<'a>(
        &'a self,
        id: &'a str,
        at: UnixMillis,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Deletes a factor of this user; whether there was one.
    fn delete_factor<'a>(
        &'a self,
        user_id: &'a str,
        id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for kind in FactorKind::ALL {
            assert_eq!(FactorKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(FactorKind::parse("TOTP"), None);
    }
}
