//! Comparing with a review that was written before: its requests, and what became of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::NoReview;
use super::super::model::{Change, ChangeKind, Review};
use super::way;

pub(super) fn changes(text: &str, review: &Review) -> Result<Vec<Change>, NoReview> {
    let value: Value = serde_json::from_str(text).map_err(|error| NoReview(error.to_string()))?;
    if value.get("version").and_then(Value::as_u64) != Some(1) {
        return Err(NoReview("`version` is not 1".to_owned()));
    }
    let routes = value.get("routes").and_then(Value::as_array);
    let routes = routes.ok_or_else(|| NoReview("`routes` is missing".to_owned()))?;
    let mut old: BTreeMap<(String, String, String), (bool, String)> = BTreeMap::new();
    let mut names = Vec::new();
    for route in routes {
        let name = word(route, "route")?;
        let answers = route.get("answers").and_then(Value::as_array);
        for answer in answers.into_iter().flatten() {
            let allowed = answer.get("allowed").and_then(Value::as_bool);
            let allowed = allowed.ok_or_else(|| NoReview("`allowed` is missing".to_owned()))?;
            let key = (name.clone(), word(answer, "caller")?, word(answer, "request")?);
            old.insert(key, (allowed, word(answer, "answer")?));
        }
        names.push(name);
    }
    let mut all = Vec::new();
    for row in &review.rows {
        let is_new = !names.contains(&row.route);
        for answer in &row.answers {
            let key = (row.route.clone(), answer.caller.clone(), answer.request.clone());
            let (allowed, before) = match old.get(&key) {
                Some((_, before)) if *before == answer.answer => continue,
                Some((allowed, before)) => (*allowed, before.clone()),
                None if is_new => (false, "no such route".to_owned()),
                None => continue,
            };
            all.push(Change {
                kind: way(allowed, answer.allowed),
                subject: format!("routes.{}", row.route),
                caller: answer.caller.clone(),
                request: answer.request.clone(),
                before,
                after: answer.answer.clone(),
            });
        }
    }
    let gone = |name: &String| !review.rows.iter().any(|row| row.route == *name);
    all.extend(names.iter().filter(|name| gone(name)).map(|name| Change {
        kind: ChangeKind::Changed,
        subject: format!("routes.{name}"),
        caller: String::new(),
        request: String::new(),
        before: "a route".to_owned(),
        after: "none; what its requests meet now, only both documents can tell".to_owned(),
    }));
    Ok(all)
}

fn word(value: &Value, name: &str) -> Result<String, NoReview> {
    let text = value.get(name).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| NoReview(format!("`{name}` is missing")))
}
