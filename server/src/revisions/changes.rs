//! What differs between two documents, by field.

use std::fmt;

use serde_json::Value;

/// Members by which the entries of a list are told apart, where each has one of its own.
const NAMES: [&str; 3] = ["name", "issuer", "id"];

/// A field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where: `routes[orders].timeout`.
    pub path: String,
    /// What it was; none where it was not there.
    pub before: Option<Value>,
    /// What it is; none where it is not there any more.
    pub after: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "~ {}: {before} -> {after}", self.path),
            (Some(before), None) => write!(f, "- {}: {before}", self.path),
            (None, Some(after)) => write!(f, "+ {}: {after}", self.path),
            (None, None) => write!(f, "  {}", self.path),
        }
    }
}

/// All changes, in the order of the documents.
pub fn between(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare("", Some(before), Some(after), &mut changes);
    changes
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Change>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let names =
                before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&path, before.get(name), after.get(name), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => match (named(old), named(new)) {
            (Some(old), Some(new)) => entries(path, &old, &new, found),
            _ => found.push(change(path, before, after)),
        },
        _ => found.push(change(path, before, after)),
    }
}

/// Entries that are told apart by name; the order counts, too.
fn entries(path: &str, old: &[(&str, &Value)], new: &[(&str, &Value)], found: &mut Vec<Change>) {
    let added = new.iter().filter(|(name, _)| entry(old, name).is_none());
    for (name, _) in old.iter().chain(added) {
        compare(&format!("{path}[{name}]"), entry(old, name), entry(new, name), found);
    }
    let order = |list: &[(&str, &Value)], other: &[(&str, &Value)]| -> Vec<Value> {
        let both = list.iter().filter(|(name, _)| entry(other, name).is_some());
        both.map(|(name, _)| Value::from(*name)).collect()
    };
    let (before, after) = (order(old, new), order(new, old));
    if before != after {
        let path = format!("{path} (order)");
        found.push(change(&path, Some(&Value::from(before)), Some(&Value::from(after))));
    }
}

fn entry<'a>(list: &[(&str, &'a Value)], name: &str) -> Option<&'a Value> {
    list.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// Each entry with its name; none where one has none, or two have the same.
fn named(list: &[Value]) -> Option<Vec<(&str, &Value)>> {
    let mut entries: Vec<(&str, &Value)> = Vec::with_capacity(list.len());
    for entry in list {
        let members = entry.as_object()?;
        let name = NAMES.iter().find_map(|member| members.get(*member)?.as_str())?;
        if entries.iter().any(|(known, _)| *known == name) {
            return None;
        }
        entries.push((name, entry));
    }
    Some(entries)
}

fn change(path: &str, before: Option<&Value>, after: Option<&Value>) -> Change {
    Change { path: path.to_owned(), before: before.cloned(), after: after.cloned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(before: &Value, after: &Value) -> Vec<String> {
        between(before, after).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn fields_are_named_by_where_they_are() {
        let before = json!({
            "services": {"a": {"upstream": "a:1"}, "b": {"upstream": "b:1"}},
            "routes": [{"name": "x", "timeout": "5s"}, {"name": "y"}],
            "scopes": ["one"],
        });
        let after = json!({
            "services": {"a": {"upstream": "a:2"}, "c": {"upstream": "c:1"}},
            "routes": [{"name": "x", "timeout": "7s"}, {"name": "z"}],
            "scopes": ["one", "two"],
        });
        let mut found = told(&before, &after);
        found.sort();
        let expected = [
            "+ routes[z]: {\"name\":\"z\"}",
            "+ services.c: {\"upstream\":\"c:1\"}",
            "- routes[y]: {\"name\":\"y\"}",
            "- services.b: {\"upstream\":\"b:1\"}",
            "~ routes[x].timeout: \"5s\" -> \"7s\"",
            "~ scopes: [\"one\"] -> [\"one\",\"two\"]",
            "~ services.a.upstream: \"a:1\" -> \"a:2\"",
        ];
        assert_eq!(found, expected);
        assert_eq!(told(&before, &before), Vec::<String>::new());
    }

    #[test]
    fn an_order_that_changes_is_a_change() {
        let routes =
            |names: [&str; 2]| json!({"routes": names.map(|name| json!({"name": name})).to_vec()});
        let found = told(&routes(["x", "y"]), &routes(["y", "x"]));
        assert_eq!(found, ["~ routes (order): [\"x\",\"y\"] -> [\"y\",\"x\"]"]);
    }

    #[test]
    fn a_list_whose_entries_have_no_names_is_one_thing() {
        let of = |names: &[&str]| json!({"a": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
        assert_eq!(told(&of(&["x", "x"]), &of(&["x", "y"])).len(), 1, "one name twice");
        let bare = json!({"a": [{"b": 1}]});
        assert_eq!(told(&bare, &json!({"a": [{"b": 2}]})), ["~ a: [{\"b\":1}] -> [{\"b\":2}]"]);
    }
}
