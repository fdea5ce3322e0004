//! An operator's word: a circuit is open, or closed, until some time.

use postern_request::UnixMillis;

use crate::{Admission, State};

/// What an operator can make a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForcedState {
    /// Everything is refused, whatever the service does.
    Open,
    /// Everything passes, whatever the service does.
    Closed,
}

impl ForcedState {
    /// As it stands in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.as_state().as_str()
    }

    /// Reads [`ForcedState::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Closed].into_iter().find(|state| state.as_str() == text)
    }

    /// The state that others see.
    #[must_use]
    pub const fn as_state(self) -> State {
        match self {
            Self::Open => State::Open,
            Self::Closed => State::Closed,
        }
    }
}

/// What an operator said. It beats own breaker and shared circuit until it ends, and they go on
/// counting beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forced {
    /// What the circuit is.
    pub state: ForcedState,
    /// Until when; from then on it is as if nobody had said anything.
    pub until: UnixMillis,
}

impl Forced {
    /// What it says of a request; none where it has ended.
    #[must_use]
    pub fn admission(self, now: UnixMillis) -> Option<Admission> {
        if now >= self.until {
            return None;
        }
        Some(match self.state {
            ForcedState::Closed => Admission::Pass,
            ForcedState::Open => {
                Admission::Refused { retry_after_ms: self.until.millis_since(now) }
            }
        })
    }

    /// Where the circuit stands by it; none where it has ended.
    #[must_use]
    pub fn state(self, now: UnixMillis) -> Option<State> {
        (now < self.until).then_some(self.state.as_state())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_until_it_ends() {
        let until = UnixMillis(1_000);
        let open = Forced { state: ForcedState::Open, until };
        let closed = Forced { state: ForcedState::Closed, until };
        let refused = Admission::Refused { retry_after_ms: 1 };
        assert_eq!(open.admission(UnixMillis(999)), Some(refused));
        assert_eq!(closed.admission(UnixMillis(999)), Some(Admission::Pass));
        assert_eq!(open.state(UnixMillis(0)), Some(State::Open));
        for forced in [open, closed] {
            assert_eq!((forced.admission(until), forced.state(until)), (None, None));
        }
    }

    #[test]
    fn nobody_can_force_a_circuit_half_open() {
        for state in [ForcedState::Open, ForcedState::Closed] {
            assert_eq!(ForcedState::parse(state.as_str()), Some(state));
        }
        assert_eq!(ForcedState::parse("HALF_OPEN"), None);
    }
}
