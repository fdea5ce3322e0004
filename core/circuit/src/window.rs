//! What was called lately: ten slots, of which the oldest goes when a new one begins.

use postern_request::UnixMillis;

use crate::{Settings, Verdict};

/// How many slots a window has.
pub(crate) const SLOTS: usize = 10;
const SLOTS_LONG: u64 = 10;
/// The most calls that one slot counts.
pub(crate) const MAX_CALLS: u32 = (1 << 24) - 1;

/// How many calls, and how many of them failed or were slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// All of them.
    pub calls: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those that were slow, failed or not.
    pub slow: u32,
}

impl Totals {
    /// One call.
    #[must_use]
    pub fn of(verdict: Verdict) -> Self {
        let (failed, slow) = match verdict {
            Verdict::Ignored => return Self::default(),
            Verdict::Success { slow } => (false, slow),
            Verdict::Failure { slow } => (true, slow),
        };
        Self { calls: 1, failures: failed.into(), slow: slow.into() }
    }

    /// These and others.
    #[must_use]
    pub const fn plus(self, others: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(others.calls),
            failures: self.failures.saturating_add(others.failures),
            slow: self.slow.saturating_add(others.slow),
        }
    }
}

/// The calls of the last [`Settings::window_ms`], to a tenth of it. A slot that is full counts no
/// more, neither what fails nor what does not, so that shares stay what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// How long a slot is; 0 where nothing was ever counted.
    pub(crate) slot_ms: u16,
    /// The newest slot, by its number since 1970.
    pub(crate) newest: u64,
    /// The newest first.
    pub(crate) slots: [Totals; SLOTS],
}

impl Window {
    /// How many slots it has.
    pub const SLOTS: usize = SLOTS;
    /// The most calls that one slot counts.
    pub const MAX_CALLS: u32 = MAX_CALLS;

    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that a store keeps in its own form: how long a slot is, the newest one by its number
    /// since 1970, and what is in each, the newest first. Of nonsense in a slot no more failures
    /// are taken than calls.
    #[must_use]
    pub fn restored(slot_ms: u16, newest: u64, slots: impl IntoIterator<Item = Totals>) -> Self {
        let mut window = Self { slot_ms, newest, ..Self::default() };
        for (slot, Totals { calls, failures, slow }) in window.slots.iter_mut().zip(slots) {
            *slot = Totals { calls, failures: failures.min(calls), slow: slow.min(calls) };
        }
        window
    }

    /// Counts a call that ended now.
    pub fn record(&mut self, now: UnixMillis, settings: &Settings, verdict: Verdict) {
        self.add(now, settings, Totals::of(verdict));
    }

    /// Counts calls that ended lately: no more failures than calls, whatever is said. With
    /// another length it begins anew.
    pub fn add(&mut self, now: UnixMillis, settings: &Settings, totals: Totals) {
        let Totals { calls, failures, slow } = totals;
        let totals = Totals { calls, failures: failures.min(calls), slow: slow.min(calls) };
        let slot_ms = settings.slot_ms();
        let slot = now.0 / u64::from(slot_ms);
        if self.slot_ms == slot_ms && !self.is_ahead_of(slot) {
            let by = slots(slot.saturating_sub(self.newest));
            self.slots.rotate_right(by);
            self.slots.iter_mut().take(by).for_each(|slot| *slot = Totals::default());
            self.newest = self.newest.max(slot);
        } else {
            *self = Self { slot_ms, newest: slot, ..Self::default() };
        }
        if let Some(newest) = self.slots.first_mut()
            && totals.calls <= MAX_CALLS.saturating_sub(newest.calls)
        {
            *newest = newest.plus(totals);
        }
    }

    /// What is in it.
    #[must_use]
    pub fn totals(&self, now: UnixMillis) -> Totals {
        let slot = now.0.checked_div(self.slot_ms.into()).unwrap_or_default();
        if self.is_ahead_of(slot) {
            return Totals::default();
        }
        let gone = slots(slot.saturating_sub(self.newest));
        let kept = self.slots.iter().take(SLOTS - gone);
        kept.fold(Totals::default(), |sum, slot| sum.plus(*slot))
    }

    /// Whether the clock has gone back by more than a window: then nobody knows how old all is.
    const fn is_ahead_of(&self, slot: u64) -> bool {
        self.newest.saturating_sub(slot) >= SLOTS_LONG
    }
}

impl Settings {
    /// How long a slot of the window is, in milliseconds.
    #[must_use]
    pub fn slot_ms(&self) -> u16 {
        u16::try_from(self.window_ms / SLOTS_LONG).unwrap_or(u16::MAX).max(1)
    }
}

fn slots(number: u64) -> usize {
    usize::try_from(number).map_or(SLOTS, |number| number.min(SLOTS))
}
