//! Revisions of the document in memory.

use std::future::ready;

use super::{MAX_RECORDS, MemoryDurableStore, no_room};
use crate::durable::{AuditEntry, PageAsk, Paged, RevisionRecord, RevisionStore, RevisionSummary};
use crate::{BoxFuture, StoreError};

/// In the order of their numbers; the last one is the active one.
#[derive(Debug, Default)]
pub(super) struct Revisions(Vec<RevisionRecord>);

impl Revisions {
    fn add(&mut self, mut revision: RevisionRecord) -> Result<bool, StoreError> {
        let next = u64::try_from(self.0.len()).unwrap_or(u64::MAX).saturating_add(1);
        if revision.summary.number != next {
            return Ok(false);
        }
        if self.0.len() >= MAX_RECORDS {
            return Err(no_room());
        }
        if let Some(before) = self.0.last_mut() {
            before.summary.active = false;
        }
        revision.summary.active = true;
        self.0.push(revision);
        Ok(true)
    }

    fn page(&self, ask: PageAsk) -> Paged<RevisionSummary> {
        let offset = usize::try_from(ask.offset).unwrap_or(usize::MAX);
        let limit = super::page_size(ask.limit);
        let all = self.0.iter().map(|revision| revision.summary.clone());
        let records = match ask.newest_first {
            true => all.rev().skip(offset).take(limit).collect(),
            false => all.skip(offset).take(limit).collect(),
        };
        Paged { records, total: u64::try_from(self.0.len()).unwrap_or(u64::MAX) }
    }
}

impl RevisionStore for MemoryDurableStore {
    fn add_revision<'a>(
        &'a self,
        revision: RevisionRecord,
        audit: &'a AuditEntry,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { self.change(audit, |tables| tables.revisions.add(revision)) })
    }

    fn active_revision(&self) -> BoxFuture<'_, Result<Option<RevisionSummary>, StoreError>> {
        let tables = self.tables();
        Box::pin(ready(Ok(tables.revisions.0.last().map(|revision| revision.summary.clone()))))
    }

    fn find_revision(
        &self,
        number: u64,
    ) -> BoxFuture<'_, Result<Option<RevisionRecord>, StoreError>> {
        let tables = self.tables();
        let is_it = |revision: &&RevisionRecord| revision.summary.number == number;
        Box::pin(ready(Ok(tables.revisions.0.iter().find(is_it).cloned())))
    }

    fn page_revisions(
        &self,
        ask: PageAsk,
    ) -> BoxFuture<'_, Result<Paged<RevisionSummary>, StoreError>> {
        Box::pin(ready(Ok(self.tables().revisions.page(ask))))
    }
}
