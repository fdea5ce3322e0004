//! The rules of all domains, and the way down to one.

use std::collections::HashMap;

use crate::key::shared_counter_key;
use crate::pattern::Pattern;
use crate::rule::{Allowed, Match, Rule};

/// Everything that the files say.
#[derive(Debug, Clone, Default)]
pub struct Descriptors {
    pub(crate) domains: HashMap<String, Level>,
}

/// Descriptors that stand beside each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Level {
    keys: HashMap<String, Keyed>,
}

/// Those of one key.
#[derive(Debug, Clone, Default)]
struct Keyed {
    exact: HashMap<String, Node>,
    /// Sorted by what is tried first. Tried one by one: lists of these are short.
    wildcards: Vec<(Pattern, Node)>,
    default: Option<Node>,
}

/// A descriptor of the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) rule: Option<Rule>,
    pub(crate) below: Level,
}

impl Descriptors {
    /// The rule that a descriptor falls under; none where there is none.
    #[must_use]
    pub fn find(&self, domain: &str, entries: &[(&str, &str)]) -> Option<Match<'_>> {
        self.find_among(domain, entries.iter().copied())
    }

    /// The same for entries that stand elsewhere; they are gone through several times. Allocates
    /// nothing but the counter key, and a metric key that holds values of the request.
    #[must_use]
    pub fn find_among<'e>(
        &self,
        domain: &str,
        entries: impl Iterator<Item = (&'e str, &'e str)> + Clone,
    ) -> Option<Match<'_>> {
        let mut level = self.domains.get(domain)?;
        let mut found = None;
        for (key, value) in entries.clone() {
            let node = level.get(key, value)?;
            level = &node.below;
            found = node.rule.as_ref();
        }
        let rule = found?;
        Some(Match {
            rule,
            counter_key: shared_counter_key(domain, entries.clone(), &rule.shared),
            metric_key: rule.metric_key(domain, entries),
        })
    }

    /// Whether a domain is configured.
    #[must_use]
    pub fn has_domain(&self, domain: &str) -> bool {
        self.domains.contains_key(domain)
    }

    /// All domains, sorted.
    #[must_use]
    pub fn domains(&self) -> Vec<&str> {
        let mut domains: Vec<&str> = self.domains.keys().map(String::as_str).collect();
        domains.sort_unstable();
        domains
    }

    /// All rules, sorted by their full keys.
    #[must_use]
    pub fn rules(&self) -> Vec<&Rule> {
        let mut rules = Vec::new();
        self.domains.values().for_each(|level| level.collect(&mut rules));
        rules.sort_by(|a, b| a.full_key.cmp(&b.full_key));
        rules
    }

    /// All rules as text, one a line, sorted.
    #[must_use]
    pub fn dump(&self) -> String {
        let mut lines: Vec<String> = self.rules().into_iter().map(line).collect();
        lines.sort_unstable();
        lines.concat()
    }
}

impl Level {
    /// Puts a descriptor in its place; a second one of the same key and value is lost.
    pub(crate) fn insert(&mut self, key: String, value: Option<String>, node: Node) {
        let keyed = self.keys.entry(key).or_default();
        match value.map(|value| (Pattern::parse(&value), value)) {
            None => keyed.default = Some(node),
            Some((Some(pattern), _)) => keyed.wildcards.push((pattern, node)),
            Some((None, value)) => {
                keyed.exact.insert(value, node);
            }
        }
    }

    /// To be called when nothing more is put in; what is equally open stays in the order of the
    /// files.
    pub(crate) fn sort(&mut self) {
        for keyed in self.keys.values_mut() {
            keyed.wildcards.sort_by_key(|(pattern, _)| pattern.rank());
        }
    }

    fn get(&self, key: &str, value: &str) -> Option<&Node> {
        let keyed = self.keys.get(key)?;
        let wildcard = || keyed.wildcards.iter().find(|(pattern, _)| pattern.matches(value));
        keyed
            .exact
            .get(value)
            .or_else(|| wildcard().map(|(_, node)| node))
            .or(keyed.default.as_ref())
    }

    /// As deep as configurations nest: [`crate::MAX_DEPTH`].
    fn collect<'a>(&'a self, rules: &mut Vec<&'a Rule>) {
        for keyed in self.keys.values() {
            let wildcards = keyed.wildcards.iter().map(|(_, node)| node);
            for node in keyed.exact.values().chain(wildcards).chain(&keyed.default) {
                rules.extend(&node.rule);
                node.below.collect(rules);
            }
        }
    }
}

/// As envoyproxy/ratelimit prints it; what is out of the ordinary is added where it is.
fn line(rule: &Rule) -> String {
    let mut line = String::with_capacity(rule.full_key.len() + 64);
    // One rule is one line, whatever its values hold.
    for c in rule.full_key.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    let unit = rule.unit.map_or("UNKNOWN", |unit| unit.as_str());
    let (requests, shadow) = (rule.requests, rule.shadow);
    line.push_str(&format!(": unit={unit} requests_per_unit={requests}, shadow_mode: {shadow}"));
    if rule.unit_multiplier > 1 {
        line.push_str(&format!(", unit_multiplier: {}", rule.unit_multiplier));
    }
    if rule.quota {
        line.push_str(", quota_mode: true");
    }
    if rule.allowed == Allowed::Unlimited {
        line.push_str(", unlimited: true");
    }
    line.push('\n');
    line
}
