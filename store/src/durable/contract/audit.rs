//! The audit log's part of the contract.

use super::{entries, entry};
use crate::durable::audit::MAX_AUDIT_PAGE;
use crate::durable::{AuditHead, AuditRecord, IdentityStore, NO_AUDIT};

pub(super) async fn nothing_yet(store: &dyn IdentityStore) {
    assert_eq!(store.audit_head().await, Ok(None));
    assert!(store.audit_since(0, 10).await.unwrap().is_empty());
}

/// After all others, which have left entries.
pub(super) async fn run(store: &dyn IdentityStore) {
    what_is_appended_comes_back(store).await;
    a_page_has_a_bound(store).await;
    is_whole(store).await;
}

async fn what_is_appended_comes_back(store: &dyn IdentityStore) {
    let before = store.audit_head().await.unwrap().unwrap();
    let said = entry("key.rotated", "new\nline, 'é', %_");
    assert_eq!(store.append_audit(&said).await, Ok(before.seq + 1));
    let appended = AuditRecord::after(before.hash, before.seq + 1, said);
    assert_eq!(store.audit_since(before.seq, 10).await.unwrap(), std::slice::from_ref(&appended));
    let head = AuditHead { seq: appended.seq, hash: appended.hash };
    assert_eq!(store.audit_head().await, Ok(Some(head)));

    assert!(store.audit_since(appended.seq, 10).await.unwrap().is_empty());
    assert!(store.audit_since(u64::MAX, 10).await.unwrap().is_empty());
    assert!(store.audit_since(0, 0).await.unwrap().is_empty());
    let page = store.audit_since(2, 3).await.unwrap();
    assert_eq!(page.iter().map(|record| record.seq).collect::<Vec<_>>(), [3, 4, 5]);
}

async fn a_page_has_a_bound(store: &dyn IdentityStore) {
    let said = entry("admin.denied", "many");
    while entries(store).await <= u64::from(MAX_AUDIT_PAGE) {
        store.append_audit(&said).await.unwrap();
    }
    let page = store.audit_since(0, u32::MAX).await.unwrap();
    assert_eq!(page.len(), usize::try_from(MAX_AUDIT_PAGE).unwrap());
}

/// The chain has no gap from its first record to its head.
pub(super) async fn is_whole(store: &dyn IdentityStore) {
    let head = store.audit_head().await.unwrap().unwrap();
    let (mut previous, mut seq) = (NO_AUDIT, 0);
    while seq < head.seq {
        let page = store.audit_since(seq, 500).await.unwrap();
        assert!(!page.is_empty(), "nothing after {seq}, and the head is {}", head.seq);
        for record in page {
            assert_eq!(record.seq, seq + 1);
            assert!(record.follows(&previous), "{record:?}");
            (previous, seq) = (record.hash, record.seq);
        }
    }
    assert_eq!(AuditHead { seq, hash: previous }, head);
}
