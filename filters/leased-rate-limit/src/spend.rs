//! One request's way through the leased limits of its route.

use core::num::NonZeroU64;

use postern_document::{Allowance, AppliedLimit, Counted, Limit, LimitMode, Route, StoreFailure};
use postern_filter_local_rate_limit as local;
use postern_filter_shared_data::SharedData;
use postern_filter_shared_data::cells::Cells;
use postern_leases::{self as leases, Borrower, LeaseId, Terms};
use postern_limits::Spec;
use postern_limits::key::{hashed, stamp};
use postern_limits::slot::{Place, Room};
use postern_request::{Denial, RateLimitStatus, UnixMillis};

use crate::entry::Entry;
use crate::head::patience_ms;
use crate::slots::{self, Entries};
use crate::stage::Stage;
use crate::ticket::{Given, Spent, Ticket};
use crate::{Leases, wanted};

/// A worker's clock that is behind the elected one's by more than this has gone back: theirs is
/// the same machine's, and the elected one looks at it every tick.
const MOST_BEHIND_MS: u64 = 1_000;

/// What the stage says of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Where the caller stands with the tightest limit, as far as this Envoy knows.
    pub status: Option<RateLimitStatus>,
    /// The denial, where one limit has nothing to spend.
    pub denial: Option<Denial>,
    /// Limits in shadow that would have refused what passes.
    pub shadowed: u32,
    /// Limits of which there was no slice, and nothing left on credit.
    pub dry: u32,
    /// Limits that decided as the document says for when no leases can be had.
    pub fallbacks: u32,
    /// Keys in use that were forgotten to make room.
    pub evicted: u32,
    /// Writes that were repeated because another worker was faster.
    pub conflicts: u32,
    /// What may have to be given back when the answer is there; empty for most.
    pub ticket: Ticket,
}

/// A limit that counts a request, and where.
struct Held<'a> {
    limit: &'a Limit,
    cost: u64,
    spec: Spec,
    terms: Terms,
    when_store_fails: StoreFailure,
    key: String,
    place: Place,
}

/// What came of spending.
struct Drawn {
    spent: leases::Spent,
    /// The slice that is there.
    from: Option<LeaseId>,
    /// Somebody should look after the key.
    wants: bool,
    /// And soon: the lender has not said that nothing is left.
    is_urgent: bool,
    /// The server does not answer for this key.
    lacks: bool,
    room: Room,
}

impl Leases {
    /// Spends from every leased limit of a route, or from none: what an earlier limit gave is put
    /// back when a later one refuses. A limit in shadow counts what passes, and refuses nothing.
    /// `others_follow`: somebody behind these limits may still refuse; the ticket then holds
    /// everything until [`Ticket::put_back`] or [`Ticket::confirm`].
    #[must_use]
    pub fn spend(
        &mut self,
        shared: &dyn SharedData,
        route: &Route,
        counted: &Counted<'_>,
        others_follow: bool,
        now: UnixMillis,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        let mut cells = Cells::new(shared);
        let last = route.leased_limits.len().saturating_sub(1);
        for (at, applied) in route.leased_limits.iter().enumerate() {
            let Some(held) = Held::of(&self.stage, route, counted, applied) else { continue };
            let drawn = self.draw(&mut cells, &held, counted, now);
            if drawn.wants {
                self.say_wanted(shared, slots::slot(held.place), drawn.is_urgent);
            }
            let (limit, skip) = (held.limit, held.limit.skip);
            match self.judge(&mut cells, &held, &drawn, &mut verdict, now) {
                Ok((status, given)) => {
                    // After the last limit none is left to refuse, so most requests keep no list.
                    if at < last || others_follow || skip.is_some() {
                        verdict.ticket.add(given);
                    }
                    // A caller is told nothing of a limit that does not bind.
                    if !limit.shadow {
                        let known = verdict.status;
                        verdict.status = Some(known.map_or(status, |known| known.tighter(status)));
                    }
                }
                Err(_) if limit.shadow => verdict.shadowed += 1,
                Err(denial) => {
                    verdict.ticket.put_back(shared, now);
                    // What is refused passes no limit in shadow either.
                    verdict.shadowed = 0;
                    verdict.denial = Some(denial);
                    break;
                }
            }
        }
        if !others_follow {
            verdict.ticket.confirm();
        }
        verdict.conflicts = cells.conflicts;
        verdict
    }

    fn draw(
        &self,
        cells: &mut Cells<'_>,
        held: &Held<'_>,
        counted: &Counted<'_>,
        now: UnixMillis,
    ) -> Drawn {
        if self.head.latest.millis_since(now) > MOST_BEHIND_MS {
            // Until the elected worker has ended the slices, nobody can say how old they are.
            return Drawn::nothing(held.spec);
        }
        let fingerprint = held.place.fingerprint;
        let drawn = cells.try_change(slots::slot(held.place), |entries: &mut Entries| {
            let (found, room) = entries.remove_or_make_room(fingerprint, now);
            let mut entry = found.unwrap_or_else(|| {
                let owner = held.limit.owner_of(counted, &held.key);
                let stamp = stamp(&held.limit.name, held.spec);
                let mut entry = Entry::new(fingerprint, hashed(&owner, &held.key), stamp);
                if room == Room::Evicted {
                    // It may have been forgotten itself a moment ago, with all that it owed: keys
                    // that take turns in a full slot must not pass on credit again and again.
                    entry.borrower = Borrower::owing(held.terms.allowance());
                }
                entry
            });
            // Another document's worker may have used it last: the key holds the limit's name and
            // numbers, and not its terms.
            entry.life_ms = u32::try_from(held.terms.life_ms()).unwrap_or(u32::MAX);
            let spent = entry.borrower.spend(held.spec, &held.terms, held.cost, now);
            let drawn = Drawn {
                spent,
                from: entry.borrower.lease(),
                wants: entry.wants(now).is_some(),
                is_urgent: entry.borrower.is_urgent(now),
                lacks: entry.lacks(patience_ms(&held.terms), now),
                room,
            };
            entries.0.push(entry);
            drawn
        });
        // What could not be written has spent nothing, and must not pass.
        drawn.unwrap_or_else(|| Drawn::nothing(held.spec))
    }

    /// What one limit says: where the caller stands, and what was given; or why not.
    fn judge(
        &self,
        cells: &mut Cells<'_>,
        held: &Held<'_>,
        drawn: &Drawn,
        verdict: &mut Verdict,
        now: UnixMillis,
    ) -> Result<(RateLimitStatus, Given), Denial> {
        verdict.evicted += u32::from(drawn.room == Room::Evicted);
        let status = match drawn.spent {
            leases::Spent::Passed { status } => {
                let spent = Spent {
                    slot: slots::slot(held.place),
                    fingerprint: held.place.fingerprint,
                    from: drawn.from,
                    cost: held.cost,
                    skip: held.limit.skip,
                };
                return Ok((status, Given::Spent(spent)));
            }
            leases::Spent::Dry { status } => status,
        };
        // What the server has said of a limit that is used up holds until there is room again,
        // whether it can be asked meanwhile or not.
        let cannot_be_had = drawn.lacks || self.head.failing_ms >= patience_ms(&held.terms);
        if drawn.is_urgent && cannot_be_had {
            verdict.fallbacks += 1;
            return held.without_leases(cells, verdict, now);
        }
        verdict.dry += 1;
        Err(Denial::rate_limited(status))
    }

    /// Says once a tick, or where it is not urgent once a poll, that a slot wants something.
    fn say_wanted(&mut self, shared: &dyn SharedData, slot: u32, is_urgent: bool) {
        let said = if is_urgent { &mut self.said_urgently } else { &mut self.said };
        if !said.contains(slot) {
            said.insert(slot);
            wanted::want(shared, slot, is_urgent);
        }
    }
}

impl Drawn {
    /// Nothing could be spent at this moment, whatever is there.
    const fn nothing(spec: Spec) -> Self {
        let status = RateLimitStatus {
            limit: spec.capacity(),
            remaining: 0,
            reset_secs: 1,
            window_secs: spec.rate().window_secs(),
        };
        Self {
            spent: leases::Spent::Dry { status },
            from: None,
            wants: true,
            is_urgent: true,
            lacks: false,
            room: Room::Free,
        }
    }
}

impl<'a> Held<'a> {
    /// None where nothing is counted: what is unlimited for the caller.
    fn of(
        stage: &Stage,
        route: &Route,
        counted: &Counted<'_>,
        applied: &'a AppliedLimit,
    ) -> Option<Self> {
        let limit = &*applied.limit;
        let LimitMode::Leased { when_store_fails, terms } = limit.mode else { return None };
        let allowance = limit.allowance_for(counted.principal);
        // What is under way cannot be lent, and no document says so.
        let Allowance::Rate(spec) = allowance else { return None };
        let key = limit.key_of(route, counted, allowance);
        let place = stage.place(&key);
        Some(Self { limit, cost: applied.weight, spec, terms, when_store_fails, key, place })
    }

    /// As the document says for when no leases can be had.
    fn without_leases(
        &self,
        cells: &mut Cells<'_>,
        verdict: &mut Verdict,
        now: UnixMillis,
    ) -> Result<(RateLimitStatus, Given), Denial> {
        match self.when_store_fails {
            StoreFailure::Allow => {
                let status = self.spec.status(&self.spec.fresh(now), self.cost, now);
                Ok((status, Given::Nothing))
            }
            StoreFailure::Deny => Err(Denial::unavailable("leases_unavailable", 1)),
            StoreFailure::LocalShare => {
                // Terms are for one sidecar at least.
                let sidecars = NonZeroU64::new(u64::from(self.terms.sidecars()));
                let share = self.spec.share_of(sidecars.unwrap_or(NonZeroU64::MIN));
                let skip = self.limit.skip;
                let (outcome, room, ticket) =
                    local::take(cells, self.place, share, self.cost, skip, now);
                verdict.evicted += u32::from(room == Room::Evicted);
                if outcome.allowed {
                    Ok((outcome.status, Given::Counted(ticket)))
                } else {
                    Err(Denial::rate_limited(outcome.status))
                }
            }
        }
    }
}
