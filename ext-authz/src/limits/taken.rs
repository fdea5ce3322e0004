//! What a request took and may get back.

use std::sync::Arc;

use postern_request::UnixMillis;
use postern_store::limiter::{Asked, Decided, Limiter};
use postern_store::volatile::GiveBack;
use tokio::runtime::Handle;

use crate::tickets::{GiveBackWhen, Owed, Tickets};

/// What was taken. When it is dropped the request has failed, whatever stopped it: a refusal by
/// something else, or a client that is gone. Only a ticket lets it go on.
pub(crate) struct Taken {
    limiter: Arc<Limiter>,
    owed: Vec<Owed>,
    /// Where it was taken without the store, by how many replicas the limits were shared.
    shared_by: Option<u64>,
    at: UnixMillis,
}

impl Taken {
    /// None where nothing was taken that could be given back.
    pub(crate) fn of(
        limiter: Arc<Limiter>,
        asked: &[Asked],
        ends: &[Option<GiveBackWhen>],
        decided: &Decided,
        replicas: u64,
        at: UnixMillis,
    ) -> Option<Self> {
        if !decided.decision.allowed {
            return None;
        }
        let outcomes = &decided.decision.limits;
        let owed = asked.iter().zip(ends).zip(outcomes).filter_map(|((asked, end), outcome)| {
            // A limit in shadow that has no room lets pass without taking.
            let when = end.filter(|_| outcome.allowed)?;
            Some(Owed { taken: GiveBack { key: asked.ask.key, take: asked.ask.take }, when })
        });
        let owed: Vec<Owed> = owed.collect();
        if owed.is_empty() {
            return None;
        }
        let shared_by = decided.without_store.then_some(replicas);
        Some(Self { limiter, owed, shared_by, at })
    }

    /// The request goes on: whoever hears of its end gives back what is due, by this.
    pub(crate) fn into_ticket(mut self, tickets: &Tickets) -> Option<String> {
        let owed = std::mem::take(&mut self.owed);
        let ticket = tickets.issue(&owed, self.shared_by, self.at);
        ticket.inspect_err(|error| tracing::error!(%error, "what a request took stays taken")).ok()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let due = self.owed.iter().filter(|owed| owed.when.applies(Some(false)));
        let due: Vec<GiveBack> = due.map(|owed| owed.taken).collect();
        // Beside the answer, which need not wait for it. Outside a runtime there is no server.
        if let (false, Ok(runtime)) = (due.is_empty(), Handle::try_current()) {
            let limiter = Arc::clone(&self.limiter);
            let (shared_by, now) = (self.shared_by, self.at);
            runtime.spawn(async move {
                let replicas = shared_by.unwrap_or(1);
                let back = limiter.give_back(&due, shared_by.is_some(), replicas, now).await;
                if let Err(error) = back {
                    tracing::debug!(%error, "what a request took stays taken");
                }
            });
        }
    }
}
