//! What rules of AuthorizationPolicies leave open.

use postern_policies::{
    Action, AllowedBy, Attribute, AuthorizationPolicy, Decision, MtlsMode, Pattern, Rule, Test,
    Verdict, mutual_tls,
};

use super::super::catalogue::{
    CLAIM_BEFORE_VERIFIED, DEFAULT_ALLOW, MISSING_SELECTOR, PRINCIPAL_WITHOUT_MTLS, SHADOWED_RULE,
    WIDE_PRINCIPAL,
};
use super::super::model::{Finding, Severity};
use super::at;
use super::callers::Who;
use super::examples::Example;
use super::known::Known;
use super::maker::Maker;
use super::reach::told;
use super::view::View;

pub(super) fn look(view: &View<'_>, found: &mut Vec<Finding>) {
    for known in &view.workloads {
        default_allow(view, known, found);
        missing_selector(view, known, found);
        for port in known.ports() {
            principals_in_plain_text(view, known, port.number, found);
        }
    }
    for policy in view.resources.authorization().iter().filter(|policy| !policy.dry_run) {
        // Nobody deletes a rule of what is rendered, and there it does no harm.
        let is_rendered = view.is_rendered("AuthorizationPolicy", &policy.meta);
        for (index, rule) in policy.rules.iter().enumerate() {
            wide_principal(policy, index, rule, found);
            denied_by_claim(view, policy, index, rule, found);
            if !is_rendered {
                shadowed(view, policy, index, rule, found);
            }
        }
    }
}

/// A finding about a rule.
pub(super) fn of_rule(
    check: &super::super::catalogue::Check,
    policy: &AuthorizationPolicy,
    index: usize,
    text: impl Into<String>,
) -> Finding {
    let subject = format!("AuthorizationPolicy {} rule {index}", policy.meta);
    let line = super::reach::line_of(policy, index);
    Finding::new(check, subject, text).at(at(&policy.meta.file, line))
}

/// Policies for a workload that count.
fn policies<'v>(view: &'v View<'_>, known: &Known) -> Vec<&'v AuthorizationPolicy> {
    let mut all = view.resources.authorization_for(&view.mesh, &known.workload);
    all.retain(|policy| !policy.dry_run);
    all
}

/// PR213: a workload of the document without any ALLOW policy.
fn default_allow(view: &View<'_>, known: &Known, found: &mut Vec<Finding>) {
    let allows = |policy: &&AuthorizationPolicy| policy.action == Action::Allow;
    if known.is_ours && !policies(view, known).iter().any(allows) {
        let text = "no ALLOW policy is for it, so whoever reaches it may call it";
        found.push(Finding::new(&DEFAULT_ALLOW, known.subject(), text).at(known.place.clone()));
    }
}

/// PR202: a policy without a selector that opens a port which none of its rules names.
fn missing_selector(view: &View<'_>, known: &Known, found: &mut Vec<Finding>) {
    if known.is_gateway() {
        return;
    }
    let maker = Maker::new(view, known);
    for policy in policies(view, known) {
        if policy.action != Action::Allow || !policy.selection.is_for_all() {
            continue;
        }
        for (index, rule) in policy.rules.iter().enumerate() {
            if rule.tests().any(|test| test.attribute == Attribute::Port) {
                continue;
            }
            let mut seen = Vec::new();
            for example in maker.of_rule(policy, index) {
                let is_new = example.who == Who::Stranger && !seen.contains(&example.port);
                if is_new && is_allowed_by(&view.verdict(known, &example), policy, index) {
                    seen.push(example.port);
                    let text = format!(
                        "it opens {} of {} to any workload of the mesh, and names neither",
                        port(example.port),
                        known.name()
                    );
                    found.push(of_rule(&MISSING_SELECTOR, policy, index, text));
                }
            }
        }
    }
}

/// `port 80`, or what is said of one that is not known.
fn port(number: u16) -> String {
    if number == 0 { "a port".to_owned() } else { format!("port {number}") }
}

/// Whether it is this rule that lets a request in.
pub(super) fn is_allowed_by(
    verdict: &Verdict<'_>,
    policy: &AuthorizationPolicy,
    rule: usize,
) -> bool {
    matches!(&verdict.decision, Decision::Allowed(AllowedBy::Rule(by))
        if std::ptr::eq(by.policy, policy) && by.rule == rule)
}

/// PR204: rules about certificates where callers need none.
fn principals_in_plain_text(view: &View<'_>, known: &Known, on: u16, found: &mut Vec<Finding>) {
    let mtls = mutual_tls(view.resources, &view.mesh, &known.workload, on);
    if known.is_gateway() || mtls.mode == MtlsMode::Strict {
        return;
    }
    for policy in policies(view, known) {
        for (index, rule) in policy.rules.iter().enumerate() {
            let asks = |test: &&Test| test.attribute.is_from_certificate();
            let mut tests = rule.tests().filter(asks);
            let goes_wrong = match policy.action {
                Action::Deny => tests.any(|test| !test.values.is_empty()),
                Action::Allow => tests.any(|test| test.values.is_empty()),
                Action::Audit | Action::Custom { .. } => false,
            };
            if goes_wrong {
                let effect = if policy.action == Action::Deny {
                    "whoever comes in plain text is not denied"
                } else {
                    "whoever comes in plain text is none of those that it excludes, and passes"
                };
                let text = format!("{} takes plain text on {}: {effect}", known.name(), port(on));
                found.push(of_rule(&PRINCIPAL_WITHOUT_MTLS, policy, index, text));
            }
        }
    }
}

/// PR218: principals that more callers have than whoever wrote them may think of.
fn wide_principal(
    policy: &AuthorizationPolicy,
    index: usize,
    rule: &Rule,
    found: &mut Vec<Finding>,
) {
    if policy.action != Action::Allow {
        return;
    }
    let principals = rule.tests().filter(|test| test.attribute == Attribute::Principal);
    for value in principals.flat_map(|test| &test.values) {
        let text = value.as_str();
        if text.starts_with('*') {
            let text = format!("`{text}` is anybody's, in every trust domain that is trusted");
            found.push(of_rule(&WIDE_PRINCIPAL, policy, index, text));
        }
    }
}

/// PR206: a DENY rule about what a token says, which whoever brings no token is not.
fn denied_by_claim(
    view: &View<'_>,
    policy: &AuthorizationPolicy,
    index: usize,
    rule: &Rule,
    found: &mut Vec<Finding>,
) {
    let asks = |test: &Test| test.attribute.is_from_token() && !test.values.is_empty();
    if policy.action != Action::Deny || !rule.tests().any(asks) {
        return;
    }
    for known in &view.workloads {
        if !policy.is_for(&view.mesh, &known.workload) {
            continue;
        }
        let who = if known.is_gateway() { Who::Outside } else { Who::Gateway };
        let examples = Maker::new(view, known).by(&who, policy, index);
        let shown = examples.iter().find_map(|example: &Example| {
            let decision = view.verdict(known, example).decision;
            decision.may_pass().then(|| format!("{}: {}", example.line(), told(&decision)))
        });
        if let Some(shown) = shown {
            let text = format!("whoever brings no token to {} is not denied", known.name());
            let finding = of_rule(&CLAIM_BEFORE_VERIFIED, policy, index, text);
            found.push(finding.graded(Severity::High).shown_by(shown));
        }
    }
}

/// PR208: a rule all of whose requests another rule takes already.
fn shadowed(
    view: &View<'_>,
    policy: &AuthorizationPolicy,
    index: usize,
    rule: &Rule,
    found: &mut Vec<Finding>,
) {
    for other in view.resources.authorization() {
        let reaches = other.meta.namespace == policy.meta.namespace
            && (other.selection.is_for_all() || other.selection == policy.selection);
        if other.dry_run || other.action != policy.action || !reaches {
            continue;
        }
        for (place, wide) in other.rules.iter().enumerate() {
            let is_itself = std::ptr::eq(other, policy) && place == index;
            // Of two that are the same, the later one is superfluous.
            let both = covers(rule, wide);
            let is_later = (&policy.meta.name, index) > (&other.meta.name, place);
            if !is_itself && covers(wide, rule) && (!both || is_later) {
                let text = format!("{} rule {place} takes all of its requests", other.meta);
                found.push(of_rule(&SHADOWED_RULE, policy, index, text));
                return;
            }
        }
    }
}

/// Whether whatever `narrow` matches, `wide` does too, as far as can be told without trying.
fn covers(wide: &Rule, narrow: &Rule) -> bool {
    let sides = |wide: &[Vec<Test>], narrow: &[Vec<Test>]| {
        wide.is_empty()
            || !narrow.is_empty()
                && narrow.iter().all(|side| wide.iter().any(|other| all_hold(other, side)))
    };
    sides(&wide.from, &narrow.from)
        && sides(&wide.to, &narrow.to)
        && all_hold(&wide.when, &narrow.when)
}

/// Whether each test of `wide` follows from one of `narrow`.
fn all_hold(wide: &[Test], narrow: &[Test]) -> bool {
    wide.iter().all(|test| narrow.iter().any(|other| follows(test, other)))
}

fn follows(wide: &Test, narrow: &Test) -> bool {
    let within = |value: &Pattern| wide.values.iter().any(|other| other.covers(value));
    let excluded = |not: &Pattern| narrow.not_values.iter().any(|other| other.covers(not));
    let values =
        wide.values.is_empty() || !narrow.values.is_empty() && narrow.values.iter().all(within);
    wide.attribute == narrow.attribute && values && wide.not_values.iter().all(excluded)
}
