//! What is remembered of one key.

use postern_request::UnixMillis;

use crate::algorithm::Algorithm;
use crate::fixed_window::Fixed;
use crate::gcra::Tat;
use crate::sliding_log::Log;
use crate::sliding_window::Window;
use crate::spec::Spec;
use crate::token_bucket::Bucket;

/// What is remembered of one key, at most 32 bytes: stores hold a million of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Of [`Algorithm::SlidingWindow`].
    Window(Window),
    /// Of [`Algorithm::FixedWindow`].
    Fixed(Fixed),
    /// Of [`Algorithm::TokenBucket`].
    Bucket(Bucket),
    /// Of [`Algorithm::Gcra`].
    Gcra(Tat),
    /// Of [`Algorithm::SlidingLog`].
    Log(Box<Log>),
}

/// One algorithm: how its state counts. [`Spec`] makes decisions of it.
///
/// All but `advance` and `forgettable_at` are for a state that was advanced to the same `now`,
/// and all of them for costs within the spec's capacity.
pub(crate) trait Counter {
    /// Lets time pass.
    fn advance(&mut self, spec: Spec, now: UnixMillis);

    /// Whether `advance` would change nothing, as far as that is known without trying.
    fn is_advanced(&self, _spec: Spec, _now: UnixMillis) -> bool {
        false
    }

    /// Whole requests that fit now.
    fn remaining(&self, spec: Spec, now: UnixMillis) -> u64;

    /// Counts `cost`, at least 1.
    fn add(&mut self, spec: Spec, cost: u64, now: UnixMillis);

    /// Takes back `cost`, at least 1, as far as it is counted.
    fn give_back(&mut self, spec: Spec, cost: u64, now: UnixMillis);

    /// From when on `cost` fits, which it does not now.
    fn fits_at(&self, spec: Spec, cost: u64, now: UnixMillis) -> UnixMillis;

    /// When the next thing ends that counts: the window, the filling, the oldest request.
    fn resets_at(&self, spec: Spec, now: UnixMillis) -> UnixMillis;

    /// From when on forgetting the state loses nothing.
    fn forgettable_at(&self, spec: Spec) -> UnixMillis;
}

impl State {
    /// Whose state it is.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Window(_) => Algorithm::SlidingWindow,
            Self::Fixed(_) => Algorithm::FixedWindow,
            Self::Bucket(_) => Algorithm::TokenBucket,
            Self::Gcra(_) => Algorithm::Gcra,
            Self::Log(_) => Algorithm::SlidingLog,
        }
    }

    pub(crate) fn counter(&self) -> &dyn Counter {
        match self {
            Self::Window(window) => window,
            Self::Fixed(fixed) => fixed,
            Self::Bucket(bucket) => bucket,
            Self::Gcra(tat) => tat,
            Self::Log(log) => &**log,
        }
    }

    pub(crate) fn counter_mut(&mut self) -> &mut dyn Counter {
        match self {
            Self::Window(window) => window,
            Self::Fixed(fixed) => fixed,
            Self::Bucket(bucket) => bucket,
            Self::Gcra(tat) => tat,
            Self::Log(log) => &mut **log,
        }
    }

    /// As a kind and three words, for stores of fixed size; a log has no fixed size.
    pub(crate) const fn to_words(&self) -> Option<(u64, [u64; 3])> {
        Some(match self {
            Self::Window(window) => (1, [window.index, window.current, window.previous]),
            Self::Fixed(fixed) => (2, [fixed.starts_at.0, fixed.count, 0]),
            Self::Bucket(bucket) => (3, [bucket.level, bucket.refilled_tick, 0]),
            Self::Gcra(tat) => (4, [tat.tick, tat.part, 0]),
            Self::Log(_) => return None,
        })
    }

    /// Reads what [`State::to_words`] wrote; any words are a state of their kind.
    pub(crate) fn from_words(kind: u64, words: [u64; 3]) -> Option<Self> {
        let [first, second, third] = words;
        Some(match kind {
            1 => Self::Window(Window { index: first, current: second, previous: third }),
            2 => Self::Fixed(Fixed { starts_at: UnixMillis(first), count: second }),
            3 => Self::Bucket(Bucket { level: first, refilled_tick: second }),
            4 => Self::Gcra(Tat { tick: first, part: second }),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_at_most_32_bytes() {
        assert!(size_of::<State>() <= 32, "{}", size_of::<State>());
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for state in [
            State::Window(Window { index: 1, current: 2, previous: 3 }),
            State::Fixed(Fixed { starts_at: UnixMillis(4), count: 5 }),
            State::Bucket(Bucket { level: 6, refilled_tick: 7 }),
            State::Gcra(Tat { tick: 8, part: 9 }),
        ] {
            let (kind, words) = state.to_words().unwrap();
            assert_eq!(State::from_words(kind, words), Some(state));
        }
        assert_eq!(State::Log(Box::default()).to_words(), None);
        assert_eq!(State::from_words(0, [0; 3]), None);
        assert_eq!(State::from_words(5, [0; 3]), None);
    }
}
