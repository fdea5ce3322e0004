//! Where a circuit stands, what it says of a call, and what moved it.

/// The three states, with the numbers that the metric shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// 0: requests pass.
    #[default]
    Closed,
    /// 1: requests are refused.
    Open,
    /// 2: some may try.
    HalfOpen,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

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
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
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
        /// Milliseconds until the next probe may go; at least 1.
        retry_after_ms: u64,
    },
}

/// Why a circuit moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// So many failures in a row.
    Run,
    /// Such a share of calls failed.
    Ratio,
    /// Such a share of calls was slow.
    Slow,
    /// A probe failed.
    ProbeFailed,
    /// Probes came through.
    Recovered,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Run, Self::Ratio, Self::Slow, Self::ProbeFailed, Self::Recovered];

    /// As logs and metrics spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Ratio => "ratio",
            Self::Slow => "slow",
            Self::ProbeFailed => "probe_failed",
            Self::Recovered => "recovered",
        }
    }
}

/// A move from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Where it stood.
    pub from: State,
    /// Where it stands.
    pub to: State,
    /// Why.
    pub reason: Reason,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_spelled_as_the_contract_does() {
        assert_eq!(State::ALL.map(State::as_str), ["CLOSED", "OPEN", "HALF_OPEN"]);
        assert_eq!(State::ALL.map(State::as_metric), [0, 1, 2]);
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("half_open"), None);
    }
}
