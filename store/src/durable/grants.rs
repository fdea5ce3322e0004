//! What people have granted to clients: consents, and families of refresh tokens.
//!
//! The families themselves turn in the volatile store ([`crate::FlowStore`]). Here stand that
//! there is one, for lists and for ending them, and that one has ended, which no store that lost
//! its memory takes back.

use postern_request::UnixMillis;

use super::AuditEntry;
use crate::{BoxFuture, FlowKey, FlowKind, StoreError};

/// What a user lets a client do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentRecord {
    /// Who.
    pub user_id: String,
    /// Which client.
    pub client_id: String,
    /// What; names without spaces.
    pub scopes: Vec<String>,
    /// Where (RFC 8707); the issuer itself where it is empty.
    pub resources: Vec<String>,
    /// When that was said last.
    pub granted_at: UnixMillis,
}

/// A family of refresh tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilyRecord {
    /// The hash of its [`FlowKey`]; its name, which is a part of its tokens, stands nowhere.
    pub id: [u8; 32],
    /// Who granted it.
    pub user_id: String,
    /// Whose tokens they are.
    pub client_id: String,
    /// The grant's session.
    pub session_id: String,
    /// What they allow.
    pub scopes: Vec<String>,
    /// When it began.
    pub created_at: UnixMillis,
    /// When it ends, whatever happens.
    pub ends_at: UnixMillis,
    /// When it was ended.
    pub ended_at: Option<UnixMillis>,
    /// Why.
    pub end_reason: Option<String>,
}

impl FamilyRecord {
    /// Where it is in the volatile store.
    #[must_use]
    pub const fn key(&self) -> FlowKey {
        FlowKey::of_hash(FlowKind::Family, self.id)
    }
}

/// Consents and families.
///
/// # Errors
/// As with [`super::DurableStore`]. Where an entry for the audit log comes along, both are written
/// or none is; it is written where something was changed.
pub trait GrantStore: Send + Sync {
    /// What this user lets this client do.
    fn find_consent<'a>(
        &'a self,
        user_id: &'a str,
        client_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ConsentRecord>, StoreError>>;

    /// Keeps what a user lets a client do, in place of what was kept before. It fails where there
    /// is no such client.
    fn put_consent<'a>(
        &'a self,
        consent: ConsentRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Takes a consent back; whether there was one.
    fn delete_consent<'a>(
        &'a self,
        user_id: &'a str,
        client_id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// All consents of a user, by the clients' ids.
    fn list_consents<'a>(
        &'a self,
        user_id: &'a str,
    ) -> BoxFuture<'a, Result<Vec<ConsentRecord>, StoreError>>;

    /// Keeps a new family; [`StoreError::Conflict`] when its id is taken.
    fn insert_family(&self, family: FamilyRecord) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The family with this id, whatever became of it.
    fn find_family(&self, id: [u8; 32]) -> BoxFuture<'_, Result<Option<FamilyRecord>, StoreError>>;

    /// Up to `limit` families of a user by their ids, beginning after `after`.
    fn families_of<'a>(
        &'a self,
        user_id: &'a str,
        after: Option<[u8; 32]>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<FamilyRecord>, StoreError>>;

    /// Ends a family for good; whether it had not ended. One that had keeps its time and reason.
    fn end_family<'a>(
        &'a self,
        id: [u8; 32],
        at: UnixMillis,
        reason: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Ends the families of a session, and the ids of those that this has ended.
    fn end_families_of_session<'a>(
        &'a self,
        session_id: &'a str,
        at: UnixMillis,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<Vec<[u8; 32]>, StoreError>>;

    /// Ends all families of a user at once: all or none. The ids of those that this has ended.
    fn end_families_of_user<'a>(
        &'a self,
        user_id: &'a str,
        at: UnixMillis,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<Vec<[u8; 32]>, StoreError>>;

    /// Deletes up to `limit` families whose last end was before a moment; how many.
    fn delete_ended_families(
        &self,
        before: UnixMillis,
        limit: u32,
    ) -> BoxFuture<'_, Result<u64, StoreError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_found_again_by_its_record() {
        let key = FlowKey::of(FlowKind::Family, &[7; 16]);
        let record = FamilyRecord {
            id: key.to_bytes(),
            user_id: "u".to_owned(),
            client_id: "c".to_owned(),
            session_id: "s".to_owned(),
            scopes: Vec::new(),
            created_at: UnixMillis(1),
            ends_at: UnixMillis(2),
            ended_at: None,
            end_reason: None,
        };
        assert_eq!(record.key(), key);
    }
}
