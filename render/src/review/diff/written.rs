//! Comparing with a review that was written before: what its document said, and its requests,
//! asked again.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::ask::Oracle;
use super::super::model::Review;
use super::super::{Input, NoReview};
use super::fact::{self, Fact};
use super::kept::Asked;
use super::moved::Moved;
use super::{Noted, mesh, something_else, way};

pub(super) fn changes(
    text: &str,
    input: &Input<'_>,
    review: &Review,
    unknown: &mut Vec<String>,
) -> Result<Vec<Noted>, NoReview> {
    let value: Value = serde_json::from_str(text).map_err(|error| NoReview(error.to_string()))?;
    if value.get("version").and_then(Value::as_u64) != Some(1) {
        return Err(NoReview("`version` is not 1".to_owned()));
    }
    let digest = value.get("document").and_then(Value::as_str);
    let digest = digest.ok_or_else(|| NoReview("`document` is missing".to_owned()))?;
    let facts: Vec<Fact> = list(&value, "facts", Fact::read)?;
    let old: Vec<Asked> = list(&value, "asked", |one| Asked::read(one, input.now))?;
    let (mut noted, moved) = asked(&old, &facts, input, review);
    noted.extend(fact::compare(&facts, &review.kept.facts));
    noted.extend(moved.changes(&facts, &review.kept.facts));
    noted.extend(something_else(&noted, digest, &review.digest));
    if input.policies.is_some() {
        noted.extend(mesh::of_written(&value, review, unknown)?);
    }
    Ok(noted)
}

/// A list of a review; what cannot be read is told, as whatever is left out would not be compared.
fn list<T>(
    value: &Value,
    name: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<T>, NoReview> {
    let all = value.get(name).and_then(Value::as_array);
    let all = all.ok_or_else(|| NoReview(format!("`{name}` is missing")))?;
    let one = |(at, one): (usize, &Value)| {
        read(one).ok_or_else(|| NoReview(format!("`{name}[{at}]` cannot be read")))
    };
    all.iter().enumerate().map(one).collect()
}

fn asked(old: &[Asked], facts: &[Fact], input: &Input<'_>, review: &Review) -> (Vec<Noted>, Moved) {
    let oracle = Oracle::new(input.document, input.now);
    let (mut noted, mut moved) = (Vec::new(), Moved::default());
    for one in old {
        let is = oracle.judge(&one.request, one.workload.as_deref(), None);
        moved.note(Some(one.route.as_str()), is.route.as_deref(), &one.line);
        if is.allowed != one.allowed || is.text != one.answer {
            let was = (one.allowed, one.answer.as_str());
            noted.push(note(one, was, (is.allowed, is.text.as_str())));
        }
    }
    // Routes that are new: what their requests met before, nobody can ask any more.
    let known: BTreeSet<&str> = facts.iter().map(|fact| fact.owner.as_str()).collect();
    for one in &review.kept.asked {
        if !known.contains(format!("routes.{}", one.route).as_str()) {
            let is = (one.allowed, one.answer.as_str());
            noted.push(note(one, (false, "no such route"), is));
        }
    }
    (noted, moved)
}

fn note(asked: &Asked, was: (bool, &str), is: (bool, &str)) -> Noted {
    Noted {
        kind: way(was.0, is.0),
        owner: format!("routes.{}", asked.route),
        member: String::new(),
        caller: asked.caller.clone(),
        request: asked.line.clone(),
        before: was.1.to_owned(),
        after: is.1.to_owned(),
    }
}
