//! The keys of a process, in a fixed number of slots of shared data.

use postern_filter_shared_data::cells::Cell;
use postern_limits::slot::{Place, Room};
use postern_request::UnixMillis;

use crate::entry::{ENTRY_BYTES, Entry};

/// How many slots there are: as many as local limits have.
pub(crate) const SLOTS: u32 = 4096;
/// How many keys one slot holds.
pub(crate) const WAYS: usize = 4;
/// 64-bit words that have a bit for each slot.
pub(crate) const WORDS: usize = 64;

/// The slot of a key.
pub(crate) const fn slot(place: Place) -> u32 {
    place.slot % SLOTS
}

/// The keys of one slot, in the order of their last use.
#[derive(Debug, Default)]
pub(crate) struct Entries(pub(crate) Vec<Entry>);

impl Cell for Entries {
    const PREFIX: &'static str = "postern.lease.";

    fn read(bytes: &[u8]) -> Self {
        let (stored, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        if !rest.is_empty() || stored.len() > WAYS {
            return Self::default();
        }
        Self(stored.iter().map(Entry::decode).collect())
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * ENTRY_BYTES);
        self.0.iter().for_each(|entry| entry.encode(&mut bytes));
        bytes
    }
}

impl Entries {
    pub(crate) fn get(&mut self, fingerprint: u64) -> Option<&mut Entry> {
        self.0.iter_mut().find(|entry| entry.fingerprint == fingerprint)
    }

    /// The entry of a key, taken out of the slot; where there is none, there is room for one.
    /// What is worth least makes it, and of what is worth as much, what was used longest ago.
    pub(crate) fn remove_or_make_room(
        &mut self,
        fingerprint: u64,
        now: UnixMillis,
    ) -> (Option<Entry>, Room) {
        if let Some(at) = self.0.iter().position(|entry| entry.fingerprint == fingerprint) {
            return (Some(self.0.remove(at)), Room::Free);
        }
        if self.0.len() < WAYS {
            return (None, Room::Free);
        }
        let worths = self.0.iter().map(|entry| entry.worth(now)).enumerate();
        let (at, worth) = worths.min_by_key(|(_, worth)| *worth).unwrap_or_default();
        if at < self.0.len() {
            self.0.remove(at);
        }
        (None, if worth == 0 { Room::Free } else { Room::Evicted })
    }
}

/// Some of the slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotSet(pub(crate) [u64; WORDS]);

impl Default for SlotSet {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl SlotSet {
    pub(crate) const ALL: Self = Self([u64::MAX; WORDS]);

    pub(crate) fn insert(&mut self, slot: u32) {
        let (word, bit) = bit(slot);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        let (word, bit) = bit(slot);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    pub(crate) fn contains(&self, slot: u32) -> bool {
        let (word, bit) = bit(slot);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(crate) fn add(&mut self, others: &Self) {
        self.0.iter_mut().zip(others.0).for_each(|(word, other)| *word |= other);
    }

    /// Once round, from this one on.
    pub(crate) fn walk(self, first: u32) -> impl Iterator<Item = u32> {
        (first..SLOTS).chain(0..first.min(SLOTS)).filter(move |slot| self.contains(*slot))
    }
}

fn bit(slot: u32) -> (usize, u64) {
    (usize::try_from(slot / 64).unwrap_or(WORDS), 1 << (slot % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_leases::{Ask, Grant, LeaseId};

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn entry(fingerprint: u64) -> Entry {
        Entry::new(fingerprint, (0, [0; 16]), 0)
    }

    /// Entries of which each would lose more than the one before.
    fn ranked() -> Vec<Entry> {
        let ask = Ask { id: LeaseId([1; 16]), asked: 5 };
        let grant = Grant { granted: 5, life_ms: 5000, remaining: 0, reset_ms: 0 };
        let mut entries: Vec<Entry> = (1..=5).map(entry).collect();
        for waiting in &mut entries[1..] {
            let spec = crate::tests::spec();
            let terms = crate::tests::terms(postern_leases::Start::Strict);
            let _ = waiting.borrower.spend(spec, &terms, 1, NOW);
        }
        entries[2].ask(ask, NOW);
        entries[3].ask(ask, NOW);
        entries[3].end(NOW);
        entries[4].ask(ask, NOW);
        entries[4].answered(ask.id, Some(grant), NOW);
        entries
    }

    #[test]
    fn what_is_worth_least_makes_room() {
        let worths: Vec<u8> = ranked().iter().map(|entry| entry.worth(NOW)).collect();
        assert_eq!(worths, [0, 1, 2, 3, 4]);
        for (stored, gone, room) in [
            ([4, 3, 2, 1], 1, Room::Free),
            ([5, 4, 3, 2], 2, Room::Evicted),
            ([5, 4, 3, 5], 3, Room::Evicted),
            ([4, 5, 5, 4], 4, Room::Evicted),
            ([5, 4, 5, 3], 3, Room::Evicted),
        ] {
            let of = |fingerprint: usize| ranked()[fingerprint - 1];
            let mut entries = Entries(stored.map(of).to_vec());
            assert_eq!(entries.remove_or_make_room(99, NOW), (None, room), "{stored:?}");
            let at = stored.iter().position(|fingerprint| *fingerprint == gone).unwrap();
            let mut left: Vec<usize> = stored.to_vec();
            left.remove(at);
            let found: Vec<u64> = entries.0.iter().map(|entry| entry.fingerprint).collect();
            assert_eq!(found, left.iter().map(|one| *one as u64).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_slice_that_is_spent_or_over_is_worth_what_is_owed() {
        let spent = |times: u32, now: UnixMillis| {
            let mut entry = ranked()[4];
            let spec = crate::tests::spec();
            let terms = crate::tests::terms(postern_leases::Start::Strict);
            for _ in 0..times {
                let _ = entry.borrower.spend(spec, &terms, 1, now);
            }
            entry
        };
        let over = UnixMillis(NOW.0 + 4750);
        let worths =
            [(4, NOW), (5, NOW), (0, over)].map(|(times, now)| spent(times, now).worth(now));
        assert_eq!(worths, [4, 3, 3]);
        // Whoever asks for the next one loses no rank by that.
        let mut busy = spent(0, NOW);
        busy.ask(Ask { id: LeaseId([2; 16]), asked: 5 }, NOW);
        assert_eq!(busy.worth(NOW), 4);
    }

    #[test]
    fn what_was_not_written_here_is_an_empty_slot() {
        let entries = Entries(ranked()[..4].to_vec());
        let bytes = entries.write();
        assert_eq!(Entries::read(&bytes).0, entries.0);
        assert!(Entries::read(&bytes[1..]).0.is_empty());
        assert!(Entries::read(&bytes.repeat(2)).0.is_empty());
        assert!(Entries::default().write().is_empty());
    }

    #[test]
    fn slots_are_walked_once_round() {
        let mut slots = SlotSet::default();
        assert!(slots.is_empty());
        for slot in [0, 63, 64, 4095, 4096, u32::MAX] {
            slots.insert(slot);
        }
        assert_eq!(slots.walk(64).collect::<Vec<_>>(), [64, 4095, 0, 63]);
        assert_eq!(slots.walk(u32::MAX).count(), 4);
        slots.remove(63);
        assert!(!slots.contains(63) && slots.contains(64) && !slots.contains(4096));
        slots.add(&SlotSet::ALL);
        assert_eq!(slots.walk(5).count(), 4096);
    }
}
