//! Authorization codes.

use std::time::Duration;

use super::{Case, LONG_MS, SHORT_MS, until};
use crate::flows::{FlowKey, FlowKind, Redeemed};

pub(super) async fn run(case: Case<'_>) {
    a_code_is_redeemed_once(case).await;
    a_code_is_neither_shown_nor_taken(case).await;
    marks_and_values_are_any_bytes(case).await;
    a_code_ends_with_its_mark(case).await;
}

impl Case<'_> {
    async fn redeem(self, key: FlowKey, mark: &[u8]) -> Redeemed {
        self.store.redeem_code(key, mark, self.now()).await.unwrap()
    }
}

async fn a_code_is_redeemed_once(case: Case<'_>) {
    let key = case.key(FlowKind::Code, "once");
    assert_eq!(case.redeem(key, b"early").await, Redeemed::Unknown);
    assert!(case.put(key, b"grant", LONG_MS).await, "asking before has left nothing");
    assert!(!case.put(key, b"another", LONG_MS).await);
    assert_eq!(case.redeem(key, b"first").await, Redeemed::Fresh(b"grant".to_vec()));
    for mark in [b"second".as_slice(), b"third", b"first"] {
        assert_eq!(case.redeem(key, mark).await, Redeemed::Used(b"first".to_vec()));
    }
    assert!(!case.put(key, b"another", LONG_MS).await, "nobody gets a used code again");
    assert_eq!(case.redeem(key, b"last").await, Redeemed::Used(b"first".to_vec()));
}

async fn a_code_is_neither_shown_nor_taken(case: Case<'_>) {
    let key = case.key(FlowKind::Code, "hidden");
    assert!(case.put(key, b"grant", LONG_MS).await);
    for _ in 0..2 {
        assert_eq!((case.peek(key).await, case.take(key).await), (None, None));
        for from in [b"grant".as_slice(), b"fgrant", b"umark", b"mark"] {
            assert!(!case.swap(key, from, b"fswapped").await, "{from:?}");
        }
        assert_ne!(case.redeem(key, b"mark").await, Redeemed::Unknown);
    }
    assert_eq!(case.redeem(key, b"again").await, Redeemed::Used(b"mark".to_vec()));
}

async fn marks_and_values_are_any_bytes(case: Case<'_>) {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let bytes: [&[u8]; 5] = [b"", b"u", b"f", b"used", &all];
    for (at, (value, mark)) in bytes.into_iter().zip(bytes.into_iter().rev()).enumerate() {
        let key = case.key(FlowKind::Code, &format!("bytes {at}"));
        assert!(case.put(key, value, LONG_MS).await);
        assert_eq!(case.redeem(key, mark).await, Redeemed::Fresh(value.to_vec()));
        assert_eq!(case.redeem(key, b"late").await, Redeemed::Used(mark.to_vec()));
    }
}

async fn a_code_ends_with_its_mark(case: Case<'_>) {
    let [used, unused] = ["used", "unused"].map(|name| case.key(FlowKind::Code, name));
    for key in [used, unused] {
        assert!(case.put(key, b"grant", SHORT_MS).await);
    }
    assert_eq!(case.redeem(used, b"mark").await, Redeemed::Fresh(b"grant".to_vec()));
    until("the mark of a code", async || case.redeem(used, b"late").await == Redeemed::Unknown)
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(case.redeem(unused, b"late").await, Redeemed::Unknown);
}
