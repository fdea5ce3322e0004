//! One decision on all limits of a request, while all their shards are locked. It takes in place,
//! and puts back when a limit refuses: most requests pass.

use std::sync::MutexGuard;

use postern_limits::in_flight::Slots;
use postern_limits::{Outcome, Spec, State};
use postern_request::{RateLimitStatus, UnixMillis};

use super::keys::Kept;
use super::shards::{Shard, Shards};
use crate::volatile::{LimitAsk, LimitKey, Take};

/// Stands for a limit that is asked in a moment.
const NOT_ASKED: Outcome = Outcome {
    allowed: true,
    status: RateLimitStatus { limit: 0, remaining: 0, reset_secs: 0, window_secs: 0 },
};

/// Asks each limit, in order. True when every binding one has room, and only then anything was
/// taken.
pub(super) fn decide(
    shards: &Shards,
    limits: &[LimitAsk],
    now: UnixMillis,
) -> (Vec<Outcome>, bool) {
    let mut request = Request::new(shards, limits, now);
    let mut outcomes = vec![NOT_ASKED; limits.len()];
    // What is only tried out must not take what a binding limit needs.
    for shadow in [false, true] {
        let asked = limits.iter().zip(&mut outcomes).filter(|(limit, _)| limit.shadow == shadow);
        for (limit, outcome) in asked {
            *outcome = request.take(limit);
        }
    }
    let passes = limits.iter().zip(&outcomes).all(|(limit, said)| limit.shadow || said.allowed);
    if passes {
        request.keep();
    } else {
        for (limit, _) in limits.iter().zip(&outcomes).filter(|(_, said)| said.allowed) {
            request.put_back(limit);
        }
        // Only now: a key may stand here twice.
        for (limit, said) in limits.iter().zip(&mut outcomes).filter(|(_, said)| said.allowed) {
            said.status = request.status(limit);
        }
    }
    (outcomes, passes)
}

/// What is kept for a key that no shard has yet.
struct New<V> {
    key: LimitKey,
    kept: Kept<V>,
}

struct Request<'r> {
    shards: &'r Shards,
    locked: Vec<(usize, MutexGuard<'r, Shard>)>,
    /// Kept aside until the request passes, so that one that does not makes no keys.
    new_rates: Vec<New<State>>,
    new_in_flight: Vec<New<Slots>>,
    /// Those whose place was theirs before: not to be put back.
    were_in: Vec<&'r LimitAsk>,
    now: UnixMillis,
}

impl<'r> Request<'r> {
    fn new(shards: &'r Shards, limits: &'r [LimitAsk], now: UnixMillis) -> Self {
        Self {
            shards,
            locked: shards.locked(limits),
            new_rates: Vec::new(),
            new_in_flight: Vec::new(),
            were_in: Vec::new(),
            now,
        }
    }

    fn take(&mut self, limit: &'r LimitAsk) -> Outcome {
        let now = self.now;
        match limit.take {
            Take::Rate { spec, cost } => {
                self.rate(limit.key, spec, cost > 0, |state| spec.take(state, cost, now))
            }
            Take::InFlight { spec, id } => {
                let (outcome, was_in) = self.in_flight(limit.key, true, |slots| {
                    // Drops those that have ended, so that their number tells what is new.
                    spec.fits(slots, id, now);
                    let before = slots.len();
                    let outcome = spec.enter(slots, id, now);
                    (outcome, outcome.allowed && slots.len() == before)
                });
                if was_in {
                    self.were_in.push(limit);
                }
                outcome
            }
        }
    }

    fn put_back(&mut self, limit: &LimitAsk) {
        let now = self.now;
        match limit.take {
            Take::Rate { spec, cost } => {
                self.rate(limit.key, spec, false, |state| spec.give_back(state, cost, now));
            }
            Take::InFlight { id, .. } => {
                if !self.were_in.iter().any(|was_in| std::ptr::eq(*was_in, limit)) {
                    self.in_flight(limit.key, false, |slots| slots.leave(id));
                }
            }
        }
    }

    fn status(&mut self, limit: &LimitAsk) -> RateLimitStatus {
        let now = self.now;
        match limit.take {
            Take::Rate { spec, cost } => {
                self.rate(limit.key, spec, false, |state| spec.status(state, cost, now))
            }
            Take::InFlight { spec, .. } => {
                self.in_flight(limit.key, false, |slots| spec.status(slots, now))
            }
        }
    }

    /// `keep` when a key that is new is to be remembered.
    fn rate<R>(
        &mut self,
        key: LimitKey,
        spec: Spec,
        keep: bool,
        act: impl FnOnce(&mut State) -> R,
    ) -> R {
        let shard = shard(&mut self.locked, self.shards.number(key));
        let stored = shard.and_then(|shard| shard.rates.get_mut(&key.hash));
        let act = |kept: &mut Kept<State>| {
            let result = act(&mut kept.value);
            kept.ends = spec.forgettable_at(&kept.value);
            result
        };
        match find(stored, &mut self.new_rates, key) {
            Some(kept) => act(kept),
            None => {
                let mut kept = Kept { value: spec.fresh(self.now), ends: self.now };
                let result = act(&mut kept);
                if keep {
                    self.new_rates.push(New { key, kept });
                }
                result
            }
        }
    }

    /// The same for the places of requests in flight.
    fn in_flight<R>(&mut self, key: LimitKey, keep: bool, act: impl FnOnce(&mut Slots) -> R) -> R {
        let shard = shard(&mut self.locked, self.shards.number(key));
        let stored = shard.and_then(|shard| shard.in_flight.get_mut(&key.hash));
        let act = |kept: &mut Kept<Slots>| {
            let result = act(&mut kept.value);
            kept.ends = kept.value.forgettable_at();
            result
        };
        match find(stored, &mut self.new_in_flight, key) {
            Some(kept) => act(kept),
            None => {
                let mut kept = Kept { value: Slots::default(), ends: self.now };
                let result = act(&mut kept);
                if keep {
                    self.new_in_flight.push(New { key, kept });
                }
                result
            }
        }
    }

    /// The request passes: what is new gets its place.
    fn keep(mut self) {
        let now = self.now;
        for (_, shard) in &mut self.locked {
            shard.rates.tidy(now);
            shard.in_flight.tidy(now);
        }
        for New { key, kept } in self.new_rates {
            if let Some(shard) = shard(&mut self.locked, self.shards.number(key)) {
                shard.rates.insert(key.hash, kept, now);
            }
        }
        for New { key, kept } in self.new_in_flight {
            if let Some(shard) = shard(&mut self.locked, self.shards.number(key)) {
                shard.in_flight.insert(key.hash, kept, now);
            }
        }
    }
}

fn shard<'l>(
    locked: &'l mut [(usize, MutexGuard<'_, Shard>)],
    number: usize,
) -> Option<&'l mut Shard> {
    locked.iter_mut().find(|(at, _)| *at == number).map(|(_, shard)| &mut **shard)
}

/// What a shard has for a key, or what was made for it in this request.
fn find<'k, V>(
    stored: Option<&'k mut Kept<V>>,
    new: &'k mut [New<V>],
    key: LimitKey,
) -> Option<&'k mut Kept<V>> {
    if stored.is_some() {
        return stored;
    }
    new.iter_mut().find(|new| new.key.hash == key.hash).map(|new| &mut new.kept)
}
