//! What is kept until its end, within bounds. Nothing that still counts is forgotten to make room:
//! what there is no room for is refused.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use postern_request::UnixMillis;

use crate::memory::lock;
use crate::{FlowKey, StoreError};

/// Most that one call clears away, so that no call pays for what many have left behind.
const SWEPT_AT_ONCE: usize = 256;
/// What an entry takes beside what its value says: keys, ends, and what is free in the tables.
pub(super) const OVERHEAD: usize = 256;

/// What a value takes, in bytes.
pub(super) trait Weighed {
    fn weight(&self) -> usize;
}

/// How much is kept at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) entries: usize,
    /// Values and [`OVERHEAD`] together.
    pub(super) bytes: usize,
}

/// A value until its end.
pub(super) struct Kept<V> {
    pub(super) value: V,
    /// It is there until before that moment.
    pub(super) ends: UnixMillis,
    weight: usize,
}

/// Values by their keys. Both collections hold the same keys.
pub(super) struct Expiring<V> {
    entries: HashMap<FlowKey, Kept<V>>,
    by_end: BTreeSet<(UnixMillis, FlowKey)>,
    /// All weights together.
    bytes: usize,
    bounds: Bounds,
}

impl<V: Weighed> Expiring<V> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { entries: HashMap::new(), by_end: BTreeSet::new(), bytes: 0, bounds }
    }

    /// What has not ended.
    pub(super) fn get(&self, key: FlowKey, now: UnixMillis) -> Option<&Kept<V>> {
        self.entries.get(&key).filter(|kept| kept.ends > now)
    }

    /// Keeps a value in the place of what is there, ended or not, and returns that.
    pub(super) fn put(
        &mut self,
        key: FlowKey,
        value: V,
        ends: UnixMillis,
    ) -> Result<Option<V>, StoreError> {
        let weight = value.weight().saturating_add(OVERHEAD);
        let before = self.entries.get(&key).map(|kept| kept.weight);
        let is_one_too_many = before.is_none() && self.entries.len() >= self.bounds.entries;
        let bytes = self.bytes.saturating_sub(before.unwrap_or(0)).saturating_add(weight);
        // What becomes smaller always has room.
        let grows = before.is_none_or(|before| before < weight);
        if is_one_too_many || (grows && bytes > self.bounds.bytes) {
            return Err(StoreError::Unavailable("no room to keep more in memory".to_owned()));
        }
        let replaced = self.remove(key);
        self.entries.insert(key, Kept { value, ends, weight });
        self.by_end.insert((ends, key));
        self.bytes = bytes;
        Ok(replaced.map(|kept| kept.value))
    }

    /// Takes a value out, ended or not.
    pub(super) fn remove(&mut self, key: FlowKey) -> Option<Kept<V>> {
        let kept = self.entries.remove(&key)?;
        self.by_end.remove(&(kept.ends, key));
        self.bytes = self.bytes.saturating_sub(kept.weight);
        Some(kept)
    }

    /// Takes a value out, and returns it where it has not ended.
    pub(super) fn take(&mut self, key: FlowKey, now: UnixMillis) -> Option<V> {
        self.remove(key).filter(|kept| kept.ends > now).map(|kept| kept.value)
    }

    /// Forgets some of those that have ended, and tells each.
    pub(super) fn sweep(&mut self, now: UnixMillis, mut gone: impl FnMut(V)) {
        for _ in 0..SWEPT_AT_ONCE {
            let over = self.by_end.first().filter(|(ends, _)| *ends <= now);
            let Some((_, key)) = over.copied() else { return };
            if let Some(kept) = self.remove(key) {
                gone(kept.value);
            }
        }
    }
}

/// How many locks values are spread over.
const SHARDS: usize = 16;

/// Values in shards that have a lock each.
pub(super) struct Sharded<V>([Mutex<Expiring<V>>; SHARDS]);

impl<V: Weighed> Sharded<V> {
    /// Empty ones, that hold no more than that together.
    pub(super) fn new(bounds: Bounds) -> Self {
        let each = Bounds { entries: bounds.entries / SHARDS, bytes: bounds.bytes / SHARDS };
        Self(std::array::from_fn(|_| Mutex::new(Expiring::new(each))))
    }

    /// Does something within the shard of a key.
    pub(super) fn with<T>(&self, key: FlowKey, act: impl FnOnce(&mut Expiring<V>) -> T) -> T {
        // The key is a hash: any of its bytes spreads.
        let [.., last] = key.to_bytes();
        let [first, ..] = &self.0;
        let shard = self.0.get(usize::from(last) % SHARDS).unwrap_or(first);
        act(&mut lock(shard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FlowKind;

    impl Weighed for usize {
        fn weight(&self) -> usize {
            *self
        }
    }

    fn key(name: usize) -> FlowKey {
        FlowKey::of(FlowKind::Par, &name.to_le_bytes())
    }

    fn holding(entries: usize, bytes: usize) -> Expiring<usize> {
        Expiring::new(Bounds { entries, bytes: bytes + entries * OVERHEAD })
    }

    fn is_refused(answer: &Result<Option<usize>, StoreError>) -> bool {
        matches!(answer, Err(StoreError::Unavailable(_)))
    }

    #[test]
    fn what_has_ended_is_not_there() {
        let mut kept = holding(10, 1_000);
        kept.put(key(1), 7, UnixMillis(100)).unwrap();
        assert!(kept.get(key(1), UnixMillis(99)).is_some());
        assert!(kept.get(key(1), UnixMillis(100)).is_none());
        assert_eq!(kept.take(key(1), UnixMillis(100)), None);
        assert_eq!(kept.bytes, 0, "it was taken out all the same");
    }

    #[test]
    fn a_full_one_refuses_and_forgets_nothing() {
        let mut kept = holding(3, 1_000);
        for name in 0..3 {
            assert_eq!(kept.put(key(name), 1, UnixMillis(100)), Ok(None));
        }
        assert!(is_refused(&kept.put(key(3), 1, UnixMillis(100))));
        assert_eq!(kept.put(key(0), 2, UnixMillis(200)), Ok(Some(1)), "one in place of another");
        kept.sweep(UnixMillis(99), |_| panic!("nothing has ended"));
        assert_eq!(kept.entries.len(), 3);
        let mut gone = Vec::new();
        kept.sweep(UnixMillis(100), |value| gone.push(value));
        assert_eq!(gone, [1, 1]);
        assert_eq!(kept.put(key(3), 1, UnixMillis(300)), Ok(None));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut kept = holding(10, 1_000);
        kept.bounds.bytes = 1_000 + 2 * OVERHEAD;
        assert_eq!(kept.put(key(1), 600, UnixMillis(100)), Ok(None));
        assert!(is_refused(&kept.put(key(2), 401, UnixMillis(100))));
        assert_eq!(kept.put(key(2), 400, UnixMillis(100)), Ok(None));
        assert!(is_refused(&kept.put(key(2), 401, UnixMillis(100))));
        assert_eq!(kept.get(key(2), UnixMillis(0)).unwrap().value, 400, "what was there stays");
        assert_eq!(kept.put(key(1), 100, UnixMillis(100)), Ok(Some(600)));
        assert_eq!(kept.put(key(2), 900, UnixMillis(100)), Ok(Some(400)));
        assert_eq!(kept.bytes, 1_000 + 2 * OVERHEAD);
    }

    #[test]
    fn no_call_clears_all_away() {
        let mut kept = holding(1_000, 1_000);
        for name in 0..1_000 {
            kept.put(key(name), 1, UnixMillis(10)).unwrap();
        }
        for left in [1_000 - SWEPT_AT_ONCE, 1_000 - 2 * SWEPT_AT_ONCE] {
            kept.sweep(UnixMillis(20), drop);
            assert_eq!((kept.entries.len(), kept.by_end.len()), (left, left));
            assert_eq!(kept.bytes, left * (1 + OVERHEAD));
        }
    }

    #[test]
    fn keys_spread_over_all_shards() {
        let shards: Sharded<usize> = Sharded::new(Bounds { entries: 16_000, bytes: 16_000_000 });
        for name in 0..1_600 {
            shards.with(key(name), |shard| shard.put(key(name), 1, UnixMillis(10))).unwrap();
        }
        for shard in &shards.0 {
            let held = lock(shard).entries.len();
            assert!((50..200).contains(&held), "{held}");
        }
    }
}
