//! Header rules.

use crate::decode::Named;
use crate::model::Transform;
use crate::problem::{Problems, told};
use crate::raw::{RawHeaderRules, RawTransform};
use crate::value::{HeaderRules, ValueTemplate, check_name};

/// Checked rules by name.
pub(super) fn check(
    raw: &Named<RawTransform>,
    problems: &mut Problems,
) -> Vec<(String, Transform)> {
    let mut transforms = Vec::with_capacity(raw.0.len());
    for (name, at, transform) in &raw.0 {
        let path = told!("transforms.{name}");
        let mut read = |rules: &Option<RawHeaderRules>, direction: &str| {
            rules.as_ref().map_or_else(HeaderRules::default, |rules| {
                check_rules(rules, &told!("{path}.{direction}"), problems)
            })
        };
        let checked = Transform {
            request: read(&transform.request, "request"),
            response: read(&transform.response, "response"),
        };
        if checked.request.is_empty() && checked.response.is_empty() {
            problems.report_as(*at, &path, "there is no rule here");
        }
        transforms.push((name.clone(), checked));
    }
    transforms
}

fn check_rules(raw: &RawHeaderRules, path: &str, problems: &mut Problems) -> HeaderRules {
    let mut rules = HeaderRules::default();
    for (name, value) in raw.set.iter().flat_map(|set| &set.0) {
        let path = told!("{path}.set.{}", name.value);
        if let Err(message) = check_name(name) {
            problems.report_as(name.at, &path, message);
        }
        match ValueTemplate::parse(value) {
            Ok(value) => rules.set.push((name.value.clone(), value)),
            Err(message) => problems.report_as(value.at, &path, message),
        }
    }
    for name in &raw.remove {
        let path = told!("{path}.remove");
        if let Err(message) = check_name(name) {
            problems.report_as(name.at, &path, message);
        }
        if rules.set.iter().any(|(set, _)| *set == name.value) {
            problems.report_as(name.at, &path, told!("`{}` is set and removed", name.value));
        }
        rules.remove.push(name.value.clone());
    }
    rules
}
