//! The durable port: what must survive a restart and is the truth wherever volatile state
//! disagrees.
//!
//! Records are what is kept, in plain types: who uses them turns them into its own. Secrets
//! never arrive here: client secrets and API keys come as hashes, private keys sealed.
//! Every implementation passes the suite in `contract`.

use std::fmt;

use postern_request::UnixMillis;

use crate::{BoxFuture, StoreError};

pub mod api_keys;
pub mod audit;
pub mod clients;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod factors;
pub mod grants;
pub mod memory;
pub mod page;
pub mod revisions;
pub mod revocations;
pub mod services;
pub mod signing_keys;
pub mod users;

pub use api_keys::ApiKeyRecord;
pub use audit::{
    AuditEntry, AuditHead, AuditRecord, AuditStore, AuditWatch, Broken, NO_AUDIT, audit_hash,
};
pub use clients::{ClientKind, ClientOrigin, ClientRecord};
pub use factors::{FactorKind, FactorRecord, FactorStore};
pub use grants::{ConsentRecord, FamilyRecord, GrantStore};
pub use page::{PageAsk, Paged};
pub use revisions::{RevisionRecord, RevisionStore, RevisionSummary};
pub use revocations::{
    FeedIdentity, MAX_REVOCATIONS_PAGE, NewRevocation, RevocationRecord, RevocationStore,
};
pub use services::{InstanceHealth, InstanceRecord, ServiceStore};
pub use signing_keys::PublicSigningKey;
pub use users::{PasswordHash, Profile, UserChange, UserRecord, UserStore, email_key};

/// Most records that one page of a list holds; a greater limit is taken for this one.
pub const MAX_PAGE: u32 = 100;

/// SHA-256 of a secret with 256 random bits, which needs no salt and no slow hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// Bytes that only the holder of the key-encryption key can read.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// A key that signs tokens, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// `kid`
    pub kid: String,
    /// `alg`, as RFC 7518 spells it.
    pub algorithm: String,
    /// The public half: a JWK as JSON text.
    pub public_jwk: String,
    /// The private half.
    pub private_sealed: Sealed,
    /// When it was made. It is published from then on.
    pub created_at: UnixMillis,
    /// From when on it may sign: later than it is published, so that verifiers know it by then.
    pub activates_at: UnixMillis,
    /// From when on it is not published any more.
    pub retires_at: Option<UnixMillis>,
}

/// What must survive a restart.
///
/// # Errors
/// Every method: [`StoreError::Unavailable`] when the store cannot be asked (a retry may help),
/// [`StoreError::Corrupt`] when it holds what nobody here wrote, and where something is
/// inserted [`StoreError::Conflict`] when its id is taken; nothing is changed then. Where an entry
/// for the audit log comes along, both are written or none is; it is written where something was
/// changed.
pub trait DurableStore: RevocationStore {
    /// Asks the store for nothing, to learn whether it answers.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// All signing keys, oldest first, retired ones included.
    fn list_signing_keys(&self) -> BoxFuture<'_, Result<Vec<SigningKeyRecord>, StoreError>>;

    /// The public halves of all signing keys, in the same order. Nothing else is read of them.
    fn list_public_signing_keys(&self) -> BoxFuture<'_, Result<Vec<PublicSigningKey>, StoreError>>;

    /// Keeps a new signing key.
    fn insert_signing_key(&self, key: SigningKeyRecord) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Keeps a new signing key only while `newest` is the newest of its algorithm, retired or not,
    /// or while there is none where it is none; whether it was kept. So replicas that rotate at
    /// once make one. The newest was made last; of several, it is the one with the last `kid`.
    fn insert_signing_key_after<'a>(
        &'a self,
        key: SigningKeyRecord,
        newest: Option<&'a str>,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Says from when on a signing key is not published any more; whether there is such a key.
    /// Never later than what stands there: what was withdrawn does not come back because somebody
    /// else retires it, too.
    fn set_signing_key_retirement<'a>(
        &'a self,
        kid: &'a str,
        retires_at: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Keeps a new client.
    fn insert_client(&self, client: ClientRecord) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The client with this id.
    fn find_client<'a>(
        &'a self,
        client_id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ClientRecord>, StoreError>>;

    /// Up to `limit` clients by their ids, beginning after `after`.
    fn list_clients<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ClientRecord>, StoreError>>;

    /// A part of the list of clients.
    fn page_clients(&self, ask: PageAsk) -> BoxFuture<'_, Result<Paged<ClientRecord>, StoreError>>;

    /// Puts a client in the place of the one with its id that was changed last at `from`; whether
    /// there is one. When it was registered stays. Where somebody else has changed it since, this
    /// would undo what they did, such as giving it another secret.
    fn change_client<'a>(
        &'a self,
        client: ClientRecord,
        from: UnixMillis,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Deletes a client and everybody's consents to it; whether there was one. Families of its
    /// refresh tokens stay to be ended.
    fn delete_client<'a>(
        &'a self,
        client_id: &'a str,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Says that a client that has registered itself is in use: it is not deleted before this
    /// moment, nor before what stood there. False where there is none, or it is an operator's.
    fn keep_client<'a>(
        &'a self,
        client_id: &'a str,
        expires_unused_at: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Deletes up to `limit` clients that have registered themselves, and whose time without use
    /// was over before a moment, with the consents to them; how many.
    fn delete_unused_clients(
        &self,
        before: UnixMillis,
        limit: u32,
    ) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Keeps a new API key.
    fn insert_api_key(&self, key: ApiKeyRecord) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The API key with this id, whatever became of it.
    fn find_api_key<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ApiKeyRecord>, StoreError>>;

    /// Up to `limit` API keys by their ids, beginning after `after`.
    fn list_api_keys<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ApiKeyRecord>, StoreError>>;

    /// A part of the list of API keys.
    fn page_api_keys(&self, ask: PageAsk)
    -> BoxFuture<'_, Result<Paged<ApiKeyRecord>, StoreError>>;

    /// Changes an API key: its name, scopes, tier, limits, expiry and successor become those of
    /// `key`; whether that was done. All else stays. One that was revoked is not changed any more,
    /// and a successor stays what it is: whoever does not know of it would undo the end that was
    /// set with it.
    fn change_api_key<'a>(
        &'a self,
        key: ApiKeyRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Says when API keys were used last, never earlier than what stands there, and how often
    /// since that was said last. Ids that are none are passed over.
    fn touch_api_keys<'a>(
        &'a self,
        used: &'a [(String, UnixMillis, u64)],
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Revokes an API key for good; whether there is such a key. One that was revoked before
    /// keeps its time.
    fn revoke_api_key<'a>(
        &'a self,
        id: &'a str,
        revoked_at: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}

/// All that is kept.
///
/// A part that needs less takes less: `Arc<dyn IdentityStore>` is an `Arc<dyn DurableStore>`
/// wherever one is wanted, and an `Arc<dyn RevocationStore>`, an `Arc<dyn UserStore>` and so on.
/// The compiler makes the one of the other; there is nothing to call.
pub trait IdentityStore:
    DurableStore + UserStore + FactorStore + GrantStore + AuditStore + RevisionStore + ServiceStore
{
}

impl<T> IdentityStore for T where
    T: DurableStore
        + UserStore
        + FactorStore
        + GrantStore
        + AuditStore
        + RevisionStore
        + ServiceStore
{
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    // Without this there would have to be a method for each part.
    const _: fn(Arc<dyn IdentityStore>) -> Arc<dyn DurableStore> = |store| store;
    const _: fn(Arc<dyn IdentityStore>) -> Arc<dyn UserStore> = |store| store;
}
