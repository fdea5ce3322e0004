//! A fixed key space for states, for a store that never forgets a key.
//!
//! Shared data in Envoy keeps every key for the life of the process, so a state per client
//! would grow without end. Instead there are [`SLOTS`] slots of [`WAYS`] states each; a key's
//! keyed hash says which slot it may live in and which state there is its own.
//!
//! All algorithms but the sliding log have states of one size. A log is counted as a sliding
//! window here.

use postern_request::UnixMillis;

use crate::Outcome;
use crate::spec::Spec;
use crate::state::State;

/// How many slots there are.
pub const SLOTS: u32 = 4096;
/// How many states one slot holds.
pub const WAYS: usize = 4;
/// What one of them takes: fingerprint, kind, three words and when it can be forgotten, 8 bytes
/// each.
pub const ENTRY_BYTES: usize = 48;

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

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    fingerprint: u64,
    state: State,
    /// When nothing counts any more by its own spec, so that forgetting it loses nothing.
    /// Limits of different specs share slots; no other spec can tell.
    forgettable_at: UnixMillis,
}

/// What happened to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// The key was there, or there was a free entry, or one in which nothing counted any more.
    Free,
    /// A state in use was forgotten: its key starts afresh.
    Evicted,
}

/// The states of one slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slot {
    entries: Vec<Entry>,
}

impl Slot {
    /// Reads a slot; anything that [`Slot::encode`] did not write is an empty one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let mut entries = Vec::with_capacity(WAYS);
        let (stored, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        if rest.is_empty() && stored.len() <= WAYS {
            entries.extend(stored.iter().filter_map(Entry::decode));
        }
        Self { entries }
    }

    /// The slot as bytes, little-endian, at most [`WAYS`] × [`ENTRY_BYTES`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * ENTRY_BYTES);
        for entry in &self.entries {
            entry.encode(&mut bytes);
        }
        bytes
    }

    /// Takes `cost` from the state of `fingerprint`, making room for it where needed.
    pub fn take(
        &mut self,
        fingerprint: u64,
        spec: Spec,
        cost: u64,
        now: UnixMillis,
    ) -> (Outcome, Room) {
        let spec = spec.of_fixed_size();
        let (mut entry, room) = self.remove_or_make_room(fingerprint, spec, now);
        let outcome = spec.take(&mut entry.state, cost, now);
        entry.forgettable_at = spec.forgettable_at(&entry.state);
        self.entries.push(entry);
        (outcome, room)
    }

    /// Takes back what was taken for a request that was refused elsewhere, or did not count in
    /// the end. A key that was forgotten meanwhile starts fresh anyway.
    pub fn give_back(&mut self, fingerprint: u64, spec: Spec, cost: u64, now: UnixMillis) {
        let spec = spec.of_fixed_size();
        if let Some(entry) = self.entries.iter_mut().find(|e| e.fingerprint == fingerprint) {
            spec.give_back(&mut entry.state, cost, now);
            entry.forgettable_at = spec.forgettable_at(&entry.state);
        }
    }

    /// The entry of a key, taken out of the slot; entries stand in order of last use.
    fn remove_or_make_room(
        &mut self,
        fingerprint: u64,
        spec: Spec,
        now: UnixMillis,
    ) -> (Entry, Room) {
        if let Some(at) = self.entries.iter().position(|e| e.fingerprint == fingerprint) {
            return (self.entries.remove(at), Room::Free);
        }
        let mut room = Room::Free;
        if self.entries.len() >= WAYS {
            let over = self.entries.iter().position(|entry| entry.forgettable_at <= now);
            if over.is_none() {
                room = Room::Evicted;
            }
            self.entries.remove(over.unwrap_or(0));
        }
        (Entry { fingerprint, state: spec.fresh(now), forgettable_at: now }, room)
    }
}

impl Entry {
    /// None where the state is of a kind that there is not.
    fn decode(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<8>();
        let [fingerprint, kind, first, second, third, forgettable_at] = words else { return None };
        let state = State::from_words(
            u64::from_le_bytes(*kind),
            [first, second, third].map(|word| u64::from_le_bytes(*word)),
        )?;
        Some(Self {
            fingerprint: u64::from_le_bytes(*fingerprint),
            state,
            forgettable_at: UnixMillis(u64::from_le_bytes(*forgettable_at)),
        })
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        // No log ever comes into a slot.
        let Some((kind, [first, second, third])) = self.state.to_words() else { return };
        let words = [self.fingerprint, kind, first, second, third, self.forgettable_at.0];
        for word in words {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, Anchor, Rate};
    use proptest::prelude::*;

    fn spec(algorithm: Algorithm, rate: &str) -> Spec {
        Spec::new(algorithm, Rate::parse(rate).unwrap(), None, Anchor::Clock).unwrap()
    }

    fn bucket() -> Spec {
        spec(Algorithm::TokenBucket, "2/1m")
    }

    #[test]
    fn keys_of_one_slot_do_not_share_a_state() {
        for algorithm in Algorithm::ALL {
            let spec = spec(algorithm, "2/1m");
            let mut slot = Slot::default();
            for fingerprint in 1..=4 {
                for expected in [true, true, false] {
                    let (outcome, room) = slot.take(fingerprint, spec, 1, UnixMillis(0));
                    assert_eq!((outcome.allowed, room), (expected, Room::Free), "{algorithm:?}");
                    slot = Slot::decode(&slot.encode());
                }
            }
            assert_eq!(slot.encode().len(), WAYS * ENTRY_BYTES);
        }
    }

    #[test]
    fn limits_of_all_algorithms_share_a_slot() {
        let mut slot = Slot::default();
        for round in 0..3 {
            for (fingerprint, algorithm) in (1..).zip(Algorithm::ALL) {
                // The log shares the place of the sliding window, which is what it is here.
                let fingerprint = if fingerprint == 2 { 1 } else { fingerprint };
                let (outcome, _) =
                    slot.take(fingerprint, spec(algorithm, "4/1m"), 1, UnixMillis(round));
                assert!(outcome.allowed || fingerprint == 1, "{algorithm:?}");
                slot = Slot::decode(&slot.encode());
            }
        }
        assert!(!slot.take(1, spec(Algorithm::SlidingLog, "4/1m"), 1, UnixMillis(9)).0.allowed);
    }

    #[test]
    fn a_state_of_another_algorithm_starts_afresh() {
        let mut slot = Slot::default();
        assert!(slot.take(1, bucket(), 2, UnixMillis(0)).0.allowed);
        let window = spec(Algorithm::FixedWindow, "2/1m");
        assert!(slot.take(1, window, 2, UnixMillis(0)).0.allowed);
        assert!(!slot.take(1, window, 1, UnixMillis(0)).0.allowed);
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let mut slot = Slot::default();
        for fingerprint in 1..=4 {
            slot.take(fingerprint, bucket(), 2, UnixMillis(0));
        }
        slot.take(1, bucket(), 1, UnixMillis(1));
        assert_eq!(slot.take(5, bucket(), 1, UnixMillis(2)).1, Room::Evicted);
        assert!(!slot.take(1, bucket(), 1, UnixMillis(3)).0.allowed, "used lately: kept");
        assert!(slot.take(2, bucket(), 1, UnixMillis(3)).0.allowed, "forgotten");
    }

    #[test]
    fn what_no_longer_counts_is_forgotten_first() {
        let mut slot = Slot::default();
        slot.take(1, bucket(), 2, UnixMillis(0));
        slot.take(2, bucket(), 0, UnixMillis(0));
        slot.take(3, bucket(), 2, UnixMillis(0));
        slot.take(4, bucket(), 2, UnixMillis(0));
        assert_eq!(slot.take(5, bucket(), 1, UnixMillis(1)).1, Room::Free);
        assert!(!slot.take(1, bucket(), 2, UnixMillis(1)).0.allowed);
    }

    #[test]
    fn whether_it_counts_is_judged_by_its_own_spec() {
        let slow = spec(Algorithm::Gcra, "100/1d");
        let mut slot = Slot::default();
        for fingerprint in 1..=4 {
            slot.take(fingerprint, slow, 99, UnixMillis(0));
        }
        let quick = spec(Algorithm::TokenBucket, "1000/1m");
        assert_eq!(slot.take(9, quick, 1, UnixMillis(60_000)).1, Room::Evicted);
    }

    #[test]
    fn what_is_given_back_is_there_again() {
        for algorithm in Algorithm::ALL {
            let spec = spec(algorithm, "2/1m");
            let mut slot = Slot::default();
            assert!(slot.take(1, spec, 2, UnixMillis(0)).0.allowed);
            slot.give_back(1, spec, 1, UnixMillis(0));
            slot.give_back(2, spec, 1, UnixMillis(0));
            assert_eq!(slot.take(1, spec, 0, UnixMillis(0)).0.status.remaining, 1);
            slot.give_back(1, spec, 9, UnixMillis(0));
            assert_eq!(slot.take(1, spec, 0, UnixMillis(0)).0.status.remaining, 2);
        }
    }

    #[test]
    fn what_was_not_written_here_is_an_empty_slot() {
        let mut slot = Slot::default();
        slot.take(1, bucket(), 2, UnixMillis(0));
        let bytes = slot.encode();
        assert_eq!(Slot::decode(&bytes), slot);
        assert_eq!(Slot::decode(&bytes[1..]), Slot::default());
        assert_eq!(Slot::decode(&bytes.repeat(WAYS + 1)), Slot::default());
        let mut unknown = bytes;
        unknown[8] = 9;
        assert_eq!(Slot::decode(&unknown), Slot::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_slot_of_bounded_size(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            kinds in prop::collection::vec(0_u8..6, 0..=WAYS),
            algorithm in prop::sample::select(Algorithm::ALL.to_vec()),
            now in any::<u64>(),
        ) {
            // Whole entries of kinds that there are, and whatever comes.
            let mut whole = bytes.clone();
            whole.resize(kinds.len() * ENTRY_BYTES, 0xa5);
            for (entry, kind) in whole.chunks_exact_mut(ENTRY_BYTES).zip(&kinds) {
                entry[8..16].copy_from_slice(&u64::from(*kind).to_le_bytes());
            }
            for bytes in [bytes, whole] {
                let mut slot = Slot::decode(&bytes);
                slot.take(9, spec(algorithm, "2/1m"), 1, UnixMillis(now));
                slot.give_back(9, spec(algorithm, "2/1m"), 1, UnixMillis(now));
                prop_assert!(slot.encode().len() <= WAYS * ENTRY_BYTES);
            }
        }
    }
}
