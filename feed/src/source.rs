//! What the loader needs from outside: the list of what is revoked, and word that it grew.

use std::future::ready;

use postern_request::UnixMillis;
use postern_revocation::{FingerprintKey, Revocation};

use crate::BoxFuture;

/// One entry of the durable list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRecord {
    /// Its place in the list.
    pub seq: u64,
    /// What it says.
    pub entry: Entry,
}

/// What an entry of the durable list says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// This is revoked.
    Revoked(Revocation),
    /// Nothing that can be read here, as when a newer version wrote a kind of revocation that
    /// this one does not know.
    Unreadable,
}

impl From<Option<Revocation>> for Entry {
    fn from(read: Option<Revocation>) -> Self {
        read.map_or(Self::Unreadable, Self::Revoked)
    }
}

/// Which list it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceIdentity {
    /// Random, never 0, and another one when the list is another: sequence numbers and
    /// fingerprints of one epoch mean nothing in the next.
    pub epoch: u64,
    /// The secret that fingerprints are made with.
    pub key: FingerprintKey,
}

/// Why the list could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The store cannot be reached or did not answer in time; a retry may help. Holds no secret.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// It holds something that it should not; a retry does not help.
    #[error("the store holds something unexpected: {0}")]
    Corrupt(String),
}

/// The durable list of what is revoked.
///
/// Sequence numbers commit in order: whoever has read up to one never sees a smaller one appear.
/// A restored backup must come up with a new epoch, or what was revoked since is missed.
pub trait RevocationSource: Send + Sync {
    /// Which list it is.
    fn feed_identity(&self) -> BoxFuture<'_, Result<SourceIdentity, SourceError>>;

    /// The entries after `after_seq`, ascending, up to `limit` of them. Fewer than `limit` means
    /// that there are no more. Those that have expired at `now` may be left out: by the loader's
    /// own reckoning, which no clock that jumps ahead can hurry.
    fn revocations_since(
        &self,
        after_seq: u64,
        limit: u32,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Vec<SourceRecord>, SourceError>>;
}

/// What a bus says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeUp {
    /// It hears from now on. What came before may have been missed, so everything is read again.
    Connected,
    /// The list grew. One is as good as ten: those that come together may be told once.
    News,
    /// It hears nothing any more, until it says [`WakeUp::Connected`].
    Lost,
}

/// Word that the list grew. It only wakes: the truth is read from the list.
///
/// It counts as deaf until it says [`WakeUp::Connected`]; while it is, the list is read every
/// second or so.
pub trait WakeUps: Send {
    /// The next word. Dropping the future loses none.
    fn next(&mut self) -> BoxFuture<'_, WakeUp>;
}

/// A list in which nothing will ever stand: for a server that has keys to tell of, and no store.
///
/// It is the same list in every process. Replicas with lists of their own would send an Envoy
/// that asks one after the other from snapshot to snapshot.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingListed;

impl RevocationSource for NothingListed {
    fn feed_identity(&self) -> BoxFuture<'_, Result<SourceIdentity, SourceError>> {
        // No fingerprint is ever made with this key. A store's epoch is made by chance.
        Box::pin(ready(Ok(SourceIdentity { epoch: 1, key: FingerprintKey::new([0; 16]) })))
    }

    fn revocations_since(
        &self,
        _: u64,
        _: u32,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<Vec<SourceRecord>, SourceError>> {
        Box::pin(ready(Ok(Vec::new())))
    }
}

/// No bus at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWakeUps;

impl WakeUps for NoWakeUps {
    fn next(&mut self) -> BoxFuture<'_, WakeUp> {
        Box::pin(std::future::pending())
    }
}
