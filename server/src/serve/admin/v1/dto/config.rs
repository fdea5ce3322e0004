//! Documents that were applied.

use postern_store::durable::RevisionSummary;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::moment;
use crate::revisions::{Applied, Change};

/// A document that was applied, without the document itself.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Its place in the order of all, from 1.
    pub number: u64,
    /// The document's digest.
    pub digest: String,
    /// Who applied it.
    pub who: String,
    /// When.
    pub applied_at: String,
    /// Why.
    pub why: String,
    /// Whether it is the one to be served.
    pub active: bool,
}

impl From<RevisionSummary> for Revision {
    fn from(summary: RevisionSummary) -> Self {
        Self {
            number: summary.number,
            digest: summary.digest,
            who: summary.who,
            applied_at: moment(summary.at),
            why: summary.why,
            active: summary.active,
        }
    }
}

/// A document that was applied.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionDocument {
    /// What is known of it.
    pub revision: Revision,
    /// The whole document, its fragments joined and its files in it.
    #[schema(value_type = Object)]
    pub document: Value,
}

/// What came of applying a document.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedRevision {
    /// The active revision.
    pub revision: Revision,
    /// Whether it was another one before.
    pub changed: bool,
    /// What servers take over only when they are started again.
    pub restart: Vec<String>,
}

impl From<Applied> for AppliedRevision {
    fn from(applied: Applied) -> Self {
        let Applied { revision, changed, restart } = applied;
        Self { revision: revision.into(), changed, restart }
    }
}

/// A document to be served.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRevision {
    /// The whole document as one text: YAML or JSON, without fragments beside it.
    #[schema(min_length = 1)]
    pub document: String,
    /// Why, on one line.
    #[schema(min_length = 1, max_length = 500)]
    pub why: String,
    /// Also where servers have to be started again for it.
    #[serde(default)]
    pub restart: bool,
}

/// A way back.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRollback {
    /// Why, on one line; that it is a way back where nothing is said.
    #[schema(min_length = 1, max_length = 500)]
    pub why: Option<String>,
    /// Also where servers have to be started again for it.
    #[serde(default)]
    pub restart: bool,
}

/// What changed from one document to another.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionChanges {
    /// From this one.
    pub since: u64,
    /// To this one.
    pub number: u64,
    /// Field by field.
    pub changes: Vec<RevisionChange>,
}

/// A field that differs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionChange {
    /// Where it stands.
    pub path: String,
    /// What it was; null where it was not there.
    #[schema(value_type = Value)]
    pub before: Option<Value>,
    /// What it is; null where it is not there any more.
    #[schema(value_type = Value)]
    pub after: Option<Value>,
}

impl From<Change> for RevisionChange {
    fn from(change: Change) -> Self {
        let Change { path, before, after } = change;
        Self { path, before, after }
    }
}
