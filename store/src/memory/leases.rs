//! Slices of leased limits. A key's ledger is kept beside its count, behind the same lock.

use postern_leases::{Grant, Ledger};
use postern_request::UnixMillis;

use super::keys::Kept;
use super::shards::Shards;
use crate::volatile::{LendAsk, TakeBack};

/// There is a shard for every key; this is for none.
const NOTHING: Grant = Grant { granted: 0, life_ms: 0, remaining: 0, reset_ms: 0 };

impl Shards {
    /// Lends a slice. One who gets nothing leaves no keys behind.
    pub(super) fn lend(&self, lend: &LendAsk, now: UnixMillis) -> Grant {
        let LendAsk { key, spec, terms, ask } = *lend;
        let Some(mut shard) = self.of(key) else { return NOTHING };
        let shard = &mut *shard;
        shard.rates.tidy(now);
        shard.ledgers.tidy(now);
        let mut fresh = Kept { value: spec.fresh(now), ends: now };
        let mut empty = Kept { value: Ledger::default(), ends: now };
        let (counted, lent) = (shard.rates.get_mut(&key.hash), shard.ledgers.get_mut(&key.hash));
        let (is_counted, is_lent) = (counted.is_some(), lent.is_some());
        let (counted, lent) = (counted.unwrap_or(&mut fresh), lent.unwrap_or(&mut empty));
        let grant = lent.value.lend(&mut counted.value, spec, &terms, ask, now);
        counted.ends = spec.forgettable_at(&counted.value);
        lent.ends = lent.value.forgettable_at(spec);
        if grant.granted > 0 && !is_counted {
            shard.rates.insert(key.hash, fresh, now);
        }
        if grant.granted > 0 && !is_lent {
            shard.ledgers.insert(key.hash, empty, now);
        }
        grant
    }

    /// Ends a lease; says how much was credited.
    pub(super) fn take_back(&self, back: &TakeBack, now: UnixMillis) -> u64 {
        let TakeBack { key, spec, id, unused } = *back;
        let Some(mut shard) = self.of(key) else { return 0 };
        let shard = &mut *shard;
        let Some(lent) = shard.ledgers.get_mut(&key.hash) else { return 0 };
        // Where nothing is counted any more, nothing can be credited.
        let mut fresh = Kept { value: spec.fresh(now), ends: now };
        let counted = shard.rates.get_mut(&key.hash).unwrap_or(&mut fresh);
        let credited = lent.value.give_back(&mut counted.value, spec, id, unused, now);
        counted.ends = spec.forgettable_at(&counted.value);
        lent.ends = lent.value.forgettable_at(spec);
        credited
    }
}
