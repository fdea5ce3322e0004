//! One workload, and what its proxy makes of requests.

mod candidates;

use core::cell::Cell;
use core::ops::Deref;

use candidates::Candidates;

use super::facts::Facts;
use super::tokens::{Authenticated, authenticate, rules};
use super::{Matches, open_questions, providers, run};
use crate::mtls::Levels;
use crate::request::Parts;
use crate::resources::{Action, AuthorizationPolicy, JwtRule, MtlsMode, Resources};
use crate::verdict::{AllowedBy, BadToken, Decision, DeniedBy, RuleOf, Verdict};
use crate::workload::{Mesh, Proxy, Workload};

/// All that is for one workload, looked up once: for who asks about many requests. `M` is whatever
/// leads to the mesh.
#[derive(Debug)]
pub struct Judge<'r, M> {
    mesh: M,
    proxy: Proxy,
    policies: Vec<&'r AuthorizationPolicy>,
    /// The rules of CUSTOM policies that count.
    custom: Vec<RuleOf<'r>>,
    /// Those of DENY policies, then those of ALLOW policies.
    rules: Vec<RuleOf<'r>>,
    /// How many of them are of DENY policies.
    denying: usize,
    candidates: Candidates,
    mtls: Levels<'r>,
    /// Whose tokens are known, in the order in which they are tried.
    issuers: Vec<&'r JwtRule>,
    work: Cell<u64>,
}

const fn is_custom(action: &Action) -> bool {
    matches!(action, Action::Custom { .. })
}

impl<'r, M: Deref<Target = Mesh>> Judge<'r, M> {
    /// Looks up what is for a workload.
    #[must_use]
    pub fn new(resources: &'r Resources, mesh: M, workload: &Workload) -> Self {
        let policies = resources.authorization_for(&mesh, workload);
        let of = |wanted: &dyn Fn(&Action) -> bool| -> Vec<RuleOf<'r>> {
            let counts =
                |policy: &&&'r AuthorizationPolicy| wanted(&policy.action) && !policy.dry_run;
            let rules = |policy: &'r AuthorizationPolicy| {
                (0..policy.rules.len()).map(move |rule| RuleOf { policy, rule })
            };
            policies.iter().filter(counts).copied().flat_map(rules).collect()
        };
        let custom = of(&is_custom);
        let mut rules_of_both = of(&|action: &Action| *action == Action::Deny);
        let denying = rules_of_both.len();
        rules_of_both.extend(of(&|action: &Action| *action == Action::Allow));
        Self {
            proxy: workload.proxy,
            custom,
            rules: rules_of_both,
            denying,
            candidates: Candidates::default(),
            policies,
            mtls: Levels::of(resources, &mesh, workload),
            issuers: rules(&resources.request_for(&mesh, workload)),
            mesh,
            work: Cell::new(0),
        }
    }

    /// The policies that are for the workload, in Istio's order.
    #[must_use]
    pub fn policies(&self) -> &[&'r AuthorizationPolicy] {
        &self.policies
    }

    /// How many values this one has compared so far, those that cost more counted as several: what
    /// it has to do differs from request to request, and from policy to policy much more.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.work.get()
    }

    /// What becomes of a request.
    #[must_use]
    pub fn decide(&self, request: Parts<'_>) -> Decision<'r> {
        let authenticated;
        let mut facts = Facts::new(request, &self.mesh);
        let decision = 'decided: {
            if let Some(by) = self.connection(&mut facts) {
                break 'decided Decision::Denied(by);
            }
            let custom = matches(self.custom.iter(), &facts, false);
            let asked = providers(&self.policies, &custom.matched, &facts);
            facts.count(self.policies.len() * (2 + custom.unknown.len()));
            let mut open = open_questions(&self.policies, &custom, asked.as_ref(), &facts);
            let asked = match asked {
                Ok(asked) => asked,
                Err(by) => break 'decided Decision::Denied(by),
            };
            authenticated = self.authenticate(request);
            if let Some(by) = see(&mut facts, authenticated.as_ref()) {
                break 'decided Decision::Denied(DeniedBy::Token(by));
            }
            let candidates = self.candidates.of(&self.rules, &facts);
            let split = candidates.partition_point(|number| *number < self.denying);
            let (denying, allowing) = candidates.split_at_checked(split).unwrap_or_default();
            let rule = |number: &usize| self.rules.get(*number);
            let deny = matches(denying.iter().filter_map(rule), &facts, true);
            if let Some(by) = deny.matched.first() {
                break 'decided Decision::Denied(DeniedBy::Rule(*by));
            }
            open.extend(deny.unknown);
            let allow = matches(allowing.iter().filter_map(rule), &facts, true);
            let by = match allow.matched.first() {
                Some(by) => AllowedBy::Rule(*by),
                None if self.allows_all() => AllowedBy::NoPolicy,
                None if allow.unknown.is_empty() => {
                    break 'decided Decision::Denied(DeniedBy::NoRule);
                }
                None => {
                    open.extend(allow.unknown);
                    break 'decided Decision::Unknown(open);
                }
            };
            if !open.is_empty() {
                Decision::Unknown(open)
            } else if !asked.is_empty() {
                Decision::AskProvider(asked)
            } else {
                Decision::Allowed(by)
            }
        };
        self.note(&facts);
        decision
    }

    /// Whether one rule of one of the policies matches a request for certain, whatever others say.
    #[must_use]
    pub fn matches(&self, rule: RuleOf<'_>, request: Parts<'_>) -> bool {
        let authenticated;
        let mut facts = Facts::new(request, &self.mesh);
        let _ = self.connection(&mut facts);
        if !is_custom(&rule.policy.action) {
            authenticated = self.authenticate(request);
            let _ = see(&mut facts, authenticated.as_ref());
        }
        let matches = rule
            .policy
            .rules
            .get(rule.rule)
            .is_some_and(|asked| facts.takes(&rule.policy.action, asked) == Some(true));
        self.note(&facts);
        matches
    }

    /// What becomes of a request, and why.
    #[must_use]
    pub fn evaluate(&self, request: Parts<'_>) -> Verdict<'r> {
        let policies = self.policies.as_slice();
        let authenticated = self.authenticate(request);
        let mut steps = Vec::new();
        let mut facts = Facts::new(request, &self.mesh);
        let connection = self.connection(&mut facts);

        let custom = run(policies, &facts, is_custom, &mut steps);
        let asked = providers(policies, &custom.matched, &facts);
        let custom_open = open_questions(policies, &custom, asked.as_ref(), &facts);

        let bad_token = see(&mut facts, authenticated.as_ref());

        let audit = run(policies, &facts, |action| *action == Action::Audit, &mut steps);
        let deny = run(policies, &facts, |action| *action == Action::Deny, &mut steps);
        let allow = run(policies, &facts, |action| *action == Action::Allow, &mut steps);
        self.note(&facts);

        let no_policy = self.allows_all();
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

    /// Whether there is no ALLOW policy, so that everything may pass.
    fn allows_all(&self) -> bool {
        let allows =
            |policy: &&AuthorizationPolicy| policy.action == Action::Allow && !policy.dry_run;
        !self.policies.iter().any(allows)
    }

    /// Why the connection does not come about, and what the proxy sees of its certificates.
    fn connection(&self, facts: &mut Facts<'_>) -> Option<DeniedBy<'r>> {
        // Gateways have TLS of their own.
        if self.proxy == Proxy::Gateway {
            return None;
        }
        let is_foreign = facts.principal.is_some_and(|name| !facts.mesh.takes(name));
        // Waypoints are only reached through tunnels, which are mutual TLS whatever policies say.
        if self.proxy == Proxy::Waypoint {
            return is_foreign.then_some(DeniedBy::TrustDomain);
        }
        let mtls = self.mtls.on(facts.request.port);
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

    /// What RequestAuthentication makes of a request; none where there is none, and over TCP.
    fn authenticate(&self, request: Parts<'_>) -> Option<(Authenticated, Option<BadToken<'r>>)> {
        let http = request.http?;
        if self.issuers.is_empty() && http.rewritten.is_none() {
            return None;
        }
        // Each issuer's rule looks through all headers, twice where there are several.
        let claims = http.tokens.iter().filter_map(|token| token.claims.as_ref()?.as_object());
        let claims: usize = claims.map(<[_]>::len).sum();
        self.add((2 + self.issuers.len()) * (2 + http.headers.len() / 4) + 4 * claims);
        Some(authenticate(&self.issuers, http))
    }

    fn add(&self, work: usize) {
        let work = u64::try_from(work).unwrap_or(u64::MAX);
        self.work.set(self.work.get().saturating_add(work));
    }

    fn note(&self, facts: &Facts<'_>) {
        self.work.set(self.work.get().saturating_add(facts.work()));
    }
}

/// Which of some rules match, up to the first one where that is enough.
fn matches<'i, 'r: 'i>(
    rules: impl Iterator<Item = &'i RuleOf<'r>>,
    facts: &Facts<'_>,
    first_is_enough: bool,
) -> Matches<'r> {
    let mut matches = Matches::default();
    for rule in rules.copied() {
        let Some(asked) = rule.policy.rules.get(rule.rule) else { continue };
        match facts.takes(&rule.policy.action, asked) {
            Some(true) => matches.matched.push(rule),
            Some(false) => continue,
            None => matches.unknown.push(rule),
        }
        if first_is_enough && !matches.matched.is_empty() {
            break;
        }
    }
    matches
}

/// What policies see from then on, and which token does not hold.
fn see<'q, 'r>(
    facts: &mut Facts<'q>,
    authenticated: Option<&'q (Authenticated, Option<BadToken<'r>>)>,
) -> Option<BadToken<'r>> {
    let (after, bad) = authenticated?;
    facts.see(&after.headers);
    facts.claims = after.claims.as_ref();
    *bad
}
