//! Users: who may log in, and by what password.

use std::fmt;

use postern_request::UnixMillis;

use super::{AuditEntry, PageAsk, Paged};
use crate::{BoxFuture, StoreError};

/// An argon2id hash in PHC form.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// What an e-mail is found by: no two users have the same.
#[must_use]
pub fn email_key(email: &str) -> String {
    email.to_lowercase()
}

/// What people are told of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// `given_name`
    pub first_name: String,
    /// `family_name`
    pub last_name: String,
    /// `picture`, a URL.
    pub photo: Option<String>,
    /// Where the user belongs.
    pub department: Option<String>,
}

/// A user. One who is gone is switched off and stays: ids are not given twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// `sub`, a UUID.
    pub id: String,
    /// As it was written; no two users have one that differs in case alone.
    pub email: String,
    /// A role of the document.
    pub role: String,
    /// Whether the user may log in.
    pub is_active: bool,
    /// What people are told.
    pub profile: Profile,
    /// None where the user logs in by other means alone.
    pub password: Option<PasswordHash>,
    /// Whether the next log-in asks for another password.
    pub must_change_password: bool,
    /// For limits, instead of the role's.
    pub tier: Option<String>,
    /// When the record was made.
    pub created_at: UnixMillis,
    /// When it was changed last.
    pub updated_at: UnixMillis,
}

/// What of a user changes; what is none stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserChange {
    /// Another e-mail.
    pub email: Option<String>,
    /// Another role.
    pub role: Option<String>,
    /// Switched on or off.
    pub is_active: Option<bool>,
    /// Another profile, whole.
    pub profile: Option<Profile>,
    /// Another tier, or none any more.
    pub tier: Option<Option<String>>,
    /// Another password, and whether the next log-in asks for one more.
    pub password: Option<(PasswordHash, bool)>,
    /// When.
    pub at: UnixMillis,
}

/// Users.
///
/// # Errors
/// As with [`super::DurableStore`]. Where an entry for the audit log comes along, both are written
/// or none is; it is written where something was changed.
pub trait UserStore: Send + Sync {
    /// Keeps a new user; [`StoreError::Conflict`] when the id or the e-mail is taken.
    fn insert_user<'a>(
        &'a self,
        user: UserRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The user with this id.
    fn find_user<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<UserRecord>, StoreError>>;

    /// The user with this e-mail, whatever the case of its letters.
    fn find_user_by_email<'a>(
        &'a self,
        email: &'a str,
    ) -> BoxFuture<'a, Result<Option<UserRecord>, StoreError>>;

    /// Up to `limit` users by their ids, beginning after `after`.
    fn list_users<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<UserRecord>, StoreError>>;

    /// A part of the list of users.
    fn page_users(&self, ask: PageAsk) -> BoxFuture<'_, Result<Paged<UserRecord>, StoreError>>;

    /// How many who may log in have one of these roles.
    fn count_active_users<'a>(
        &'a self,
        roles: &'a [String],
    ) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// Changes a user; whether there is one. [`StoreError::Conflict`] when the e-mail is another
    /// user's.
    fn change_user<'a>(
        &'a self,
        id: &'a str,
        change: UserChange,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Changes a user, but for the last one who may log in and has one of these roles: whether
    /// there is such a user and may be changed. Of two that are changed at once, each the last but
    /// for the other, one is. It is for changes after which that user has none of these roles, or
    /// may not log in. [`StoreError::Conflict`] as with [`UserStore::change_user`].
    fn change_user_but_the_last<'a>(
        &'a self,
        id: &'a str,
        change: UserChange,
        roles: &'a [String],
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Keeps another hash of the same password, only while `from` stands there: of two log-ins at
    /// once one does it, and none undoes a change. It is no change that anybody is told of.
    fn upgrade_password<'a>(
        &'a self,
        id: &'a str,
        from: &'a PasswordHash,
        to: PasswordHash,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Says that an outside provider's subject is this user, from the entry's moment on;
    /// [`StoreError::Conflict`] when it is somebody already. It fails where there is no such user.
    fn link_identity<'a>(
        &'a self,
        provider: &'a str,
        subject: &'a str,
        user_id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The id of the user that an outside provider's subject is.
    fn find_identity<'a>(
        &'a self,
        provider: &'a str,
        subject: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_hash_shows_nothing_of_itself() {
        let change = UserChange {
            password: Some((PasswordHash("$argon2id$v=19$abc".to_owned()), true)),
            ..UserChange::default()
        };
        assert!(!format!("{change:?}").contains("argon2id"), "{change:?}");
    }
}
