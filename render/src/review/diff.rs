//! What a change opens and what it closes: what the two documents say, the requests of both asked
//! of both, and the same of their meshes.

mod asked;
mod fact;
mod facts;
mod kept;
mod mesh;
mod moved;
mod written;

use std::collections::BTreeMap;

use postern_document::Document;

use super::ask::Oracle;
use super::mesh::View;
use super::model::{Change, ChangeKind, Review};
use super::{Before, Input, NoReview};

pub(super) use kept::Kept;

/// So many routes of which there is the same to tell are told of one by one.
const FEW: usize = 4;

/// A change, and what it belongs to.
struct Noted {
    kind: ChangeKind,
    owner: String,
    /// Which member of that, with its dot.
    member: String,
    caller: String,
    request: String,
    before: String,
    after: String,
}

/// What came of comparing.
pub(super) struct Compared {
    /// What is opened first.
    pub(super) changes: Vec<Change>,
    /// What could not be compared.
    pub(super) unknown: Vec<String>,
}

/// What a later review needs to know of a document.
pub(super) fn kept(document: &Document, oracle: &Oracle<'_>) -> Kept {
    let mut facts = facts::of(document);
    facts.extend(facts::matching(document));
    Kept { facts, asked: kept::asked(document, oracle) }
}

/// All changes.
pub(super) fn changes(
    input: &Input<'_>,
    view: Option<&View<'_>>,
    before: Before<'_>,
    review: &Review,
) -> Result<Compared, NoReview> {
    let mut unknown = Vec::new();
    let noted = match before {
        Before::Document(document, policies) => {
            let mut noted = of_documents(document, input);
            match policies {
                Some(policies) => {
                    let old =
                        Input { document, policies: Some(policies), before: None, ..input.clone() };
                    let changes =
                        view.map(|new| mesh::changes(&old, policies, new, review, &mut unknown));
                    noted.extend(changes.unwrap_or_default());
                }
                None if view.is_some() => unknown.push(NO_OLD_MESH.to_owned()),
                None => {}
            }
            noted
        }
        Before::Review(text) => written::changes(text, input, review, &mut unknown)?,
    };
    Ok(Compared { changes: told(noted), unknown })
}

const NO_OLD_MESH: &str = "what the mesh let through before was not given (`--policies-old`): what \
                           the change opens there is not known";

fn of_documents(before: &Document, input: &Input<'_>) -> Vec<Noted> {
    let after = input.document;
    let (mut noted, moved) = asked::changes(before, after, input.now);
    let (old, new) = (facts::of(before), facts::of(after));
    noted.extend(fact::compare(&old, &new));
    noted.extend(moved.changes(&old, &new));
    noted.extend(something_else(&noted, &before.digest, &after.digest));
    noted
}

/// Documents that differ are never told to be the same.
fn something_else(noted: &[Noted], before: &str, after: &str) -> Option<Noted> {
    (noted.is_empty() && before != after).then(|| Noted {
        kind: ChangeKind::Changed,
        owner: "the document".to_owned(),
        member: String::new(),
        caller: String::new(),
        request: "none that was tried".to_owned(),
        before: format!("digest {before}"),
        after: format!("digest {after}"),
    })
}

/// Changes as reports have them: what many routes have in common in one line.
fn told(noted: Vec<Noted>) -> Vec<Change> {
    let mut groups: BTreeMap<[String; 5], Vec<Noted>> = BTreeMap::new();
    for one in noted {
        let alone = !one.owner.starts_with("routes.");
        let owner = if alone { one.owner.clone() } else { String::new() };
        let kind = format!("{:?} {}", one.kind, one.member);
        let key = [owner, kind, one.caller.clone(), one.before.clone(), one.after.clone()];
        groups.entry(key).or_default().push(one);
    }
    let mut changes = Vec::new();
    for group in groups.into_values() {
        let mut owners: Vec<&str> = group.iter().map(|one| one.owner.as_str()).collect();
        owners.sort_unstable();
        owners.dedup();
        let more = if owners.len() > FEW { owners.len() - 1 } else { 0 };
        let shown = if more > 0 { 1 } else { group.len() };
        for one in group.into_iter().take(shown) {
            let mut subject = format!("{}{}", one.owner, one.member);
            if more > 0 {
                subject.push_str(&format!(" and {more} more"));
            }
            let Noted { kind, caller, request, before, after, .. } = one;
            changes.push(Change { kind, subject, caller, request, before, after });
        }
    }
    changes.sort_by(|a, b| key(a).cmp(&key(b)));
    changes.dedup();
    changes
}

fn key(change: &Change) -> (ChangeKind, [&str; 5]) {
    let Change { kind, subject, caller, request, before, after } = change;
    (*kind, [subject, caller, request, before, after])
}

/// Which way it goes.
const fn way(before: bool, after: bool) -> ChangeKind {
    match (before, after) {
        (false, true) => ChangeKind::Opened,
        (true, false) => ChangeKind::Closed,
        _ => ChangeKind::Changed,
    }
}
