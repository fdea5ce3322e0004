//! The server: the limits of all keys, and their leases.

use postern_leases::{Ask, Grant, LeaseId, Ledger, Return, Terms};
use postern_limits::{Spec, State};
use postern_request::UnixMillis;

/// What a sidecar sends.
#[derive(Debug, Clone)]
pub struct Request {
    /// The sidecar.
    pub from: usize,
    /// What it would like, by key.
    pub asks: Vec<(usize, Ask)>,
    /// What it gives back, by key.
    pub returns: Vec<(usize, Return)>,
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The sidecar.
    pub to: usize,
    /// What it got, by key.
    pub grants: Vec<(usize, LeaseId, Grant)>,
    /// Which returns have arrived.
    pub returned: Vec<LeaseId>,
}

/// The limits of all keys.
#[derive(Debug)]
pub struct Lender {
    spec: Spec,
    terms: Terms,
    keys: Vec<(State, Ledger)>,
}

impl Lender {
    /// A lender that lent nothing yet.
    pub fn new(spec: Spec, terms: Terms, keys: usize, now: UnixMillis) -> Self {
        let fresh = || (spec.fresh(now), Ledger::default());
        Self { spec, terms, keys: std::iter::repeat_with(fresh).take(keys).collect() }
    }

    /// Takes back first, so that what comes back can be lent again.
    pub fn answer(&mut self, request: &Request, now: UnixMillis) -> Answer {
        let mut answer = Answer { to: request.from, grants: Vec::new(), returned: Vec::new() };
        for (key, back) in &request.returns {
            if let Some((state, ledger)) = self.keys.get_mut(*key) {
                ledger.give_back(state, self.spec, back.id, back.unused, now);
                answer.returned.push(back.id);
            }
        }
        for (key, ask) in &request.asks {
            if let Some((state, ledger)) = self.keys.get_mut(*key) {
                let grant = ledger.lend(state, self.spec, &self.terms, *ask, now);
                answer.grants.push((*key, ask.id, grant));
            }
        }
        answer
    }
}
