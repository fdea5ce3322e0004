use std::sync::Arc;
use std::time::Instant;

use super::hanging::Hanging;
use super::*;
use crate::MemoryFlowStore;
use crate::flows::FlowKind;
use crate::guard::breaker::{FAILURES, RECOVERY};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn guarded() -> FlowGuard<Hanging> {
    FlowGuard::with_budgets(Hanging::default(), Duration::from_millis(5), Duration::from_millis(40))
}

fn unavailable<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
}

fn key() -> FlowKey {
    FlowKey::of(FlowKind::Par, b"a")
}

#[tokio::test]
async fn a_hanging_store_is_given_up_and_then_not_asked() {
    let guarded = guarded();
    guarded.store.hang(true);
    for _ in 0..20 {
        assert!(unavailable(&guarded.find_session("a", NOW).await));
    }
    assert_eq!(guarded.store.asked(), FAILURES);
    assert!(guarded.is_open());
    guarded.store.hang(false);
    tokio::time::sleep(RECOVERY + Duration::from_millis(20)).await;
    assert_eq!(guarded.find_session("a", NOW).await, Ok(None));
    assert!(!guarded.is_open());
}

#[tokio::test]
async fn requests_and_log_ins_have_a_breaker_each() {
    let guarded = guarded();
    guarded.store.hang(true);
    for _ in 0..FAILURES {
        assert!(unavailable(&guarded.find_session("a", NOW).await));
    }
    guarded.store.hang(false);
    assert!(unavailable(&guarded.find_session("a", NOW).await), "not asked");
    assert_eq!(guarded.put(key(), b"a", 1_000, NOW).await, Ok(true), "asked all the same");

    let other = self::guarded();
    other.store.hang(true);
    for _ in 0..FAILURES {
        assert!(unavailable(&other.peek(key(), NOW).await));
    }
    other.store.hang(false);
    assert!(unavailable(&other.take(key(), NOW).await), "all but look-ups share one");
    assert!(!other.is_open());
    assert_eq!(other.find_session("a", NOW).await, Ok(None));
}

#[tokio::test]
async fn a_log_in_may_wait_longer_than_a_request() {
    let guarded = guarded();
    guarded.store.hang(true);
    let began = Instant::now();
    assert!(unavailable(&guarded.peek(key(), NOW).await));
    assert!(began.elapsed() >= Duration::from_millis(40));
    assert!(BUDGET < FLOW_BUDGET);
}

#[tokio::test]
async fn whoever_was_given_up_has_turned_nothing() {
    let guarded = guarded();
    let key = FlowKey::of(FlowKind::Family, b"name");
    let first = Presented { lock: [1; 32], secret: [2; 32], generation: 1 };
    let ends_at = UnixMillis(NOW.0 + 60_000);
    let new = NewFamily { key, first, grant: b"grant", idle_ms: 60_000, ends_at };
    guarded.start_family(new, NOW).await.unwrap();
    let turn = Turn {
        key,
        presented: first,
        next: [3; 32],
        answer: b"answer",
        grace_ms: 10_000,
        idle_ms: 60_000,
    };
    guarded.store.hang(true);
    assert!(unavailable(&guarded.turn(turn, NOW).await));
    guarded.store.hang(false);
    let standing = guarded.stand(key, first, 10_000, NOW).await;
    assert_eq!(standing, Ok(Standing::Current { grant: b"grant".to_vec(), ends_at }));
    assert_eq!(guarded.turn(turn, NOW).await, Ok(Turned::Done));
}

/// What passes through is what the store says: the guard keeps the contract itself.
#[tokio::test]
async fn a_guarded_store_keeps_the_contract() {
    let store: Arc<dyn FlowStore> = Arc::new(MemoryFlowStore::default());
    let minute = Duration::from_secs(60);
    let guarded = FlowGuard::with_budgets(store, minute, minute);
    let clock = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        UnixMillis(u64::try_from(since.as_millis()).unwrap())
    };
    crate::flows::contract::run(&guarded, &clock).await;
}
