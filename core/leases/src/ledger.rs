//! The leases of one key, as a store keeps them beside the limit's state.
//!
//! What a lease debits is taken from the limit like any request of that weight. A lease ends
//! when it is returned or when its life is over; either way it is no longer *out*, and the cap
//! has room for the next. Only a return credits anything: of a lease that just ended nobody
//! knows what was spent.
//!
//! A credit goes to the debit that it came from. Where the limit counts windows, it goes to the
//! window that was debited, while that still counts. A bucket, a GCRA or a log cannot be mended
//! in its past: credits of debits long ago would come on top of what has been refilled since.
//! There, what may still be spent and what may still come back must fit under the cap together:
//! when new leases need the room, those that ended longest ago lose their claim to a credit.
//! That is what makes [`crate::over_admission`] true for them.
//!
//! Whoever follows this rule in another language follows [`Ledger::lend`] and
//! [`Ledger::give_back`] line by line.

use postern_limits::{Spec, State};
use postern_request::UnixMillis;

use crate::lender::{Ask, Grant, LeaseId, grant};
use crate::{GUARD_MS, Terms};

/// The most leases that are kept for one key.
pub const MAX_LEASES: usize = 1024;
/// A lease that ended is remembered for a period, and no longer than this, should it still be
/// returned: limits of a day or a month must not keep the leases of all that time.
pub const LATE_MS: u64 = 600_000;
/// A clock that goes back by less stands still; requests that are handled side by side do not
/// see it in order.
pub const JITTER_MS: u64 = 1000;

/// The leases of one key, in the order in which they were lent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    leases: Vec<Lent>,
    latest: UnixMillis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lent {
    id: LeaseId,
    granted: u64,
    debit: Debit,
    lent_at: UnixMillis,
    ends: UnixMillis,
    fate: Fate,
}

/// What became of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nobody has heard of it; it may have ended.
    Open,
    /// It was returned.
    Returned,
    /// It ended, and others needed its room: what comes back now is lost.
    Forfeited,
}

/// Where a credit belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Debit {
    /// The sliding window of this index.
    Window(u64),
    /// The fixed window that began then.
    Fixed(UnixMillis),
    /// The one level or log that there is.
    Level,
    /// Nowhere any more: the clock was set back, and with it the windows.
    Lost,
}

impl Lent {
    /// Whether its borrower may still spend it.
    fn is_out(&self, now: UnixMillis) -> bool {
        self.fate == Fate::Open && now < self.ends
    }

    /// Whether a return could still credit it.
    fn is_owed(&self, spec: Spec, now: UnixMillis) -> bool {
        self.fate == Fate::Open && now.millis_since(self.lent_at) <= late_ms(spec)
    }
}

impl Ledger {
    /// Lends a slice and debits it from `state`. The same question again gets the same answer,
    /// with what is left of its life, and debits nothing; once the lease is over, it gets nothing.
    pub fn lend(
        &mut self,
        state: &mut State,
        spec: Spec,
        terms: &Terms,
        ask: Ask,
        now: UnixMillis,
    ) -> Grant {
        let now = self.settled(now);
        self.forget(spec, now);
        let nothing = Grant::of(0, 0, spec, state, now);
        if let Some(lent) = self.leases.iter().find(|lent| lent.id == ask.id) {
            let granted = if lent.is_out(now) { lent.granted } else { 0 };
            let life_ms = if lent.is_out(now) { lent.ends.millis_since(now) } else { 0 };
            return Grant { granted, life_ms, ..nothing };
        }
        let (out, cap) = (self.outstanding(now), terms.cap(spec));
        let wanted = grant(ask.asked, nothing.remaining, out, cap, self.live(now));
        if wanted == 0 || !self.make_room(now) {
            return nothing;
        }
        if !spec.take(state, wanted, now).allowed {
            return nothing;
        }
        let debit = Debit::of(state);
        let life_ms = match state {
            State::Fixed(_) => spec.forgettable_at(state).millis_since(now),
            _ => u64::MAX,
        }
        .min(terms.life_ms());
        if life_ms <= GUARD_MS {
            // Its borrower would take it to be over before it had begun.
            debit.credit(state, spec, wanted, now);
            return nothing;
        }
        self.leases.push(Lent {
            id: ask.id,
            granted: wanted,
            debit,
            lent_at: now,
            ends: UnixMillis(now.0.saturating_add(life_ms)),
            fate: Fate::Open,
        });
        self.forfeit(spec, cap, now);
        Grant::of(wanted, life_ms, spec, state, now)
    }

    /// Ends a lease and credits what was not spent of it; says how much that came to. Nothing
    /// for a lease that nobody knows (any more) or that was returned before.
    ///
    /// A borrower that never got an answer returns all it can think of: no more than was granted
    /// is credited.
    pub fn give_back(
        &mut self,
        state: &mut State,
        spec: Spec,
        id: LeaseId,
        unused: u64,
        now: UnixMillis,
    ) -> u64 {
        let now = self.settled(now);
        let Some(lent) = self.leases.iter_mut().find(|lent| lent.id == id) else { return 0 };
        let owed = lent.is_owed(spec, now);
        if lent.fate == Fate::Open {
            lent.fate = Fate::Returned;
        }
        if !owed {
            return 0;
        }
        let (debit, unused) = (lent.debit, unused.min(lent.granted));
        // A look, so that the state stands at `now`.
        spec.fits(state, 0, now);
        debit.credit(state, spec, unused, now)
    }

    /// What was lent and may still be spent.
    #[must_use]
    pub fn outstanding(&self, now: UnixMillis) -> u64 {
        let out = self.leases.iter().filter(|lent| lent.is_out(now));
        out.fold(0_u64, |sum, lent| sum.saturating_add(lent.granted))
    }

    /// How many leases may still be spent from.
    #[must_use]
    pub fn live(&self, now: UnixMillis) -> u64 {
        let live = self.leases.iter().filter(|lent| lent.is_out(now)).count();
        u64::try_from(live).unwrap_or(u64::MAX)
    }

    /// From when on forgetting the ledger loses nothing.
    #[must_use]
    pub fn forgettable_at(&self, spec: Spec) -> UnixMillis {
        let until = |lent: &Lent| {
            let owed = match lent.fate {
                Fate::Open => lent.lent_at.0.saturating_add(late_ms(spec)).saturating_add(1),
                Fate::Returned | Fate::Forfeited => 0,
            };
            UnixMillis(owed).max(lent.ends)
        };
        self.leases.iter().map(until).max().unwrap_or_default()
    }

    /// The time to go by. After a real step back every lease keeps what it had left when the
    /// clock was last seen: none ends before its borrower's does, and none lasts a step longer.
    fn settled(&mut self, now: UnixMillis) -> UnixMillis {
        let back = self.latest.millis_since(now);
        if back > 0 && back <= JITTER_MS {
            return self.latest;
        }
        if back > 0 {
            for lent in &mut self.leases {
                lent.ends = UnixMillis(lent.ends.0.saturating_sub(back));
                lent.lent_at = UnixMillis(lent.lent_at.0.saturating_sub(back));
                if lent.debit != Debit::Level {
                    lent.debit = Debit::Lost;
                }
            }
        }
        self.latest = now;
        now
    }

    /// Drops what can matter no more. A lease that was returned stays for its life, so that a
    /// late copy of the question is not answered anew.
    fn forget(&mut self, spec: Spec, now: UnixMillis) {
        self.leases.retain(|lent| now < lent.ends || lent.is_owed(spec, now));
    }

    /// Whether there is room for one more, after the oldest that is not out has gone.
    fn make_room(&mut self, now: UnixMillis) -> bool {
        if self.leases.len() < MAX_LEASES {
            return true;
        }
        let over = self.leases.iter().position(|lent| !lent.is_out(now));
        over.map(|at| self.leases.remove(at)).is_some()
    }

    /// Lets what may be spent and what may come back fit under the cap: see the top.
    fn forfeit(&mut self, spec: Spec, cap: u64, now: UnixMillis) {
        let over = |lent: &Lent| {
            lent.debit == Debit::Level && !lent.is_out(now) && lent.is_owed(spec, now)
        };
        let claims = self.leases.iter().filter(|lent| lent.is_out(now) || over(lent));
        let claimed = claims.fold(0_u64, |sum, lent| sum.saturating_add(lent.granted));
        let mut beyond = claimed.saturating_sub(cap);
        for lent in &mut self.leases {
            if beyond == 0 {
                break;
            }
            if over(lent) {
                lent.fate = Fate::Forfeited;
                beyond = beyond.saturating_sub(lent.granted);
            }
        }
    }
}

impl Debit {
    const fn of(state: &State) -> Self {
        match state {
            State::Window(window) => Self::Window(window.index),
            State::Fixed(fixed) => Self::Fixed(fixed.starts_at),
            State::Bucket(_) | State::Gcra(_) | State::Log(_) => Self::Level,
        }
    }

    /// Takes a debit back; says how much of it.
    fn credit(self, state: &mut State, spec: Spec, unused: u64, now: UnixMillis) -> u64 {
        if self == Self::Level {
            if !matches!(state, State::Bucket(_) | State::Gcra(_) | State::Log(_)) {
                return 0;
            }
            spec.give_back(state, unused, now);
            return unused;
        }
        let count = match (self, state) {
            (Self::Window(index), State::Window(window)) if index == window.index => {
                &mut window.current
            }
            (Self::Window(index), State::Window(window))
                if index.checked_add(1) == Some(window.index) =>
            {
                &mut window.previous
            }
            (Self::Fixed(starts_at), State::Fixed(fixed)) if starts_at == fixed.starts_at => {
                &mut fixed.count
            }
            _ => return 0,
        };
        let credited = unused.min(*count);
        *count -= credited;
        credited
    }
}

/// How long after it was lent a lease may still be credited: a period, and at most [`LATE_MS`].
#[must_use]
pub fn late_ms(spec: Spec) -> u64 {
    spec.rate().period_ms().min(LATE_MS)
}

#[cfg(test)]
mod tests;
