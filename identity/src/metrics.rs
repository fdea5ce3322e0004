//! What is counted.

mod keys;
mod login;
mod oauth;
mod outside;

use postern_oauth::AuthMethod;
use prometheus::{IntCounterVec, Opts, Registry};

pub use keys::KeyMetrics;
pub(crate) use keys::RotationOutcome;
pub use login::LoginMetrics;
pub(crate) use login::{Means, OTHER_ROLE, PasswordRefused, SessionEvent};
pub use oauth::OAuthMetrics;
pub(crate) use oauth::{GrantOutcome, RefreshOutcome};
pub use outside::OutsideMetrics;
pub(crate) use outside::OutsideOutcome;

/// Where a label's value is not known for this kind of caller.
const UNKNOWN: &str = "unknown";

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthenticationMethod {
    /// A client, in the way that it is registered for.
    Client(AuthMethod),
    /// Somebody who goes on with a refresh token.
    Refresh,
}

impl AuthenticationMethod {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Client(method) => method.as_str(),
            Self::Refresh => "refresh",
        }
    }
}

/// The metrics of the authorization server.
#[derive(Debug, Clone)]
pub struct IdentityMetrics {
    authentications: IntCounterVec,
}

impl IdentityMetrics {
    /// Makes the metrics known to a registry.
    ///
    /// # Errors
    /// When the registry has one of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let authentications = IntCounterVec::new(
            Opts::new(
                "gateway_user_authentications_total",
                "Attempts of users and clients to prove who they are.",
            ),
            &["method", "success", "user_tier", "country"],
        )?;
        registry.register(Box::new(authentications.clone()))?;
        Ok(Self { authentications })
    }

    /// Counts an attempt. Nothing that the caller sent becomes a label.
    pub(crate) fn authentication(&self, method: AuthenticationMethod, success: bool) {
        let success = if success { "true" } else { "false" };
        self.authentications.with_label_values(&[method.as_str(), success, UNKNOWN, UNKNOWN]).inc();
    }
}
