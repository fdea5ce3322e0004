//! One sidecar: its slices, its questions, its clock.

use std::collections::BTreeMap;

use postern_leases::{Ask, Borrower, LeaseId, Return, Spent, Terms, Watch};
use postern_limits::Spec;
use postern_request::UnixMillis;

use crate::events::Micros;
use crate::lender::{Answer, Request};
use crate::random::Random;

/// How often a sidecar polls.
pub const POLL_MS: u64 = 1000;
/// When an answer that has not come is given up.
const PATIENCE: Micros = 500_000;
/// Between two polls that do not wait for the next turn.
const HASTE: Micros = 20_000;
/// A key is not asked for again within this time after an answer of which no slice came to be
/// held, however urgent it seems.
const AGAIN_MS: u64 = 750;

/// A question that is under way.
#[derive(Debug, Clone, Copy)]
struct Asking {
    ask: Ask,
    /// By the sidecar's clock, when it was first sent.
    sent: UnixMillis,
}

/// One sidecar.
#[derive(Debug, Default)]
pub struct Sidecar {
    borrowers: BTreeMap<usize, Borrower>,
    asking: BTreeMap<usize, Asking>,
    /// By its clock, when keys were last asked for in vain.
    in_vain: BTreeMap<usize, UnixMillis>,
    /// What goes back, until the lender says that it has arrived.
    returns: BTreeMap<LeaseId, (usize, u64)>,
    watch: Watch,
    /// What its clock shows beyond true time, in milliseconds.
    ahead_ms: i64,
    /// When the last request was sent.
    sent_at: Option<Micros>,
    /// Whether its answer has not come.
    is_waiting: bool,
    /// Something found nothing since then.
    is_urgent: bool,
}

impl Sidecar {
    /// Steps its clock.
    pub fn step_clock(&mut self, by_ms: i64) {
        self.ahead_ms = self.ahead_ms.saturating_add(by_ms);
    }

    /// What its clock shows; when that went back, nothing it holds can be trusted any more.
    pub fn look(&mut self, truth: UnixMillis) -> UnixMillis {
        let clock = UnixMillis(truth.0.saturating_add_signed(self.ahead_ms));
        if self.watch.went_back(clock) {
            for (key, borrower) in &mut self.borrowers {
                keep(&mut self.returns, *key, borrower.end());
                borrower.forget_answer();
            }
            for (key, asking) in std::mem::take(&mut self.asking) {
                let whatever = Return { id: asking.ask.id, unused: u64::MAX };
                keep(&mut self.returns, key, Some(whatever));
            }
        }
        clock
    }

    /// A request comes; whether it may pass.
    pub fn pass(&mut self, key: usize, spec: Spec, terms: &Terms, truth: UnixMillis) -> bool {
        let clock = self.look(truth);
        let borrower = self.borrowers.entry(key).or_default();
        let spent = borrower.spend(spec, terms, 1, clock);
        self.is_urgent |= borrower.is_urgent(clock) && !is_in_vain(&self.in_vain, key, clock);
        matches!(spent, Spent::Passed { .. })
    }

    /// Whether it is time for a request, by turn or out of turn.
    pub fn may_ask(&self, by_turn: bool, now: Micros) -> bool {
        let Some(sent_at) = self.sent_at else { return by_turn || self.is_urgent };
        let since = now.saturating_sub(sent_at);
        let patient = !self.is_waiting || since >= PATIENCE;
        patient && (by_turn || (self.is_urgent && since >= HASTE))
    }

    /// What there is to send, if anything.
    pub fn request(
        &mut self,
        from: usize,
        terms: &Terms,
        random: &mut Random,
        truth: UnixMillis,
        now: Micros,
    ) -> Option<Request> {
        let clock = self.look(truth);
        self.is_urgent = false;
        self.give_up(terms, clock);
        for (key, borrower) in &mut self.borrowers {
            keep(&mut self.returns, *key, borrower.unused_at_end(clock));
            if !self.asking.contains_key(key)
                && !is_in_vain(&self.in_vain, *key, clock)
                && let Some(asked) = borrower.want(clock, POLL_MS)
            {
                let ask = Ask { id: random.lease_id(), asked };
                self.asking.insert(*key, Asking { ask, sent: clock });
            }
        }
        self.borrowers.retain(|_, borrower| !borrower.is_forgettable(clock));
        if self.asking.is_empty() && self.returns.is_empty() {
            return None;
        }
        (self.sent_at, self.is_waiting) = (Some(now), true);
        let asks = self.asking.iter().map(|(key, asking)| (*key, asking.ask)).collect();
        let returns = self.returns.iter();
        let returns =
            returns.map(|(id, (key, unused))| (*key, Return { id: *id, unused: *unused }));
        Some(Request { from, asks, returns: returns.collect() })
    }

    /// The answer comes, or one to a question of long ago.
    pub fn hear(&mut self, answer: &Answer, truth: UnixMillis) {
        let clock = self.look(truth);
        self.is_waiting = false;
        for id in &answer.returned {
            self.returns.remove(id);
        }
        for (key, id, grant) in &answer.grants {
            let Some(asking) = self.asking.get(key).copied().filter(|a| a.ask.id == *id) else {
                continue;
            };
            self.asking.remove(key);
            let borrower = self.borrowers.entry(*key).or_default();
            keep(&mut self.returns, *key, borrower.granted(*id, *grant, asking.sent, clock));
            if borrower.lease() == Some(*id) {
                self.in_vain.remove(key);
            } else {
                self.in_vain.insert(*key, clock);
            }
        }
    }

    /// A question that got no answer in a lease's life will get none that is worth having.
    fn give_up(&mut self, terms: &Terms, clock: UnixMillis) {
        let returns = &mut self.returns;
        self.asking.retain(|key, asking| {
            let is_over = clock.millis_since(asking.sent) >= terms.life_ms();
            let whatever = Return { id: asking.ask.id, unused: u64::MAX };
            keep(returns, *key, is_over.then_some(whatever));
            !is_over
        });
    }
}

fn is_in_vain(in_vain: &BTreeMap<usize, UnixMillis>, key: usize, clock: UnixMillis) -> bool {
    let asked = in_vain.get(&key);
    asked.is_some_and(|asked| clock >= *asked && clock.millis_since(*asked) < AGAIN_MS)
}

fn keep(returns: &mut BTreeMap<LeaseId, (usize, u64)>, key: usize, back: Option<Return>) {
    if let Some(Return { id, unused }) = back {
        returns.insert(id, (key, unused));
    }
}
