//! PR207: policies whose verdict changes with how a path is spelled.
//!
//! Paths are compared as the proxy has normalised them. What it leaves as it is, and the upstream
//! reads as the same path, goes past a policy that names the path. Letter case is not tried: it
//! matters to few servers, and would condemn every rule that has letters.

use postern_policies::{Action, Attribute, AuthorizationPolicy, Decision, Protocol, Rule};
use postern_request::normalize::{Normalization, normalize};

use super::super::catalogue::POLICY_PATH_TRICK;
use super::super::model::{Finding, Severity};
use super::callers::Who;
use super::examples::Example;
use super::kinds::Once;
use super::known::Known;
use super::maker::Maker;
use super::plugins;
use super::reach::told;
use super::rules::of_rule;
use super::view::View;

pub(super) fn look(view: &View<'_>, found: &mut Vec<Finding>) {
    for policy in view.resources.authorization().iter().filter(|policy| !policy.dry_run) {
        for (index, rule) in policy.rules.iter().enumerate() {
            if names_what_is_kept_out(policy, rule) {
                let mut tricked = Once::default();
                for known in &view.workloads {
                    if !policy.is_for(&view.mesh, &known.workload) {
                        continue;
                    }
                    let tricked = tricked.of(known, || tricks(view, policy, index, rule, known));
                    if let Some(tricked) = tricked {
                        found.push(tricked.told(view, policy, index, known));
                    }
                }
            }
        }
    }
}

/// Whether a path that the rule does not recognise gets through.
fn names_what_is_kept_out(policy: &AuthorizationPolicy, rule: &Rule) -> bool {
    let mut paths = rule.tests().filter(|test| test.attribute == Attribute::Path);
    match policy.action {
        Action::Deny | Action::Custom { .. } => paths.any(|test| !test.values.is_empty()),
        Action::Allow => paths.any(|test| !test.not_values.is_empty()),
        Action::Audit => false,
    }
}

/// A path by whose spelling requests get through.
struct Tricked {
    plain: String,
    severity: Severity,
    shown: String,
}

impl Tricked {
    fn told(
        &self,
        view: &View<'_>,
        policy: &AuthorizationPolicy,
        index: usize,
        known: &Known,
    ) -> Finding {
        let text = format!(
            "on {}, which reads paths by {}, another spelling of {} goes past it",
            known.name(),
            view.normalization,
            self.plain
        );
        let finding = of_rule(&POLICY_PATH_TRICK, policy, index, text);
        finding.shown_by(self.shown.clone()).graded(self.severity)
    }
}

fn tricks(
    view: &View<'_>,
    policy: &AuthorizationPolicy,
    index: usize,
    rule: &Rule,
    known: &Known,
) -> Option<Tricked> {
    let plain = named_path(policy, rule)?;
    let who = if known.is_gateway() { Who::Outside } else { Who::Gateway };
    for mut example in Maker::new(view, known).by(&who, policy, index) {
        // The bundle refuses every spelling but one.
        let is_http = example.protocol == Protocol::Http;
        if !is_http || plugins::guards(view, known, example.port) {
            continue;
        }
        let what = || format!("{} rule {index} on {}", policy.meta, known.name());
        if !view.budget.may(&POLICY_PATH_TRICK, what) {
            return None;
        }
        if passes(view, known, &mut example, &plain).is_some() {
            continue;
        }
        let ways = [
            (Severity::High, same_to_servers(&plain)),
            (Severity::Medium, same_without_parameters(&plain)),
        ];
        let spelled = ways.into_iter().find_map(|(severity, spellings)| {
            let mut spellings = spellings.into_iter();
            let shown = spellings.find_map(|one| goes_past(view, known, &mut example, &one))?;
            Some((severity, shown))
        });
        if let Some((severity, shown)) = spelled {
            return Some(Tricked { plain, severity, shown });
        }
    }
    None
}

/// What is said of a request by another spelling, where it passes as some Envoy reads it: which of
/// them read dots with parameters as dots is not for the mesh to say.
fn goes_past(
    view: &View<'_>,
    known: &Known,
    example: &mut Example,
    spelling: &str,
) -> Option<String> {
    [false, true].into_iter().find_map(|dot_parameters| {
        let rules = Normalization { dot_parameters, ..view.reads_paths };
        let path = normalize(spelling, rules).ok()?;
        let told = passes(view, known, example, &path)?;
        Some(format!("{spelling}: {told}"))
    })
}

/// What is said of a request for a path, where it passes and nobody is asked.
fn passes(view: &View<'_>, known: &Known, example: &mut Example, path: &str) -> Option<String> {
    // Each spelling takes some making.
    view.budget.checks.spend_on(8 + path.len() / 4);
    example.set_path(path);
    let decision = view.decide(known, example);
    matches!(decision, Decision::Allowed(_)).then(|| told(&decision))
}

/// A path that the rule names in order to keep it out.
fn named_path(policy: &AuthorizationPolicy, rule: &Rule) -> Option<String> {
    let mut paths = rule.tests().filter(|test| test.attribute == Attribute::Path);
    let value = if policy.action == Action::Allow {
        paths.find_map(|test| test.not_values.first())
    } else {
        paths.find_map(|test| test.values.first())
    }?;
    let plain = value.as_str().replace("{**}", "x/y").replace("{*}", "x");
    let plain = match plain.strip_suffix('*') {
        Some(prefix) => format!("{prefix}x"),
        None => plain,
    };
    plain.starts_with('/').then_some(plain)
}

/// Spellings that servers take for the same path: slashes, dots and escapes that they resolve, a
/// slash at the end.
fn same_to_servers(path: &str) -> Vec<String> {
    let mut all = vec![
        format!("/{path}"),
        format!("/.{path}"),
        format!("/x/..{path}"),
        path.replace('/', "\\").replacen('\\', "/", 1),
        path.replace('/', "%2f").replacen("%2f", "/", 1),
        path.replace('/', "%5c").replacen("%5c", "/", 1),
        format!("{path}/"),
    ];
    if let Some(rest) = path.strip_prefix('/')
        && let Some(first) = rest.chars().next().filter(char::is_ascii_alphanumeric)
        && let Some(behind) = rest.strip_prefix(first)
    {
        all.push(format!("/%{:02x}{behind}", u32::from(first)));
    }
    all.retain(|other| other != path);
    all
}

/// The same for servers that cut parameters off before they resolve dots, which is what servlet
/// containers do and few others. Envoys that take parameters off dots do so before they decode:
/// the escaped dots are a name to all of them.
fn same_without_parameters(path: &str) -> Vec<String> {
    vec![format!("{path};x=1"), format!("/x/..;x=1{path}"), format!("/x/%2e%2e;x=1{path}")]
}
