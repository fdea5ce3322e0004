//! How many requests of a key are under way, in slots of their own.
//!
//! An entry has no room for the requests, so it counts them, by stretches of time as long as a
//! seat's life: those that came in this stretch and those of the one before. Who leaves is taken
//! out of the stretch in which it came. Where nobody tells of the end, because a worker has
//! crashed, the seat is forgotten with its stretch, after one to two lives. So is that of a
//! request which takes longer than that: it runs on and counts no more.

use postern_limits::slot::{Place, Room};
use postern_limits::{InFlight, Outcome};
use postern_request::{RateLimitStatus, UnixMillis};

/// How many slots there are: fewer than for rates, because a key is in one only while something
/// of it is under way.
pub(crate) const SLOTS: u32 = 1024;
/// How many keys one slot holds.
const WAYS: usize = 4;
/// What one key takes: fingerprint, life, stretch and two counts, 8 bytes each.
const ENTRY_BYTES: usize = 40;

/// The slot of a key.
pub(crate) const fn slot(place: Place) -> u32 {
    place.slot % SLOTS
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    fingerprint: u64,
    /// Limits with seats of different lives share slots.
    life_ms: u64,
    /// Which stretch `current` counts: milliseconds since the epoch divided by the life.
    stretch: u64,
    current: u64,
    previous: u64,
}

impl Entry {
    fn decode(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<8>();
        let [fingerprint, life_ms, stretch, current, previous] = words else { return None };
        Some(Self {
            fingerprint: u64::from_le_bytes(*fingerprint),
            life_ms: u64::from_le_bytes(*life_ms),
            stretch: u64::from_le_bytes(*stretch),
            current: u64::from_le_bytes(*current),
            previous: u64::from_le_bytes(*previous),
        })
    }

    /// Lets time pass. A clock that went back by a stretch or less stands still; by more, it was
    /// set, and what is counted came just now: nobody waits for it to catch up.
    fn advance(&mut self, now: UnixMillis) {
        let stretch = stretch(self.life_ms, now);
        if stretch == self.stretch || stretch.saturating_add(1) == self.stretch {
            return;
        }
        (self.current, self.previous) = match stretch.checked_sub(self.stretch) {
            None => (self.taken(), 0),
            Some(1) => (0, self.current),
            Some(_) => (0, 0),
        };
        self.stretch = stretch;
    }

    const fn taken(&self) -> u64 {
        self.current.saturating_add(self.previous)
    }
}

const fn stretch(life_ms: u64, now: UnixMillis) -> u64 {
    match now.0.checked_div(life_ms) {
        Some(stretch) => stretch,
        None => now.0,
    }
}

/// What came of asking for a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entered {
    pub(crate) outcome: Outcome,
    /// The stretch that the seat is counted in.
    pub(crate) stretch: u64,
}

/// The keys of one slot, in the order of their last use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seats {
    entries: Vec<Entry>,
}

impl Seats {
    /// Reads a slot; anything that [`Seats::encode`] did not write is an empty one.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let (stored, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        if !rest.is_empty() || stored.len() > WAYS {
            return Self::default();
        }
        Self { entries: stored.iter().filter_map(Entry::decode).collect() }
    }

    /// The slot as bytes, little-endian, at most [`WAYS`] × [`ENTRY_BYTES`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * ENTRY_BYTES);
        for entry in &self.entries {
            let Entry { fingerprint, life_ms, stretch, current, previous } = *entry;
            for word in [fingerprint, life_ms, stretch, current, previous] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        bytes
    }

    /// Takes a seat where one is free.
    pub(crate) fn enter(
        &mut self,
        fingerprint: u64,
        spec: InFlight,
        now: UnixMillis,
    ) -> (Entered, Room) {
        let (mut entry, room) = self.remove_or_make_room(fingerprint, spec.life_ms(), now);
        entry.advance(now);
        let max = u64::from(spec.max());
        let allowed = entry.taken() < max;
        if allowed {
            entry.current = entry.current.saturating_add(1);
        }
        let status = RateLimitStatus {
            limit: max,
            remaining: max.saturating_sub(entry.taken()),
            // Whenever somebody leaves, which nobody knows beforehand.
            reset_secs: 1,
            window_secs: spec.life_ms().div_ceil(1000),
        };
        let entered = Entered { outcome: Outcome { allowed, status }, stretch: entry.stretch };
        self.entries.push(entry);
        (entered, room)
    }

    /// Gives a seat back that was taken in this stretch, if it still counts.
    pub(crate) fn leave(&mut self, fingerprint: u64, stretch: u64) {
        let Some(at) = self.entries.iter().position(|entry| entry.fingerprint == fingerprint)
        else {
            return;
        };
        let Some(entry) = self.entries.get_mut(at) else { return };
        match entry.stretch.checked_sub(stretch) {
            // None is one that came before the clock was set back.
            None | Some(0) => entry.current = entry.current.saturating_sub(1),
            Some(1) => entry.previous = entry.previous.saturating_sub(1),
            Some(_) => {}
        }
        if entry.taken() == 0 {
            self.entries.remove(at);
        }
    }

    /// The entry of a key, taken out of the slot. Room is made by those of whom nothing is under
    /// way any more, else by the one with the fewest seats, of which the least is lost.
    fn remove_or_make_room(
        &mut self,
        fingerprint: u64,
        life_ms: u64,
        now: UnixMillis,
    ) -> (Entry, Room) {
        if let Some(at) = self.entries.iter().position(|entry| entry.fingerprint == fingerprint) {
            return (self.entries.remove(at), Room::Free);
        }
        if self.entries.len() >= WAYS {
            self.entries.retain_mut(|entry| {
                entry.advance(now);
                entry.taken() > 0
            });
        }
        let mut room = Room::Free;
        if self.entries.len() >= WAYS {
            let entries = self.entries.iter().enumerate();
            let fewest = entries.min_by_key(|(_, entry)| entry.taken()).map_or(0, |(at, _)| at);
            self.entries.remove(fewest);
            room = Room::Evicted;
        }
        let stretch = stretch(life_ms, now);
        (Entry { fingerprint, life_ms, stretch, current: 0, previous: 0 }, room)
    }
}

#[cfg(test)]
mod tests;
