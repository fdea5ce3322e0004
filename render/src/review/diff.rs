//! What a change opens and what it closes: the requests of both documents, asked of both.

mod asked;
mod settings;
mod written;

use super::inventory::Policies;
use super::model::{Change, ChangeKind, MeshRow, Review};
use super::{Before, Input, NoReview, mesh};

/// All changes, what is opened first.
pub(super) fn changes(
    input: &Input<'_>,
    before: Before<'_>,
    review: &Review,
) -> Result<Vec<Change>, NoReview> {
    let mut all = match before {
        Before::Document(document, policies) => {
            let mut all = asked::changes(document, input.document, input.now);
            all.extend(settings::changes(document, input.document));
            if let Some(policies) = policies {
                all.extend(mesh_changes(&mesh_before(input, document, policies), &review.mesh));
            }
            all
        }
        Before::Review(text) => written::changes(text, review)?,
    };
    all.sort_by(|a, b| key(a).cmp(&key(b)));
    all.dedup();
    Ok(all)
}

fn key(change: &Change) -> (ChangeKind, &str, &str, &str) {
    (change.kind, &change.subject, &change.caller, &change.request)
}

fn mesh_before(
    input: &Input<'_>,
    document: &postern_document::Document,
    policies: &Policies,
) -> Vec<MeshRow> {
    let input = Input { document, policies: Some(policies), before: None, ..input.clone() };
    mesh::look(&input, policies, &mut []).rows
}

/// What the mesh lets through now, and did not before; and the other way round.
fn mesh_changes(before: &[MeshRow], after: &[MeshRow]) -> Vec<Change> {
    let mut all = Vec::new();
    for row in after {
        let old = before.iter().find(|old| old.workload == row.workload && old.port == row.port);
        for (who, what) in &row.reach {
            let was = old.and_then(|old| old.reach.iter().find(|(other, _)| other == who));
            let Some((_, was)) = was.filter(|(_, was)| was != what) else { continue };
            let port = row.port.map_or_else(String::new, |port| format!(" port {port}"));
            all.push(Change {
                kind: way(passes(was), passes(what)),
                subject: format!("Workload {}{port}", row.workload),
                caller: who.clone(),
                request: String::new(),
                before: was.clone(),
                after: what.clone(),
            });
        }
    }
    all
}

fn passes(what: &str) -> bool {
    what.starts_with("passes")
}

/// Which way it goes.
const fn way(before: bool, after: bool) -> ChangeKind {
    match (before, after) {
        (false, true) => ChangeKind::Opened,
        (true, false) => ChangeKind::Closed,
        _ => ChangeKind::Changed,
    }
}
