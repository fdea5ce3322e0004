//! What is revoked, in memory: all live records by bucket, for snapshots and for `ext_authz`;
//! the last ones in their order, for deltas.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use postern_revocation::bucket::BUCKETS;
use postern_revocation::{FingerprintKey, Marks, Record, is_revoked};

use crate::buckets::{Buckets, PARTS};
use crate::recent::Recent;
use crate::settings::Bounds;

/// What handling a bucket costs its receiver beyond its bytes, counted as bytes: a piece of
/// many empty buckets is work, too.
const BUCKET_COST: usize = 8;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is there now.
    Kept,
    /// It concerns no token any more, or came before.
    Needless,
    /// There is no room for it. The log is not complete from then on.
    Refused,
}

/// What an asker with some cursor lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// These records.
    Delta(Delta),
    /// More than is remembered in order.
    SnapshotNeeded,
}

/// Records that came after a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// In the order in which they came.
    pub records: Vec<Record>,
    /// How far they go.
    pub cursor: u64,
    /// There are more of them.
    pub more: bool,
}

/// Some buckets of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Which bucket the first one is.
    pub first_bucket: u32,
    /// Encoded records of this one and those that follow.
    pub buckets: Vec<Vec<u8>>,
    /// Nothing follows.
    pub last: bool,
}

/// The records of one epoch. One task writes, any number read; no reader waits longer than it
/// takes to write one bucket or one entry.
pub struct RevocationLog {
    epoch: u64,
    key: FingerprintKey,
    max_records: usize,
    buckets: Buckets,
    recent: RwLock<Recent>,
    short_of_room: AtomicBool,
}

impl RevocationLog {
    /// An empty log.
    #[must_use]
    pub fn new(epoch: u64, key: FingerprintKey, bounds: Bounds) -> Self {
        Self {
            epoch,
            key,
            max_records: bounds.max_records,
            buckets: Buckets::new(),
            recent: RwLock::new(Recent::new(bounds.max_recent)),
            short_of_room: AtomicBool::new(false),
        }
    }

    /// Of the durable list that it follows.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What its fingerprints are made with.
    #[must_use]
    pub const fn key(&self) -> &FingerprintKey {
        &self.key
    }

    /// How far in the durable list it has got.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.recent.read().unwrap_or_else(PoisonError::into_inner).cursor()
    }

    /// Live records.
    #[must_use]
    pub fn records(&self) -> usize {
        self.buckets.records()
    }

    /// Whether a record had to be refused: something that is revoked is not known here.
    #[must_use]
    pub fn is_short_of_room(&self) -> bool {
        self.short_of_room.load(Ordering::Relaxed)
    }

    /// Whether a tenth of the room is free, so that reading everything again is worth it.
    #[must_use]
    pub fn has_room_again(&self) -> bool {
        self.records() < self.max_records.saturating_sub(self.max_records / 10)
    }

    /// Takes the next record of the durable list. `now` in seconds.
    pub fn apply(&self, seq: u64, record: Record, now: u64) -> Applied {
        if seq <= self.cursor() {
            return Applied::Needless;
        }
        if record.is_expired(now) {
            self.skip(seq);
            return Applied::Needless;
        }
        // The bucket first: whoever sees the cursor finds everything up to it.
        let room = self.records() < self.max_records;
        if self.buckets.add(record, room, now) {
            self.recent.write().unwrap_or_else(PoisonError::into_inner).push(seq, record);
            return Applied::Kept;
        }
        self.short_of_room.store(true, Ordering::Relaxed);
        self.skip(seq);
        Applied::Refused
    }

    /// Goes past an entry that says nothing.
    pub fn skip(&self, seq: u64) {
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        if seq > recent.cursor() {
            recent.skip(seq);
        }
    }

    /// What came after `cursor`, up to `limit` records. A cursor of the future lacks nothing,
    /// and is told the log's own.
    #[must_use]
    pub fn since(&self, cursor: u64, limit: usize) -> Since {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        let from = cursor.min(recent.cursor());
        match recent.since(from, limit.max(1)) {
            None => Since::SnapshotNeeded,
            Some((records, until)) => {
                Since::Delta(Delta { records, cursor: until, more: until < recent.cursor() })
            }
        }
    }

    /// As many buckets as `max_bytes` allow, at least one. Each is as it is now: complete up to
    /// any cursor that was read before.
    #[must_use]
    pub fn piece(&self, first_bucket: u32, max_bytes: usize) -> Piece {
        let mut buckets = Vec::new();
        let (mut next, mut cost) = (first_bucket, 0_usize);
        while next < BUCKETS {
            let bytes = self.buckets.read(next);
            cost = cost.saturating_add(bytes.len()).saturating_add(BUCKET_COST);
            if cost > max_bytes && !buckets.is_empty() {
                break;
            }
            buckets.push(bytes);
            next += 1;
        }
        Piece { first_bucket, buckets, last: next >= BUCKETS }
    }

    /// Lets go of what has expired; how much that was. `now` in seconds.
    pub fn sweep(&self, now: u64) -> usize {
        Self::parts().map(|part| self.sweep_part(part, now)).sum()
    }

    /// What [`RevocationLog::sweep_part`] takes, so that a sweep can pause in between.
    pub fn parts() -> impl Iterator<Item = u32> {
        0..PARTS
    }

    /// Sweeps one part.
    pub fn sweep_part(&self, part: u32, now: u64) -> usize {
        self.buckets.sweep(part, now)
    }

    /// Whether a token is revoked, by its marks and its `iat`. `now` in seconds.
    #[must_use]
    pub fn is_revoked(&self, marks: &Marks, iat: Option<u64>, now: u64) -> bool {
        marks.iter().any(|fingerprint| {
            self.buckets.find(fingerprint).is_some_and(|record| is_revoked(&record, iat, now))
        })
    }
}

#[cfg(test)]
mod tests;
