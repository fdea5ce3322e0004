//! The session of a case's request.

use postern_document::Document;
use postern_document::yaml::{Node, Problems};
use postern_request::Principal;
use postern_request::principal::Credential;

use super::fields::{Fields, text};
use super::time;
use crate::request::GivenSession;

const FIELDS: [&str; 5] = ["subject", "scopes", "tier", "role", "mfa"];

/// Reads `session`: whose it is, what it allows, and how long ago a second factor was shown. It
/// counts as known.
pub(super) fn read(
    node: &Node,
    document: &Document,
    problems: &mut Problems,
) -> Option<GivenSession> {
    let fields = Fields::open(node, &FIELDS, problems)?;
    if document.session.is_none() {
        problems
            .report(node.at, "the document takes no sessions: `credentials.session` is missing");
    }
    let subject = fields.required("subject", problems);
    let scopes = fields.texts("scopes", problems).unwrap_or_default();
    let principal = Principal {
        subject: subject.unwrap_or_default(),
        scopes: scopes.into_iter().map(|(scope, _)| scope).collect(),
        tier: fields.text("tier", problems),
        role: fields.text("role", problems),
        credential: Credential::Session,
        ..Principal::default()
    };
    Some(GivenSession { principal, mfa_age_secs: fields.read("mfa", problems, age) })
}

fn age(node: &Node, problems: &mut Problems) -> Option<u64> {
    let age = time::seconds(&text(node, problems)?).and_then(|secs| u64::try_from(secs).ok());
    if age.is_none() {
        problems.report(node.at, "expected how long ago that was, for example 5m");
    }
    age
}
