//! What is counted of logging in at outside providers.

use prometheus::{IntCounterVec, Opts, Registry};

use crate::{LoginError, OutsideError};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutsideOutcome {
    /// Somebody was sent there.
    Started,
    /// Somebody came back, and is logged in.
    LoggedIn,
    /// Somebody came back, and is asked for more.
    Asked,
    /// An answer that belongs to no log-in of the browser that brought it.
    State,
    /// The provider has signed nobody in.
    Denied,
    /// The provider does not answer.
    Unreachable,
    /// What it answers does not hold.
    Invalid,
    /// It vouches for no e-mail.
    Email,
    /// The e-mail is at another domain.
    Domain,
    /// Nobody here is who it vouches for.
    Nobody,
    /// Somebody else has the e-mail.
    Taken,
    /// A second factor is asked of nobody here.
    SecondFactor,
    /// The user is switched off.
    Blocked,
    /// Ours.
    Failed,
}

impl OutsideOutcome {
    pub(crate) const fn of(error: &OutsideError) -> Self {
        match error {
            OutsideError::State(_) => Self::State,
            OutsideError::Denied => Self::Denied,
            OutsideError::Away(_) => Self::Unreachable,
            OutsideError::Answer(_) => Self::Invalid,
            OutsideError::Email => Self::Email,
            OutsideError::Domain => Self::Domain,
            OutsideError::Nobody => Self::Nobody,
            OutsideError::Taken => Self::Taken,
            OutsideError::SecondFactor => Self::SecondFactor,
            OutsideError::Login(LoginError::Blocked) => Self::Blocked,
            OutsideError::Login(LoginError::Expired) => Self::State,
            OutsideError::Login(_) | OutsideError::Unknown => Self::Failed,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::LoggedIn => "logged_in",
            Self::Asked => "asked",
            Self::State => "state",
            Self::Denied => "denied",
            Self::Unreachable => "unreachable",
            Self::Invalid => "invalid",
            Self::Email => "email",
            Self::Domain => "domain",
            Self::Nobody => "nobody",
            Self::Taken => "taken",
            Self::SecondFactor => "second_factor",
            Self::Blocked => "blocked",
            Self::Failed => "failed",
        }
    }
}

/// The metrics of logging in elsewhere. Providers are those of the document.
#[derive(Debug, Clone)]
pub struct OutsideMetrics {
    outcomes: IntCounterVec,
}

impl OutsideMetrics {
    /// Makes the metrics known to a registry.
    ///
    /// # Errors
    /// When the registry has one of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let outcomes = IntCounterVec::new(
            Opts::new(
                "postern_identity_outside_total",
                "Log-ins at outside providers that began, and what came of them.",
            ),
            &["provider", "outcome"],
        )?;
        registry.register(Box::new(outcomes.clone()))?;
        Ok(Self { outcomes })
    }

    pub(crate) fn count(&self, provider: &str, outcome: OutsideOutcome) {
        self.outcomes.with_label_values(&[provider, outcome.as_str()]).inc();
    }

    /// How often something has come of it.
    #[cfg(test)]
    pub(crate) fn counted(&self, provider: &str, outcome: OutsideOutcome) -> u64 {
        self.outcomes.with_label_values(&[provider, outcome.as_str()]).get()
    }
}
