//! A review for machines: one object, stable from version to version of this program.

use serde_json::{Value, json};

use super::model::{Change, Finding, MeshRow, Review, Row};

/// The version of the form.
const VERSION: u64 = 1;

/// A review as JSON.
#[must_use]
pub fn to_json(review: &Review) -> String {
    let counts = review.counts().map(|(severity, count)| (severity.as_str().to_owned(), count));
    let accepted = |(finding, because): &(Finding, String)| json!({"finding": finding.to_json(), "because": because});
    let value = json!({
        "version": VERSION,
        "document": review.digest,
        "counts": counts.into_iter().collect::<std::collections::BTreeMap<String, usize>>(),
        "findings": review.findings.iter().map(Finding::to_json).collect::<Vec<Value>>(),
        "accepted": review.accepted.iter().map(accepted).collect::<Vec<Value>>(),
        "routes": review.rows.iter().map(row).collect::<Vec<Value>>(),
        "mesh": review.mesh.iter().map(mesh).collect::<Vec<Value>>(),
        "changes": review.changes.as_ref().map(|all| all.iter().map(change).collect::<Vec<Value>>()),
        "unknown": review.unknown,
    });
    format!("{value:#}\n")
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
