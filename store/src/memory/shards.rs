//! The keys of limits, in shards that have a lock each.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard};

use postern_leases::Ledger;
use postern_limits::State;
use postern_limits::in_flight::Slots;
use postern_request::UnixMillis;

use super::keys::Keys;
use super::lock;
use crate::volatile::{GiveBack, Inspected, LimitAsk, LimitKey, Take};

/// As many as a word has bits; see [`Shards::locked`].
const SHARDS: usize = 64;
/// Keys that one shard holds; 64 shards make four million.
const KEYS_PER_SHARD: usize = 65_536;

/// What one lock guards.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) rates: Keys<State>,
    pub(super) in_flight: Keys<Slots>,
    /// What is lent of the rates that are leased.
    pub(super) ledgers: Keys<Ledger>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Shards {
    all: Vec<Mutex<Shard>>,
    /// Keeps anybody from working out which keys share a shard, and from filling the one in which
    /// they are counted themselves.
    secret: u64,
}

impl Default for Shards {
    fn default() -> Self {
        Self::holding(KEYS_PER_SHARD)
    }
}

impl Shards {
    /// Empty ones, that hold no more than so many keys each.
    pub(super) fn holding(keys_per_shard: usize) -> Self {
        let shard = || Shard {
            rates: Keys::new(keys_per_shard),
            in_flight: Keys::new(keys_per_shard),
            ledgers: Keys::new(keys_per_shard),
        };
        Self {
            all: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            secret: RandomState::new().hash_one(SHARDS),
        }
    }

    /// Which shard a key is in.
    pub(super) fn number(&self, key: LimitKey) -> usize {
        // Of a product with an odd number the upper bits depend on all bits of the other.
        let half = key.hash.first_chunk().copied().map_or(0, u64::from_le_bytes);
        let spread = half.wrapping_mul(self.secret | 1);
        usize::try_from(spread >> (u64::BITS - SHARDS.ilog2())).unwrap_or(0)
    }

    /// The shards of these limits, in one order for all, so that no two requests ever wait for
    /// each other.
    pub(super) fn locked(&self, limits: &[LimitAsk]) -> Vec<(usize, MutexGuard<'_, Shard>)> {
        let bit = |limit: &LimitAsk| 1_u64 << self.number(limit.key);
        let wanted = limits.iter().fold(0, |wanted, limit| wanted | bit(limit));
        let mut locked = Vec::with_capacity(limits.len().min(SHARDS));
        for (at, shard) in self.all.iter().enumerate() {
            if (wanted >> at) & 1 == 1 {
                locked.push((at, lock(shard)));
            }
        }
        locked
    }

    pub(super) fn of(&self, key: LimitKey) -> Option<MutexGuard<'_, Shard>> {
        self.all.get(self.number(key)).map(lock)
    }

    /// Gives back what is still there.
    pub(super) fn give_back(&self, taken: &GiveBack, now: UnixMillis) {
        let Some(mut shard) = self.of(taken.key) else { return };
        let hash = &taken.key.hash;
        match taken.take {
            Take::Rate { spec, cost } => {
                let Some(kept) = shard.rates.get_mut(hash) else { return };
                spec.give_back(&mut kept.value, cost, now);
                kept.ends = spec.forgettable_at(&kept.value);
            }
            Take::InFlight { id, .. } => {
                let Some(kept) = shard.in_flight.get_mut(hash) else { return };
                kept.value.leave(id);
                kept.ends = kept.value.forgettable_at();
                if kept.value.is_empty() {
                    shard.in_flight.remove(hash);
                }
            }
        }
    }

    /// How a key stands; none when nothing counts.
    pub(super) fn inspect(&self, key: LimitKey, take: Take, now: UnixMillis) -> Option<Inspected> {
        let shard = self.of(key)?;
        let (status, ends) = match take {
            Take::Rate { spec, cost } => {
                let state = &shard.rates.get(&key.hash)?.value;
                (spec.status(state, cost, now), spec.forgettable_at(state))
            }
            Take::InFlight { spec, .. } => {
                let slots = &shard.in_flight.get(&key.hash)?.value;
                (spec.status(slots, now), slots.forgettable_at())
            }
        };
        let expires_in_ms = ends.millis_since(now);
        (expires_in_ms > 0).then_some(Inspected { status, expires_in_ms })
    }

    /// Whether the key was there.
    pub(super) fn forget(&self, key: LimitKey) -> bool {
        let Some(mut shard) = self.of(key) else { return false };
        let rate = shard.rates.remove(&key.hash);
        let in_flight = shard.in_flight.remove(&key.hash);
        let ledger = shard.ledgers.remove(&key.hash);
        rate || in_flight || ledger
    }
}
