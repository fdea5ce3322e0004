//! A circuit of one counter, as stores keep it: failures in a row open it, for the same time each
//! time, and one probe at a time may try then.
//!
//! The memory store runs this code; the Redis scripts follow it line by line, and one contract
//! suite holds both to it.

use postern_request::UnixMillis;

use crate::{Admission, Settings, State};

/// When such a circuit opens and when it tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simple {
    /// Failures in a row that open it; at least 1.
    pub consecutive_failures: u32,
    /// How long it stays open before a probe.
    pub recovery_ms: u64,
}

/// Longest time that a probe's outcome is waited for before the next one may go. A probe can be
/// lost (its caller hung up, a later stage refused it, its reporter died), and must not keep a
/// healthy service closed for a whole recovery time.
pub const PROBE_WAIT_MS: u64 = 1000;

impl Settings {
    /// What of them such a circuit goes by.
    #[must_use]
    pub const fn simple(&self) -> Simple {
        // Without that rule nothing opens it: so many failures in a row there are never.
        let consecutive_failures = if self.failures == 0 { u32::MAX } else { self.failures };
        Simple { consecutive_failures, recovery_ms: self.recovery.first_ms }
    }
}

impl Simple {
    /// How long a probe's outcome is waited for.
    #[must_use]
    pub fn probe_wait_ms(self) -> u64 {
        self.recovery_ms.min(PROBE_WAIT_MS)
    }
}

/// Such a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Circuit {
    /// Where it stands.
    pub state: State,
    /// Failures in a row.
    pub failures: u32,
    /// When the last failure was seen.
    pub last_failure: UnixMillis,
    /// `OPEN`: when a probe may go. `HALF_OPEN`: until when its probe is waited for.
    pub recovery_at: UnixMillis,
}

impl Circuit {
    /// Asks for admission at `now`.
    #[must_use]
    pub fn admit(self, settings: Simple, now: UnixMillis) -> (Self, Admission) {
        match self.state {
            State::Closed => (self, Admission::Pass),
            State::Open | State::HalfOpen if now >= self.recovery_at => {
                let probing = Self {
                    state: State::HalfOpen,
                    recovery_at: UnixMillis(now.0.saturating_add(settings.probe_wait_ms())),
                    ..self
                };
                (probing, Admission::Probe)
            }
            State::Open | State::HalfOpen => {
                (self, Admission::Refused { retry_after_ms: self.recovery_at.millis_since(now) })
            }
        }
    }

    /// Records what an upstream answered.
    #[must_use]
    pub fn record(self, settings: Simple, success: bool, now: UnixMillis) -> Self {
        match (self.state, success) {
            (State::Closed | State::HalfOpen, true) => Self::default(),
            // A straggler that began before the circuit opened proves nothing.
            (State::Open, true) => self,
            (state, false) => {
                let failures = self.failures.saturating_add(1);
                let opens = match state {
                    State::Closed => failures >= settings.consecutive_failures.max(1),
                    State::HalfOpen => true,
                    // Stragglers do not push the recovery further away.
                    State::Open => false,
                };
                let counted = Self { failures, last_failure: now, ..self };
                if opens {
                    Self {
                        state: State::Open,
                        recovery_at: UnixMillis(now.0.saturating_add(settings.recovery_ms)),
                        ..counted
                    }
                } else {
                    counted
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Simple = Simple { consecutive_failures: 5, recovery_ms: 60_000 };

    fn at(ms: u64) -> UnixMillis {
        UnixMillis(ms)
    }

    fn failed(times: u32) -> Circuit {
        (0..times).fold(Circuit::default(), |c, _| c.record(SETTINGS, false, at(1000)))
    }

    #[test]
    fn five_failures_open_and_the_sixth_call_is_refused() {
        assert_eq!(failed(4).admit(SETTINGS, at(1000)).1, Admission::Pass);
        assert_eq!(
            failed(5).admit(SETTINGS, at(1000)).1,
            Admission::Refused { retry_after_ms: 60_000 }
        );
    }

    #[test]
    fn a_success_in_between_starts_over() {
        let circuit = failed(4).record(SETTINGS, true, at(1)).record(SETTINGS, false, at(2));
        assert_eq!((circuit.state, circuit.failures), (State::Closed, 1));
    }

    #[test]
    fn one_probe_after_recovery_and_its_outcome_decides() {
        let (half_open, admission) = failed(5).admit(SETTINGS, at(61_000));
        assert_eq!((half_open.state, admission), (State::HalfOpen, Admission::Probe));
        assert!(matches!(half_open.admit(SETTINGS, at(61_001)).1, Admission::Refused { .. }));
        assert_eq!(half_open.record(SETTINGS, true, at(61_002)), Circuit::default());
        let again = half_open.record(SETTINGS, false, at(61_002));
        assert_eq!((again.state, again.recovery_at), (State::Open, at(121_002)));
    }

    #[test]
    fn a_lost_probe_is_followed_by_another() {
        let (half_open, _) = failed(5).admit(SETTINGS, at(61_000));
        assert!(matches!(half_open.admit(SETTINGS, at(61_999)).1, Admission::Refused { .. }));
        assert_eq!(half_open.admit(SETTINGS, at(62_000)).1, Admission::Probe);
    }

    #[test]
    fn stragglers_change_nothing_while_open() {
        let open = failed(5);
        assert_eq!(open.record(SETTINGS, true, at(2000)), open);
        assert_eq!(open.record(SETTINGS, false, at(2000)).recovery_at, open.recovery_at);
    }

    #[test]
    fn it_goes_by_failures_in_a_row_and_the_first_recovery() {
        let settings = Settings::default();
        assert_eq!(settings.simple(), SETTINGS);
        let off = Settings { failures: 0, ..settings }.simple();
        let failing = (0..100_000).fold(Circuit::default(), |c, _| c.record(off, false, at(1)));
        assert_eq!(failing.state, State::Closed);
    }
}
