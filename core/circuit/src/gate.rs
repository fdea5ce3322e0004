//! The three states and how one leads to another, whoever judges that a service fails.

use postern_request::UnixMillis;

use crate::{Admission, Reason, Settings, State, Transition, recovery_ms};

/// Where an own breaker or a shared circuit stands.
///
/// Probes are counted by intervals, the first of which begins with the first probe. None of them
/// overlap, also not across a recovery that failed: what is left of an interval is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gate {
    pub(crate) state: State,
    /// How often in a row recovery has failed.
    pub(crate) failed: u8,
    /// `OPEN`: when a probe may go. `HALF_OPEN`: when the running interval began.
    pub(crate) at: UnixMillis,
    /// `HALF_OPEN`: how many were let through in it.
    pub(crate) probes: u16,
    /// `HALF_OPEN`: of how many nobody has heard yet.
    pub(crate) pending: u16,
    /// `HALF_OPEN`: how many came through.
    pub(crate) successes: u16,
}

impl Gate {
    /// Asks for admission. `random` is for the wait of a circuit whose clock was set.
    pub fn admit(&mut self, settings: &Settings, now: UnixMillis, random: u32) -> Admission {
        match self.state {
            State::Closed => return Admission::Pass,
            State::Open => {
                self.mend(settings, now, random);
                if now < self.at {
                    return Admission::Refused { retry_after_ms: self.at.millis_since(now) };
                }
                self.half_open(now);
            }
            State::HalfOpen => self.begin_interval(settings, now),
        }
        if self.probes < narrow(settings.probes.per_interval) {
            self.count_probe();
            return Admission::Probe;
        }
        let next = later(self.at, interval_ms(settings));
        Admission::Refused { retry_after_ms: next.millis_since(now).max(1) }
    }

    /// A probe that somebody else has given out, who counts for all. Says whether it may pass
    /// here: not while this one is open and its time has not come.
    pub fn grant(&mut self, settings: &Settings, now: UnixMillis) -> bool {
        match self.state {
            State::Closed => return true,
            State::Open if now < self.at => return false,
            State::Open => self.half_open(now),
            State::HalfOpen => self.begin_interval(settings, now),
        }
        self.count_probe();
        true
    }

    /// The service fails, for this reason. Nothing moves where it is not closed.
    pub fn open(
        &mut self,
        settings: &Settings,
        reason: Reason,
        now: UnixMillis,
        random: u32,
    ) -> Option<Transition> {
        if self.state != State::Closed {
            return None;
        }
        let at = later(now, recovery_ms(settings.recovery, 0, random));
        *self = Self { state: State::Open, at, ..Self::default() };
        Some(Transition { from: State::Closed, to: State::Open, reason })
    }

    /// What came of a probe. Of calls that began before the circuit opened there may be more
    /// outcomes than of probes: those are left out once all probes have been heard of.
    pub fn probed(
        &mut self,
        settings: &Settings,
        came_through: bool,
        now: UnixMillis,
        random: u32,
    ) -> Option<Transition> {
        if self.state != State::HalfOpen {
            return None;
        }
        self.pending = self.pending.checked_sub(1)?;
        let (from, to, reason) = if came_through {
            self.successes = self.successes.saturating_add(1);
            if self.successes < narrow(settings.probes.successes) {
                return None;
            }
            *self = Self::default();
            (State::HalfOpen, State::Closed, Reason::Recovered)
        } else {
            let failed = self.failed.saturating_add(1);
            let interval_ends = later(self.at.min(now), interval_ms(settings));
            let at = later(now, recovery_ms(settings.recovery, failed, random)).max(interval_ends);
            *self = Self { state: State::Open, failed, at, ..Self::default() };
            (State::HalfOpen, State::Open, Reason::ProbeFailed)
        };
        Some(Transition { from, to, reason })
    }

    /// Where it stands. One whose recovery time is over is half open, though nobody has tried.
    #[must_use]
    pub fn state(&self, now: UnixMillis) -> State {
        match self.state {
            State::Open if now >= self.at => State::HalfOpen,
            state => state,
        }
    }

    /// How long until a probe may go; 0 where one may, or all may pass.
    #[must_use]
    pub fn retry_after_ms(&self, settings: &Settings, now: UnixMillis) -> u64 {
        match self.admission(settings, now) {
            Admission::Pass | Admission::Probe => 0,
            Admission::Refused { retry_after_ms } => retry_after_ms,
        }
    }

    /// When the first probe may go; none where it is not open, or one has gone already.
    #[must_use]
    pub fn recovers_at(&self) -> Option<UnixMillis> {
        (self.state == State::Open).then_some(self.at)
    }

    /// When the interval is over in which probes were let through last; none where it is not half
    /// open.
    #[must_use]
    pub fn interval_ends(&self, settings: &Settings) -> Option<UnixMillis> {
        (self.state == State::HalfOpen).then(|| later(self.at, interval_ms(settings)))
    }

    /// What [`Gate::admit`] would say.
    #[must_use]
    pub fn admission(&self, settings: &Settings, now: UnixMillis) -> Admission {
        let mut gate = *self;
        gate.admit(settings, now, 0)
    }

    /// How often in a row recovery has failed.
    #[must_use]
    pub const fn failed_recoveries(&self) -> u8 {
        self.failed
    }

    /// No wait is longer than the longest that could have been chosen: if this one is, the clock
    /// went back, and the wait begins anew.
    fn mend(&mut self, settings: &Settings, now: UnixMillis, random: u32) {
        let longest = recovery_ms(settings.recovery, self.failed, u32::MAX);
        if self.at.millis_since(now) > longest.max(interval_ms(settings)) {
            self.at = later(now, recovery_ms(settings.recovery, self.failed, random));
        }
    }

    fn half_open(&mut self, now: UnixMillis) {
        *self = Self { state: State::HalfOpen, failed: self.failed, at: now, ..Self::default() };
    }

    fn begin_interval(&mut self, settings: &Settings, now: UnixMillis) {
        let interval_ms = interval_ms(settings);
        if now.millis_since(self.at) >= interval_ms {
            (self.at, self.probes) = (now, 0);
        } else if self.at.millis_since(now) > interval_ms {
            // The clock went back. Who was let through stays counted.
            self.at = now;
        }
    }

    fn count_probe(&mut self) {
        self.probes = self.probes.saturating_add(1);
        self.pending = self.pending.saturating_add(1);
    }
}

fn interval_ms(settings: &Settings) -> u64 {
    settings.probes.interval_ms.max(1)
}

fn later(now: UnixMillis, millis: u64) -> UnixMillis {
    UnixMillis(now.0.saturating_add(millis))
}

fn narrow(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX).max(1)
}
