use std::time::{SystemTime, UNIX_EPOCH};

use super::*;
use crate::flows::contract;

fn clock() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis(u64::try_from(since.as_millis()).unwrap())
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let store = MemoryFlowStore::default();
    // Two runs on one store do not meet.
    tokio::join!(contract::run(&store, &clock), contract::run(&store, &clock));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_one_alone_gets_it_from_memory() {
    let store: Arc<dyn FlowStore> = Arc::new(MemoryFlowStore::default());
    for _ in 0..5 {
        contract::parallel(Arc::clone(&store), &clock).await;
    }
}

#[test]
fn a_store_shows_nothing_of_what_it_keeps() {
    assert_eq!(format!("{:?}", MemoryFlowStore::default()), "MemoryFlowStore(…)");
}
