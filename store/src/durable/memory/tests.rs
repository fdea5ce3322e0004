use std::sync::Arc;

use super::*;
use crate::durable::contract;

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract::run(&MemoryDurableStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_one_alone_changes_what_stands_in_memory() {
    contract::parallel(Arc::new(MemoryDurableStore::new())).await;
}

#[test]
fn a_full_table_refuses_one_more_and_forgets_nothing() {
    let mut table = BTreeMap::new();
    for id in 0..MAX_RECORDS {
        insert(&mut table, id, ()).unwrap();
    }
    assert!(matches!(insert(&mut table, MAX_RECORDS, ()), Err(StoreError::Unavailable(_))));
    assert_eq!(insert(&mut table, 7, ()), Err(StoreError::Conflict), "which it is all the same");
    assert_eq!(table.len(), MAX_RECORDS);
}
