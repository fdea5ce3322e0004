//! Revocations in memory.

use std::collections::BTreeMap;
use std::future::ready;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Bound;

use postern_request::UnixMillis;
use postern_revocation::{FingerprintKey, Revocation, RevocationKind};

use super::MemoryDurableStore;
use crate::durable::revocations::{
    FeedIdentity, MAX_REVOCATIONS_PAGE, NewRevocation, RevocationRecord, RevocationStore,
};
use crate::{BoxFuture, StoreError};

/// Kind, issuer, value: there is one revocation of each.
type Name = (RevocationKind, String, String);

#[derive(Debug, Default)]
pub(super) struct Revocations {
    last_seq: u64,
    by_seq: BTreeMap<u64, NewRevocation>,
    seqs: BTreeMap<Name, u64>,
    identity: Option<FeedIdentity>,
}

fn name_of(revocation: &Revocation) -> Name {
    (revocation.kind(), revocation.issuer().to_owned(), revocation.value().to_owned())
}

fn is_alive(kept: &NewRevocation, now: UnixMillis) -> bool {
    kept.revocation.expires_at() > now.as_secs()
}

fn record(seq: u64, kept: &NewRevocation) -> RevocationRecord {
    let NewRevocation { revocation, created_at, reason } = kept.clone();
    RevocationRecord { seq, revocation: Some(revocation), created_at, reason }
}

impl Revocations {
    fn add(&mut self, new: NewRevocation) -> u64 {
        self.last_seq += 1;
        let seq = self.last_seq;
        let NewRevocation { mut revocation, created_at, mut reason } = new;
        let before = self.seqs.insert(name_of(&revocation), seq);
        if let Some(before) = before.and_then(|seq| self.by_seq.remove(&seq)) {
            revocation = revocation.widened(&before.revocation);
            reason = reason.or(before.reason);
        }
        self.by_seq.insert(seq, NewRevocation { revocation, created_at, reason });
        seq
    }

    fn since(&self, after_seq: u64, limit: u32, now: UnixMillis) -> Vec<RevocationRecord> {
        let limit = usize::try_from(limit.min(MAX_REVOCATIONS_PAGE)).unwrap_or(usize::MAX);
        self.by_seq
            .range((Bound::Excluded(after_seq), Bound::Unbounded))
            .filter(|(_, kept)| is_alive(kept, now))
            .take(limit)
            .map(|(seq, kept)| record(*seq, kept))
            .collect()
    }

    fn count(&self, now: UnixMillis) -> u64 {
        let alive = self.by_seq.values().filter(|kept| is_alive(kept, now)).count();
        u64::try_from(alive).unwrap_or(u64::MAX)
    }

    fn delete_expired(&mut self, now: UnixMillis, limit: u32) -> u64 {
        let newest = self.by_seq.last_key_value().map(|(_, kept)| kept.created_at);
        let now = newest.map_or(now, |newest| newest.min(now));
        let expired: Vec<u64> = self
            .by_seq
            .iter()
            .filter(|(_, kept)| !is_alive(kept, now))
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|(seq, _)| *seq)
            .collect();
        for seq in &expired {
            if let Some(kept) = self.by_seq.remove(seq) {
                self.seqs.remove(&name_of(&kept.revocation));
            }
        }
        u64::try_from(expired.len()).unwrap_or(u64::MAX)
    }
}

/// Chance from the standard library's hasher, which keys itself from the operating system:
/// enough for what is gone with the process.
fn identity_by_chance() -> FeedIdentity {
    let chance = RandomState::new();
    let key = (u128::from(chance.hash_one(1_u8)) << 64) | u128::from(chance.hash_one(2_u8));
    FeedIdentity {
        epoch: (chance.hash_one(3_u8) >> 1).max(1),
        fingerprint_key: FingerprintKey::new(key.to_le_bytes()),
    }
}

impl RevocationStore for MemoryDurableStore {
    fn revoke(&self, new: Vec<NewRevocation>) -> BoxFuture<'_, Result<Vec<u64>, StoreError>> {
        let mut tables = self.tables();
        let seqs: Vec<u64> = new.into_iter().map(|new| tables.revocations.add(new)).collect();
        Box::pin(ready(Ok(seqs)))
    }

    fn revocations_since(
        &self,
        after_seq: u64,
        limit: u32,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Vec<RevocationRecord>, StoreError>> {
        Box::pin(ready(Ok(self.tables().revocations.since(after_seq, limit, now))))
    }

    fn count_revocations(&self, now: UnixMillis) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(ready(Ok(self.tables().revocations.count(now))))
    }

    fn delete_expired_revocations(
        &self,
        now: UnixMillis,
        limit: u32,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(ready(Ok(self.tables().revocations.delete_expired(now, limit))))
    }

    fn feed_identity(&self) -> BoxFuture<'_, Result<FeedIdentity, StoreError>> {
        let mut tables = self.tables();
        let identity = *tables.revocations.identity.get_or_insert_with(identity_by_chance);
        Box::pin(ready(Ok(identity)))
    }
}
