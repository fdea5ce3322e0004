//! What is counted of grants.

use postern_oauth::{ErrorCode, OAuthError};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// What came of a request at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrantOutcome {
    /// Tokens were made.
    Issued,
    /// Nobody's: the user has not answered yet (RFC 8628 §3.5).
    Pending,
    /// The caller's fault.
    Refused,
    /// Ours.
    Failed,
}

impl GrantOutcome {
    /// Of an answer.
    pub(crate) fn of<T>(answer: &Result<T, OAuthError>) -> Self {
        match answer {
            Ok(_) => Self::Issued,
            Err(error) => match error.code {
                ErrorCode::AuthorizationPending | ErrorCode::SlowDown => Self::Pending,
                code if code.status() >= 500 => Self::Failed,
                _ => Self::Refused,
            },
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Pending => "pending",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What became of a refresh token that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshOutcome {
    /// It was exchanged for the next one.
    Rotated,
    /// It had just been, and its holder got the same answer.
    Again,
    /// It had been before: its family has ended.
    Reused,
    /// There is no such family, or it has ended.
    Unknown,
    /// It holds, and something else does not.
    Refused,
    /// It was exchanged without the database, which could have said that its family has ended.
    Unconfirmed,
}

impl RefreshOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::Again => "again",
            Self::Reused => "reused",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// The metrics of grants.
#[derive(Debug, Clone)]
pub struct OAuthMetrics {
    tokens: IntCounterVec,
    refreshes: IntCounterVec,
    registrations: IntCounterVec,
    /// Looked up once: resource servers ask for every request of theirs.
    active: IntCounter,
    inactive: IntCounter,
}

impl OAuthMetrics {
    /// Makes the metrics known to a registry.
    ///
    /// # Errors
    /// When the registry has one of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let tokens = IntCounterVec::new(
            Opts::new("postern_identity_tokens_total", "Requests at the token endpoint."),
            &["grant", "outcome"],
        )?;
        let refreshes = IntCounterVec::new(
            Opts::new("postern_identity_refresh_total", "Refresh tokens that were shown."),
            &["outcome"],
        )?;
        let registrations = IntCounterVec::new(
            Opts::new(
                "postern_identity_registrations_total",
                "Clients that wanted to register themselves.",
            ),
            &["outcome"],
        )?;
        registry.register(Box::new(tokens.clone()))?;
        registry.register(Box::new(refreshes.clone()))?;
        registry.register(Box::new(registrations.clone()))?;
        let introspections = IntCounterVec::new(
            Opts::new("postern_identity_introspections_total", "Tokens that were asked about."),
            &["active"],
        )?;
        registry.register(Box::new(introspections.clone()))?;
        let active = introspections.with_label_values(&["true"]);
        let inactive = introspections.with_label_values(&["false"]);
        Ok(Self { tokens, refreshes, registrations, active, inactive })
    }

    /// Counts an answer of the token endpoint; `grant` is a word of ours.
    pub(crate) fn token(&self, grant: &'static str, outcome: GrantOutcome) {
        self.tokens.with_label_values(&[grant, outcome.as_str()]).inc();
    }

    /// Counts a client that wanted to register itself.
    pub(crate) fn registration(&self, outcome: GrantOutcome) {
        self.registrations.with_label_values(&[outcome.as_str()]).inc();
    }

    /// Counts an answer about a token.
    pub(crate) fn introspection(&self, is_active: bool) {
        let counter = if is_active { &self.active } else { &self.inactive };
        counter.inc();
    }

    /// Counts what became of a refresh token.
    pub(crate) fn refresh(&self, outcome: RefreshOutcome) {
        self.refreshes.with_label_values(&[outcome.as_str()]).inc();
    }
}
