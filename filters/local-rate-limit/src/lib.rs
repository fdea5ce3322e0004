//! The local limit stage: token buckets in fixed slots of shared data, so that a limit holds
//! across all workers of an Envoy and memory never grows.
//!
//! Deliberately absent: the host. Shared data is a port, [`SharedData`].

use std::hash::Hasher as _;

use postern_document::{Counted, Limit, Route};
use postern_filter_shared_data::SharedData;
use postern_limits::Outcome;
use postern_limits::slot::{Place, Room, Slot};
use postern_request::{Denial, RateLimitStatus, UnixMillis};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// How often a write is tried again when another worker was faster. Each round lets one of
/// them through, so more rounds than workers are needed only by bad luck.
const ATTEMPTS: u32 = 32;

/// What the stage says of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Where the caller stands with the tightest limit.
    pub status: Option<RateLimitStatus>,
    /// The denial, where one limit is used up.
    pub denial: Option<Denial>,
    /// Buckets in use that were forgotten to make room.
    pub evicted: u32,
    /// Writes that were repeated because another worker was faster.
    pub conflicts: u32,
}

/// Takes one request from every local limit of a route, or from none: what an earlier limit
/// gave is put back when a later one refuses.
#[must_use]
pub fn check(
    route: &Route,
    counted: &Counted<'_>,
    shared: &dyn SharedData,
    seed: u128,
    now: UnixMillis,
) -> Verdict {
    let mut verdict = Verdict::default();
    let mut taken: Vec<(&Limit, Place)> = Vec::new();
    for limit in &route.local_limits {
        let key = limit.key_of(route, counted);
        let place = Place::of(hash(seed, key.as_bytes()));
        let outcome = take(shared, place, limit, now, &mut verdict);
        let status = outcome.status;
        verdict.status = Some(match verdict.status {
            Some(tightest) => tightest.tighter(status),
            None => status,
        });
        if !outcome.allowed {
            for (limit, place) in taken {
                give_back(shared, place, limit, now);
            }
            verdict.status = Some(status);
            verdict.denial = Some(Denial::rate_limited(status));
            return verdict;
        }
        taken.push((limit, place));
    }
    verdict
}

/// Reads a slot, takes, writes it back; again when another worker was faster. When luck runs
/// out, the last answer stands without having been written: one request is not counted.
fn take(
    shared: &dyn SharedData,
    place: Place,
    limit: &Limit,
    now: UnixMillis,
    verdict: &mut Verdict,
) -> Outcome {
    let key = slot_key(place);
    let mut attempt = 0;
    loop {
        let found = shared.get(&key);
        let mut slot = found.as_ref().map_or_else(Slot::default, |(bytes, _)| Slot::decode(bytes));
        let (outcome, room) = slot.take(place.fingerprint, limit.bucket(), 1, now);
        let written = shared.set(&key, &slot.encode(), found.map(|(_, version)| version));
        if written || attempt == ATTEMPTS {
            verdict.evicted += u32::from(room == Room::Evicted);
            return outcome;
        }
        attempt += 1;
        verdict.conflicts += 1;
    }
}

fn give_back(shared: &dyn SharedData, place: Place, limit: &Limit, now: UnixMillis) {
    let key = slot_key(place);
    for _ in 0..ATTEMPTS {
        let Some((bytes, version)) = shared.get(&key) else { return };
        let mut slot = Slot::decode(&bytes);
        slot.give_back(place.fingerprint, limit.bucket(), 1, now);
        if shared.set(&key, &slot.encode(), Some(version)) {
            return;
        }
    }
}

fn slot_key(place: Place) -> String {
    let mut key = String::with_capacity(20);
    key.push_str("postern.limit.");
    key.push_str(&place.slot.to_string());
    key
}

fn hash(seed: u128, key: &[u8]) -> u128 {
    let mut hasher = SipHasher13::new_with_key(&seed.to_le_bytes());
    hasher.write(key);
    hasher.finish128().as_u128()
}

#[cfg(test)]
mod tests;
