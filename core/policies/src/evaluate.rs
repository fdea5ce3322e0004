//! What becomes of a request: the order of things.
//!
//! Mutual TLS comes with the connection. Then Envoy's filters, in the order that istiod gives them
//! (`pilot/pkg/networking/core/listener_builder.go`): CUSTOM, RequestAuthentication, AUDIT, DENY,
//! ALLOW. Over TCP there are no tokens.
//!
//! A rule about an address that the request does not have may match or not. What is decided all
//! the same is decided whichever it is; the rest is [`Decision::Unknown`].

mod facts;
mod judge;
mod rule;
mod tokens;

use facts::Facts;
pub use judge::Judge;

use crate::request::{Parts, Request};
use crate::resources::{Action, AuthorizationPolicy, Resources};
use crate::verdict::{Asked, DeniedBy, NoProvider, Outcome, RuleOf, Step, Verdict};
use crate::workload::{Mesh, Workload};

/// What a workload's proxy makes of a request, and why. A [`Judge`] says the same of many.
///
/// Of a waypoint, this is what it makes of requests for the workload's `service`; of the tunnel that
/// they come through, only whose certificates it takes is looked at.
#[must_use]
pub fn evaluate<'r>(
    resources: &'r Resources,
    mesh: &Mesh,
    workload: &Workload,
    request: &Request,
) -> Verdict<'r> {
    Judge::new(resources, mesh, workload).evaluate(Parts::from(request))
}

/// Whom to ask about what the CUSTOM rules match.
fn providers<'r>(
    policies: &[&'r AuthorizationPolicy],
    matched: &[RuleOf<'r>],
    facts: &Facts<'_>,
) -> Result<Vec<Asked<'r>>, DeniedBy<'r>> {
    let mut names: Vec<&str> = policies.iter().filter_map(|policy| provider(policy)).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() > 1 && !facts.mesh.several_providers {
        let several = |rule: &RuleOf<'r>| Err(DeniedBy::NoProvider(*rule, NoProvider::Several));
        return matched.first().map_or(Ok(Vec::new()), several);
    }
    let mut asked: Vec<Asked<'r>> = Vec::new();
    for by in matched {
        let Some(provider) = provider(by.policy) else { continue };
        if let Some(known) = &facts.mesh.providers {
            match known.iter().find(|known| known.name == provider) {
                None => return Err(DeniedBy::NoProvider(*by, NoProvider::Unknown)),
                Some(_) if facts.mesh.problem_of_provider(provider).is_some() => {
                    return Err(DeniedBy::NoProvider(*by, NoProvider::Invalid));
                }
                Some(known) if !known.grpc && !facts.is_http() => continue,
                Some(_) => {}
            }
        }
        if !asked.iter().any(|asked| asked.provider == provider) {
            asked.push(Asked { provider, by: *by });
        }
    }
    Ok(asked)
}

/// The CUSTOM rules that may match, and would change whom to ask.
fn open_questions<'r>(
    policies: &[&'r AuthorizationPolicy],
    custom: &Matches<'r>,
    asked: Result<&Vec<Asked<'r>>, &DeniedBy<'r>>,
    facts: &Facts<'_>,
) -> Vec<RuleOf<'r>> {
    let without = asked.map_or(0, Vec::len);
    let changes = |rule: &&RuleOf<'r>| {
        let with = providers(policies, &[custom.matched.as_slice(), &[**rule]].concat(), facts);
        with.map_or(true, |asked| asked.len() != without)
    };
    custom.unknown.iter().filter(changes).copied().collect()
}

fn provider(policy: &AuthorizationPolicy) -> Option<&str> {
    match &policy.action {
        Action::Custom { provider } => Some(provider),
        Action::Allow | Action::Deny | Action::Audit => None,
    }
}

/// Rules that match, dry runs apart.
#[derive(Default)]
struct Matches<'r> {
    matched: Vec<RuleOf<'r>>,
    /// Those of which nobody can tell.
    unknown: Vec<RuleOf<'r>>,
}

/// Runs the policies of one action.
fn run<'r>(
    policies: &[&'r AuthorizationPolicy],
    facts: &Facts<'_>,
    wanted: impl Fn(&Action) -> bool,
    steps: &mut Vec<Step<'r>>,
) -> Matches<'r> {
    let mut matches = Matches::default();
    for policy in policies.iter().copied().filter(|policy| wanted(&policy.action)) {
        if policy.rules.is_empty() {
            steps.push(Step { policy, rule: None, outcome: Outcome::NoRules });
        }
        for (index, rule) in policy.rules.iter().enumerate() {
            let outcome = facts.rule(&policy.action, rule);
            match &outcome {
                _ if policy.dry_run => {}
                Outcome::Matched(_) => matches.matched.push(RuleOf { policy, rule: index }),
                Outcome::Unknown(_) => matches.unknown.push(RuleOf { policy, rule: index }),
                Outcome::Missed(_) | Outcome::HttpOnly(_) | Outcome::NoRules => {}
            }
            steps.push(Step { policy, rule: Some(index), outcome });
        }
    }
    matches
}
