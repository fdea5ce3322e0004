//! The findings of `postern-policies`, graded.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use postern_policies::{Action, AuthorizationPolicy, Concern, Meta, RuleOf, findings};

use super::super::catalogue::{
    ALLOWS_EVERYTHING, CLAIM_BEFORE_VERIFIED, DRY_RUN, HEADER_BEFORE_VERIFIED, HOST_WITHOUT_PORT,
    HTTP_RULE_ON_TCP, MATCHES_NOTHING, MESH_WIDE, NOT_THE_OLDEST, PERMISSIVE_MTLS, PLUGIN_MISSING,
    PROVIDER_BAD, SEVERAL_PROVIDERS,
};
use super::super::document::writes;
use super::super::model::{Finding, Severity};
use super::callers::Who;
use super::few::Few;
use super::known::Known;
use super::maker::Maker;
use super::reach::told;
use super::view::View;
use super::{at, enforced, plugins};

pub(super) fn look(view: &View<'_>, found: &mut Vec<Finding>, unknown: &mut Vec<String>) {
    let workloads: Vec<_> = view.workloads.iter().map(|known| known.workload.clone()).collect();
    let namespaces: BTreeSet<&str> =
        workloads.iter().map(|workload| workload.namespace.as_str()).collect();
    let (mut few, forgeries) = (Few::default(), RefCell::default());
    for finding in findings(view.resources, &view.mesh, &workloads) {
        let of = finding.of;
        if let (Some((kind, meta)), Concern::NotCompared { rule }) = (of, &finding.concern) {
            let line = format!("{kind} {meta} rule {rule}: whether parts of it never match");
            unknown.push(format!("{line}: its values are too many to be compared"));
        }
        if let Some(key) = of_many(&finding.concern)
            && let Some((_, meta)) = of
            && !few.may_tell((std::ptr::from_ref(meta).addr(), key))
        {
            continue;
        }
        if finding.concern == Concern::SelectsNothing
            && let Some((kind, meta)) = of
            && is_for_pods_that_nobody_described(view, kind, meta, &namespaces)
        {
            unknown.push(format!(
                "{kind} {meta}: whether there are pods that it is for; no manifest has a workload \
                 of its namespace"
            ));
            continue;
        }
        let subject = of.map(|(kind, meta)| format!("{kind} {meta}"));
        let place = of.and_then(|(_, meta)| at(&meta.file, finding.line));
        let known = Said { view, meta: of.map(|(_, meta)| meta), subject, forgeries: &forgeries };
        found.extend(known.graded(&finding.concern).map(|finding| finding.at(place)));
    }
}

/// The suite's pods are the same for every document, and seldom beside its rendering.
fn is_for_pods_that_nobody_described(
    view: &View<'_>,
    kind: &str,
    meta: &Meta,
    namespaces: &BTreeSet<&str>,
) -> bool {
    !namespaces.contains(meta.namespace.as_str()) && view.is_rendered(kind, meta)
}

/// What a concern is about.
struct Said<'v, 'a> {
    view: &'v View<'a>,
    meta: Option<&'v Meta>,
    subject: Option<String>,
    forgeries: &'v RefCell<Forgeries>,
}

/// By policy, rule and kind of workload, what shows that a header can be forged.
type Forgeries = BTreeMap<(usize, usize, usize), Option<String>>;

/// Which concern it is, of those of which there is one for each workload or port, and about which
/// rule.
const fn of_many(concern: &Concern) -> Option<(u8, usize)> {
    match concern {
        Concern::HttpOnTcp { rule, .. } => Some((0, *rule)),
        Concern::TokenNotVerified { rule, .. } => Some((1, *rule)),
        Concern::TrustsHeader { rule, .. } => Some((2, *rule)),
        Concern::NotTheOldest { .. } => Some((3, 0)),
        _ => None,
    }
}

impl Said<'_, '_> {
    fn subject(&self, rule: Option<usize>) -> String {
        let subject = self.subject.clone().unwrap_or_default();
        rule.map_or_else(|| subject.clone(), |rule| format!("{subject} rule {rule}"))
    }

    /// Whether the resource is a DENY policy: what it misses gets through.
    fn denies(&self) -> bool {
        let is_it = |meta: &Meta| self.meta.is_some_and(|own| own == meta);
        let mut all = self.view.resources.authorization().iter();
        all.any(|policy| is_it(&policy.meta) && policy.action == Action::Deny)
    }

    fn graded(&self, concern: &Concern) -> Option<Finding> {
        let own = || self.subject(None);
        let of = |rule: &usize| self.subject(Some(*rule));
        let by_action = || if self.denies() { Severity::High } else { Severity::Medium };
        Some(match concern {
            Concern::SelectsNothing => {
                let text = "it is for none of the workloads that are known";
                Finding::new(&MATCHES_NOTHING, own(), text).graded(by_action())
            }
            Concern::MeshWide => {
                let text = "it is for every workload of the mesh";
                Finding::new(&MESH_WIDE, own(), text)
            }
            Concern::DryRun => Finding::new(&DRY_RUN, own(), "it only tells what it would do"),
            Concern::AllowsEverything { rule } => {
                Finding::new(&ALLOWS_EVERYTHING, of(rule), "it allows everything to everybody")
            }
            Concern::NeverMatches { rule, place, why, whole } => {
                let what = if *whole { "the rule never matches" } else { "a part never matches" };
                let text = format!("{what}: {place}: {why}");
                Finding::new(&MATCHES_NOTHING, of(rule), text).graded(by_action())
            }
            // That is not known.
            Concern::NotCompared { .. } => return None,
            Concern::HttpOnTcp { rule, place, workload, port } => {
                let effect =
                    if self.denies() { "matches more there" } else { "has no effect there" };
                let text =
                    format!("{place} is of HTTP, and the rule {effect}: {workload} port {port}");
                Finding::new(&HTTP_RULE_ON_TCP, of(rule), text)
            }
            Concern::TokenNotVerified { rule, place, workload, issuer } => {
                let whose = match issuer {
                    Some(issuer) => format!("tokens of `{issuer}`"),
                    None => "tokens".to_owned(),
                };
                let text = format!("{place}: nobody verifies {whose} on {workload}");
                Finding::new(&CLAIM_BEFORE_VERIFIED, of(rule), text)
            }
            Concern::TrustsHeader { rule, header, workload } => {
                return self.header(*rule, header, workload);
            }
            Concern::HostWithoutPort { rule, host } => {
                let text = format!("`{host}` with a port is another host, which is not denied");
                Finding::new(&HOST_WITHOUT_PORT, of(rule), text)
            }
            Concern::UnknownProvider { provider } => {
                let text = format!("MeshConfig has no provider `{provider}`");
                Finding::new(&PROVIDER_BAD, own(), text)
            }
            Concern::InvalidProvider { provider, why } => {
                let text = format!("istiod does not take the provider `{provider}`: {why}");
                Finding::new(&PROVIDER_BAD, own(), text)
            }
            Concern::SeveralProviders { workload, providers } => {
                let text = format!(
                    "{} are asked there, which Istio answers by refusing what they match",
                    providers.join(" and ")
                );
                Finding::new(&SEVERAL_PROVIDERS, format!("Workload {workload}"), text)
            }
            Concern::PlainText { workload, port, mode } => {
                let port = port.map_or_else(String::new, |port| format!(" on port {port}"));
                let text = format!("it takes plain text{port} ({})", mode.as_str());
                Finding::new(&PERMISSIVE_MTLS, format!("Workload {workload}"), text)
            }
            Concern::NotTheOldest { workload, instead, is_known } => {
                let sure =
                    if *is_known { "" } else { ", unless it is the older one in the cluster" };
                let text = format!("for {workload}, {instead} counts instead{sure}");
                Finding::new(&NOT_THE_OLDEST, own(), text)
            }
        })
    }

    /// Headers that the bundle writes are as good as verified, where the bundle runs in front of
    /// the policy. CUSTOM comes before it.
    fn header(&self, rule: usize, header: &str, workload: &str) -> Option<Finding> {
        let subject = self.subject(Some(rule));
        let is_custom = self.view.resources.authorization().iter().any(|policy| {
            self.meta.is_some_and(|meta| *meta == policy.meta)
                && matches!(policy.action, Action::Custom { .. })
        });
        if is_custom {
            let text = format!(
                "it compares `{header}` before the bundle has taken away what callers wrote"
            );
            return Some(Finding::new(&HEADER_BEFORE_VERIFIED, subject, text));
        }
        if !writes(self.view.document, header) {
            let text = format!("it compares `{header}` on {workload}, and callers write that");
            return Some(Finding::new(&HEADER_BEFORE_VERIFIED, subject, text));
        }
        let known = self.view.workloads.iter().find(|known| known.workload.name == workload)?;
        let mut policies = self.view.resources.authorization().iter();
        let policy = policies.find(|policy| self.meta.is_some_and(|meta| *meta == policy.meta))?;
        let key = (std::ptr::from_ref(policy).addr(), rule, known.kind);
        let what = || format!("{subject} on {workload}");
        let made_out = self.forgeries.borrow().get(&key).cloned();
        let shown = made_out.unwrap_or_else(|| {
            let may = self.view.budget.may(&PLUGIN_MISSING, what);
            let shown = may.then(|| forged(self.view, known, policy, rule)).flatten();
            self.forgeries.borrow_mut().insert(key, shown.clone());
            shown
        })?;
        let text = format!("it relies on `{header}`, and the bundle does not run on {workload}");
        Some(Finding::new(&PLUGIN_MISSING, subject, text).shown_by(shown))
    }
}

/// A request that gets in by headers which it has written itself: no bundle has seen it, neither
/// here nor on the gateway.
fn forged(
    view: &View<'_>,
    known: &Known,
    policy: &AuthorizationPolicy,
    rule: usize,
) -> Option<String> {
    let gateway = enforced::is_gateway_guarded(view);
    let examples = Maker::new(view, known).of_rule(policy, rule);
    examples.iter().find_map(|example| {
        let through_gateway = gateway && example.who == Who::Gateway;
        if through_gateway || plugins::guards(view, known, example.port) {
            return None;
        }
        let decision = view.decide(known, example);
        let matched = view.matches(known, example, RuleOf { policy, rule });
        // An ALLOW rule lets in what it matches, a DENY rule what it does not.
        let lets_in = matched == (policy.action == Action::Allow);
        (lets_in && decision.may_pass())
            .then(|| format!("{}, {}: {}", example.line(), example.who.told(), told(&decision)))
    })
}
