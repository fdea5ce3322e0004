//! What logging in and granting keep for a while, in memory: for one replica. It is gone with the
//! process, which logs everybody out.

mod expiring;
mod families;
mod pending;
mod sessions;

use std::fmt;
use std::sync::{Arc, Mutex};

use postern_request::UnixMillis;

use super::lock;
use crate::flows::{
    FlowKey, FlowStore, NewFamily, Presented, Redeemed, SessionRecord, Standing, Turn, Turned,
    UsedApiKey,
};
use crate::{BoxFuture, StoreError};
use families::Families;
use pending::Pending;
use sessions::Sessions;

/// The store. It is bounded, in entries and in bytes: what there is no room for is refused, and
/// nothing that still counts is forgotten. It goes by the moment that each call hands in.
#[derive(Default)]
pub struct MemoryFlowStore {
    pending: Pending,
    families: Families,
    sessions: Mutex<Sessions>,
}

impl fmt::Debug for MemoryFlowStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryFlowStore(…)")
    }
}

impl FlowStore for MemoryFlowStore {
    fn put<'a>(
        &'a self,
        key: FlowKey,
        value: &'a [u8],
        keep_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { self.pending.put(key, value, keep_ms, now) })
    }

    fn peek(
        &self,
        key: FlowKey,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move { Ok(self.pending.peek(key, now)) })
    }

    fn take(
        &self,
        key: FlowKey,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move { Ok(self.pending.take(key, now)) })
    }

    fn swap<'a>(
        &'a self,
        key: FlowKey,
        from: &'a [u8],
        to: &'a [u8],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { self.pending.swap(key, from, to, now) })
    }

    fn redeem_code<'a>(
        &'a self,
        key: FlowKey,
        mark: &'a [u8],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Redeemed, StoreError>> {
        Box::pin(async move { self.pending.redeem(key, mark, now) })
    }

    fn start_family<'a>(
        &'a self,
        new: NewFamily<'a>,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.families.start(&new, now) })
    }

    fn stand(
        &self,
        key: FlowKey,
        presented: Presented,
        grace_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Standing, StoreError>> {
        Box::pin(async move { Ok(self.families.stand(key, &presented, grace_ms, now)) })
    }

    fn turn<'a>(
        &'a self,
        turn: Turn<'a>,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Turned, StoreError>> {
        Box::pin(async move { self.families.turn(&turn, now) })
    }

    fn look_family(
        &self,
        key: FlowKey,
        presented: Presented,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move { Ok(self.families.look(key, &presented, now)) })
    }

    fn end_family(
        &self,
        key: FlowKey,
        lock: Option<[u8; 32]>,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move { Ok(self.families.end(key, lock, now)) })
    }

    fn start_session<'a>(
        &'a self,
        session: &'a SessionRecord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { lock(&self.sessions).start(session, now) })
    }

    fn find_session<'a>(
        &'a self,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(async move {
            let found = lock(&self.sessions).find(id, now);
            Ok(found.map(Arc::unwrap_or_clone))
        })
    }

    fn renew_session<'a>(
        &'a self,
        session: &'a SessionRecord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { lock(&self.sessions).renew(session, now) })
    }

    fn end_session<'a>(
        &'a self,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(async move {
            let ended = lock(&self.sessions).end(id, now);
            Ok(ended.map(Arc::unwrap_or_clone))
        })
    }

    fn sessions_of<'a>(
        &'a self,
        user_id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Vec<SessionRecord>, StoreError>> {
        Box::pin(async move {
            let sessions = lock(&self.sessions).of(user_id, now);
            Ok(sessions.into_iter().map(Arc::unwrap_or_clone).collect())
        })
    }

    fn touch_sessions<'a>(
        &'a self,
        used: &'a [(String, UnixMillis)],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { lock(&self.sessions).touch(used, now) })
    }

    /// What is told of API keys here is for those who look into a shared store; what is kept of it
    /// goes to the durable one.
    fn touch_api_keys<'a>(
        &'a self,
        _: &'a [UsedApiKey],
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests;
