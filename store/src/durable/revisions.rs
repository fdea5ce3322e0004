//! Revisions of the gateway document, for deployments whose servers take it from here.

use postern_request::UnixMillis;

use super::{AuditEntry, PageAsk, Paged};
use crate::{BoxFuture, StoreError};

/// What is known of a revision besides the document itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionSummary {
    /// Its place in the order of all of them, from 1, without gaps.
    pub number: u64,
    /// The document's digest. Two revisions may have the same.
    pub digest: String,
    /// Who applied it, as the audit log has it.
    pub who: String,
    /// When.
    pub at: UnixMillis,
    /// Why, in the words of whoever did.
    pub why: String,
    /// Whether it is the one to be served.
    pub active: bool,
}

/// A document that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionRecord {
    /// What is known of it.
    pub summary: RevisionSummary,
    /// The whole document as canonical JSON.
    pub document: String,
}

/// Revisions. They are only ever added: to go back to one is to add it again.
///
/// # Errors
/// As with [`super::DurableStore`].
pub trait RevisionStore: Send + Sync {
    /// Keeps the next revision, which is the active one from then on, and the only one; whether it
    /// was kept. It is not where its number is not the one after the last: somebody else has added
    /// one meanwhile. What `active` says of it does not matter.
    fn add_revision<'a>(
        &'a self,
        revision: RevisionRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// The revision to be served, without its document: for those who only look whether there is
    /// another one.
    fn active_revision(&self) -> BoxFuture<'_, Result<Option<RevisionSummary>, StoreError>>;

    /// The revision with this number.
    fn find_revision(
        &self,
        number: u64,
    ) -> BoxFuture<'_, Result<Option<RevisionRecord>, StoreError>>;

    /// A part of the list of revisions, in the order of their numbers.
    fn page_revisions(
        &self,
        ask: PageAsk,
    ) -> BoxFuture<'_, Result<Paged<RevisionSummary>, StoreError>>;
}
