//! Answers for parts that do not answer: the rows of docs/failure-modes.md, without waiting for
//! anything to fail.

use postern_document::{OnFailure, Route};
use postern_request::{Denial, ErrorCode};

use crate::assume::{Part, UpstreamFailure};
use crate::rule::{Effect, Rule};
use crate::step::{By, Stage, Verdict};
use crate::walk::{Stop, Walk};

/// What clients are told to wait for where something is away.
const RETRY_AFTER_SECS: u64 = 1;

/// An answer that Envoy gives by itself: logs know no reason of ours for it.
pub(crate) fn of_envoy(code: ErrorCode) -> Denial {
    let mut denial = Denial::new(code, "");
    if code.status() == 503 {
        denial.retry_after_secs = Some(RETRY_AFTER_SECS);
    }
    denial
}

fn chosen(path: &str) -> Vec<Rule> {
    vec![Rule::new(path.to_owned(), Effect::Failed)]
}

impl Walk<'_, '_> {
    /// The route needs `ext_authz`, and the server does not answer.
    pub(crate) fn server_is_away(&mut self) -> Result<(), Stop> {
        let rules = chosen("failures.ext_authz");
        match self.document.failures.ext_authz {
            OnFailure::Deny => {
                let denial = of_envoy(ErrorCode::Unavailable);
                let text = "the server does not answer: `failures.ext_authz` is `deny`";
                Err(self.answer(Stage::ExtAuthzAsked, 503, denial, rules, text))
            }
            OnFailure::Allow => {
                let verdict = Verdict::Skipped("the server does not answer");
                let text = "`failures.ext_authz` is `allow`: the bundle decides alone, without \
                            exact limits, circuits and API keys";
                self.push(Stage::ExtAuthzAsked, By::Envoy, verdict, rules, text);
                Ok(())
            }
        }
    }

    /// Envoy has no module to ask.
    pub(crate) fn bundle_is_away(&mut self) -> Stop {
        let denial = of_envoy(ErrorCode::Unavailable);
        let text = "the module is missing or has crashed";
        self.answer(Stage::Evidence, 503, denial, Vec::new(), text)
    }

    /// Whether nobody computes headers.
    pub(crate) fn lacks_ext_proc(&self) -> bool {
        self.assume.has_failed(&Part::Server) || self.assume.has_failed(&Part::ExtProc)
    }

    /// The route needs `ext_proc`, and nobody computes headers.
    pub(crate) fn ext_proc_is_away(&mut self) -> Result<(), Stop> {
        let rules = chosen("failures.ext_proc");
        match self.document.failures.ext_proc {
            OnFailure::Deny => {
                let denial = of_envoy(ErrorCode::Unavailable);
                let text = "`ext_proc` does not answer: `failures.ext_proc` is `deny`";
                Err(self.answer(Stage::ExtProc, 503, denial, rules, text))
            }
            OnFailure::Allow => {
                let verdict = Verdict::Skipped("`ext_proc` does not answer");
                let text = "`failures.ext_proc` is `allow`: on without the headers that it \
                            computes";
                self.push(Stage::ExtProc, By::Envoy, verdict, rules, text);
                Ok(())
            }
        }
    }

    /// What comes of the service itself.
    pub(crate) fn reach_upstream(&mut self, route: &Route) -> Result<(), Stop> {
        let failed = self.assume.failed.iter().find_map(|part| match part {
            Part::Upstream(failure) => Some(*failure),
            _ => None,
        });
        let Some(failure) = failed else { return Ok(()) };
        let counts = if route.circuit().is_some() { ", and it counts for its circuit" } else { "" };
        let service = route.service_name();
        let (code, text) = match failure {
            UpstreamFailure::Refused => (ErrorCode::Unavailable, "cannot be reached"),
            UpstreamFailure::Hang => (ErrorCode::GatewayTimeout, "does not answer in time"),
            UpstreamFailure::Reset => (ErrorCode::Unavailable, "closes before its answer begins"),
            UpstreamFailure::Status => {
                let text = format!("{service} answers 500 or above: its answer passes{counts}");
                self.push(Stage::Upstream, By::Router, Verdict::Noted, Vec::new(), text);
                return Ok(());
            }
        };
        let denial = of_envoy(code);
        let text = format!("{service} {text}{}{counts}", tries(route, failure));
        let verdict = Verdict::Refused(denial.clone());
        self.push(Stage::Upstream, By::Router, verdict, Vec::new(), text);
        Err(self.stop(By::Router, code.status(), denial))
    }
}

/// How often it was tried.
fn tries(route: &Route, failure: UpstreamFailure) -> String {
    let attempts = attempts(route);
    let on = match failure {
        UpstreamFailure::Refused => "connect-failure",
        UpstreamFailure::Reset => "reset",
        UpstreamFailure::Hang | UpstreamFailure::Status => "",
    };
    let retries = route.service.as_ref().map(|service| &service.retries);
    let again = retries.is_some_and(|retries| retries.on.contains(&on));
    if again && attempts > 1 { format!(", {attempts} times") } else { String::new() }
}

/// How often a request of a route is tried at most.
pub(crate) fn attempts(route: &Route) -> u32 {
    route.service.as_ref().map_or(1, |service| service.retries.attempts.max(1))
}
