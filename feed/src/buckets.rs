//! The live records, by bucket. Readers of different parts never meet, and nobody waits longer
//! than it takes to write one bucket.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use postern_revocation::bucket::{self, BUCKETS};
use postern_revocation::record::RECORD_BYTES;
use postern_revocation::{Fingerprint, Record};

/// Buckets under one lock.
const PER_PART: u32 = 64;
/// Locks.
pub(crate) const PARTS: u32 = BUCKETS / PER_PART;

/// Encoded as they travel: a snapshot copies them, a lookup searches them as they are.
type Part = Vec<Box<[u8]>>;

pub(crate) struct Buckets {
    parts: Vec<RwLock<Part>>,
    records: AtomicUsize,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        let part = || RwLock::new((0..PER_PART).map(|_| Box::default()).collect());
        Self { parts: (0..PARTS).map(|_| part()).collect(), records: AtomicUsize::new(0) }
    }

    /// Records in all buckets.
    pub(crate) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    pub(crate) fn find(&self, fingerprint: Fingerprint) -> Option<Record> {
        let (part, within) = place(fingerprint.bucket());
        let part = self.parts.get(part)?.read().unwrap_or_else(PoisonError::into_inner);
        bucket::find(part.get(within)?, fingerprint)
    }

    /// A bucket as it is now.
    pub(crate) fn read(&self, index: u32) -> Vec<u8> {
        let (part, within) = place(index);
        let Some(part) = self.parts.get(part) else { return Vec::new() };
        let part = part.read().unwrap_or_else(PoisonError::into_inner);
        part.get(within).map(|bytes| bytes.to_vec()).unwrap_or_default()
    }

    /// Adds a record, or widens the one that is there. Without room only the latter is done;
    /// false when there was nothing to widen.
    pub(crate) fn add(&self, record: Record, room: bool, now: u64) -> bool {
        let (part, within) = place(record.fingerprint.bucket());
        let Some(part) = self.parts.get(part) else { return false };
        let mut part = part.write().unwrap_or_else(PoisonError::into_inner);
        let Some(bytes) = part.get_mut(within) else { return false };
        let room = room && !bucket::is_full(bytes);
        if !room && bucket::find(bytes, record.fingerprint).is_none() {
            return false;
        }
        let merged = bucket::merge(bytes, &[record], now);
        self.replace(bytes, merged);
        true
    }

    /// Lets go of what has expired in one of [`PARTS`]; how much that was.
    pub(crate) fn sweep(&self, part: u32, now: u64) -> usize {
        let part = usize::try_from(part).ok().and_then(|part| self.parts.get(part));
        let Some(part) = part else { return 0 };
        let before = self.records();
        let mut part = part.write().unwrap_or_else(PoisonError::into_inner);
        for bytes in part.iter_mut().filter(|bytes| has_expired(bytes, now)) {
            let merged = bucket::merge(bytes, &[], now);
            self.replace(bytes, merged);
        }
        before.saturating_sub(self.records())
    }

    fn replace(&self, bytes: &mut Box<[u8]>, merged: Vec<u8>) {
        // Added first: the count never falls below what there is.
        self.records.fetch_add(merged.len() / RECORD_BYTES, Ordering::Relaxed);
        self.records.fetch_sub(bytes.len() / RECORD_BYTES, Ordering::Relaxed);
        *bytes = merged.into_boxed_slice();
    }
}

fn has_expired(bytes: &[u8], now: u64) -> bool {
    let (records, _) = bytes.as_chunks::<RECORD_BYTES>();
    records.iter().any(|bytes| Record::from_bytes(bytes).is_expired(now))
}

/// The part and the place in it of a bucket.
fn place(index: u32) -> (usize, usize) {
    let place = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    (place(index / PER_PART), place(index % PER_PART))
}
