//! A fixed key space for buckets, for a store that never forgets a key.
//!
//! Shared data in Envoy keeps every key for the life of the process, so a bucket per client
//! would grow without end. Instead there are [`SLOTS`] slots of [`WAYS`] buckets each; a key's
//! keyed hash says which slot it may live in and which bucket there is its own.

use postern_request::UnixMillis;

use crate::Outcome;
use crate::token_bucket::{Bucket, Shape};

/// How many slots there are.
pub const SLOTS: u32 = 4096;
/// How many buckets one slot holds.
pub const WAYS: usize = 4;

const ENTRY_BYTES: usize = 32;

/// A key's place: made from a keyed 128-bit hash, so that nobody outside can choose keys that
/// meet in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which slot.
    pub slot: u32,
    /// What tells the keys of one slot apart.
    pub fingerprint: u64,
}

impl Place {
    /// The place of a key with this hash.
    #[must_use]
    pub fn of(hash: u128) -> Self {
        let high = u64::try_from(hash >> 64).unwrap_or(u64::MAX);
        let low = u64::try_from(hash & u128::from(u64::MAX)).unwrap_or(u64::MAX);
        let slot = u32::try_from(high % u64::from(SLOTS)).unwrap_or(0);
        // Zero marks an empty entry.
        Self { slot, fingerprint: low.max(1) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    fingerprint: u64,
    bucket: Bucket,
    /// When the bucket is full again by its own shape, so that forgetting it loses nothing.
    /// Limits of different shapes share slots; no other shape can tell.
    full_at: UnixMillis,
}

/// What happened to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// The key was there, or there was a free entry, or one whose bucket was full again.
    Free,
    /// A bucket in use was forgotten: its key starts afresh.
    Evicted,
}

/// The buckets of one slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slot {
    entries: Vec<Entry>,
}

impl Slot {
    /// Reads a slot; anything that [`Slot::encode`] did not write is an empty one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let mut entries = Vec::with_capacity(WAYS);
        if bytes.len() <= WAYS * ENTRY_BYTES && bytes.len().is_multiple_of(ENTRY_BYTES) {
            for entry in bytes.chunks_exact(ENTRY_BYTES) {
                let mut words = entry.chunks_exact(8).map(|word| {
                    word.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
                });
                let (Some(fingerprint), Some(level), Some(refilled), Some(full)) =
                    (words.next(), words.next(), words.next(), words.next())
                else {
                    continue;
                };
                let bucket = Bucket { level, refilled_at: UnixMillis(refilled) };
                entries.push(Entry { fingerprint, bucket, full_at: UnixMillis(full) });
            }
        }
        Self { entries }
    }

    /// The slot as bytes, little-endian, at most [`WAYS`] × 32.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * ENTRY_BYTES);
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.fingerprint.to_le_bytes());
            bytes.extend_from_slice(&entry.bucket.level.to_le_bytes());
            bytes.extend_from_slice(&entry.bucket.refilled_at.0.to_le_bytes());
            bytes.extend_from_slice(&entry.full_at.0.to_le_bytes());
        }
        bytes
    }

    /// Takes from the bucket of `fingerprint`, making room for it where needed.
    pub fn take(
        &mut self,
        fingerprint: u64,
        shape: Shape,
        cost: u64,
        now: UnixMillis,
    ) -> (Outcome, Room) {
        let (mut entry, room) = self.remove_or_make_room(fingerprint, shape, now);
        let (bucket, outcome) = shape.take(entry.bucket, cost, now);
        entry.bucket = bucket;
        entry.full_at = shape.full_at(bucket);
        self.entries.push(entry);
        (outcome, room)
    }

    /// Puts back what a request took that was refused elsewhere. A key that was forgotten
    /// meanwhile starts full anyway.
    pub fn give_back(&mut self, fingerprint: u64, shape: Shape, cost: u64, now: UnixMillis) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.fingerprint == fingerprint) {
            entry.bucket = shape.give_back(entry.bucket, cost, now);
            entry.full_at = shape.full_at(entry.bucket);
        }
    }

    /// The entry of a key, taken out of the slot; entries stand in order of last use.
    fn remove_or_make_room(
        &mut self,
        fingerprint: u64,
        shape: Shape,
        now: UnixMillis,
    ) -> (Entry, Room) {
        if let Some(at) = self.entries.iter().position(|e| e.fingerprint == fingerprint) {
            return (self.entries.remove(at), Room::Free);
        }
        let mut room = Room::Free;
        if self.entries.len() >= WAYS {
            let full = self.entries.iter().position(|entry| entry.full_at <= now);
            if full.is_none() {
                room = Room::Evicted;
            }
            self.entries.remove(full.unwrap_or(0));
        }
        (Entry { fingerprint, bucket: shape.full(now), full_at: now }, room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rate;
    use proptest::prelude::*;

    fn shape() -> Shape {
        Shape::new(Rate::parse("2/1m").unwrap(), 2)
    }

    #[test]
    fn keys_of_one_slot_do_not_share_a_bucket() {
        let mut slot = Slot::default();
        for fingerprint in 1..=4 {
            for expected in [true, true, false] {
                let (outcome, room) = slot.take(fingerprint, shape(), 1, UnixMillis(0));
                assert_eq!((outcome.allowed, room), (expected, Room::Free));
                slot = Slot::decode(&slot.encode());
            }
        }
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let mut slot = Slot::default();
        for fingerprint in 1..=4 {
            slot.take(fingerprint, shape(), 2, UnixMillis(0));
        }
        slot.take(1, shape(), 1, UnixMillis(1));
        assert_eq!(slot.take(5, shape(), 1, UnixMillis(2)).1, Room::Evicted);
        assert!(!slot.take(1, shape(), 1, UnixMillis(3)).0.allowed, "used lately: kept");
        assert!(slot.take(2, shape(), 1, UnixMillis(3)).0.allowed, "forgotten");
    }

    #[test]
    fn a_full_bucket_is_forgotten_first() {
        let mut slot = Slot::default();
        slot.take(1, shape(), 2, UnixMillis(0));
        slot.take(2, shape(), 0, UnixMillis(0));
        slot.take(3, shape(), 2, UnixMillis(0));
        slot.take(4, shape(), 2, UnixMillis(0));
        assert_eq!(slot.take(5, shape(), 1, UnixMillis(1)).1, Room::Free);
        assert!(!slot.take(1, shape(), 2, UnixMillis(1)).0.allowed);
    }

    #[test]
    fn full_is_judged_by_the_buckets_own_shape() {
        let slow = Shape::new(Rate::parse("100/1d").unwrap(), 100);
        let mut slot = Slot::default();
        for fingerprint in 1..=4 {
            slot.take(fingerprint, slow, 99, UnixMillis(0));
        }
        let quick = Shape::new(Rate::parse("1000/1m").unwrap(), 1000);
        assert_eq!(slot.take(9, quick, 1, UnixMillis(60_000)).1, Room::Evicted);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_slot_of_bounded_size(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut slot = Slot::decode(&bytes);
            slot.take(9, shape(), 1, UnixMillis(7));
            prop_assert!(slot.encode().len() <= WAYS * ENTRY_BYTES);
        }
    }
}
