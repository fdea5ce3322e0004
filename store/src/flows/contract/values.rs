//! What is put, looked at, exchanged and taken.

use std::time::Duration;

use super::{Case, LONG_MS, SHORT_MS, until};
use crate::flows::FlowKind;

/// All kinds whose values are bytes that are taken once.
const PLAIN: [FlowKind; 6] = [
    FlowKind::Par,
    FlowKind::Device,
    FlowKind::UserCode,
    FlowKind::Login,
    FlowKind::Ticket,
    FlowKind::Outside,
];

pub(super) async fn run(case: Case<'_>) {
    a_value_is_taken_once(case).await;
    kinds_do_not_meet(case).await;
    values_are_any_bytes(case).await;
    a_swap_needs_what_stands(case).await;
    what_ends_leaves_its_place(case).await;
    nothing_prolongs_a_value(case).await;
}

async fn a_value_is_taken_once(case: Case<'_>) {
    for kind in PLAIN {
        let key = case.key(kind, "taken once");
        assert_eq!((case.peek(key).await, case.take(key).await), (None, None), "{kind:?}");
        for _ in 0..2 {
            assert!(case.put(key, b"first", LONG_MS).await, "{kind:?}");
            assert!(!case.put(key, b"second", LONG_MS).await, "{kind:?}: it is there already");
            for _ in 0..2 {
                assert_eq!(case.peek(key).await.as_deref(), Some(b"first".as_slice()));
            }
            assert_eq!(case.take(key).await.as_deref(), Some(b"first".as_slice()), "{kind:?}");
            assert_eq!((case.take(key).await, case.peek(key).await), (None, None), "{kind:?}");
        }
    }
}

async fn kinds_do_not_meet(case: Case<'_>) {
    for kind in PLAIN {
        let key = case.key(kind, "one name");
        assert!(case.put(key, kind.as_str().as_bytes(), LONG_MS).await, "{kind:?}");
    }
    for kind in PLAIN {
        let taken = case.take(case.key(kind, "one name")).await;
        assert_eq!(taken.as_deref(), Some(kind.as_str().as_bytes()), "{kind:?}");
    }
}

async fn values_are_any_bytes(case: Case<'_>) {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let large = all.repeat(64);
    let values: [&[u8]; 4] = [b"", b"\0", &all, &large];
    for (at, value) in values.into_iter().enumerate() {
        let key = case.key(FlowKind::Par, &format!("bytes {at}"));
        assert!(case.put(key, b"before", LONG_MS).await);
        assert!(case.swap(key, b"before", value).await);
        assert_eq!(case.peek(key).await.as_deref(), Some(value), "{at}");
        assert!(case.swap(key, value, b"after").await);
        assert_eq!(case.take(key).await.as_deref(), Some(b"after".as_slice()));
        assert!(case.put(key, value, LONG_MS).await);
        assert_eq!(case.take(key).await.as_deref(), Some(value), "{at}");
    }
}

async fn a_swap_needs_what_stands(case: Case<'_>) {
    let key = case.key(FlowKind::Device, "swapped");
    assert!(!case.swap(key, b"", b"to").await, "nothing stands there");
    assert!(!case.swap(key, b"from", b"to").await);
    assert_eq!(case.peek(key).await, None);
    assert!(case.put(key, b"from", LONG_MS).await);
    for other in [b"".as_slice(), b"fro", b"from\0", b"From"] {
        assert!(!case.swap(key, other, b"to").await, "{other:?}");
    }
    assert_eq!(case.peek(key).await.as_deref(), Some(b"from".as_slice()));
    assert!(case.swap(key, b"from", b"to").await);
    assert!(!case.swap(key, b"from", b"to").await, "the second time");
    assert_eq!(case.take(key).await.as_deref(), Some(b"to".as_slice()));
    assert!(!case.swap(key, b"to", b"from").await, "it was taken");
}

async fn what_ends_leaves_its_place(case: Case<'_>) {
    let [looked_at, taken, swapped] =
        ["looked at", "taken", "swapped"].map(|name| case.key(FlowKind::Ticket, name));
    for key in [looked_at, taken, swapped] {
        assert!(case.put(key, b"ends", 50).await);
    }
    until("a value of 50 ms", async || case.peek(looked_at).await.is_none()).await;
    // The others were put after it: they have as long again at most.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(case.take(taken).await, None);
    assert!(!case.swap(swapped, b"ends", b"lives").await);
    for key in [looked_at, taken, swapped] {
        assert!(case.put(key, b"new", LONG_MS).await);
        assert_eq!(case.take(key).await.as_deref(), Some(b"new".as_slice()));
    }
}

async fn nothing_prolongs_a_value(case: Case<'_>) {
    let key = case.key(FlowKind::Device, "not prolonged");
    assert!(case.put(key, b"a", SHORT_MS).await);
    assert!(!case.put(key, b"a", LONG_MS).await);
    assert!(case.swap(key, b"a", b"b").await);
    assert_eq!(case.peek(key).await.as_deref(), Some(b"b".as_slice()));
    until("a value that was swapped", async || case.peek(key).await.is_none()).await;
}
