//! What may be seen only once, in memory.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use postern_request::UnixMillis;

use super::lock;
use crate::StoreError;
use crate::volatile::ReplayKey;

const SHARDS: usize = 16;
/// What one shard remembers. 16 shards make 1.6 million, in near 200 MB; where each is kept for
/// 75 s, that is enough for 20,000 new ones a second.
const KEYS_PER_SHARD: usize = 100_000;
/// Most that one call clears away, so that no call pays for what many have left behind.
const SWEPT_AT_ONCE: usize = 256;
/// How much later than anything can end something may end all the same: whoever asks has read the
/// clock a while before, and others have asked since. What ends later still was seen by a clock
/// that ran ahead.
const TOLERANCE_MS: u64 = 60_000;

/// What was seen lately.
#[derive(Debug)]
pub(super) struct Replays(Vec<Mutex<Shard>>);

impl Default for Replays {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Replays {
    pub(super) fn remember_once(
        &self,
        key: ReplayKey,
        keep_ms: u64,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        // The key is a hash: any of its bytes spreads.
        let at = key.0.last().copied().map_or(0, usize::from) % SHARDS;
        let shard = self.0.get(at);
        let seen = shard.and_then(|shard| lock(shard).remember_once(key, keep_ms.max(1), now));
        seen.ok_or_else(|| StoreError::Unavailable("no room to remember more".to_owned()))
    }
}

/// Both collections hold the same keys.
#[derive(Debug, Default)]
struct Shard {
    ends: HashMap<ReplayKey, UnixMillis>,
    by_end: BTreeSet<(UnixMillis, ReplayKey)>,
    /// The longest time that anything was kept for.
    longest_ms: u64,
}

impl Shard {
    /// None when there is no room.
    fn remember_once(&mut self, key: ReplayKey, keep_ms: u64, now: UnixMillis) -> Option<bool> {
        // Before anything is swept: what is asked for is never taken for new by being forgotten
        // just then.
        if let Some(end) = self.ends.get(&key).copied() {
            if end > now {
                return Some(false);
            }
            self.forget(end, key);
        }
        self.longest_ms = self.longest_ms.max(keep_ms);
        self.sweep(now);
        if self.ends.len() >= KEYS_PER_SHARD {
            return None;
        }
        let end = UnixMillis(now.0.saturating_add(keep_ms));
        self.ends.insert(key, end);
        self.by_end.insert((end, key));
        Some(true)
    }

    /// Forgets some of those whose time is over, and of those that end much later than anything
    /// can that was seen until now: they were seen by a clock that ran ahead and was set right,
    /// and would take up room until that time comes.
    fn sweep(&mut self, now: UnixMillis) {
        let longest_ms = self.longest_ms.saturating_add(TOLERANCE_MS);
        let last_end = UnixMillis(now.0.saturating_add(longest_ms));
        for _ in 0..SWEPT_AT_ONCE {
            let over = self.by_end.first().filter(|(end, _)| *end <= now);
            let ahead = || self.by_end.last().filter(|(end, _)| *end > last_end);
            let Some((end, key)) = over.or_else(ahead).copied() else { return };
            self.forget(end, key);
        }
    }

    fn forget(&mut self, end: UnixMillis, key: ReplayKey) {
        self.ends.remove(&key);
        self.by_end.remove(&(end, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> ReplayKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        ReplayKey(bytes)
    }

    fn full(now: UnixMillis) -> Shard {
        let mut shard = Shard::default();
        for number in 0..KEYS_PER_SHARD {
            assert_eq!(shard.remember_once(key(number), 1000, now), Some(true));
        }
        shard
    }

    #[test]
    fn a_full_memory_forgets_nothing_that_still_counts() {
        let mut shard = full(UnixMillis(5000));
        let almost = UnixMillis(5999);
        assert_eq!(shard.remember_once(key(KEYS_PER_SHARD), 1000, almost), None);
        for number in [0, 1, KEYS_PER_SHARD - 1] {
            assert_eq!(shard.remember_once(key(number), 1000, almost), Some(false), "{number}");
        }
        let over = UnixMillis(6000);
        assert_eq!(shard.remember_once(key(KEYS_PER_SHARD), 1000, over), Some(true));
        assert_eq!(shard.remember_once(key(KEYS_PER_SHARD - 1), 1000, over), Some(true));
        assert_eq!(shard.remember_once(key(KEYS_PER_SHARD - 1), 1000, over), Some(false));
    }

    #[test]
    fn no_call_clears_all_away() {
        let mut shard = full(UnixMillis(0));
        let much_later = UnixMillis(1_000_000);
        let mut before = shard.ends.len();
        for number in 0..10 {
            shard.remember_once(key(KEYS_PER_SHARD + number), 1000, much_later);
            assert_eq!(shard.ends.len(), before + 1 - SWEPT_AT_ONCE);
            assert_eq!(shard.by_end.len(), shard.ends.len());
            before = shard.ends.len();
        }
    }

    #[test]
    fn each_is_kept_for_its_own_time() {
        let mut shard = Shard::default();
        assert_eq!(shard.remember_once(key(1), 60_000, UnixMillis(0)), Some(true));
        assert_eq!(shard.remember_once(key(2), 10, UnixMillis(1)), Some(true));
        assert_eq!(shard.remember_once(key(3), 10, UnixMillis(12)), Some(true));
        assert_eq!(shard.ends.len(), 2, "what ended first went first");
        assert_eq!(shard.remember_once(key(1), 10, UnixMillis(59_999)), Some(false));
        assert_eq!(shard.remember_once(key(1), 10, UnixMillis(60_000)), Some(true));
        assert_eq!(shard.ends.len(), 1);
    }

    #[test]
    fn whoever_has_read_the_clock_earlier_forgets_nothing() {
        let mut shard = Shard::default();
        let now = 1_000_000;
        assert_eq!(shard.remember_once(key(0), 1000, UnixMillis(now)), Some(true));
        for (number, late_ms) in [(1, 1), (2, 500), (3, TOLERANCE_MS)] {
            let earlier = UnixMillis(now - late_ms);
            assert_eq!(shard.remember_once(key(number), 1000, earlier), Some(true));
            for at in [earlier, UnixMillis(now)] {
                assert_eq!(shard.remember_once(key(0), 1000, at), Some(false), "{late_ms}");
            }
        }
        let long_ago = UnixMillis(now - TOLERANCE_MS * 2);
        assert_eq!(shard.remember_once(key(0), 1000, long_ago), Some(false), "it is looked up");
    }

    #[test]
    fn a_clock_that_was_ahead_leaves_nothing_behind() {
        let year = UnixMillis(365 * 86_400_000);
        let mut shard = full(year);
        assert_eq!(shard.remember_once(key(KEYS_PER_SHARD), 1000, UnixMillis(0)), Some(true));
        assert_eq!(shard.remember_once(key(KEYS_PER_SHARD), 1000, UnixMillis(999)), Some(false));
        assert!(shard.ends.len() < KEYS_PER_SHARD);
    }
}
