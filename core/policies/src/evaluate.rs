//! What becomes of a request: the order of things.
//!
//! Mutual TLS comes with the connection. Then Envoy's filters, in the order that istiod gives them
//! (`pilot/pkg/networking/core/listener_builder.go`): CUSTOM, RequestAuthentication, AUDIT, DENY,
//! ALLOW. Over TCP there are no tokens.
//!
//! A rule about an address that the request does not have may match or not. What is decided all
//! the same is decided whichever it is; the rest is [`Decision::Unknown`].

mod facts;
mod rule;
mod tokens;

use facts::Facts;

use crate::mtls::mutual_tls;
use crate::request::Request;
use crate::resources::{Action, AuthorizationPolicy, MtlsMode, Resources};
use crate::verdict::{
    AllowedBy, Asked, Decision, DeniedBy, NoProvider, Outcome, RuleOf, Step, Verdict,
};
use crate::workload::{Mesh, Proxy, Workload};

/// What a workload's proxy makes of a request.
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
    let policies = resources.authorization_for(mesh, workload);
    let mut trace = Trace { policies: &policies, steps: Vec::new() };
    let mut facts = Facts::new(request, mesh);
    let connection = connection(resources, workload, &mut facts);

    let custom = trace.run(&facts, |action| matches!(action, Action::Custom { .. }));
    let asked = providers(&policies, &custom.matched, &facts);
    let custom_open = open_questions(&policies, &custom, asked.as_ref(), &facts);

    let known = resources.request_for(mesh, workload);
    let authenticated = request.http.as_ref().map(|http| tokens::authenticate(&known, http));
    let mut bad_token = None;
    if let Some((after, bad)) = &authenticated {
        facts.headers = &after.headers;
        facts.claims = after.claims.as_ref();
        bad_token = *bad;
    }

    let audit = trace.run(&facts, |action| *action == Action::Audit);
    let deny = trace.run(&facts, |action| *action == Action::Deny);
    let allow = trace.run(&facts, |action| *action == Action::Allow);
    let allows = |policy: &&AuthorizationPolicy| policy.action == Action::Allow && !policy.dry_run;
    let no_policy = !policies.iter().any(allows);
    let steps = trace.steps;

    let nothing_allows = allow.matched.is_empty() && allow.unknown.is_empty() && !no_policy;
    let denied = connection
        .or(asked.as_ref().err().copied())
        .or(bad_token.map(DeniedBy::Token))
        .or(deny.matched.first().copied().map(DeniedBy::Rule))
        .or(nothing_allows.then_some(DeniedBy::NoRule));
    let mut unknown = custom_open;
    unknown.extend(deny.unknown);
    if allow.matched.is_empty() {
        unknown.extend(allow.unknown);
    }
    let decision = match (denied, asked.unwrap_or_default(), allow.matched.first()) {
        (Some(by), _, _) => Decision::Denied(by),
        (None, _, _) if !unknown.is_empty() => Decision::Unknown(unknown),
        (None, asked, _) if !asked.is_empty() => Decision::AskProvider(asked),
        (None, _, Some(rule)) => Decision::Allowed(AllowedBy::Rule(*rule)),
        (None, _, None) => Decision::Allowed(AllowedBy::NoPolicy),
    };
    Verdict { decision, trace: steps, audit: audit.matched }
}

/// Why the connection does not come about, and what the proxy sees of its certificates.
fn connection<'r>(
    resources: &'r Resources,
    workload: &Workload,
    facts: &mut Facts<'_>,
) -> Option<DeniedBy<'r>> {
    // Gateways have TLS of their own.
    if workload.proxy == Proxy::Gateway {
        return None;
    }
    let is_foreign = facts.principal.is_some_and(|name| !facts.mesh.takes(name));
    // Waypoints are only reached through tunnels, which are mutual TLS whatever policies say.
    if workload.proxy == Proxy::Waypoint {
        return is_foreign.then_some(DeniedBy::TrustDomain);
    }
    let mtls = mutual_tls(resources, facts.mesh, workload, facts.request.port);
    match (mtls.mode, facts.principal.is_some()) {
        (MtlsMode::Strict | MtlsMode::Permissive, true) if is_foreign => {
            Some(DeniedBy::TrustDomain)
        }
        (MtlsMode::Strict, false) => Some(DeniedBy::PlainText(mtls.by)),
        (MtlsMode::Disable, true) if facts.is_http() => Some(DeniedBy::TlsNotEnded(mtls.by)),
        (MtlsMode::Disable, true) => {
            // TLS goes on to the workload, which may end it.
            facts.principal = None;
            None
        }
        _ => None,
    }
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

struct Trace<'p, 'r> {
    policies: &'p [&'r AuthorizationPolicy],
    steps: Vec<Step<'r>>,
}

impl<'r> Trace<'_, 'r> {
    /// Runs the policies of one action.
    fn run(&mut self, facts: &Facts<'_>, wanted: impl Fn(&Action) -> bool) -> Matches<'r> {
        let mut matches = Matches::default();
        for policy in self.policies.iter().copied().filter(|policy| wanted(&policy.action)) {
            if policy.rules.is_empty() {
                self.steps.push(Step { policy, rule: None, outcome: Outcome::NoRules });
            }
            for (index, rule) in policy.rules.iter().enumerate() {
                let outcome = facts.rule(&policy.action, rule);
                match &outcome {
                    _ if policy.dry_run => {}
                    Outcome::Matched(_) => matches.matched.push(RuleOf { policy, rule: index }),
                    Outcome::Unknown(_) => matches.unknown.push(RuleOf { policy, rule: index }),
                    Outcome::Missed(_) | Outcome::HttpOnly(_) | Outcome::NoRules => {}
                }
                self.steps.push(Step { policy, rule: Some(index), outcome });
            }
        }
        matches
    }
}
