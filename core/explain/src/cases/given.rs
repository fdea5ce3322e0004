//! What holds while a case is judged.

use std::collections::BTreeSet;

use postern_document::yaml::{Kind, Node, Problems};
use postern_document::{Document, Position};
use postern_request::UnixMillis;

use super::Given;
use super::fields::{Fields, expected};
use crate::assume::{Part, Revoked};

/// Most names that a message lists.
const MOST_TOLD: usize = 20;
const FIELDS: [&str; 6] = ["failed", "open", "used_up", "revoked", "enforced", "fault"];

/// Reads `given`.
pub(super) fn read(
    node: &Node,
    now: UnixMillis,
    document: &Document,
    problems: &mut Problems,
) -> Option<Given> {
    let fields = Fields::open(node, &FIELDS, problems)?;
    let failed = fields.read("failed", problems, |node, problems| parts(node, document, problems));
    let circuits = document.services.iter().filter(|service| service.circuit.is_some());
    let circuits: Vec<&str> = circuits.map(|service| service.name.as_str()).collect();
    let limits: Vec<&str> = document.limits.iter().map(|limit| limit.name.as_str()).collect();
    Some(Given {
        now,
        failed: failed.unwrap_or_default(),
        open: names(&fields, "open", "service with a circuit", &circuits, problems),
        used_up: names(&fields, "used_up", "limit", &limits, problems),
        revoked: fields.read("revoked", problems, revoked).unwrap_or_default(),
        enforced: fields.flag("enforced", problems),
        faulted: faulted(&fields, document, problems),
    })
}

/// Whether the request is of the share that something is planted for.
fn faulted(fields: &Fields<'_>, document: &Document, problems: &mut Problems) -> bool {
    let faulted = fields.flag("fault", problems).unwrap_or_default();
    if faulted && document.routes.iter().all(|route| route.fault.is_none()) {
        problems.report(fields.place("fault"), "no route of the document has a `fault`");
    }
    faulted
}

fn parts(node: &Node, document: &Document, problems: &mut Problems) -> Option<BTreeSet<Part>> {
    let texts = super::fields::texts(node, problems)?.into_iter().enumerate();
    let read = texts.filter_map(|(index, (text, at))| {
        problems.at_index(index, |problems| {
            let part = Part::parse(&text);
            if part.is_none() {
                problems.report(at, format!("no part `{text}`; there are {}", Part::KNOWN));
            }
            match &part {
                Some(Part::IssuerKeys { issuer, .. }) => {
                    let known: Vec<&str> =
                        document.issuers.iter().map(|known| known.issuer.issuer.as_str()).collect();
                    check_name(issuer, at, "issuer", &known, problems);
                }
                Some(Part::RateLimitService)
                    if document.routes.iter().all(|route| route.descriptors.is_empty()) =>
                {
                    problems.report(at, "nobody asks it: no route has `descriptors`");
                }
                _ => {}
            }
            part
        })
    });
    Some(read.collect())
}

fn revoked(node: &Node, problems: &mut Problems) -> Option<Revoked> {
    match &node.kind {
        Kind::Bool(true) => Some(Revoked::Yes),
        Kind::Bool(false) => Some(Revoked::No),
        Kind::Text(word) if word == "unknown" => Some(Revoked::Unknown),
        _ => expected("true, false or unknown", node, problems),
    }
}

/// Names that the document must have.
pub(super) fn names(
    fields: &Fields<'_>,
    name: &str,
    what: &str,
    known: &[&str],
    problems: &mut Problems,
) -> BTreeSet<String> {
    let texts = fields.texts(name, problems).unwrap_or_default();
    problems.within(name, |problems| {
        for (text, at) in &texts {
            check_name(text, *at, what, known, problems);
        }
    });
    texts.into_iter().map(|(text, _)| text).collect()
}

/// Reports a name that the document does not have.
pub(super) fn check_name(
    name: &str,
    at: Position,
    what: &str,
    known: &[&str],
    problems: &mut Problems,
) {
    if known.contains(&name) {
        return;
    }
    let message = if known.is_empty() {
        format!("the document has no {what}")
    } else {
        let first: Vec<&str> = known.iter().take(MOST_TOLD).copied().collect();
        let more = match known.len().saturating_sub(MOST_TOLD) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("the document has no {what} `{name}`; known: {}{more}", first.join(", "))
    };
    problems.report(at, message);
}
