//! Rules as AuthorizationPolicies that an API server takes.
//!
//! Policies of one action are one list of rules to Istio, whichever of them a rule stands in. So
//! what one object has no room for goes into a next one: `postern-routes`, `postern-routes-2`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::resource::{self, annotate, set};
use super::{Placed, Rendering};

/// The CRD's bound on `spec.rules`. Operations of a rule have none.
const MAX_RULES: usize = 512;
/// What a policy's operations and the names of their routes may come to. Annotations of an object
/// have 256 KiB, and all of it 1 MiB.
const MAX_BYTES: usize = 1 << 17;

/// Operations under the same conditions, each with the route that it comes of.
#[derive(Debug)]
pub(super) struct Rule<'d> {
    /// What a request must be, one of these.
    pub(super) operations: Vec<(&'d str, Value)>,
    /// What else must hold; all of it.
    pub(super) when: Vec<Value>,
}

/// What policies say beside their rules.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'p> {
    /// What they are called, beside their place.
    pub(super) name: &'p str,
    /// `ALLOW` or `DENY`.
    pub(super) action: &'static str,
    /// What they are for.
    pub(super) about: &'p str,
}

/// Policies with these rules at a place; none without rules.
pub(super) fn policies(
    rendering: &Rendering<'_>,
    placed: &Placed<'_>,
    head: Head<'_>,
    rules: Vec<Rule<'_>>,
) -> Vec<Value> {
    let parts = split(rules);
    let policies = parts.into_iter().enumerate().map(|(at, part)| {
        let name = match at {
            0 => placed.name(head.name),
            _ => placed.name(&format!("{}-{}", head.name, at + 1)),
        };
        let mut spec = json!({"action": head.action});
        placed.attach.policy(&mut spec);
        set(&mut spec, "rules", Value::Array(part.rules));
        let kind = &resource::AUTHORIZATION_POLICY;
        let document = rendering.document;
        let mut policy = resource::manifest(document, kind, &placed.namespace, &name, spec);
        annotate(&mut policy, "postern.dev/for", head.about);
        // Operations have no names, and reviewers look for them.
        let names: Vec<&str> = part.names.into_iter().collect();
        annotate(&mut policy, "postern.dev/routes", &names.join(" "));
        policy
    });
    policies.collect()
}

/// What one policy holds.
#[derive(Debug, Default)]
struct Part<'d> {
    rules: Vec<Value>,
    names: BTreeSet<&'d str>,
    bytes: usize,
}

impl Part<'_> {
    fn close(&mut self, operations: Vec<Value>, when: &[Value]) {
        if operations.is_empty() {
            return;
        }
        let mut rule = json!({});
        set(&mut rule, "to", Value::Array(operations));
        if !when.is_empty() {
            set(&mut rule, "when", Value::Array(when.to_vec()));
        }
        self.rules.push(rule);
    }
}

fn split(rules: Vec<Rule<'_>>) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut part = Part::default();
    for rule in rules {
        if part.rules.len() >= MAX_RULES {
            parts.push(core::mem::take(&mut part));
        }
        let mut operations = Vec::with_capacity(rule.operations.len());
        for (name, operation) in rule.operations {
            let bytes = operation.to_string().len() + name.len();
            if part.bytes > 0 && part.bytes + bytes > MAX_BYTES {
                part.close(core::mem::take(&mut operations), &rule.when);
                parts.push(core::mem::take(&mut part));
            }
            part.bytes += bytes;
            part.names.insert(name);
            let mut whole = json!({});
            set(&mut whole, "operation", operation);
            operations.push(whole);
        }
        part.close(operations, &rule.when);
    }
    if !part.rules.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(operations: usize, bytes: usize) -> Rule<'static> {
        let operation = json!({"paths": ["x".repeat(bytes)]});
        Rule { operations: vec![("r", operation); operations], when: vec![json!({"key": "k"})] }
    }

    fn operations(part: &Part<'_>) -> Vec<usize> {
        part.rules.iter().map(|rule| rule["to"].as_array().unwrap().len()).collect()
    }

    #[test]
    fn a_policy_has_no_more_rules_than_its_definition_takes() {
        assert_eq!(split(vec![rule(1, 1), rule(600, 1)]).len(), 1, "operations have no bound");
        let many = split((0..1025).map(|_| rule(1, 1)).collect());
        let counts: Vec<usize> = many.iter().map(|part| part.rules.len()).collect();
        assert_eq!(counts, [512, 512, 1]);
        assert!(split(Vec::new()).is_empty());
    }

    #[test]
    fn what_one_object_has_no_room_for_goes_into_a_next_one_under_its_conditions() {
        let parts = split(vec![rule(5, MAX_BYTES / 2 - 100), rule(1, 1)]);
        let counts: Vec<Vec<usize>> = parts.iter().map(operations).collect();
        assert_eq!(counts, [vec![2], vec![2], vec![1, 1]]);
        for rule in parts.iter().flat_map(|part| &part.rules) {
            assert_eq!(rule["when"], json!([{"key": "k"}]));
        }
    }
}
