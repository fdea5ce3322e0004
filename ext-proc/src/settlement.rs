//! What limits give back of requests that have ended: places of those that were under way, and
//! what a request took that does not count, for it went well or badly.

mod metrics;
mod settled;

use std::sync::{Arc, Mutex, PoisonError};

use postern_ext_authz::{TicketError, Tickets};
use postern_request::UnixMillis;
use postern_store::limiter::Limiter;
use postern_store::volatile::GiveBack;

pub use metrics::SettlementMetrics;
use settled::Settled;

/// A request that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What it was given by `ext_authz`.
    pub ticket: String,
    /// Whether its answer was a good one; none where there was no answer.
    pub successful: Option<bool>,
}

/// Settles what requests have taken. Of a ticket, one end is taken: a log can be sent twice.
pub struct Settlement {
    limiter: Arc<Limiter>,
    tickets: Tickets,
    settled: Mutex<Settled>,
    pub(crate) metrics: SettlementMetrics,
}

/// What came of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Something was given back.
    GivenBack,
    /// Something should have been, but the store did not answer.
    Lost,
    /// What was taken counts.
    Kept,
    /// It was settled before.
    Repeated,
    /// It is worth nothing.
    Refused(TicketError),
}

impl Settlement {
    /// Puts the parts together. `tickets` must be made of the same key as those of `ext_authz`,
    /// on whichever replica, and `limiter` ask the same store.
    #[must_use]
    pub fn new(limiter: Arc<Limiter>, tickets: Tickets, metrics: SettlementMetrics) -> Self {
        Self { limiter, tickets, settled: Mutex::default(), metrics }
    }

    /// Gives back what is due, in one call for all of them. What the store does not take back
    /// stays taken until it ends by itself: nobody would send the log again.
    pub async fn settle(&self, ended: &[Ended], now: UnixMillis) {
        let mut due: Vec<Due> = Vec::new();
        for ended in ended {
            if let Err(outcome) = self.open(ended, &mut due, now) {
                self.metrics.settled(outcome, 1);
            }
        }
        for Due { shared_by, taken, requests } in due {
            let replicas = shared_by.unwrap_or(1);
            let back = self.limiter.give_back(&taken, shared_by.is_some(), replicas, now).await;
            let outcome = match back {
                Ok(()) => Outcome::GivenBack,
                Err(error) => {
                    tracing::debug!(%error, requests, "what requests took stays taken");
                    Outcome::Lost
                }
            };
            self.metrics.settled(outcome, requests);
        }
    }

    /// Puts what a request gets back to what is due already.
    fn open(&self, ended: &Ended, due: &mut Vec<Due>, now: UnixMillis) -> Result<(), Outcome> {
        let ticket = self.tickets.open(&ended.ticket, now).map_err(Outcome::Refused)?;
        if !self.settled.lock().unwrap_or_else(PoisonError::into_inner).is_first(ticket.id) {
            return Err(Outcome::Repeated);
        }
        let back = ticket.owed.iter().filter(|owed| owed.when.applies(ended.successful));
        let back: Vec<GiveBack> = back.map(|owed| owed.taken).collect();
        if back.is_empty() {
            return Err(Outcome::Kept);
        }
        match due.iter_mut().find(|due| due.shared_by == ticket.shared_by) {
            Some(due) => {
                due.taken.extend(back);
                due.requests += 1;
            }
            None => due.push(Due { shared_by: ticket.shared_by, taken: back, requests: 1 }),
        }
        Ok(())
    }
}

/// What is given back to one place: the store, or what stood in for it.
struct Due {
    /// Without the store, by how many replicas limits were shared.
    shared_by: Option<u64>,
    taken: Vec<GiveBack>,
    /// Of how many.
    requests: u64,
}

#[cfg(test)]
pub(crate) mod tests;
