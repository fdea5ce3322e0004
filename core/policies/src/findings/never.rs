//! Parts of rules that can never match: the cases that can be told without trying.

use core::cell::Cell;
use std::collections::BTreeSet;

use super::senseless::{of_port, of_subject, of_text};
use crate::pattern::{Form, Pattern, SCHEME, Text};
use crate::resources::{Attribute, Rule, Test};
use crate::workload::Mesh;

/// What is known of where a rule is looked at.
pub(super) struct Known<'m> {
    pub(super) mesh: &'m Mesh,
    /// The ports of all workloads that it is for; none where some are not known.
    pub(super) ports: Option<BTreeSet<u16>>,
    /// How many pairs of values may still be compared, in all policies together.
    pub(super) pairs: &'m Cell<usize>,
    /// Whether that was too few for this rule.
    pub(super) is_cut: Cell<bool>,
}

impl Known<'_> {
    /// Whether so many pairs of values may be compared.
    fn may_compare(&self, ones: &[Pattern], others: &[Pattern]) -> bool {
        let left = self.pairs.get().checked_sub(ones.len().saturating_mul(others.len()));
        self.pairs.set(left.unwrap_or_else(|| self.pairs.get()));
        self.is_cut.set(self.is_cut.get() || left.is_none());
        left.is_some()
    }
}

/// A part that can never match.
pub(super) struct Dead {
    pub(super) place: String,
    pub(super) why: String,
    /// The rule needs it.
    pub(super) whole: bool,
}

/// All parts of a rule that can never match.
pub(super) fn dead_parts(rule: &Rule, known: &Known<'_>) -> Vec<Dead> {
    let mut dead = Vec::new();
    for (index, test) in rule.when.iter().enumerate() {
        let mut others = rule.when.iter().take(index);
        let why = alone(test, known).or_else(|| others.find_map(|other| apart(other, test, known)));
        dead.extend(why.map(|why| Dead { place: format!("when[{index}]"), why, whole: true }));
    }
    for (name, sides) in [("from", &rule.from), ("to", &rule.to)] {
        let reasons: Vec<Option<String>> =
            sides.iter().map(|tests| side(tests, &rule.when, known)).collect();
        let whole = reasons.iter().all(Option::is_some);
        for (index, why) in reasons.into_iter().enumerate() {
            let place = format!("{name}[{index}]");
            dead.extend(why.map(|why| Dead { place, why, whole }));
        }
    }
    dead
}

/// Why one item of `from` or `to` never matches.
fn side(tests: &[Test], when: &[Test], known: &Known<'_>) -> Option<String> {
    tests.iter().enumerate().find_map(|(index, test)| {
        let mut others = tests.iter().skip(index + 1).chain(when);
        alone(test, known).or_else(|| others.find_map(|other| apart(test, other, known)))
    })
}

/// Why a test never holds, whatever else is asked.
fn alone(test: &Test, known: &Known<'_>) -> Option<String> {
    let attribute = &test.attribute;
    if test.values.is_empty() {
        let always = matches!(attribute, Attribute::Method | Attribute::Path | Attribute::Host);
        let any = test.not_values.iter().any(|pattern| *pattern.form() == Form::Text(Text::Any));
        return (always && any).then(|| format!("{} excludes everything", test.not_place()));
    }
    let not_values = if known.may_compare(&test.values, &test.not_values) {
        test.not_values.as_slice()
    } else {
        &[]
    };
    let mut last = None;
    for value in &test.values {
        let why = senseless(attribute, value, known).map(str::to_owned).or_else(|| {
            let excludes = |not: &Pattern| covers(attribute, not, value, known.mesh);
            let excluded = not_values.iter().any(excludes);
            excluded.then(|| format!("{} excludes it", test.not_place()))
        })?;
        last = Some(format!("{} `{}`: {why}", test.place(), value.as_str().escape_debug()));
    }
    last
}

/// Why two tests never hold together.
fn apart(a: &Test, b: &Test, known: &Known<'_>) -> Option<String> {
    let and = || Some(format!("{} and {} exclude each other", a.place(), b.place()));
    if a.attribute == b.attribute {
        let excluded = |of: &Test, by: &Test| {
            !of.values.is_empty()
                && known.may_compare(&of.values, &by.not_values)
                && of.values.iter().all(|value| {
                    by.not_values.iter().any(|not| covers(&of.attribute, not, value, known.mesh))
                })
        };
        if excluded(a, b) {
            return Some(format!("{} excludes {}", b.not_place(), a.place()));
        }
        if excluded(b, a) {
            return Some(format!("{} excludes {}", a.not_place(), b.place()));
        }
        let both = !a.values.is_empty() && !b.values.is_empty();
        if !both || !has_one_value(&a.attribute) || !known.may_compare(&a.values, &b.values) {
            return None;
        }
        let meet = a.values.iter().any(|a| b.values.iter().any(|b| meets(a, b)));
        return if meet { None } else { and() };
    }
    match (&a.attribute, &b.attribute) {
        (Attribute::Principal, Attribute::Namespace) => outside(a, b, known).then(and).flatten(),
        (Attribute::Namespace, Attribute::Principal) => outside(b, a, known).then(and).flatten(),
        _ => None,
    }
}

/// Whether all principals are in other namespaces.
fn outside(principals: &Test, namespaces: &Test, known: &Known<'_>) -> bool {
    let in_one = |principal: &Pattern| {
        match principal.form() {
        Form::Text(Text::Exact(name)) => namespaces.values.iter().any(|namespace| {
            matches!(namespace.form(), Form::Namespace(n) if n.matches(&format!("{SCHEME}{name}")))
        }),
        _ => true,
    }
    };
    !principals.values.is_empty()
        && !namespaces.values.is_empty()
        && known.may_compare(&principals.values, &namespaces.values)
        && !principals.values.iter().any(in_one)
}

/// Why a value is like nothing that a request can have.
fn senseless(attribute: &Attribute, value: &Pattern, known: &Known<'_>) -> Option<&'static str> {
    match value.form() {
        Form::Text(text) => of_text(attribute, text),
        Form::Subject(subject) => of_subject(subject),
        Form::Port(port) => of_port(*port, known.ports.as_ref()?),
        _ => None,
    }
}

/// Whether everything that `value` matches is matched by `not`.
fn covers(attribute: &Attribute, not: &Pattern, value: &Pattern, mesh: &Mesh) -> bool {
    // Where no principal moves, they are texts like others.
    let stays = || mesh.trust_domains.iter().all(|domain| domain == "cluster.local");
    not.covers(value)
        || match (not.form(), value.form()) {
            (Form::Text(a), Form::Text(b)) if *attribute == Attribute::Principal => {
                stays() && a.covers(b)
            }
            _ => false,
        }
}

/// Whether there is something that both match; unless it is plain that there is not, there is.
fn meets(a: &Pattern, b: &Pattern) -> bool {
    match (a.form(), b.form()) {
        (Form::Text(a), Form::Text(b)) => a.meets(b),
        (Form::Text(Text::Exact(path)), Form::Template(template))
        | (Form::Template(template), Form::Text(Text::Exact(path))) => template.matches(path),
        (Form::Block(a), Form::Block(b)) => a.meets(*b),
        (Form::Port(a), Form::Port(b)) => a == b,
        (Form::Subject(a), Form::Subject(b)) => {
            a.issuer.meets(&b.issuer) && a.subject.meets(&b.subject)
        }
        _ => true,
    }
}

/// Whether a request has one value of it at most. Of a list, one item may match one test and
/// another item another.
const fn has_one_value(attribute: &Attribute) -> bool {
    !matches!(
        attribute,
        Attribute::Audience
            | Attribute::Presenter
            | Attribute::Claim(_)
            | Attribute::Metadata { .. }
            // Nor has a header that is there twice.
            | Attribute::Header(_)
            // Written in one trust domain, they are in all of the mesh's.
            | Attribute::Principal
    )
}
