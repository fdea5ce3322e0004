//! A store that hangs while it is told to.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use postern_request::UnixMillis;

use crate::flows::{
    FlowKey, FlowStore, NewFamily, Presented, Redeemed, SessionRecord, Standing, Turn, Turned,
    UsedApiKey,
};
use crate::{BoxFuture, MemoryFlowStore, StoreError};

/// One in memory behind something that hangs.
#[derive(Default)]
pub(super) struct Hanging {
    hangs: AtomicBool,
    asked: AtomicU32,
    inner: MemoryFlowStore,
}

impl Hanging {
    pub(super) fn hang(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::Relaxed);
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    async fn wait(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

macro_rules! wait_and_ask {
    ($life:lifetime: $($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(
            fn $name<$life>(
                &$life self,
                $($argument: $kind),*
            ) -> BoxFuture<$life, Result<$answer, StoreError>> {
                Box::pin(async move {
                    self.wait().await;
                    self.inner.$name($($argument),*).await
                })
            }
        )*
    };
}

impl FlowStore for Hanging {
    wait_and_ask! { 'a:
        put(key: FlowKey, value: &'a [u8], keep_ms: u64, now: UnixMillis) -> bool;
        peek(key: FlowKey, now: UnixMillis) -> Option<Vec<u8>>;
        take(key: FlowKey, now: UnixMillis) -> Option<Vec<u8>>;
        swap(key: FlowKey, from: &'a [u8], to: &'a [u8], now: UnixMillis) -> bool;
        redeem_code(key: FlowKey, mark: &'a [u8], now: UnixMillis) -> Redeemed;
        start_family(new: NewFamily<'a>, now: UnixMillis) -> ();
        stand(key: FlowKey, presented: Presented, grace_ms: u64, now: UnixMillis) -> Standing;
        turn(turn: Turn<'a>, now: UnixMillis) -> Turned;
        look_family(key: FlowKey, presented: Presented, now: UnixMillis) -> Option<Vec<u8>>;
        end_family(key: FlowKey, lock: Option<[u8; 32]>, now: UnixMillis) -> Option<Vec<u8>>;
        start_session(session: &'a SessionRecord, now: UnixMillis) -> ();
        find_session(id: &'a str, now: UnixMillis) -> Option<SessionRecord>;
        renew_session(session: &'a SessionRecord, now: UnixMillis) -> bool;
        end_session(id: &'a str, now: UnixMillis) -> Option<SessionRecord>;
        sessions_of(user_id: &'a str, now: UnixMillis) -> Vec<SessionRecord>;
        touch_sessions(used: &'a [(String, UnixMillis)], now: UnixMillis) -> ();
        touch_api_keys(used: &'a [UsedApiKey], now: UnixMillis) -> ();
    }
}
