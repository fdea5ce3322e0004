//! What a sidecar keeps of one key: its slice, what it owes, and how much is asked for.
//!
//! The slice is spent while it lives. Without one, or when too little is left of it, a request is
//! dry, or passes on credit where the document starts optimistically and the lender has not just
//! said that nothing is left. What was passed on credit is asked for with the next question and
//! taken off the next slice, so that in the end it is debited too; until then a sidecar owes no
//! more than its allowance.
//!
//! A sidecar holds one slice, so that the lender knows what is out. A new one replaces it, and
//! what was left is returned; or the new one is returned, less what was owed, where the old one
//! serves at least as well. A [`Return`] is worth keeping until the lender has heard it; it may be
//! sent as often as that takes. A question that got no answer is asked again under its id, and
//! after a lease's life given up: then whatever was granted is returned whole.
//!
//! A lender that grants nothing says by what is left of the limit what that means. Where nothing
//! is, nothing can be had until there is room again, and the sidecar knows when. Where something
//! is, there is none *just now*: all that may be out is out, or a window is about to end. Then
//! the key stays as urgent as it was. How often to ask is for whoever keeps the borrower: an
//! answer of which no slice came to be held should be followed by a pause.
//!
//! A borrower's bytes are small enough for a slot of shared data: [`Borrower::encode`].

use postern_limits::Spec;
use postern_request::{RateLimitStatus, UnixMillis};

use crate::demand::{Demand, narrow};
use crate::lender::{Grant, LeaseId};
use crate::terms::{MAX_ALLOWANCE, MAX_LIFE_MS};
use crate::{GUARD_MS, Terms};

mod bytes;
pub use bytes::ENCODED_BYTES;
use bytes::MAX_MOMENT;

/// Workers read the clock one after the other and write in another order: a clock that went back
/// by less did not.
const JITTER_MS: u64 = 50;
/// How often a question that was too small may be doubled.
const MAX_BOOST: u8 = 3;

/// The state of one key in one sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Borrower {
    /// The lease that is held, or the last that was.
    id: LeaseId,
    holds: bool,
    /// When its question was sent.
    born: UnixMillis,
    /// How long it lives from then on, the guard taken off. Zero when it must not be spent from
    /// any more whatever the clock says.
    life_ms: u16,
    /// How long after `born` it was last spent from.
    seen_ms: u16,
    granted: u32,
    left: u32,
    /// What passed without a slice and is still to be paid for: an allowance at most.
    debt: u32,
    demand: Demand,
    /// What was left of the limit when the lender last answered.
    remaining: u32,
    /// When there is room again, as it said.
    reset_at: UnixMillis,
    /// The lender's last answer was that nothing is left.
    refused: bool,
    /// A request found too little since the last slice came.
    ran_dry: bool,
    /// The most that one of these requests would have taken.
    short: u32,
    /// How often to double what is asked for.
    boost: u8,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// It may pass.
    Passed {
        /// Where the caller stands, as far as the sidecar knows.
        status: RateLimitStatus,
    },
    /// There is nothing to spend; nothing was taken.
    Dry {
        /// When to come back.
        status: RateLimitStatus,
    },
}

/// What goes back to the lender of a lease that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Return {
    /// The lease.
    pub id: LeaseId,
    /// What was not spent of it. Also worth sending when it is zero: the cap gets its room back.
    pub unused: u64,
}

impl Borrower {
    /// Of a key that may owe so much: who is not known any more, with all that passed on credit.
    #[must_use]
    pub fn owing(debt: u64) -> Self {
        Self { debt: narrow(debt).min(MAX_ALLOWANCE), ..Self::default() }
    }

    /// Spends `cost`, or nothing. A cost of zero always passes.
    pub fn spend(&mut self, spec: Spec, terms: &Terms, cost: u64, now: UnixMillis) -> Spent {
        self.demand = self.demand.counted(cost, now);
        let have = if self.look(now) { u64::from(self.left) } else { 0 };
        let short = cost.saturating_sub(have);
        let debt = u64::from(self.debt).saturating_add(short);
        let allowance = if self.knows_better(now) { 0 } else { terms.allowance() };
        if short > 0 && debt > allowance {
            self.ran_dry = true;
            self.short = self.short.max(narrow(cost));
            return Spent::Dry { status: self.status(spec, false, now) };
        }
        if have > 0 {
            self.left = narrow(have.saturating_sub(cost));
        }
        if short > 0 {
            self.debt = narrow(debt);
            // Living on credit: time for a slice.
            self.ran_dry |= debt.saturating_mul(2) > allowance;
        }
        Spent::Passed { status: self.status(spec, true, now) }
    }

    /// Takes back what a request spent that was refused elsewhere or does not count in the end.
    /// `from` is what [`Borrower::lease`] said when it was spent: a slice that is gone has been
    /// returned as it was.
    pub fn give_back(&mut self, from: Option<LeaseId>, cost: u64) {
        if from.is_some() && from != self.lease() {
            return;
        }
        let cost = narrow(cost);
        // What is owed was spent last.
        let forgiven = cost.min(self.debt);
        self.debt -= forgiven;
        if from.is_some() {
            self.left = self.left.saturating_add(cost - forgiven).min(self.granted);
        }
    }

    /// How much to ask for, if it is time to ask: when something is urgent, when less than half of
    /// the slice is left, or when it will end before the poll after the next one; and requests go
    /// on. As much as two polls' worth of them and half as much again; doubled whenever the last
    /// slice did not last; and no less than one request needed for which it was too small.
    #[must_use]
    pub fn want(&self, now: UnixMillis, poll_ms: u64) -> Option<u64> {
        let poll_ms = poll_ms.max(1);
        let expected = self.demand.advanced(now).expected(poll_ms.saturating_mul(3));
        if expected == 0 && self.debt == 0 {
            return None;
        }
        if self.is_live(now) && !self.is_urgent(now) {
            let low = self.left < self.granted.div_ceil(2);
            if !low && self.lasts_ms(now) > poll_ms.saturating_mul(2) {
                return None;
            }
        }
        let boost = self.boost.saturating_add(u8::from(self.was_short())).min(MAX_BOOST);
        let size = expected.saturating_mul(1 << boost).max(u64::from(self.short));
        Some(size.saturating_add(u64::from(self.debt)).max(1))
    }

    /// Whether to ask at once and not at the next poll: a request found too little, and the lender
    /// has not said that nothing is left.
    #[must_use]
    pub fn is_urgent(&self, now: UnixMillis) -> bool {
        self.ran_dry && !self.knows_better(now)
    }

    /// Takes an answer to a question that was first sent at `sent`; says what to return. The
    /// caller takes one answer for each question and none for questions it has given up.
    ///
    /// Where [`Borrower::lease`] is not `id` afterwards, nothing came of it: there was nothing, it
    /// came too late, or it was less than what is held. Asked again at once, the same would come
    /// of it.
    pub fn granted(
        &mut self,
        id: LeaseId,
        grant: Grant,
        sent: UnixMillis,
        now: UnixMillis,
    ) -> Option<Return> {
        if self.id == id {
            return None;
        }
        self.remaining = narrow(grant.remaining);
        self.reset_at = UnixMillis(now.0.saturating_add(grant.reset_ms).min(MAX_MOMENT));
        if grant.granted == 0 {
            self.refused = grant.remaining == 0;
            if self.refused {
                (self.ran_dry, self.boost) = (false, 0);
            }
            return None;
        }
        let was_short = self.was_short();
        self.refused = false;
        let life_ms = grant.life_ms.min(MAX_LIFE_MS).saturating_sub(GUARD_MS);
        let age_ms = now.millis_since(sent);
        if sent > now || age_ms >= life_ms {
            return Some(Return { id, unused: grant.granted });
        }
        let granted = narrow(grant.granted);
        let paid = granted.min(self.debt);
        let left = granted - paid;
        (self.debt, self.ran_dry, self.short) = (self.debt - paid, false, 0);
        if self.is_better_than(left, life_ms - age_ms, now) {
            return Some(Return { id, unused: u64::from(left) });
        }
        let replaced = self.end();
        let boost = if was_short { self.boost.saturating_add(1) } else { self.boost / 2 };
        *self = Self {
            id,
            holds: true,
            born: sent,
            life_ms: u16::try_from(life_ms).unwrap_or(u16::MAX),
            seen_ms: 0,
            granted,
            left,
            boost: boost.min(MAX_BOOST),
            ..*self
        };
        replaced
    }

    /// Forgets what the lender last said: when the clock went back ([`crate::Watch`]), nobody can
    /// say how long that holds.
    pub fn forget_answer(&mut self) {
        (self.refused, self.remaining, self.reset_at) = (false, 0, UnixMillis(0));
    }

    /// What to return, before a poll, of a slice that is spent or that has ended, idle or not.
    pub fn unused_at_end(&mut self, now: UnixMillis) -> Option<Return> {
        if self.look(now) && self.left > 0 { None } else { self.end() }
    }

    /// Ends the slice now, and returns what is left of it: when the clock went back
    /// ([`crate::Watch`]) or the sidecar shuts down.
    pub fn end(&mut self) -> Option<Return> {
        if !self.holds {
            return None;
        }
        let unused = u64::from(self.left);
        (self.holds, self.left) = (false, 0);
        Some(Return { id: self.id, unused })
    }

    /// The lease that is held; it may have ended.
    #[must_use]
    pub fn lease(&self) -> Option<LeaseId> {
        self.holds.then_some(self.id)
    }

    /// What can still be spent of the slice.
    #[must_use]
    pub fn left(&self, now: UnixMillis) -> u64 {
        if self.is_live(now) { u64::from(self.left) } else { 0 }
    }

    /// What passed on credit and is not paid for.
    #[must_use]
    pub fn debt(&self) -> u64 {
        u64::from(self.debt)
    }

    /// Whether forgetting this state loses nothing: no slice, no debt, and nobody has come for
    /// some seconds.
    #[must_use]
    pub fn is_forgettable(&self, now: UnixMillis) -> bool {
        let idle = self.demand.advanced(now).expected(1000) == 0;
        !self.holds && self.debt == 0 && idle
    }

    /// Whether the slice may be spent from.
    fn is_live(&self, now: UnixMillis) -> bool {
        let Some(age) = now.0.checked_sub(self.born.0) else { return false };
        self.holds
            && age < u64::from(self.life_ms)
            && age.saturating_add(JITTER_MS) >= u64::from(self.seen_ms)
    }

    /// As [`Borrower::is_live`], and remembers it: a slice that was once seen to be over stays
    /// so, should the clock come by its time again.
    fn look(&mut self, now: UnixMillis) -> bool {
        let live = self.is_live(now);
        if live {
            let age = u16::try_from(now.millis_since(self.born)).unwrap_or(u16::MAX);
            self.seen_ms = self.seen_ms.max(age);
        } else {
            self.life_ms = 0;
        }
        live
    }

    /// For how long the slice can still be spent.
    fn lasts_ms(&self, now: UnixMillis) -> u64 {
        u64::from(self.life_ms).saturating_sub(now.millis_since(self.born))
    }

    /// Whether to keep the slice that is held and not take one of which so much can be spent, for
    /// so long. As much must be left of it, and it must not end before that is needed: a slice
    /// that is about to end is replaced in time, though little of it was spent.
    ///
    /// So a request for which the old one was too small never waits for what would have served it:
    /// that is more than what is held, and is taken.
    fn is_better_than(&self, left: u32, lasts_ms: u64, now: UnixMillis) -> bool {
        let demand = self.demand.advanced(now);
        // In thousandths of a request, because keys with one in some seconds need slices too.
        let serves = |left: u32, lasts_ms: u64| {
            demand.expected(lasts_ms.saturating_mul(1000)).min(u64::from(left) * 1000)
        };
        self.left(now) > 0
            && self.left >= left
            && serves(self.left, self.lasts_ms(now)) >= serves(left, lasts_ms)
    }

    /// Whether the lender said that nothing is left, and there is no room again yet.
    fn knows_better(&self, now: UnixMillis) -> bool {
        self.refused && now < self.reset_at
    }

    /// Whether the last slice was too small. Where there was nothing to be had, asking for more
    /// does not help.
    fn was_short(&self) -> bool {
        self.ran_dry && !self.refused
    }

    fn status(&self, spec: Spec, passed: bool, now: UnixMillis) -> RateLimitStatus {
        if passed && self.reset_at.0 == 0 {
            // Nobody has said anything yet: as if nobody else was there.
            let fresh = spec.status(&spec.fresh(now), 0, now);
            let remaining = fresh.remaining.saturating_sub(u64::from(self.debt));
            return RateLimitStatus { remaining, ..fresh };
        }
        let limit = spec.capacity();
        let told = self.reset_at.millis_since(now).div_ceil(1000);
        let held = self.left(now).saturating_add(u64::from(self.remaining)).min(limit);
        let dry = if self.knows_better(now) { told.max(1) } else { 1 };
        RateLimitStatus {
            limit,
            remaining: if passed { held } else { 0 },
            reset_secs: if passed { told } else { dry },
            window_secs: spec.rate().window_secs(),
        }
    }
}

#[cfg(test)]
mod tests;
