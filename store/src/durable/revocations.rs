//! Revocations: the durable part of what the feed hands out.

use postern_request::UnixMillis;
use postern_revocation::{FingerprintKey, Revocation};

use crate::{BoxFuture, StoreError};

/// Most records that one call of [`RevocationStore::revocations_since`] returns; a greater limit
/// is taken for this one.
pub const MAX_REVOCATIONS_PAGE: u32 = 10_000;
/// What callers hand to one [`RevocationStore::revoke`] at most: those who revoke wait for each
/// other, and must not for long.
pub const MAX_REVOCATIONS_AT_ONCE: usize = 1_000;

/// A revocation to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRevocation {
    /// What is revoked.
    pub revocation: Revocation,
    /// When it was revoked.
    pub created_at: UnixMillis,
    /// Why, for audits; [`postern_revocation::check_reason`] says what it may be.
    pub reason: Option<String>,
}

/// A revocation that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationRecord {
    /// Its place in the order of all of them, from 1.
    pub seq: u64,
    /// What is revoked; none when it cannot be read here, as when a newer version wrote a kind
    /// that this one does not know. It must not hide those that come after it.
    pub revocation: Option<Revocation>,
    /// When it was revoked last.
    pub created_at: UnixMillis,
    /// Why, as was last said.
    pub reason: Option<String>,
}

/// What every server and filter of a deployment must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedIdentity {
    /// Which life of the store: cursors of another one mean nothing here. Never 0.
    pub epoch: u64,
    /// The key of all fingerprints.
    pub fingerprint_key: FingerprintKey,
}

/// What was revoked, in an order that readers can follow.
///
/// # Errors
/// As with [`super::DurableStore`].
pub trait RevocationStore: Send + Sync {
    /// Keeps revocations, all or none, and returns once they are committed; the number of each,
    /// in order. One of a kind, issuer and value that is there already becomes as wide as both
    /// under the new number, so that followers see it again.
    ///
    /// Numbers ascend in the order of commits: whoever has read up to one never sees a smaller
    /// one appear.
    fn revoke(&self, new: Vec<NewRevocation>) -> BoxFuture<'_, Result<Vec<u64>, StoreError>>;

    /// Up to `limit` revocations that are alive at `now`, by their numbers, beginning after
    /// `after_seq`.
    fn revocations_since(
        &self,
        after_seq: u64,
        limit: u32,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Vec<RevocationRecord>, StoreError>>;

    /// How many are alive at `now`.
    fn count_revocations(&self, now: UnixMillis) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Deletes up to `limit` that are not alive at `now` any more; how many. None that ends after
    /// the newest revocation was made, nor after the present of a database that has a clock of its
    /// own: whoever asks with a clock that is ahead deletes nothing that others still count. What
    /// is left lies there until a newer one is made.
    fn delete_expired_revocations(
        &self,
        now: UnixMillis,
        limit: u32,
    ) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Who this deployment is to its filters: made by chance when it is first asked for, and the
    /// same ever after.
    fn feed_identity(&self) -> BoxFuture<'_, Result<FeedIdentity, StoreError>>;
}
