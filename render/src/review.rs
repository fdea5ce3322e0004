//! The access review: who may reach what, with which guarantees, and what is dangerous about it.
//!
//! Whatever can be asked is asked: the matrix and its findings come from `postern-explain`, those
//! about the mesh from `postern-policies`, each with a request that shows it. What was not known
//! is said. The same input gives the same bytes; the only time is the one that is handed in.
//!
//! Deliberately absent: reading files, and asking a cluster.

mod accept;
mod ask;
mod catalogue;
mod diff;
mod document;
mod html;
mod inventory;
mod json;
mod markdown;
mod matrix;
mod mesh;
mod model;
mod place;
mod text;
mod traffic;
mod witness;

use postern_document::Document;
use postern_request::UnixMillis;

pub use accept::{Accepted, Day, fingerprint, read as read_accepted};
pub use catalogue::{ALL as CHECKS, Check};
pub use html::to_html;
pub use inventory::Policies;
pub(crate) use inventory::{is_mesh_config, without_documents};
pub use json::to_json;
pub use markdown::to_markdown;
pub use model::{Answered, Change, ChangeKind, Finding, MeshRow, Place, Review, Row, Severity};
pub use text::{at_least, opened, to_text};

use crate::istio::IstioOptions;

/// What is reviewed.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// The document.
    pub document: &'a Document,
    /// The mesh's manifests; none looks at the document alone.
    pub policies: Option<&'a Policies>,
    /// How the document is rendered: drift is what differs from that.
    pub options: &'a IstioOptions,
    /// Whether the options say where the filter module comes from, so that it can be compared.
    pub module_is_known: bool,
    /// How the mesh's proxies read paths, in MeshConfig's words; none where MeshConfig says it.
    pub normalization: Option<&'a str>,
    /// What somebody has accepted.
    pub accepted: &'a [Accepted],
    /// The time, for tokens and for acceptances that end.
    pub now: UnixMillis,
    /// What to compare with.
    pub before: Option<Before<'a>>,
}

/// An older state.
#[derive(Debug, Clone, Copy)]
pub enum Before<'a> {
    /// A document, and its mesh where that is known.
    Document(&'a Document, Option<&'a Policies>),
    /// What [`to_json`] wrote then.
    Review(&'a str),
}

/// What is wrong with what to compare with: it is no review.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no review that `postern review --format json` wrote: {0}")]
pub struct NoReview(String);

/// Words that [`Input::normalization`] may be.
pub const NORMALIZATIONS: [&str; 4] = ["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"];

/// Reviews a document.
///
/// # Errors
/// When what to compare with is not a review.
pub fn review(input: &Input<'_>) -> Result<Review, NoReview> {
    let oracle = ask::Oracle::new(input.document, input.now);
    let (mut rows, mut unknown) = matrix::rows(input.document, &oracle);
    let mut findings = document::findings(input.document, &oracle);
    let mut mesh = Vec::new();
    let view = input.policies.map(|policies| mesh::View::new(input, policies));
    if let Some(view) = &view {
        let looked = mesh::look(input, view, &mut rows);
        mesh = looked.rows;
        findings.extend(looked.findings);
        unknown.extend(looked.unknown);
    }
    let mut review = Review {
        digest: input.document.digest.clone(),
        rows,
        mesh,
        findings,
        unknown,
        kept: diff::kept(input.document, &oracle),
        ..Review::default()
    };
    if let Some(before) = input.before {
        let compared = diff::changes(input, view.as_ref(), before, &review)?;
        review.changes = Some(compared.changes);
        review.unknown.extend(compared.unknown);
    }
    accept::apply(&mut review, input.accepted, input.now);
    model::sort(&mut review.findings);
    review.unknown.sort();
    review.unknown.dedup();
    Ok(review)
}

#[cfg(test)]
mod tests;
