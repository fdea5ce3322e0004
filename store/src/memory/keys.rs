//! Keys that end by themselves, and never more than a bound of them.
//!
//! A clock hand goes round the keys, a few at a time, and drops those whose time is over. No
//! call goes through all of them, for all that come meanwhile would wait for it.

use indexmap::IndexMap;
use postern_request::UnixMillis;

/// How many the hand looks at when a new key needs room.
const FOR_ROOM: usize = 32;
/// How many it looks at otherwise, whenever something was taken: more than one, so that keys go
/// faster than they come.
const IN_PASSING: usize = 2;
/// How long a key is kept when its time is over. Whoever asks has read the clock a while before,
/// and others have asked since.
const LATE_MS: u64 = 1_000;
/// Room for so many keys is never given back.
const SMALL: usize = 1_024;

/// What tells keys apart.
pub(super) type Hash = [u8; 16];

/// What is kept for a key.
#[derive(Debug)]
pub(super) struct Kept<V> {
    pub(super) value: V,
    /// From when on forgetting it loses nothing.
    pub(super) ends: UnixMillis,
}

impl<V> Kept<V> {
    const fn is_over(&self, now: UnixMillis) -> bool {
        self.ends.0.saturating_add(LATE_MS) <= now.0
    }
}

/// The keys.
#[derive(Debug)]
pub(super) struct Keys<V> {
    /// Keys are hashes already, but anybody can work them out and look for some that meet in one
    /// place of a table: so they are hashed again, with the map's own secret.
    kept: IndexMap<Hash, Kept<V>>,
    /// Which the hand looks at next.
    hand: usize,
    bound: usize,
}

impl<V> Keys<V> {
    /// No keys yet, and never more than `bound`.
    pub(super) fn new(bound: usize) -> Self {
        Self { kept: IndexMap::new(), hand: 0, bound }
    }

    pub(super) fn get(&self, key: &Hash) -> Option<&Kept<V>> {
        self.kept.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &Hash) -> Option<&mut Kept<V>> {
        self.kept.get_mut(key)
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, key: &Hash) -> bool {
        self.kept.swap_remove(key).is_some()
    }

    /// Keeps something for a new key. Without room, the hand looks for keys that are over; when
    /// it finds none, the one of those it has seen that ends first goes.
    pub(super) fn insert(&mut self, key: Hash, kept: Kept<V>, now: UnixMillis) {
        if self.kept.len() >= self.bound && !self.kept.contains_key(&key) {
            let first = self.look(FOR_ROOM, now);
            if let Some(first) = first.filter(|_| self.kept.len() >= self.bound) {
                self.kept.swap_remove(&first);
            }
        }
        self.kept.insert(key, kept);
    }

    /// Drops what the hand finds in passing, and gives memory back when little of it is used.
    pub(super) fn tidy(&mut self, now: UnixMillis) {
        self.look(IN_PASSING, now);
        // Moving an eighth of the keys costs less than it once did to make room for them all.
        if self.kept.capacity() > SMALL && self.kept.len() < self.kept.capacity() / 8 {
            self.kept.shrink_to(self.kept.len() * 2);
        }
    }

    /// Moves the hand on over at most so many keys and drops those that are over. The one of the
    /// others that ends first.
    fn look(&mut self, at_most: usize, now: UnixMillis) -> Option<Hash> {
        let mut first: Option<(UnixMillis, Hash)> = None;
        for _ in 0..at_most.min(self.kept.len()) {
            if self.hand >= self.kept.len() {
                self.hand = 0;
            }
            let Some((key, kept)) = self.kept.get_index(self.hand) else { break };
            if kept.is_over(now) {
                // The last key comes into this place, and is looked at next.
                self.kept.swap_remove_index(self.hand);
            } else {
                if first.is_none_or(|(ends, _)| kept.ends < ends) {
                    first = Some((kept.ends, *key));
                }
                self.hand += 1;
            }
        }
        first.map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests;
