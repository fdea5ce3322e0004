//! What one limit allows, and how its algorithm's numbers become decisions.

use core::num::NonZeroU64;

use postern_request::{RateLimitStatus, UnixMillis};

use crate::Outcome;
use crate::algorithm::{Algorithm, Anchor};
use crate::fixed_window::Fixed;
use crate::gcra::Tat;
use crate::rate::{MAX_REQUESTS, Period, Rate};
use crate::sliding_log::MAX_LOG;
use crate::sliding_window::Window;
use crate::state::{Counter, State};
use crate::token_bucket::Bucket;

/// The largest burst.
pub const MAX_BURST: u64 = MAX_REQUESTS;

/// The ticks that there are, in milliseconds. With the last one the largest rate in the longest
/// period stays within [`EXACT`].
const TICKS_MS: [u64; 6] = [1, 10, 100, 1000, 10_000, 100_000];
/// Up to here goes the product of the largest count and the ticks of a period. Two such products
/// added are at most 2^53: doubles, in which Redis' scripts count, hold every whole number below.
const EXACT: u64 = 1 << 52;

/// What one limit allows; checked when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spec {
    algorithm: Algorithm,
    rate: Rate,
    burst: NonZeroU64,
    anchor: Anchor,
    tick_ms: NonZeroU64,
    period_ticks: NonZeroU64,
}

/// Why there is no such limit: always the document's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A burst for an algorithm that has none.
    #[error("only token_bucket and gcra have a burst")]
    Burst,
    /// A burst of zero.
    #[error("a burst of zero allows nothing; to close a route, leave it out")]
    ZeroBurst,
    /// Above [`MAX_BURST`].
    #[error("a burst is at most 4294967295")]
    BurstTooLarge,
    /// Above [`MAX_LOG`].
    #[error("a sliding_log remembers every request, at most 10000 a period")]
    LogTooLong,
    /// Calendar months for an algorithm that has no windows, or none that follow the clock.
    #[error("only a fixed_window that follows the clock counts in calendar months")]
    Month,
    /// An algorithm without windows that could begin with a request.
    #[error("only windows of a fixed_window can begin with the first hit")]
    FirstHit,
}

impl Spec {
    /// A limit of `rate`, counted by `algorithm`. Without a `burst`, as many as the rate's
    /// requests may pass at once. The anchor matters to a fixed window alone, all others follow
    /// the clock.
    ///
    /// # Errors
    /// When the parts do not fit together.
    pub fn new(
        algorithm: Algorithm,
        rate: Rate,
        burst: Option<u64>,
        anchor: Anchor,
    ) -> Result<Self, SpecError> {
        if burst.is_some() && !algorithm.has_burst() {
            return Err(SpecError::Burst);
        }
        let burst = burst.unwrap_or(rate.requests());
        if burst > MAX_BURST {
            return Err(SpecError::BurstTooLarge);
        }
        let burst = NonZeroU64::new(burst).ok_or(SpecError::ZeroBurst)?;
        if algorithm == Algorithm::SlidingLog && rate.requests() > MAX_LOG {
            return Err(SpecError::LogTooLong);
        }
        let is_fixed = algorithm == Algorithm::FixedWindow;
        if anchor == Anchor::FirstHit && !is_fixed {
            return Err(SpecError::FirstHit);
        }
        if rate.period() == Period::Month && !(is_fixed && anchor == Anchor::Clock) {
            return Err(SpecError::Month);
        }
        let largest = rate.requests().max(burst.get());
        let tick_ms = if algorithm.works_in_ticks() { tick_ms(largest, rate) } else { 1 };
        // Rounded up: a period of odd length never gets shorter than it is written.
        let period_ticks = rate.period_ms().div_ceil(tick_ms);
        Ok(Self {
            algorithm,
            rate,
            burst,
            anchor,
            tick_ms: NonZeroU64::new(tick_ms).unwrap_or(NonZeroU64::MIN),
            period_ticks: NonZeroU64::new(period_ticks).unwrap_or(NonZeroU64::MIN),
        })
    }

    /// How it counts.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    /// How many in what time.
    #[must_use]
    pub const fn rate(self) -> Rate {
        self.rate
    }

    /// How many at once, for token bucket and GCRA; for the others the rate's requests.
    #[must_use]
    pub const fn burst(self) -> u64 {
        self.burst.get()
    }

    /// Where its windows begin.
    #[must_use]
    pub const fn anchor(self) -> Anchor {
        self.anchor
    }

    /// The grain of time that it works with, in milliseconds. Fixed windows and logs know every
    /// millisecond.
    #[must_use]
    pub const fn tick_ms(self) -> u64 {
        self.tick_ms.get()
    }

    /// The period in ticks, rounded up.
    #[must_use]
    pub const fn period_ticks(self) -> u64 {
        self.period_ticks.get()
    }

    /// The most that can pass at once.
    #[must_use]
    pub const fn capacity(self) -> u64 {
        if self.algorithm.has_burst() { self.burst.get() } else { self.rate.requests() }
    }

    /// The same limit for one of `parties` that share it: rate and burst divided, at least 1
    /// each. Its ticks stay, so that a state is worth the same to any share.
    #[must_use]
    pub fn share_of(self, parties: NonZeroU64) -> Self {
        let burst = NonZeroU64::new(self.burst.get() / parties).unwrap_or(NonZeroU64::MIN);
        Self { rate: self.rate.share_of(parties), burst, ..self }
    }

    /// The most that passes over any true sliding window of one period, however it is timed; of
    /// calendar months, over 28 days.
    #[must_use]
    pub const fn worst_case(self) -> u64 {
        let requests = self.rate.requests();
        match self.algorithm {
            Algorithm::SlidingWindow | Algorithm::FixedWindow => 2 * requests,
            Algorithm::SlidingLog => requests,
            Algorithm::TokenBucket | Algorithm::Gcra => self.burst.get() + requests,
        }
    }

    /// The state of a key that nothing was taken from yet.
    #[must_use]
    pub fn fresh(self, now: UnixMillis) -> State {
        match self.algorithm {
            Algorithm::SlidingWindow => State::Window(Window::fresh(self, now)),
            Algorithm::SlidingLog => State::Log(Box::default()),
            Algorithm::TokenBucket => State::Bucket(Bucket::full(self, now)),
            Algorithm::Gcra => State::Gcra(Tat::fresh(self, now)),
            Algorithm::FixedWindow => State::Fixed(Fixed::fresh(self, now)),
        }
    }

    /// Takes `cost`, or nothing when there is no room for all of it. A cost of 0 looks, and
    /// always passes; one above the capacity never does.
    pub fn take(self, state: &mut State, cost: u64, now: UnixMillis) -> Outcome {
        let counter = self.advanced(state, now);
        let room = counter.remaining(self, now);
        let allowed = cost <= room;
        if allowed && cost > 0 {
            counter.add(self, cost, now);
        }
        let remaining = if allowed { room - cost } else { room };
        Outcome { allowed, status: self.standing(counter, remaining, cost, now) }
    }

    /// Whether `cost` would fit. Changes no more than time does.
    pub fn fits(self, state: &mut State, cost: u64, now: UnixMillis) -> bool {
        cost <= self.advanced(state, now).remaining(self, now)
    }

    /// Adds without asking: after [`Spec::fits`] said yes, under the same lock and with the same
    /// `now`.
    pub fn add(self, state: &mut State, cost: u64, now: UnixMillis) {
        let counter = self.advanced(state, now);
        if cost > 0 {
            counter.add(self, cost, now);
        }
    }

    /// Takes back what was taken for a request that did not count in the end; never more than is
    /// counted.
    ///
    /// No state knows which request it counts, so it is the newest count that goes. Where that is
    /// another request's, because a window has ended or others have come meanwhile, what is left
    /// is over sooner than it should be: in one period as much more can pass as was given back so
    /// late.
    pub fn give_back(self, state: &mut State, cost: u64, now: UnixMillis) {
        let counter = self.advanced(state, now);
        if cost > 0 {
            counter.give_back(self, cost, now);
        }
    }

    /// Where a caller stands who asks for `cost`. `remaining` is what fits now. Reset is the time
    /// until `cost`, or 1, fits again where it does not; and else until the window ends, the
    /// bucket is full or the oldest request of the log no longer counts.
    #[must_use]
    pub fn status(self, state: &State, cost: u64, now: UnixMillis) -> RateLimitStatus {
        let is_own = state.algorithm() == self.algorithm;
        if is_own && state.counter().is_advanced(self, now) {
            let counter = state.counter();
            return self.standing(counter, counter.remaining(self, now), cost, now);
        }
        let mut state = if is_own { state.clone() } else { self.fresh(now) };
        let counter = self.advanced(&mut state, now);
        self.standing(counter, counter.remaining(self, now), cost, now)
    }

    /// From when on forgetting the state loses nothing.
    #[must_use]
    pub fn forgettable_at(self, state: &State) -> UnixMillis {
        if state.algorithm() == self.algorithm {
            state.counter().forgettable_at(self)
        } else {
            UnixMillis(0)
        }
    }

    /// The state at `now`; one of another algorithm says nothing about this one.
    fn advanced(self, state: &mut State, now: UnixMillis) -> &mut dyn Counter {
        if state.algorithm() != self.algorithm {
            *state = self.fresh(now);
        }
        let counter = state.counter_mut();
        counter.advance(self, now);
        counter
    }

    fn standing(
        self,
        counter: &dyn Counter,
        remaining: u64,
        cost: u64,
        now: UnixMillis,
    ) -> RateLimitStatus {
        let capacity = self.capacity();
        // What is above the capacity never fits; then it is when nothing is in the way any more.
        let wanted = cost.clamp(1, capacity.max(1));
        let at = if remaining >= wanted {
            counter.resets_at(self, now)
        } else {
            counter.fits_at(self, wanted, now)
        };
        let reset_secs = at.millis_since(now).div_ceil(1000);
        // Whoever is refused must not come back at once.
        let least = u64::from(remaining < cost.max(1));
        RateLimitStatus {
            limit: capacity,
            remaining,
            reset_secs: reset_secs.max(least),
            window_secs: self.rate.window_secs(),
        }
    }

    /// What fits in a store of states of fixed size: a log becomes a sliding window.
    pub(crate) fn of_fixed_size(self) -> Self {
        match self.algorithm {
            // A log's ticks are milliseconds, and its counts small enough for them.
            Algorithm::SlidingLog => Self { algorithm: Algorithm::SlidingWindow, ..self },
            _ => self,
        }
    }

    /// The tick that `now` is in.
    pub(crate) const fn tick_of(self, now: UnixMillis) -> u64 {
        now.0 / self.tick_ms.get()
    }

    /// When a tick begins.
    pub(crate) const fn start_of(self, tick: u64) -> UnixMillis {
        UnixMillis(tick.saturating_mul(self.tick_ms.get()))
    }

    /// So many requests in the unit of windows, buckets and GCRA: one `period_ticks`th.
    pub(crate) const fn units(self, requests: u64) -> u64 {
        requests.saturating_mul(self.period_ticks.get())
    }
}

/// The shortest tick with which `largest` in a period counts exactly.
fn tick_ms(largest: u64, rate: Rate) -> u64 {
    let [.., longest] = TICKS_MS;
    let is_exact = |tick: &u64| largest.saturating_mul(rate.period_ms().div_ceil(*tick)) <= EXACT;
    TICKS_MS.into_iter().find(is_exact).unwrap_or(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    #[test]
    fn parts_that_do_not_fit_together_are_refused() {
        use Algorithm::{FixedWindow, Gcra, SlidingLog, SlidingWindow, TokenBucket};
        use Anchor::{Clock, FirstHit};
        for (algorithm, text, burst, anchor, expected) in [
            (SlidingWindow, "5/1m", None, Clock, None),
            (TokenBucket, "5/1m", Some(1), Clock, None),
            (Gcra, "5/1m", Some(MAX_BURST), Clock, None),
            (SlidingLog, "10000/1m", None, Clock, None),
            (FixedWindow, "5/1m", None, FirstHit, None),
            (FixedWindow, "5/1mo", None, Clock, None),
            (SlidingWindow, "5/1m", Some(5), Clock, Some(SpecError::Burst)),
            (FixedWindow, "5/1m", Some(5), Clock, Some(SpecError::Burst)),
            (TokenBucket, "5/1m", Some(0), Clock, Some(SpecError::ZeroBurst)),
            (Gcra, "5/1m", Some(MAX_BURST + 1), Clock, Some(SpecError::BurstTooLarge)),
            (SlidingLog, "10001/1m", None, Clock, Some(SpecError::LogTooLong)),
            (SlidingWindow, "5/1mo", None, Clock, Some(SpecError::Month)),
            (TokenBucket, "5/1mo", None, Clock, Some(SpecError::Month)),
            (FixedWindow, "5/1mo", None, FirstHit, Some(SpecError::Month)),
            (SlidingLog, "5/1m", None, FirstHit, Some(SpecError::FirstHit)),
        ] {
            let spec = Spec::new(algorithm, rate(text), burst, anchor);
            assert_eq!(spec.err(), expected, "{algorithm:?} {text} {burst:?} {anchor:?}");
        }
    }

    #[test]
    fn ticks_are_as_short_as_counting_allows() {
        for (text, burst, tick_ms, period_ticks) in [
            ("2000/1m", 2000, 1, 60_000),
            ("1/366d", 1, 1, 31_622_400_000),
            ("142418/366d", 1, 1, 31_622_400_000),
            ("142419/366d", 1, 10, 3_162_240_000),
            ("4294967295/1048576ms", 1, 1, 1_048_576),
            ("4294967295/1048583ms", 1, 10, 104_859),
            ("1/1h", MAX_BURST, 10, 360_000),
            ("4294967295/366d", 1, 100_000, 316_224),
        ] {
            let spec = Spec::new(Algorithm::Gcra, rate(text), Some(burst), Anchor::Clock).unwrap();
            assert_eq!((spec.tick_ms(), spec.period_ticks()), (tick_ms, period_ticks), "{text}");
            let largest = burst.max(spec.rate().requests());
            assert!(largest * period_ticks <= EXACT, "{text}");
            assert!(tick_ms * period_ticks >= spec.rate().period_ms(), "{text}");
        }
        let fixed = Spec::new(Algorithm::FixedWindow, rate("4294967295/366d"), None, Anchor::Clock);
        assert_eq!(fixed.unwrap().tick_ms(), 1);
    }

    #[test]
    fn a_share_keeps_its_ticks_and_is_never_nothing() {
        let whole = Spec::new(Algorithm::Gcra, rate("4294967295/366d"), Some(3), Anchor::Clock);
        let whole = whole.unwrap();
        let share = whole.share_of(NonZeroU64::new(1000).unwrap());
        assert_eq!((share.rate().requests(), share.burst()), (4_294_967, 1));
        assert_eq!(share.tick_ms(), whole.tick_ms());
        assert_eq!(share.period_ticks(), whole.period_ticks());
        let window = Spec::new(Algorithm::SlidingWindow, rate("9/1m"), None, Anchor::Clock);
        let share = window.unwrap().share_of(NonZeroU64::new(2).unwrap());
        assert_eq!((share.capacity(), share.worst_case()), (4, 8));
    }

    #[test]
    fn a_state_of_another_algorithm_counts_for_nothing() {
        let spec = |algorithm| Spec::new(algorithm, rate("2/1m"), None, Anchor::Clock).unwrap();
        let now = UnixMillis(1_000_000);
        for algorithm in Algorithm::ALL {
            for other in Algorithm::ALL {
                let mut state = spec(other).fresh(now);
                assert!(spec(other).take(&mut state, 2, now).allowed);
                let (expected, spec) = (u64::from(algorithm != other) * 2, spec(algorithm));
                assert_eq!(spec.status(&state, 1, now).remaining, expected);
                assert_eq!(spec.forgettable_at(&state) <= now, algorithm != other);
                assert_eq!(spec.fits(&mut state, 1, now), algorithm != other);
            }
        }
    }
}
