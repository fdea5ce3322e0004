//! An Envoy's own breaker: what all of its workers together judge by their own calls.

mod bytes;

use postern_request::UnixMillis;

use crate::{Admission, Gate, Settings, State, Totals, Transition, Verdict, Window};

pub use bytes::BREAKER_BYTES;

/// An own breaker. It acts at once: the call after the one that breaks a rule is refused.
///
/// Small enough for one value of shared data: [`Breaker::to_bytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breaker {
    gate: Gate,
    /// Failures in a row, of the calls that were counted.
    run: u32,
    window: Window,
}

impl Breaker {
    /// Asks for admission: all may pass while it is closed, nobody while it is open, and
    /// [`Probes::per_interval`](crate::Probes::per_interval) while it is half open. `random` is
    /// for the wait of a breaker whose clock was set.
    pub fn admit(&mut self, settings: &Settings, now: UnixMillis, random: u32) -> Admission {
        self.gate.admit(settings, now, random)
    }

    /// Takes a probe that the server has given out, which counts for all Envoys. Says whether it
    /// may pass: not while this breaker is open and its time has not come.
    pub fn grant(&mut self, settings: &Settings, now: UnixMillis) -> bool {
        self.gate.grant(settings, now)
    }

    /// Counts what came of a call. Half open, all outcomes are taken for those of probes, as many
    /// as were let through; a slow one has failed, where slowness counts. While it is open
    /// nothing counts: such calls began before.
    pub fn record(
        &mut self,
        settings: &Settings,
        verdict: Verdict,
        now: UnixMillis,
        random: u32,
    ) -> Option<Transition> {
        let (has_failed, is_slow) = match verdict {
            Verdict::Ignored => return None,
            Verdict::Success { slow } => (false, slow),
            Verdict::Failure { slow } => (true, slow),
        };
        match self.gate.state {
            State::Closed => {
                self.run = if has_failed { self.run.saturating_add(1) } else { 0 };
                self.add(settings, Totals::of(verdict), now, random)
            }
            State::HalfOpen => {
                let came_through = !(has_failed || is_slow && settings.slow.is_some());
                let transition = self.gate.probed(settings, came_through, now, random)?;
                if transition.to == State::Closed {
                    *self = Self::default();
                }
                Some(transition)
            }
            State::Open => None,
        }
    }

    /// Counts calls in the window that somebody has noted down meanwhile. They end no failures in
    /// a row, for nobody knows which came first; but what share of all has failed, or was slow, is
    /// judged anew.
    pub fn add(
        &mut self,
        settings: &Settings,
        totals: Totals,
        now: UnixMillis,
        random: u32,
    ) -> Option<Transition> {
        if self.gate.state != State::Closed {
            return None;
        }
        self.window.add(now, settings, totals);
        let reason = settings.failing(self.run, self.window.totals(now))?;
        self.gate.open(settings, reason, now, random)
    }

    /// Where it stands. One whose recovery time is over is half open, though nobody has tried.
    #[must_use]
    pub fn state(&self, now: UnixMillis) -> State {
        self.gate.state(now)
    }

    /// How long until a probe may go; 0 where one may, or all may pass.
    #[must_use]
    pub fn retry_after_ms(&self, settings: &Settings, now: UnixMillis) -> u64 {
        self.gate.retry_after_ms(settings, now)
    }

    /// Failures in a row. Once it has opened, as many as there were then.
    #[must_use]
    pub const fn run(&self) -> u32 {
        self.run
    }

    /// The calls of the window. Once it has opened, none are added.
    #[must_use]
    pub fn totals(&self, now: UnixMillis) -> Totals {
        self.window.totals(now)
    }
}
