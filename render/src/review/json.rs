//! A review for machines: one object, stable from version to version of this program.

use serde_json::{Value, json};

use super::accept::fingerprint;
use super::markdown::is_hidden;
use super::model::{Change, Finding, MeshRow, Review, Row};

/// The version of the form.
const VERSION: u64 = 1;

/// A review as JSON.
#[must_use]
pub fn to_json(review: &Review) -> String {
    let counts = review.counts().map(|(severity, count)| (severity.as_str().to_owned(), count));
    let accepted = |(found, because): &(Finding, String)| json!({"finding": finding(found), "because": because});
    let value = json!({
        "version": VERSION,
        "document": review.digest,
        "counts": counts.into_iter().collect::<std::collections::BTreeMap<String, usize>>(),
        "findings": review.findings.iter().map(finding).collect::<Vec<Value>>(),
        "accepted": review.accepted.iter().map(accepted).collect::<Vec<Value>>(),
        "routes": review.rows.iter().map(row).collect::<Vec<Value>>(),
        "mesh": review.mesh.iter().map(mesh).collect::<Vec<Value>>(),
        "changes": review.changes.as_ref().map(|all| all.iter().map(change).collect::<Vec<Value>>()),
        "unknown": review.unknown,
        "facts": review.kept.facts.iter().map(|one| one.to_json()).collect::<Vec<Value>>(),
        "asked": review.kept.asked.iter().map(|one| one.to_json()).collect::<Vec<Value>>(),
    });
    escaped(&format!("{value:#}\n"))
}

/// Whoever reads the text itself is shown all of it, in the order in which it stands there. But for
/// the ends of lines, nothing of that kind stands outside of strings.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units = [0; 2];
    for c in text.chars() {
        if c == '\n' || !is_hidden(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut units) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

fn finding(finding: &Finding) -> Value {
    let mut value = finding.to_json();
    if let Value::Object(members) = &mut value {
        members.insert("fingerprint".to_owned(), Value::String(fingerprint(finding)));
    }
    value
}

fn row(row: &Row) -> Value {
    let failures =
        row.failures.iter().map(|(part, answer)| json!({"part": part, "answer": answer}));
    json!({
        "route": row.route,
        "place": row.place.as_ref().map(|place| json!({"file": place.file, "line": place.line})),
        "methods": row.methods,
        "hosts": row.hosts,
        "path": row.path,
        "service": row.service,
        "guarded_by": row.guarded_by,
        "credentials": row.credentials,
        "rules": row.rules,
        "peers": row.peers,
        "principals": row.principals,
        "limits": row.limits,
        "circuit": row.circuit,
        "failures": failures.collect::<Vec<Value>>(),
        "notes": row.notes,
        "answers": row.answers.iter().map(|one| one.to_json()).collect::<Vec<Value>>(),
    })
}

fn mesh(row: &MeshRow) -> Value {
    let reach = row.reach.iter().map(|(who, what)| json!({"who": who, "what": what}));
    json!({
        "workload": row.workload,
        "port": row.port,
        "protocol": row.protocol,
        "mtls": row.mtls,
        "policies": row.policies,
        "reach": reach.collect::<Vec<Value>>(),
    })
}

fn change(change: &Change) -> Value {
    json!({
        "kind": change.kind.as_str(),
        "subject": change.subject,
        "caller": change.caller,
        "request": change.request,
        "before": change.before,
        "after": change.after,
    })
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::UNPROTECTED_ROUTE;
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_escaped_and_read_as_it_was() {
        let hidden = "a\u{202e}b\u{e0041}\u{1d173}\u{85}c\u{7f}\u{e9}\n";
        let finding = Finding::new(&UNPROTECTED_ROUTE, hidden, "x");
        let review = Review { findings: vec![finding], ..Review::default() };
        let text = to_json(&review);
        assert!(!text.contains(['\u{202e}', '\u{e0041}', '\u{1d173}', '\u{85}']), "{text}");
        assert!(text.contains("a\\u202eb\\udb40\\udc41\\ud834\\udd73\\u0085c\\u007f"), "{text}");
        assert!(text.contains('\u{e9}'));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["findings"][0]["subject"], json!(hidden));
        let length = value["findings"][0]["fingerprint"].as_str().map(str::len);
        assert_eq!(length, Some(16));
    }
}
