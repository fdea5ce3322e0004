//! How old what is known here may be: the one place where it is decided.
//!
//! While the durable list can be read and the bus is heard, nothing can have been revoked that
//! is not known: what is known is as of now. Otherwise it is as of the last moment of which
//! that was true. A loader that has died is noticed, too: it reads at least every so often.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) struct Freshness {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Without a good read for so long the loader counts as gone.
    longest_silence: Duration,
    /// Until when everything is known; none before the first complete read.
    good_until: Option<Instant>,
    last_read: Option<Instant>,
    failing: bool,
    hearing: bool,
    /// The bus is heard again, but what it missed has not been read yet.
    catching_up: bool,
    incomplete: bool,
}

impl State {
    fn is_good(&self, now: Instant) -> bool {
        let silence = self.last_read.map(|read| now.saturating_duration_since(read));
        let alive = silence.is_some_and(|silence| silence <= self.longest_silence);
        alive && self.hearing && !self.failing && !self.catching_up && !self.incomplete
    }
}

impl Freshness {
    pub(crate) fn new(longest_silence: Duration) -> Self {
        Self { state: Mutex::new(State { longest_silence, ..State::default() }) }
    }

    /// The loader counts as gone after so long from now on.
    pub(crate) fn expect(&self, longest_silence: Duration) {
        self.change(|state| state.longest_silence = longest_silence);
    }

    /// Everything up to `started` has been read; `complete`: and kept.
    pub(crate) fn read(&self, started: Instant, complete: bool) {
        self.change(|state| {
            if complete {
                state.good_until = Some(started);
            }
            state.last_read = Some(started);
            state.incomplete = !complete;
            state.failing = false;
            state.catching_up = false;
        });
    }

    /// A read that began at `started` has failed.
    pub(crate) fn failed(&self, started: Instant) {
        self.change(|state| {
            if state.is_good(started) {
                state.good_until = Some(started);
            }
            state.failing = true;
        });
    }

    /// The bus is heard from now on, or is not.
    pub(crate) fn hearing(&self, hearing: bool) {
        self.change(|state| {
            state.hearing = hearing;
            state.catching_up |= hearing;
        });
    }

    /// How old what is known is; none while nothing is.
    pub(crate) fn staleness(&self, now: Instant) -> Option<Duration> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let good_until = state.good_until?;
        if state.is_good(now) {
            return Some(Duration::ZERO);
        }
        Some(now.saturating_duration_since(good_until))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_known_ages_when_nobody_could_tell() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let freshness = Freshness::new(SILENCE);
        let age = |seconds| freshness.staleness(at(seconds)).map(|age| age.as_secs());
        assert_eq!(age(0), None);
        freshness.failed(at(0));
        assert_eq!(age(1), None, "nothing has been read yet");
        freshness.read(at(2), true);
        assert_eq!(age(5), Some(3), "deaf");
        freshness.hearing(true);
        assert_eq!(age(6), Some(4), "what came before it was heard is not known yet");
        freshness.read(at(6), true);
        assert_eq!(age(20), Some(0));
        freshness.failed(at(21));
        assert_eq!(age(25), Some(4), "it was good until the read that failed");
        freshness.failed(at(30));
        assert_eq!(age(31), Some(10));
        freshness.read(at(32), true);
        assert_eq!(age(33), Some(0));
        freshness.hearing(false);
        assert_eq!(age(34), Some(2));
    }

    #[test]
    fn a_dead_loader_is_noticed() {
        let start = Instant::now();
        let freshness = Freshness::new(SILENCE);
        freshness.hearing(true);
        freshness.read(start, true);
        assert_eq!(freshness.staleness(start + SILENCE), Some(Duration::ZERO));
        let later = SILENCE + Duration::from_secs(1);
        assert_eq!(freshness.staleness(start + later), Some(later));
    }

    #[test]
    fn what_could_not_be_kept_makes_it_stale() {
        let start = Instant::now();
        let freshness = Freshness::new(SILENCE);
        freshness.hearing(true);
        freshness.read(start, true);
        let second = Duration::from_secs(1);
        freshness.read(start + second, false);
        assert_eq!(freshness.staleness(start + second * 3), Some(second * 3));
        freshness.read(start + second * 4, true);
        assert_eq!(freshness.staleness(start + second * 5), Some(Duration::ZERO));
    }
}
