//! Lending slices of limits: who may have some, what of, and how many questions that may take.
//!
//! How much is lent is the store's to say ([`postern_leases`]). Whose requests a key stands for is
//! the asker's word: it sees them, and nobody else does. So a key is bound to the limit and the
//! numbers whose stamp it is named with ([`postern_store::LimitKey::leased`]): whatever a peer makes
//! up, it draws on leases of that limit alone, and not on what other limits count.

use std::sync::Arc;
use std::time::Duration;

use postern_leases::{Ask, LeaseId, Return, Terms};
use postern_limits::Spec;
use postern_request::UnixMillis;
use postern_store::{LendAsk, StoreError, TakeBack, VolatileStore};

use crate::Clock;
use crate::borrowing::{BorrowError, BorrowRefusal, Borrowing, Lease, LeasedKey, Lent};
use crate::metrics::{BorrowOutcome, Metrics};
use crate::pace::Jitter;
use crate::peer::{PeerIdentity, Peers};
use crate::quota::{Accounts, Counted};
use crate::settings::{Settings, SettingsError};

/// When to come back while the store does not answer; the shortest lease lives for a second.
const AWAY_PAUSE: Duration = Duration::from_millis(250);

/// What documents lease. While one takes the place of another, Envoys run both.
pub trait LeasedLimits: Send + Sync {
    /// What is leased under this [`stamp`](postern_limits::key::stamp): of one limit, one of the
    /// rates that it allows. By the document of this digest, where it is still known, and else by
    /// the newest; none where that leases no such thing.
    fn find(&self, stamp: u64, document: &str) -> Option<Leased>;

    /// The same by any document that is still known: for what was lent by one that its borrower
    /// runs no more.
    fn find_any(&self, stamp: u64) -> Option<Leased>;
}

/// What is lent, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leased {
    /// What the limit allows.
    pub spec: Spec,
    /// On which terms it lends.
    pub terms: Terms,
}

/// What a [`Lender`] is made of.
pub struct LenderParts {
    /// What there is to lend.
    pub limits: Arc<dyn LeasedLimits>,
    /// Digest of the document in use.
    pub document_digest: Arc<dyn Fn() -> String + Send + Sync>,
    /// Who lends.
    pub store: Arc<dyn VolatileStore>,
    /// Who may ask for what.
    pub peers: Arc<dyn Peers>,
    /// Both clocks.
    pub clock: Clock,
    /// Metrics.
    pub metrics: Metrics,
}

/// Lends to Envoys.
pub struct Lender {
    parts: LenderParts,
    accounts: Accounts,
    interval: Duration,
    jitter: Jitter,
}

impl Lender {
    /// Puts the parts together; `jitter` spreads pauses.
    ///
    /// # Errors
    /// When the quota of leases is none.
    pub fn new(
        parts: LenderParts,
        settings: &Settings,
        jitter: Jitter,
    ) -> Result<Self, SettingsError> {
        let started = (parts.clock)().monotonic;
        let accounts = Accounts::new(Counted::Leases, &settings.quotas, started)?;
        Ok(Self { accounts, interval: settings.answers.borrow_interval, parts, jitter })
    }

    /// Takes back what an Envoy of a known peer gives back, and lends it what it asks for.
    ///
    /// # Errors
    /// Why it gets nothing. Some of it may have been done: it is to be asked again as it was.
    pub async fn borrow(
        &self,
        peer: &PeerIdentity,
        borrowing: &Borrowing,
    ) -> Result<Lent, BorrowRefusal> {
        let answered = self.answer(peer, borrowing).await;
        let outcome =
            answered.as_ref().map_or_else(BorrowRefusal::outcome, |lent| lent.outcome(borrowing));
        self.parts.metrics.borrowed(outcome);
        answered
    }

    /// Counts a call of somebody who has not proved who it is.
    pub fn unidentified(&self) {
        self.parts.metrics.borrowed(BorrowOutcome::Unidentified);
    }

    /// Counts a call that cannot be read, and says so.
    pub(crate) fn unreadable(&self, error: BorrowError) -> BorrowRefusal {
        let refusal = BorrowRefusal::Invalid(error);
        self.parts.metrics.borrowed(refusal.outcome());
        refusal
    }

    async fn answer(
        &self,
        peer: &PeerIdentity,
        borrowing: &Borrowing,
    ) -> Result<Lent, BorrowRefusal> {
        borrowing.check()?;
        if !self.parts.peers.may_ask_for(peer, &borrowing.workload) {
            return Err(BorrowRefusal::NotPermitted);
        }
        let now = (self.parts.clock)();
        self.accounts.take(peer, borrowing.weight(), now.monotonic).map_err(|pause| {
            self.parts.metrics.quota_refused(Counted::Leases);
            BorrowRefusal::OverQuota { next_poll: self.turned_away(pause) }
        })?;
        let document_digest = (self.parts.document_digest)();
        self.parts.metrics.document(document_digest == borrowing.document_digest);
        // First, so that its room under the cap is there for what is asked.
        let returned = self.take_back(&borrowing.returns, now.wall).await;
        let leases = self.lend(borrowing, now.wall).await;
        let wanted = !borrowing.asks.is_empty() || !borrowing.returns.is_empty();
        if wanted && returned.is_empty() && leases.is_empty() {
            return Err(BorrowRefusal::Unavailable { next_poll: self.turned_away(AWAY_PAUSE) });
        }
        if leases.iter().any(|lease| lease.grant.is_none()) {
            let (envoy, document) = (&borrowing.envoy_id, &borrowing.document_digest);
            tracing::debug!(%peer, envoy, document, "what an Envoy borrows from is not leased here");
        }
        let next = self.jitter.around(self.interval);
        Ok(Lent { leases, returned, next, document_digest })
    }

    /// What need not be given back again: also what no document leases, because there is nowhere
    /// to credit it.
    async fn take_back(&self, returns: &[(LeasedKey, Return)], now: UnixMillis) -> Vec<LeaseId> {
        let found: Vec<Option<TakeBack>> =
            returns.iter().map(|(of, back)| self.credit(of, *back)).collect();
        let asked: Vec<TakeBack> = found.iter().flatten().copied().collect();
        let mut answers = self.parts.store.take_back(&asked, now).await.into_iter();
        let mut heard = Vec::with_capacity(returns.len());
        for ((_, back), found) in returns.iter().zip(found) {
            if found.is_none() || said(answers.next()).is_some() {
                heard.push(back.id);
            }
        }
        self.parts.metrics.leases_returned(heard.len());
        heard
    }

    async fn lend(&self, borrowing: &Borrowing, now: UnixMillis) -> Vec<Lease> {
        let Borrowing { asks, document_digest, .. } = borrowing;
        let found: Vec<Option<LendAsk>> =
            asks.iter().map(|(of, ask)| self.slice(of, *ask, document_digest)).collect();
        let asked: Vec<LendAsk> = found.iter().flatten().copied().collect();
        let mut answers = self.parts.store.lend(&asked, now).await.into_iter();
        let mut leases = Vec::with_capacity(asks.len());
        for ((_, ask), found) in asks.iter().zip(found) {
            let grant = found.and_then(|_| said(answers.next()));
            if found.is_some() && grant.is_none() {
                continue;
            }
            let lease = Lease { id: ask.id, grant };
            self.parts.metrics.lease(lease.outcome());
            leases.push(lease);
        }
        leases
    }

    fn slice(&self, of: &LeasedKey, ask: Ask, document: &str) -> Option<LendAsk> {
        let Leased { spec, terms } = self.parts.limits.find(of.stamp, document)?;
        Some(LendAsk { key: of.key.leased(of.stamp), spec, terms, ask })
    }

    fn credit(&self, of: &LeasedKey, back: Return) -> Option<TakeBack> {
        let Leased { spec, .. } = self.parts.limits.find_any(of.stamp)?;
        let key = of.key.leased(of.stamp);
        Some(TakeBack { key, spec, id: back.id, unused: back.unused })
    }

    /// After `pause` or up to twice as long.
    fn turned_away(&self, pause: Duration) -> Duration {
        self.jitter.between(pause, pause * 2)
    }
}

/// What the store has said; why it has not goes to the log.
fn said<T>(answer: Option<Result<T, StoreError>>) -> Option<T> {
    answer?.inspect_err(|error| tracing::debug!(%error, "a lease cannot be counted")).ok()
}

#[cfg(test)]
mod tests;
