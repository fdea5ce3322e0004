//! Budgets and breakers in front of a [`FlowStore`], as `guard` is in front of the volatile store.
//!
//! A look-up of a session is what a request at the gateway waits for: it has the budget of a
//! decision and a breaker of its own. All else is asked by somebody who logs in or gets a token,
//! and has more time.
//!
//! A call that was given up may have been carried out. Whoever turned a family shows the same
//! token again, and gets the answer that was kept.

use std::time::Duration;

use postern_request::UnixMillis;

use crate::flows::{
    FlowKey, FlowStore, NewFamily, Presented, Redeemed, SessionRecord, Standing, Turn, Turned,
    UsedApiKey,
};
use crate::guard::breaker::Breaker;
use crate::{BoxFuture, StoreError};

pub use crate::guard::BUDGET;

/// Longest time that anything but a look-up of a session waits for the store.
pub const FLOW_BUDGET: Duration = Duration::from_millis(500);

/// A store behind budgets and breakers.
pub struct FlowGuard<S> {
    store: S,
    /// For look-ups of sessions.
    look_ups: (Duration, Breaker),
    flows: (Duration, Breaker),
}

impl<S: FlowStore> FlowGuard<S> {
    /// Guards a store with the usual budgets, [`BUDGET`] and [`FLOW_BUDGET`].
    pub fn new(store: S) -> Self {
        Self::with_budgets(store, BUDGET, FLOW_BUDGET)
    }

    /// Guards a store with other budgets: for look-ups of sessions, and for all else.
    pub fn with_budgets(store: S, look_ups: Duration, flows: Duration) -> Self {
        Self { store, look_ups: (look_ups, Breaker::new()), flows: (flows, Breaker::new()) }
    }

    /// Whether no session is looked up at the moment.
    pub fn is_open(&self) -> bool {
        self.look_ups.1.is_open()
    }

    /// A call that no request at the gateway waits for.
    async fn flow<'a, T: 'a>(
        &'a self,
        call: impl FnOnce() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let (budget, breaker) = &self.flows;
        breaker.guard(*budget, call).await
    }
}

impl<S: FlowStore> FlowStore for FlowGuard<S> {
    fn put<'a>(
        &'a self,
        key: FlowKey,
        value: &'a [u8],
        keep_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.flow(move || self.store.put(key, value, keep_ms, now)))
    }

    fn peek(
        &self,
        key: FlowKey,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.flow(move || self.store.peek(key, now)))
    }

    fn take(
        &self,
        key: FlowKey,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.flow(move || self.store.take(key, now)))
    }

    fn swap<'a>(
        &'a self,
        key: FlowKey,
        from: &'a [u8],
        to: &'a [u8],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.flow(move || self.store.swap(key, from, to, now)))
    }

    fn redeem_code<'a>(
        &'a self,
        key: FlowKey,
        mark: &'a [u8],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Redeemed, StoreError>> {
        Box::pin(self.flow(move || self.store.redeem_code(key, mark, now)))
    }

    fn start_family<'a>(
        &'a self,
        new: NewFamily<'a>,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.flow(move || self.store.start_family(new, now)))
    }

    fn stand(
        &self,
        key: FlowKey,
        presented: Presented,
        grace_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Standing, StoreError>> {
        Box::pin(self.flow(move || self.store.stand(key, presented, grace_ms, now)))
    }

    fn turn<'a>(
        &'a self,
        turn: Turn<'a>,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Turned, StoreError>> {
        Box::pin(self.flow(move || self.store.turn(turn, now)))
    }

    fn look_family(
        &self,
        key: FlowKey,
        presented: Presented,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.flow(move || self.store.look_family(key, presented, now)))
    }

    fn end_family(
        &self,
        key: FlowKey,
        lock: Option<[u8; 32]>,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(self.flow(move || self.store.end_family(key, lock, now)))
    }

    fn start_session<'a>(
        &'a self,
        session: &'a SessionRecord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.flow(move || self.store.start_session(session, now)))
    }

    fn find_session<'a>(
        &'a self,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        let (budget, breaker) = &self.look_ups;
        Box::pin(breaker.guard(*budget, move || self.store.find_session(id, now)))
    }

    fn renew_session<'a>(
        &'a self,
        session: &'a SessionRecord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.flow(move || self.store.renew_session(session, now)))
    }

    fn end_session<'a>(
        &'a self,
        id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(self.flow(move || self.store.end_session(id, now)))
    }

    fn sessions_of<'a>(
        &'a self,
        user_id: &'a str,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Vec<SessionRecord>, StoreError>> {
        Box::pin(self.flow(move || self.store.sessions_of(user_id, now)))
    }

    fn touch_sessions<'a>(
        &'a self,
        used: &'a [(String, UnixMillis)],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.flow(move || self.store.touch_sessions(used, now)))
    }

    fn touch_api_keys<'a>(
        &'a self,
        used: &'a [UsedApiKey],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.flow(move || self.store.touch_api_keys(used, now)))
    }
}

#[cfg(test)]
mod hanging;
#[cfg(test)]
mod tests;
