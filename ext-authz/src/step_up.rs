//! Whether somebody has authenticated as well as the route asks (RFC 9470).

use postern_document::{MfaProblem, Route};
use postern_request::{Denial, UnixMillis};

use crate::authorizer::{Authorizer, Identified};

/// How a caller has authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authenticated {
    /// By several factors.
    pub(crate) several_factors: bool,
    /// When, in seconds; none where nobody says.
    pub(crate) at: Option<u64>,
    /// By a token with the scheme `DPoP`.
    pub(crate) with_proof: bool,
    /// Another browser than the one that it was shows the session's cookie: a second factor is to
    /// be asked for, whatever the route says.
    pub(crate) changed: bool,
}

impl Authorizer {
    /// Whether the caller has shown what the route asks for besides a credential. Whether anything
    /// was asked at all: only then is there something to tell the bundle.
    pub(crate) fn step_up(
        &self,
        route: &Route,
        identified: &Identified,
        now: UnixMillis,
    ) -> Result<bool, Denial> {
        let how = identified.authenticated;
        let metrics = &self.parts.metrics;
        if how.is_some_and(|how| how.changed) {
            metrics.step_up(&route.name, "changed");
            return Err(Denial::step_up("session_changed", None, false));
        }
        let Some(mfa) = route.auth.mfa() else { return Ok(false) };
        let judged = match how {
            Some(how) => mfa.judge(how.several_factors, how.at, now.as_secs()),
            None => Err(MfaProblem::Missing),
        };
        match judged {
            Ok(()) => {
                metrics.step_up(&route.name, "passed");
                Ok(true)
            }
            Err(problem) => {
                let outcome = match problem {
                    MfaProblem::Missing => "missing",
                    MfaProblem::Stale => "stale",
                };
                metrics.step_up(&route.name, outcome);
                let with_proof = how.is_some_and(|how| how.with_proof);
                Err(Denial::step_up(problem.as_str(), mfa.within_secs, with_proof))
            }
        }
    }
}
