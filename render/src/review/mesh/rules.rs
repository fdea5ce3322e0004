//! What rules of AuthorizationPolicies leave open.

use postern_policies::{
    Action, AllowedBy, Attribute, AuthorizationPolicy, Decision, MtlsMode, Pattern, Rule, Test,
    mutual_tls,
};

use super::super::catalogue::{
    CLAIM_BEFORE_VERIFIED, DEFAULT_ALLOW, MISSING_SELECTOR, PRINCIPAL_WITHOUT_MTLS, SHADOWED_RULE,
    WIDE_PRINCIPAL,
};
use super::super::model::{Finding, Severity};
use super::at;
use super::callers::Who;
use super::examples::Example;
use super::few::Few;
use super::kinds::Once;
use super::known::Known;
use super::maker::Maker;
use super::reach::told;
use super::view::View;

pub(super) fn look(view: &View<'_>, found: &mut Vec<Finding>) {
    let (mut opened, mut plain) = (Once::default(), Few::default());
    for known in &view.workloads {
        default_allow(view, known, found);
        missing_selector(known, opened.of(known, || opened_ports(view, known)), found);
        for port in known.ports() {
            principals_in_plain_text(view, known, port.number, &mut plain, found);
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
fn policies<'v, 'a>(view: &'v View<'a>, known: &Known) -> &'v [&'a AuthorizationPolicy] {
    &view.kind(known).policies
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
fn missing_selector(
    known: &Known,
    opened: &[(&AuthorizationPolicy, usize, u16)],
    found: &mut Vec<Finding>,
) {
    for (policy, index, number) in opened {
        let text = format!(
            "it opens {} of {} to any workload of the mesh, and names neither",
            port(*number),
            known.name()
        );
        found.push(of_rule(&MISSING_SELECTOR, policy, *index, text));
    }
}

/// Rules of policies without a selector that open ports to any workload, and these.
fn opened_ports<'a>(view: &View<'a>, known: &Known) -> Vec<(&'a AuthorizationPolicy, usize, u16)> {
    let mut opened = Vec::new();
    if known.is_gateway() {
        return opened;
    }
    let maker = Maker::new(view, known);
    for policy in policies(view, known).iter().copied() {
        if policy.action != Action::Allow || !policy.selection.is_for_all() {
            continue;
        }
        for (index, rule) in policy.rules.iter().enumerate() {
            let what = || format!("{} rule {index} on {}", policy.meta, known.name());
            if rule.tests().any(|test| test.attribute == Attribute::Port)
                || !view.budget.may(&MISSING_SELECTOR, what)
            {
                continue;
            }
            let mut seen = Vec::new();
            for example in maker.of_rule(policy, index) {
                let is_new = example.who == Who::Stranger && !seen.contains(&example.port);
                if is_new && is_allowed_by(&view.decide(known, &example), policy, index) {
                    seen.push(example.port);
                    opened.push((policy, index, example.port));
                }
            }
        }
    }
    opened
}

/// `port 80`, or what is said of one that is not known.
fn port(number: u16) -> String {
    if number == 0 { "a port".to_owned() } else { format!("port {number}") }
}

/// Whether it is this rule that lets a request in.
pub(super) fn is_allowed_by(
    decision: &Decision<'_>,
    policy: &AuthorizationPolicy,
    rule: usize,
) -> bool {
    matches!(decision, Decision::Allowed(AllowedBy::Rule(by))
        if std::ptr::eq(by.policy, policy) && by.rule == rule)
}

/// PR204: rules about certificates where callers need none.
fn principals_in_plain_text(
    view: &View<'_>,
    known: &Known,
    on: u16,
    few: &mut Few<(usize, usize)>,
    found: &mut Vec<Finding>,
) {
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
            let key = (std::ptr::from_ref(*policy).addr(), index);
            if goes_wrong && few.may_tell(key) {
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
    let mut passing = Once::default();
    for known in &view.workloads {
        let what = || format!("{} rule {index} on {}", policy.meta, known.name());
        if !policy.is_for(&view.mesh, &known.workload) {
            continue;
        }
        let shown = passing.of(known, || {
            if !view.budget.may(&CLAIM_BEFORE_VERIFIED, what) {
                return None;
            }
            let who = if known.is_gateway() { Who::Outside } else { Who::Gateway };
            let examples = Maker::new(view, known).by(&who, policy, index);
            examples.iter().find_map(|example: &Example| {
                let decision = view.decide(known, example);
                decision.may_pass().then(|| format!("{}: {}", example.line(), told(&decision)))
            })
        });
        if let Some(shown) = shown {
            let text = format!("whoever brings no token to {} is not denied", known.name());
            let finding = of_rule(&CLAIM_BEFORE_VERIFIED, policy, index, text);
            found.push(finding.graded(Severity::High).shown_by(shown.clone()));
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
    let values = values_of(rule);
    for other in view.resources.authorization() {
        let reaches = other.meta.namespace == policy.meta.namespace
            && (other.selection.is_for_all() || other.selection == policy.selection);
        if other.dry_run || other.action != policy.action || !reaches {
            continue;
        }
        for (place, wide) in other.rules.iter().enumerate() {
            let is_itself = std::ptr::eq(other, policy) && place == index;
            let what = || format!("{} rule {index}", policy.meta);
            let counts = [values, values_of(wide)];
            if is_itself || !view.budget.may_compare(&SHADOWED_RULE, counts, what) {
                continue;
            }
            // Of two that are the same, the later one is superfluous.
            let is_later = (&policy.meta.name, index) > (&other.meta.name, place);
            if covers(wide, rule) && (is_later || !covers(rule, wide)) {
                let text = format!("{} rule {place} takes all of its requests", other.meta);
                found.push(of_rule(&SHADOWED_RULE, policy, index, text));
                return;
            }
        }
    }
}

fn values_of(rule: &Rule) -> usize {
    rule.tests().map(|test| test.values.len() + test.not_values.len()).sum()
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
