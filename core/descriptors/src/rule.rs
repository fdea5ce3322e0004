//! A rule, and what it means for one descriptor.

use std::borrow::Cow;

use postern_limits::Spec;

use crate::unit::Unit;

/// How much a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Anything; there is nothing to count.
    Unlimited,
    /// Nothing: `requests_per_unit: 0`.
    Nothing,
    /// So many in windows that begin with the clock's.
    Rate(Spec),
}

/// A descriptor of the configuration that has a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Domain, keys and values: `shop.path_/cart.user`.
    pub full_key: String,
    /// Its name; empty where it has none.
    pub name: String,
    /// Names of the rules that do not count where this one does.
    pub replaces: Vec<String>,
    /// How much it allows.
    pub allowed: Allowed,
    /// `requests_per_unit`; 0 where it is unlimited.
    pub requests: u32,
    /// The unit of time; none where it is unlimited.
    pub unit: Option<Unit>,
    /// How many units a window is long, at least 1.
    pub unit_multiplier: u32,
    /// Is counted and never refuses.
    pub shadow: bool,
    /// Never refuses; the answer's metadata tells that it would have.
    pub quota: bool,
    /// For each entry the pattern whose values count together; empty where there is none.
    pub(crate) shared: Vec<Option<String>>,
    /// How each entry shows in the metric key; empty where that is the full key.
    pub(crate) metric: Vec<Segment>,
}

/// How an entry shows in the metric key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// The same for every request.
    Fixed(String),
    /// This key and the request's value.
    Value(String),
}

impl Rule {
    /// How long a window is, in seconds; none where it is unlimited.
    #[must_use]
    pub fn period_secs(&self) -> Option<u64> {
        Some(self.unit?.secs().saturating_mul(u64::from(self.unit_multiplier)))
    }

    pub(crate) fn metric_key<'e>(
        &self,
        domain: &str,
        entries: impl Iterator<Item = (&'e str, &'e str)>,
    ) -> Cow<'_, str> {
        if self.metric.is_empty() {
            return Cow::Borrowed(&self.full_key);
        }
        let mut metric = String::with_capacity(self.full_key.len() + 32);
        metric.push_str(domain);
        for (segment, (_, value)) in self.metric.iter().zip(entries) {
            metric.push('.');
            match segment {
                Segment::Fixed(text) => metric.push_str(text),
                Segment::Value(key) => push_label(&mut metric, key, value),
            }
        }
        Cow::Owned(metric)
    }
}

/// The rule of a descriptor, and under which names it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Names the counter, to be hashed: see [`crate::counter_key`].
    pub counter_key: String,
    /// Names the rule in metrics. Owned where `detailed_metric` or `value_to_metric` put values
    /// of the request into it: how many and how long these get is bounded by nobody here.
    pub metric_key: Cow<'a, str>,
}

/// A descriptor of the configuration on the way down to a rule.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    pub(crate) shared: bool,
    pub(crate) value_to_metric: bool,
}

impl Step {
    fn is_wildcard(&self) -> bool {
        self.value.as_ref().is_some_and(|value| value.contains('*'))
    }

    /// `key` or `key_value`.
    fn label(&self) -> String {
        let mut label = String::new();
        push_label(&mut label, &self.key, self.value.as_deref().unwrap_or_default());
        label
    }
}

pub(crate) fn full_key(domain: &str, steps: &[Step]) -> String {
    let mut full = domain.to_owned();
    for step in steps {
        full.push('.');
        push_label(&mut full, &step.key, step.value.as_deref().unwrap_or_default());
    }
    full
}

pub(crate) fn shared(steps: &[Step]) -> Vec<Option<String>> {
    if !steps.iter().any(|step| step.shared) {
        return Vec::new();
    }
    steps.iter().map(|step| step.value.clone().filter(|_| step.shared)).collect()
}

/// A value that a rule names is always in the metric key; of values that count together the
/// pattern is.
pub(crate) fn metric(steps: &[Step], detailed: bool) -> Vec<Segment> {
    let open = |step: &Step| {
        let named = step.value.is_some() && !step.is_wildcard();
        (detailed || step.value_to_metric) && !named && !step.shared
    };
    if !steps.iter().any(open) {
        return Vec::new();
    }
    let segment = |step: &Step| {
        if open(step) { Segment::Value(step.key.clone()) } else { Segment::Fixed(step.label()) }
    };
    steps.iter().map(segment).collect()
}

fn push_label(to: &mut String, key: &str, value: &str) {
    to.push_str(key);
    if !value.is_empty() {
        to.push('_');
        to.push_str(value);
    }
}
