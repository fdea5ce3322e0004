//! Concurrency: how many requests of a key are under way at once.
//!
//! A request takes a slot and leaves it when it is over. Nobody may hear of its end, because an
//! Envoy or a server died with it, so a slot also ends by itself after a while.

use core::num::NonZeroU64;
use std::collections::{BTreeMap, BTreeSet};

use postern_request::{RateLimitStatus, UnixMillis};

use crate::Outcome;

/// The most slots that a key may have.
pub const MAX_SLOTS: u32 = 100_000;
/// The shortest life of a slot, in milliseconds: 1 second.
pub const MIN_LIFE_MS: u64 = 1000;
/// The longest life of a slot, in milliseconds: 24 hours.
pub const MAX_LIFE_MS: u64 = 86_400_000;

/// How many requests may be under way at once; checked when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InFlight {
    max: u32,
    life_ms: u64,
}

/// Why there is no such limit: always the document's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InFlightError {
    /// Zero requests.
    #[error("a limit of zero allows nothing; to close a route, leave it out")]
    Zero,
    /// Above [`MAX_SLOTS`].
    #[error("at most 100000 requests at once")]
    TooMany,
    /// Below [`MIN_LIFE_MS`] or above [`MAX_LIFE_MS`].
    #[error("a slot lives 1s at least and 24h at most")]
    Life,
}

/// The requests of one key that are under way, each by a number of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slots {
    ends: BTreeMap<u64, UnixMillis>,
    /// The same by the time at which they end, the next one first.
    by_end: BTreeSet<(UnixMillis, u64)>,
}

impl InFlight {
    /// At most `max` at once, each forgotten after `life_ms`.
    ///
    /// # Errors
    /// When a number is out of bounds.
    pub fn new(max: u32, life_ms: u64) -> Result<Self, InFlightError> {
        if max == 0 {
            return Err(InFlightError::Zero);
        }
        if max > MAX_SLOTS {
            return Err(InFlightError::TooMany);
        }
        if !(MIN_LIFE_MS..=MAX_LIFE_MS).contains(&life_ms) {
            return Err(InFlightError::Life);
        }
        Ok(Self { max, life_ms })
    }

    /// How many at once.
    #[must_use]
    pub const fn max(self) -> u32 {
        self.max
    }

    /// After how long a slot ends by itself, in milliseconds.
    #[must_use]
    pub const fn life_ms(self) -> u64 {
        self.life_ms
    }

    /// The same limit for one of `parties` that share it, at least 1.
    #[must_use]
    pub fn share_of(self, parties: NonZeroU64) -> Self {
        let max = u32::try_from(u64::from(self.max) / parties).unwrap_or(self.max);
        Self { max: max.max(1), ..self }
    }

    /// Takes a slot for the request `id`, if there is one. A request that has one already keeps
    /// it, and its life begins anew.
    pub fn enter(self, slots: &mut Slots, id: u64, now: UnixMillis) -> Outcome {
        let allowed = self.fits(slots, id, now);
        if allowed {
            slots.hold(id, self.end(now));
        }
        Outcome { allowed, status: self.status(slots, now) }
    }

    /// Whether there is a slot for the request `id`. Changes no more than time does.
    pub fn fits(self, slots: &mut Slots, id: u64, now: UnixMillis) -> bool {
        slots.drop_ended(self, now);
        slots.ends.contains_key(&id) || slots.len() < u64::from(self.max)
    }

    /// Where a caller stands. Reset is the time until the first slot ends by itself where all
    /// are taken, and 1 otherwise: nobody knows when a request will be over.
    #[must_use]
    pub fn status(self, slots: &Slots, now: UnixMillis) -> RateLimitStatus {
        // Slots that have ended may still be there.
        let ended = slots.by_end.iter().take_while(|(end, _)| *end <= now).count();
        let ended = u64::try_from(ended).unwrap_or(u64::MAX);
        let max = u64::from(self.max);
        let remaining = max.saturating_sub(slots.len().saturating_sub(ended));
        let first = slots.by_end.iter().map(|(end, _)| *end).find(|end| *end > now);
        let wait_ms = match first {
            Some(end) if remaining == 0 => end.min(self.end(now)).millis_since(now),
            _ => 0,
        };
        RateLimitStatus {
            limit: max,
            remaining,
            reset_secs: wait_ms.div_ceil(1000).max(1),
            window_secs: self.life_ms.div_ceil(1000),
        }
    }

    const fn end(self, now: UnixMillis) -> UnixMillis {
        UnixMillis(now.0.saturating_add(self.life_ms))
    }
}

impl Slots {
    /// Leaves the slot of the request `id`. Whether it had one.
    pub fn leave(&mut self, id: u64) -> bool {
        let end = self.ends.remove(&id);
        end.is_some_and(|end| self.by_end.remove(&(end, id)))
    }

    /// How many slots are taken, those included that have ended since somebody looked.
    #[must_use]
    pub fn len(&self) -> u64 {
        u64::try_from(self.ends.len()).unwrap_or(u64::MAX)
    }

    /// Whether none is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// From when on forgetting them loses nothing: the last one's end.
    #[must_use]
    pub fn forgettable_at(&self) -> UnixMillis {
        self.by_end.last().map_or(UnixMillis(0), |(end, _)| *end)
    }

    fn hold(&mut self, id: u64, end: UnixMillis) {
        if let Some(before) = self.ends.insert(id, end) {
            self.by_end.remove(&(before, id));
        }
        self.by_end.insert((end, id));
    }

    fn drop_ended(&mut self, spec: InFlight, now: UnixMillis) {
        while let Some((end, id)) = self.by_end.first().copied()
            && end <= now
        {
            self.leave(id);
        }
        // No slot outlives its life because the clock was set back.
        let longest = spec.end(now);
        while let Some((end, id)) = self.by_end.last().copied()
            && end > longest
        {
            self.hold(id, longest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(max: u32) -> InFlight {
        InFlight::new(max, 60_000).unwrap()
    }

    #[test]
    fn numbers_out_of_bounds_are_refused() {
        for (max, life_ms, expected) in [
            (1, 1000, None),
            (MAX_SLOTS, MAX_LIFE_MS, None),
            (0, 1000, Some(InFlightError::Zero)),
            (MAX_SLOTS + 1, 1000, Some(InFlightError::TooMany)),
            (1, 999, Some(InFlightError::Life)),
            (1, MAX_LIFE_MS + 1, Some(InFlightError::Life)),
        ] {
            assert_eq!(InFlight::new(max, life_ms).err(), expected, "{max} {life_ms}");
        }
    }

    #[test]
    fn so_many_at_once_and_no_more() {
        let (spec, mut slots, now) = (spec(2), Slots::default(), UnixMillis(7));
        for (id, allowed, remaining) in [(1, true, 1), (2, true, 0), (3, false, 0)] {
            let outcome = spec.enter(&mut slots, id, now);
            assert_eq!((outcome.allowed, outcome.status.remaining), (allowed, remaining), "{id}");
        }
        assert!(!slots.leave(3), "it never came in");
        assert!(slots.leave(1));
        assert!(!slots.leave(1), "once is enough");
        assert!(spec.enter(&mut slots, 3, now).allowed);
        assert!(!spec.enter(&mut slots, 4, now).allowed);
    }

    #[test]
    fn who_is_in_stays_in() {
        let (spec, mut slots) = (spec(1), Slots::default());
        assert!(spec.enter(&mut slots, 1, UnixMillis(0)).allowed);
        assert!(spec.enter(&mut slots, 1, UnixMillis(40_000)).allowed);
        assert_eq!(slots.len(), 1);
        assert!(!spec.enter(&mut slots, 2, UnixMillis(99_999)).allowed, "its life began anew");
        assert!(spec.enter(&mut slots, 2, UnixMillis(100_000)).allowed);
    }

    #[test]
    fn status_tells_when_the_first_slot_ends() {
        let (spec, mut slots) = (spec(2), Slots::default());
        let first = spec.enter(&mut slots, 1, UnixMillis(0)).status;
        assert_eq!((first.limit, first.remaining, first.reset_secs), (2, 1, 1));
        assert_eq!(first.window_secs, 60);
        spec.enter(&mut slots, 2, UnixMillis(10_000));
        let full = spec.status(&slots, UnixMillis(30_500));
        assert_eq!((full.remaining, full.reset_secs), (0, 30));
        let status = spec.status(&slots, UnixMillis(60_000));
        assert_eq!((status.remaining, status.reset_secs), (1, 1));
        assert_eq!(spec.status(&slots, UnixMillis(70_000)).remaining, 2);
        assert_eq!(slots.forgettable_at(), UnixMillis(70_000));
    }

    #[test]
    fn a_clock_that_was_set_back_prolongs_no_life() {
        let (spec, mut slots) = (spec(1), Slots::default());
        assert!(spec.enter(&mut slots, 1, UnixMillis(3_600_000)).allowed);
        assert_eq!(spec.status(&slots, UnixMillis(5)).reset_secs, 60);
        assert!(!spec.enter(&mut slots, 2, UnixMillis(5)).allowed);
        assert!(!spec.enter(&mut slots, 2, UnixMillis(60_004)).allowed);
        assert!(spec.enter(&mut slots, 2, UnixMillis(60_005)).allowed);
    }

    #[test]
    fn a_share_is_never_nothing() {
        let parties = |count| NonZeroU64::new(count).unwrap();
        assert_eq!(spec(5).share_of(parties(2)).max(), 2);
        assert_eq!(spec(5).share_of(parties(50)).max(), 1);
        assert_eq!(spec(5).share_of(parties(u64::MAX)).life_ms(), 60_000);
    }

    proptest! {
        /// Against a list that is looked through.
        #[test]
        fn it_agrees_with_a_list(
            max in 1_u32..6,
            steps in prop::collection::vec((0_u64..20_000, 0_u64..9, any::<bool>()), 1..200),
        ) {
            let spec = spec(max);
            let (mut slots, mut list) = (Slots::default(), Vec::<(u64, u64)>::new());
            let mut now = 0;
            for (step, id, enters) in steps {
                now += step;
                list.retain(|(_, end)| *end > now);
                let is_in = list.iter().any(|(held, _)| *held == id);
                if enters {
                    let fits = is_in || list.len() < usize::try_from(max).unwrap();
                    prop_assert_eq!(spec.enter(&mut slots, id, UnixMillis(now)).allowed, fits);
                    if fits {
                        list.retain(|(held, _)| *held != id);
                        list.push((id, now + 60_000));
                    }
                } else {
                    let status = spec.status(&slots, UnixMillis(now));
                    prop_assert_eq!(status.remaining, u64::from(max) - list.len() as u64);
                    spec.fits(&mut slots, id, UnixMillis(now));
                    prop_assert_eq!(slots.leave(id), is_in);
                    list.retain(|(held, _)| *held != id);
                }
                prop_assert!(slots.len() == list.len() as u64);
            }
        }

        #[test]
        fn no_time_is_too_odd(
            steps in prop::collection::vec((any::<u64>(), 0_u64..9), 1..50),
            max in 1_u32..4,
        ) {
            let (spec, mut slots) = (spec(max), Slots::default());
            for (now, id) in steps {
                let status = spec.enter(&mut slots, id, UnixMillis(now)).status;
                prop_assert!(status.remaining <= u64::from(max));
                prop_assert!((1..=60).contains(&status.reset_secs));
                prop_assert!(slots.len() <= u64::from(max));
            }
        }
    }
}
