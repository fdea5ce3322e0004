//! Which keys come most often, of any number of keys, in memory for a fixed number of them.
//!
//! The Space-Saving sketch: when there is no room for a new key, it takes the place of the one
//! with the smallest count, and that count with it. So a count is never too low, and no key that
//! makes up more than one `capacity`th of all weight is missing.
//!
//! For the server: its hash map is seeded at random, and `wasm32-unknown-unknown` has no
//! randomness. Nothing that runs in a filter uses this module.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// A key that comes often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopKey<K> {
    /// The key.
    pub key: K,
    /// How often it came, or more.
    pub count: u64,
    /// How much more at most.
    pub error: u64,
}

/// The keys that come most often.
#[derive(Debug, Clone)]
pub struct TopKeys<K> {
    capacity: usize,
    held: HashMap<K, Held>,
    /// The same keys by count, the smallest first; the number tells equal counts apart.
    by_count: BTreeMap<(u64, u64), K>,
    total: u64,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    count: u64,
    error: u64,
    number: u64,
}

impl<K: Eq + Hash + Clone> TopKeys<K> {
    /// Remembers `capacity` keys, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            held: HashMap::new(),
            by_count: BTreeMap::new(),
            total: 0,
        }
    }

    /// Counts a key. Costs a look into a hash map and into a tree of at most `capacity` keys.
    pub fn hit(&mut self, key: K, weight: u64) {
        if weight == 0 {
            return;
        }
        self.total = self.total.saturating_add(weight);
        if let Some(held) = self.held.get_mut(&key) {
            let known = self.by_count.remove(&(held.count, held.number));
            held.count = held.count.saturating_add(weight);
            self.by_count.insert((held.count, held.number), known.unwrap_or(key));
            return;
        }
        let (error, number) = self.room();
        let held = Held { count: error.saturating_add(weight), error, number };
        self.by_count.insert((held.count, number), key.clone());
        self.held.insert(key, held);
    }

    /// The `n` keys with the largest counts, the largest first.
    #[must_use]
    pub fn top(&self, n: usize) -> Vec<TopKey<K>> {
        let largest = self.by_count.iter().rev().take(n);
        let told = largest.map(|((count, _), key)| {
            let error = self.held.get(key).map_or(0, |held| held.error);
            TopKey { key: key.clone(), count: *count, error }
        });
        told.collect()
    }

    /// The weight of all that was counted.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Forgets all keys.
    pub fn clear(&mut self) {
        self.held.clear();
        self.by_count.clear();
        self.total = 0;
    }

    /// Makes room for one key: the count that it begins with, and its number.
    fn room(&mut self) -> (u64, u64) {
        if self.held.len() < self.capacity {
            return (0, u64::try_from(self.held.len()).unwrap_or(u64::MAX));
        }
        match self.by_count.pop_first() {
            Some(((count, number), key)) => {
                self.held.remove(&key);
                (count, number)
            }
            None => (0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(top: &[TopKey<&'static str>]) -> Vec<(&'static str, u64, u64)> {
        top.iter().map(|top| (top.key, top.count, top.error)).collect()
    }

    #[test]
    fn with_room_for_all_it_counts_exactly() {
        let mut keys = TopKeys::new(3);
        for (key, weight) in [("a", 1), ("b", 5), ("a", 2), ("c", 4), ("a", 3), ("d", 0)] {
            keys.hit(key, weight);
        }
        assert_eq!(told(&keys.top(9)), [("a", 6, 0), ("b", 5, 0), ("c", 4, 0)]);
        assert_eq!(told(&keys.top(1)), [("a", 6, 0)]);
        assert_eq!(keys.total(), 15);
        keys.clear();
        assert_eq!((keys.top(9).len(), keys.total()), (0, 0));
    }

    #[test]
    fn a_new_key_takes_the_place_and_the_count_of_the_smallest() {
        let mut keys = TopKeys::new(2);
        for key in ["a", "a", "a", "b", "c"] {
            keys.hit(key, 1);
        }
        assert_eq!(told(&keys.top(9)), [("a", 3, 0), ("c", 2, 1)]);
    }

    #[test]
    fn no_capacity_is_one() {
        let mut keys = TopKeys::new(0);
        keys.hit("a", u64::MAX);
        keys.hit("b", u64::MAX);
        assert_eq!(told(&keys.top(9)), [("b", u64::MAX, u64::MAX)]);
    }

    proptest! {
        #[test]
        fn counts_stay_within_their_errors_and_no_frequent_key_is_missing(
            capacity in 1_usize..12,
            hits in prop::collection::vec((0_u32..30, 0_u64..50), 0..400),
            // Few keys with most of the weight, as keys come.
            favourites in prop::collection::vec((0_u32..4, 0_u64..200), 0..200),
        ) {
            let mut keys = TopKeys::new(capacity);
            let mut counts = HashMap::<u32, u64>::new();
            for at in 0..hits.len().max(favourites.len()) {
                for (key, weight) in hits.get(at).into_iter().chain(favourites.get(at)) {
                    keys.hit(*key, *weight);
                    *counts.entry(*key).or_default() += weight;
                }
            }
            let top = keys.top(usize::MAX);
            prop_assert!(top.len() <= capacity);
            prop_assert!(top.is_sorted_by(|a, b| a.count >= b.count));
            for TopKey { key, count, error } in &top {
                let actual = counts.get(key).copied().unwrap_or(0);
                prop_assert!(*count - *error <= actual && actual <= *count, "{key}");
            }
            let total: u64 = counts.values().sum();
            prop_assert_eq!(keys.total(), total);
            for (key, count) in counts {
                if u128::from(count) * capacity as u128 > u128::from(total) {
                    prop_assert!(top.iter().any(|top| top.key == key), "{key} is missing");
                }
            }
        }
    }
}
