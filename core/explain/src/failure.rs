//! Answers for parts that do not answer: the rows of docs/failure-modes.md, without waiting for
//! anything to fail.

use postern_document::{OnFailure, Retries, Route};
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
                            exact limits and API keys";
                self.push(Stage::ExtAuthzAsked, By::Envoy, verdict, rules, text);
                Ok(())
            }
        }
    }

    /// Envoy has no module to ask.
    pub(crate) fn bundle_is_away(&mut self) -> Stop {
        if self.assume.policies.is_some() {
            self.assumed("the module is missing in Envoy; where it could not be fetched, 403");
        }
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
        let instead = self.way.instead.clone();
        let service = instead.as_deref().unwrap_or(route.service_name());
        let mut guarded = self.document.services.iter().filter(|known| known.circuit.is_some());
        let counts = match guarded.any(|known| known.name == service) {
            true => ", and it counts for its circuit",
            false => "",
        };
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
        let text = format!("{service} {text}{}{counts}", tries(&self.retries(), failure));
        let verdict = Verdict::Refused(denial.clone());
        self.push(Stage::Upstream, By::Router, verdict, Vec::new(), text);
        Err(self.stop(By::Router, code.status(), denial))
    }
}

/// How often it was tried. What breaks off counts for Envoy as an answer of 500 or above, and so
/// does an attempt whose own time is over.
fn tries(retries: &Retries, failure: UpstreamFailure) -> String {
    let broken = ["reset", "gateway-error", "5xx"];
    let again = retries.on.iter().any(|on| match failure {
        UpstreamFailure::Refused => *on == "connect-failure" || broken.contains(on),
        UpstreamFailure::Reset => broken.contains(on),
        UpstreamFailure::Hang => retries.per_try_timeout_ms.is_some() && broken.contains(on),
        UpstreamFailure::Status => false,
    });
    match retries.attempts {
        attempts @ 2.. if again => format!(", {attempts} times"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_tried_again_where_the_document_says_so() {
        let retries = |on: &'static str, per_try_timeout_ms| Retries {
            attempts: 3,
            on: vec![on],
            per_try_timeout_ms,
            backoff_ms: None,
        };
        for (on, per_try, failure, expected) in [
            ("connect-failure", None, UpstreamFailure::Refused, ", 3 times"),
            ("connect-failure", None, UpstreamFailure::Reset, ""),
            ("refused-stream", None, UpstreamFailure::Refused, ""),
            ("reset", None, UpstreamFailure::Reset, ", 3 times"),
            ("gateway-error", None, UpstreamFailure::Hang, ""),
            ("gateway-error", Some(300), UpstreamFailure::Hang, ", 3 times"),
            ("5xx", None, UpstreamFailure::Refused, ", 3 times"),
        ] {
            assert_eq!(tries(&retries(on, per_try), failure), expected, "{on} {failure:?}");
        }
        assert_eq!(tries(&Retries::NEVER, UpstreamFailure::Refused), "");
    }
}
