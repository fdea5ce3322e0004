//! ALLOW: what a rule lets in, or less.

use postern_policies::{Attribute, AuthorizationPolicy, Pattern, Rule, Test};

use super::{Allowed, Reading, origin};
use crate::import::ask::{Asking, both, none_of, one_of};
use crate::import::auth::Auth;
use crate::import::path::{Path, Within};
use crate::import::report::{Origin, Report};
use crate::import::{host, method};

/// Most alternatives of one rule. More would be routes of one path, of which there can be one.
const MAX_AUTHS: usize = 64;
const BY_HAND: &str = "write a route by hand, or have the policy say it otherwise";

pub(super) fn texts(values: &[Pattern]) -> Vec<&str> {
    values.iter().map(Pattern::as_str).collect()
}

pub(super) fn owned(values: &[Pattern]) -> Vec<String> {
    values.iter().map(|value| value.as_str().to_owned()).collect()
}

impl Reading<'_, '_> {
    pub(super) fn allow(&mut self, policy: &AuthorizationPolicy) -> Vec<Allowed> {
        let asking = self.asking(policy);
        let mut allowed = Vec::new();
        for (index, rule) in policy.rules.iter().enumerate() {
            let origin = origin(policy).part(rule.line, format!("rules[{index}]"));
            let auths = callers(&asking, rule, &origin, self.report);
            if auths.is_empty() {
                continue;
            }
            let whole: [&[Test]; 1] = [&[]];
            let operations = rule.to.iter().map(Vec::as_slice);
            let operations: Vec<&[Test]> =
                if rule.to.is_empty() { whole.to_vec() } else { operations.collect() };
            for tests in operations {
                let found = operation(&asking, tests, &origin, self.report);
                allowed.extend(found.map(|found| Allowed { auths: auths.clone(), ..found }));
            }
        }
        allowed
    }
}

/// Who a rule lets in: alternatives.
fn callers(asking: &Asking<'_>, rule: &Rule, origin: &Origin, report: &mut Report) -> Vec<Auth> {
    let mut from: Vec<Auth> = Vec::new();
    for tests in &rule.from {
        from.extend(all_of(asking, tests, origin, report));
    }
    if rule.from.is_empty() {
        from.push(Auth::default());
    }
    let when = all_of(asking, &rule.when, origin, report);
    let auths = both(&from, &when, MAX_AUTHS);
    if auths.is_empty() && !from.is_empty() && !when.is_empty() {
        let why = "no route asks for all of that together";
        report.left_out(origin, why, BY_HAND);
    }
    if auths.len() == MAX_AUTHS {
        let why = format!("of its alternatives, the first {MAX_AUTHS} were taken over");
        report.narrowed(origin, why, "make several rules of it");
    }
    auths
}

/// Who meets all of these; nobody where one of them cannot be said.
fn all_of(asking: &Asking<'_>, tests: &[Test], origin: &Origin, report: &mut Report) -> Vec<Auth> {
    let mut auths = vec![Auth::default()];
    for test in tests {
        let negated = none_of(&test.attribute, &texts(&test.not_values));
        let is_other_port = test.attribute == Attribute::Port
            && asking.port.is_some_and(|port| {
                !test.not_values.iter().any(|value| value.as_str().parse() == Ok(port))
            });
        if let Some((value, why)) = negated.first().filter(|_| !is_other_port) {
            let of = origin.below(&test.not_place());
            report.left_out(&of, format!("`{value}`: {why}"), BY_HAND);
            return Vec::new();
        }
        if test.values.is_empty() {
            continue;
        }
        let asked = one_of(asking, &test.attribute, &texts(&test.values));
        let of = origin.below(&test.place());
        for (value, why) in &asked.lost {
            let why = format!("`{value}`: {why}");
            if asked.auths.is_empty() {
                report.left_out(&of, why, BY_HAND);
            } else {
                report.narrowed(&of, why, BY_HAND);
            }
        }
        auths = both(&auths, &asked.auths, MAX_AUTHS);
    }
    auths
}

/// What is let in, without who; none where nothing of it can be said.
fn operation(
    asking: &Asking<'_>,
    tests: &[Test],
    origin: &Origin,
    report: &mut Report,
) -> Option<Allowed> {
    let mut allowed = Allowed {
        origin: origin.clone(),
        hosts: Vec::new(),
        paths: vec![Path::everything()],
        not_paths: Vec::new(),
        methods: [None].into(),
        auths: Vec::new(),
    };
    for test in tests {
        let (of, of_not) = (origin.below(&test.place()), origin.below(&test.not_place()));
        let (values, not_values) = (owned(&test.values), owned(&test.not_values));
        match test.attribute {
            Attribute::Host => hosts(&mut allowed, values, &not_values, (&of, &of_not), report)?,
            Attribute::Method => {
                let found = method::within(&values, &not_values);
                if found.less {
                    let why = "the document takes all methods, or those that it lists";
                    report.narrowed(&of, why, "add methods to the routes that lack them");
                }
                allowed.methods = found.methods;
            }
            Attribute::Path => paths(&mut allowed, test, &of, report),
            _ => {
                all_of(asking, std::slice::from_ref(test), origin, report).pop()?;
            }
        }
    }
    if allowed.paths.is_empty() || allowed.methods.is_empty() { None } else { Some(allowed) }
}

fn hosts(
    allowed: &mut Allowed,
    values: Vec<String>,
    not_values: &[String],
    (of, of_not): (&Origin, &Origin),
    report: &mut Report,
) -> Option<()> {
    if let Some(value) = not_values.first() {
        let why = format!("`{value}`: routes are for hosts, not for all but some");
        report.left_out(of_not, why, BY_HAND);
        return None;
    }
    for value in host::lost(&values) {
        let why = format!(
            "`{value}`: the document takes a host with every port and without one, the policy does \
             not"
        );
        report.narrowed(of, why, "where that is meant, name `HOST` and `HOST:*`");
    }
    allowed.hosts = values;
    Some(())
}

fn paths(allowed: &mut Allowed, test: &Test, of: &Origin, report: &mut Report) {
    if !test.values.is_empty() {
        allowed.paths.clear();
    }
    for value in texts(&test.values) {
        let Within { paths, less } = Path::within(value);
        if let Some(why) = less {
            let why = format!("`{value}`: {why}");
            if paths.is_empty() {
                report.left_out(of, why, BY_HAND);
            } else {
                report.narrowed(of, why, "write more routes, if what is lost is missed");
            }
        }
        allowed.paths.extend(paths);
    }
    allowed.not_paths.extend(texts(&test.not_values).into_iter().map(Path::around));
}
