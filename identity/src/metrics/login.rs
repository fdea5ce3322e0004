//! What is counted of logging in.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::{IdentityMetrics, UNKNOWN};
use crate::login::LoginRules;

/// A role that the document does not know any more, or no user at all.
pub(crate) const OTHER_ROLE: &str = "other";

/// What somebody proved who they are with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// A password.
    Password,
    /// A code of an application.
    Totp,
    /// A recovery code.
    RecoveryCode,
    /// A passkey.
    Passkey,
    /// A session's cookie.
    Session,
    /// An outside provider's word.
    Outside,
}

impl Means {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery_code",
            Self::Passkey => "passkey",
            Self::Session => "session",
            Self::Outside => "outside",
        }
    }
}

/// What became of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionEvent {
    Started,
    Renewed,
    Ended,
}

impl SessionEvent {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Renewed => "renewed",
            Self::Ended => "ended",
        }
    }
}

/// Why a password was not hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordRefused {
    /// Too many wait.
    Full,
    /// It has waited too long.
    Slow,
}

impl PasswordRefused {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Slow => "slow",
        }
    }
}

/// The metrics of logging in. Roles are those of the document.
#[derive(Debug, Clone)]
pub struct LoginMetrics {
    authentications: IntCounterVec,
    registrations: IntCounterVec,
    logins: IntCounterVec,
    sessions: IntCounterVec,
    waiting: IntGauge,
    seconds: Histogram,
    refused: IntCounterVec,
    audit_failures: IntCounter,
}

impl LoginMetrics {
    /// Makes the metrics known to a registry that [`IdentityMetrics`] is known to.
    ///
    /// # Errors
    /// When the registry has one of these names already.
    pub fn register(
        registry: &Registry,
        identity: &IdentityMetrics,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Self::new(identity.authentications.clone())?;
        registry.register(Box::new(metrics.registrations.clone()))?;
        registry.register(Box::new(metrics.logins.clone()))?;
        registry.register(Box::new(metrics.sessions.clone()))?;
        registry.register(Box::new(metrics.waiting.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.audit_failures.clone()))?;
        Ok(metrics)
    }

    fn new(authentications: IntCounterVec) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        // A hash alone takes some 30 ms; what is beyond that is the queue.
        let buckets = vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let seconds = HistogramOpts::new(
            "postern_identity_password_seconds",
            "How long a password took to be hashed, its time in the queue included.",
        );
        Ok(Self {
            authentications,
            registrations: counters("user_registrations_total", "Users who were made.", &["role"])?,
            logins: counters(
                "user_logins_total",
                "Users who logged in, or tried to.",
                &["role", "success"],
            )?,
            sessions: counters(
                "postern_identity_sessions_total",
                "What became of sessions.",
                &["event"],
            )?,
            waiting: IntGauge::new(
                "postern_identity_password_queue",
                "Passwords that wait to be hashed.",
            )?,
            seconds: Histogram::with_opts(seconds.buckets(buckets))?,
            refused: counters(
                "postern_identity_password_refused_total",
                "Passwords that were not hashed, because the queue was full or too slow.",
                &["reason"],
            )?,
            audit_failures: IntCounter::new(
                "postern_audit_failures_total",
                "Things that happened and could not be written to the audit log.",
            )?,
        })
    }

    /// Counts for nobody.
    #[cfg(test)]
    pub(crate) fn unregistered() -> Self {
        let identity = IdentityMetrics::register(&Registry::new()).unwrap();
        Self::register(&Registry::new(), &identity).unwrap()
    }

    pub(crate) fn authentication(&self, means: Means, success: bool, tier: Option<&str>) {
        let tier = tier.unwrap_or(UNKNOWN);
        let labels = [means.as_str(), truth(success), tier, UNKNOWN];
        self.authentications.with_label_values(&labels).inc();
    }

    /// Counts a user who was made, with a role of the document.
    pub fn registered(&self, rules: &LoginRules, role: &str) {
        self.registrations.with_label_values(&[rules.role_label(role)]).inc();
    }

    pub(crate) fn login(&self, role: &str, success: bool) {
        self.logins.with_label_values(&[role, truth(success)]).inc();
    }

    pub(crate) fn session(&self, event: SessionEvent) {
        self.sessions.with_label_values(&[event.as_str()]).inc();
    }

    pub(crate) fn passwords_waiting(&self, more: i64) {
        self.waiting.add(more);
    }

    pub(crate) fn password_hashed(&self, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn password_refused(&self, why: PasswordRefused) {
        self.refused.with_label_values(&[why.as_str()]).inc();
    }

    pub(crate) fn audit_failed(&self) {
        self.audit_failures.inc();
    }
}

const fn truth(success: bool) -> &'static str {
    if success { "true" } else { "false" }
}
