//! The local limit stage: counts in fixed slots of shared data, so that a limit holds across all
//! workers of an Envoy and memory never grows.
//!
//! Deliberately absent: the host. Shared data is a port, [`SharedData`].

mod cells;
mod seats;
mod ticket;

use std::hash::Hasher as _;

use postern_document::{Allowance, AppliedLimit, Counted, Route, Skip};
use postern_filter_shared_data::SharedData;
use postern_filter_shared_data::cells::Cells;
use postern_limits::slot::{Place, Room};
use postern_limits::{InFlight, Outcome, Spec};
use postern_request::{Denial, RateLimitStatus, UnixMillis};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use cells::Rates;
use seats::Seats;
use ticket::Taken;

pub use ticket::Ticket;

/// What the stage says of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Where the caller stands with the tightest limit.
    pub status: Option<RateLimitStatus>,
    /// The denial, where one limit is used up.
    pub denial: Option<Denial>,
    /// Limits in shadow that would have refused what passes.
    pub shadowed: u32,
    /// Counts in use that were forgotten to make room.
    pub evicted: u32,
    /// Writes that were repeated because another worker was faster.
    pub conflicts: u32,
    /// What may have to be given back when more is known of the request; empty for most. Where
    /// others follow who may still refuse it holds everything, and whoever asks them says by
    /// [`Ticket::put_back`] or [`Ticket::confirm`] what came of it.
    pub ticket: Ticket,
}

/// Takes a request from every local limit of a route, or from none: what an earlier limit gave is
/// put back when a later one refuses. A limit in shadow counts what passes, and refuses nothing.
/// `others_follow`: somebody behind these limits may still refuse.
#[must_use]
pub fn check(
    route: &Route,
    counted: &Counted<'_>,
    others_follow: bool,
    shared: &dyn SharedData,
    seed: u128,
    now: UnixMillis,
) -> Verdict {
    let mut verdict = Verdict::default();
    let mut round = Round { cells: Cells::new(shared), now, evicted: 0 };
    let mut given: Vec<Taken> = Vec::new();
    let last = route.local_limits.len().saturating_sub(1);
    for (at, applied) in route.local_limits.iter().enumerate() {
        let limit = &*applied.limit;
        let allowance = limit.allowance_for(counted.principal);
        let place = || {
            let key = limit.key_of(route, counted, allowance);
            Place::of(hash(seed, key.as_bytes()))
        };
        let (outcome, taken) = match allowance {
            Allowance::Unlimited => continue,
            Allowance::Rate(spec) => round.take(place(), spec, applied),
            Allowance::InFlight(spec) => round.enter(place(), spec),
        };
        let status = outcome.status;
        match (outcome.allowed, limit.shadow) {
            // After the last limit none is left to refuse, so most requests keep no list.
            (true, _) if at < last || others_follow || taken.is_owed() => given.push(taken),
            (true, _) => {}
            (false, true) => verdict.shadowed += 1,
            (false, false) => {
                given.iter().for_each(|taken| taken.put_back(&mut round.cells, now));
                verdict.status = Some(status);
                verdict.denial = Some(Denial::rate_limited(status));
                // What is refused passes no limit in shadow either.
                verdict.shadowed = 0;
                given.clear();
                break;
            }
        }
        // A caller is told nothing of a limit that does not bind.
        if !limit.shadow {
            verdict.status = Some(verdict.status.map_or(status, |known| known.tighter(status)));
        }
    }
    verdict.evicted = round.evicted;
    verdict.conflicts = round.cells.conflicts;
    verdict.ticket = Ticket::of(given);
    if !others_follow {
        verdict.ticket.confirm();
    }
    verdict
}

/// Takes `cost` from what is counted in one place, for limits of another stage that count here
/// for a while. The ticket holds what was given.
pub fn take(
    cells: &mut Cells<'_>,
    place: Place,
    spec: Spec,
    cost: u64,
    skip: Option<Skip>,
    now: UnixMillis,
) -> (Outcome, Room, Ticket) {
    let (outcome, room) = cells
        .change(place.slot, |rates: &mut Rates| rates.0.take(place.fingerprint, spec, cost, now));
    let taken = outcome.allowed.then_some(Taken::Cost { place, spec, cost, skip });
    (outcome, room, Ticket::of(taken.into_iter().collect()))
}

/// One request's way through its limits.
struct Round<'a> {
    cells: Cells<'a>,
    now: UnixMillis,
    evicted: u32,
}

impl Round<'_> {
    fn take(&mut self, place: Place, spec: Spec, applied: &AppliedLimit) -> (Outcome, Taken) {
        let (cost, now) = (applied.weight, self.now);
        let (outcome, room) = self.cells.change(place.slot, |rates: &mut Rates| {
            rates.0.take(place.fingerprint, spec, cost, now)
        });
        self.evicted += u32::from(room == Room::Evicted);
        (outcome, Taken::Cost { place, spec, cost, skip: applied.limit.skip })
    }

    fn enter(&mut self, place: Place, spec: InFlight) -> (Outcome, Taken) {
        let now = self.now;
        let (entered, room) = self.cells.change(seats::slot(place), |seats: &mut Seats| {
            seats.enter(place.fingerprint, spec, now)
        });
        self.evicted += u32::from(room == Room::Evicted);
        (entered.outcome, Taken::Seat { place, stretch: entered.stretch })
    }
}

/// A keyed hash: where a key is counted, which nobody outside can aim at.
#[must_use]
pub fn hash(seed: u128, key: &[u8]) -> u128 {
    let mut hasher = SipHasher13::new_with_key(&seed.to_le_bytes());
    hasher.write(key);
    hasher.finish128().as_u128()
}

#[cfg(test)]
mod tests;
