//! The audit log in memory.

use super::{MAX_RECORDS, MemoryDurableStore, no_room};
use crate::durable::audit::{
    AuditEntry, AuditHead, AuditRecord, AuditStore, MAX_AUDIT_PAGE, NO_AUDIT, Told,
};
use crate::{BoxFuture, StoreError};

/// The records in order: the first has the number 1.
#[derive(Debug, Default)]
pub(super) struct Audit(Vec<AuditRecord>);

impl Audit {
    pub(super) fn check_room(&self) -> Result<(), StoreError> {
        if self.0.len() < MAX_RECORDS { Ok(()) } else { Err(no_room()) }
    }

    /// The number of the new record.
    pub(super) fn append(&mut self, entry: &AuditEntry) -> u64 {
        let (previous, last) = self.0.last().map_or((NO_AUDIT, 0), |last| (last.hash, last.seq));
        let record = AuditRecord::after(previous, last + 1, entry.clone());
        let seq = record.seq;
        self.0.push(record);
        seq
    }

    fn since(&self, after: u64, limit: u32) -> Vec<AuditRecord> {
        let skipped = usize::try_from(after).unwrap_or(usize::MAX);
        let limit = usize::try_from(limit.min(MAX_AUDIT_PAGE)).unwrap_or(usize::MAX);
        self.0.iter().skip(skipped).take(limit).cloned().collect()
    }
}

impl AuditStore for MemoryDurableStore {
    fn append_audit<'a>(&'a self, entry: &'a AuditEntry) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut tables = self.tables();
            tables.audit.check_room()?;
            let seq = tables.audit.append(entry);
            drop(tables);
            self.watch.tell(entry);
            Ok(seq)
        })
    }

    fn watch_audit(&self, told: Told) {
        self.watch.set(told);
    }

    fn audit_since(
        &self,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<AuditRecord>, StoreError>> {
        Box::pin(async move { Ok(self.tables().audit.since(after, limit)) })
    }

    fn audit_head(&self) -> BoxFuture<'_, Result<Option<AuditHead>, StoreError>> {
        Box::pin(async move {
            let tables = self.tables();
            Ok(tables.audit.0.last().map(|last| AuditHead { seq: last.seq, hash: last.hash }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::{DurableStore as _, UserStore as _};
    use postern_request::UnixMillis;

    /// What happens unrecorded does not happen.
    #[tokio::test]
    async fn nothing_is_changed_that_there_is_no_room_to_record() {
        let store = MemoryDurableStore::new();
        let entry = AuditEntry {
            at: UnixMillis(1),
            actor: "system".to_owned(),
            action: "user.created".to_owned(),
            target: "u".to_owned(),
            detail: "{}".to_owned(),
        };
        let full = AuditRecord::after(NO_AUDIT, 1, entry.clone());
        store.tables().audit.0 = vec![full; MAX_RECORDS];
        let user = crate::durable::contract::user("u", "u@example.test");
        let refused = store.insert_user(user, &entry).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert_eq!(store.find_user("u").await, Ok(None));
        assert!(store.append_audit(&entry).await.is_err());
        assert_eq!(store.ping().await, Ok(()));
    }
}
