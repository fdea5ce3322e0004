//! The circuit breaker's state machine, one per service.
//!
//! `CLOSED` lets everything through and counts failures in a row; `OPEN` lets nothing through
//! until the recovery time is over; `HALF_OPEN` lets a probe through and waits for what comes
//! of it. The memory store runs this code; the Redis scripts follow it line by line, and one
//! contract suite holds both to it.
//!
//! Not Envoy's *circuit breaking* (connection thresholds) and not its *outlier detection*
//! (ejecting single hosts): both stay Envoy's business.

use postern_request::UnixMillis;

/// When a circuit opens and when it tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
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
    /// How long a probe's outcome is waited for.
    #[must_use]
    pub fn probe_wait_ms(self) -> u64 {
        self.recovery_ms.min(PROBE_WAIT_MS)
    }
}

/// The three states, with the numbers that the metric shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// 0: requests pass.
    #[default]
    Closed,
    /// 1: requests are refused.
    Open,
    /// 2: one request may try.
    HalfOpen,
}

impl State {
    /// As it stands in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Open => "OPEN",
            Self::HalfOpen => "HALF_OPEN",
        }
    }

    /// The value of `api_gateway_circuit_breaker_state`.
    #[must_use]
    pub const fn as_metric(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::Open => 1,
            Self::HalfOpen => 2,
        }
    }

    /// Reads [`State::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Closed, Self::Open, Self::HalfOpen].into_iter().find(|s| s.as_str() == text)
    }
}

/// A circuit.
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

/// What a circuit says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Pass.
    Pass,
    /// Pass, and what comes of it decides.
    Probe,
    /// Refused; a try makes sense after so many milliseconds.
    Refused {
        /// Milliseconds until the next probe may go.
        retry_after_ms: u64,
    },
}

impl Circuit {
    /// Asks for admission at `now`.
    #[must_use]
    pub fn admit(self, settings: Settings, now: UnixMillis) -> (Self, Admission) {
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
    pub fn record(self, settings: Settings, success: bool, now: UnixMillis) -> Self {
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

    const SETTINGS: Settings = Settings { consecutive_failures: 5, recovery_ms: 60_000 };

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
    fn states_are_spelled_as_the_contract_does() {
        for state in [State::Closed, State::Open, State::HalfOpen] {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("half_open"), None);
    }
}
