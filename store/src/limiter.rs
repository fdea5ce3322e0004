//! Asks the store, and answers when it does not: the one place where that is decided.
//!
//! `deny` refuses, `allow` leaves the limit out, `local_share` counts here, with this replica's
//! share of the limit. A circuit is judged by what this replica has seen itself.

use std::num::NonZeroU64;
use std::sync::Arc;

use postern_circuit::Admission;
use postern_limits::Outcome;
use postern_limits::in_flight::Slots;
use postern_request::{RateLimitStatus, UnixMillis};

use crate::volatile::{CircuitAsk, Decision, DecisionAsk, GiveBack, LimitAsk, Take, VolatileStore};
use crate::{MemoryStore, StoreError};

/// What becomes of a limit while the store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhenStoreFails {
    /// It is left out.
    Allow,
    /// It cannot be kept, so nothing passes.
    Deny,
    /// It is counted here, with this replica's share.
    LocalShare,
}

impl WhenStoreFails {
    /// As the document spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::LocalShare => "local_share",
        }
    }
}

/// A limit to take from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// What the store is asked.
    pub ask: LimitAsk,
    /// What it means when it does not answer.
    pub when_store_fails: WhenStoreFails,
}

/// What was decided, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// One outcome for each limit, in order; none when the circuit refused.
    pub decision: Decision,
    /// Whether the store did not answer. Without it, what was taken was taken here.
    pub without_store: bool,
    /// Whether a limit refuses only because the store did not answer: nothing was asked then,
    /// here neither, and nothing passes. The fault is ours and not the caller's.
    pub unavailable: bool,
    /// Why the store did not answer, for the log.
    pub error: Option<StoreError>,
}

/// Limits and circuits, with the store or without.
#[derive(Clone)]
pub struct Limiter {
    store: Arc<dyn VolatileStore>,
    /// Gets this replica's outcomes while the store is away, from whoever sees them.
    stand_in: Arc<MemoryStore>,
}

impl Limiter {
    /// Asks `store`, which should be [guarded](crate::Guarded) when it can hang.
    #[must_use]
    pub fn new(store: Arc<dyn VolatileStore>, stand_in: Arc<MemoryStore>) -> Self {
        Self { store, stand_in }
    }

    /// Decides on one request. `replicas` share the limits while the store is away.
    pub async fn decide(
        &self,
        asked: &[Asked],
        circuit: Option<CircuitAsk>,
        replicas: u64,
        now: UnixMillis,
    ) -> Decided {
        let ask = DecisionAsk { limits: asked.iter().map(|asked| asked.ask).collect(), circuit };
        if ask.limits.is_empty() && ask.circuit.is_none() {
            let admission = Admission::Pass;
            return Decided::by_store(Decision { limits: Vec::new(), admission, allowed: true });
        }
        match self.store.decide(&ask, now).await {
            Ok(decision) => Decided::by_store(decision),
            Err(error) => {
                let decision = self.decide_here(asked, ask.circuit, replicas, now).await;
                Decided {
                    unavailable: decision.is_none(),
                    decision: decision.unwrap_or_else(|| not_asked(asked, now)),
                    without_store: true,
                    error: Some(error),
                }
            }
        }
    }

    /// None when that cannot be decided without the store.
    async fn decide_here(
        &self,
        asked: &[Asked],
        circuit: Option<CircuitAsk>,
        replicas: u64,
        now: UnixMillis,
    ) -> Option<Decision> {
        if asked.iter().any(Asked::refuses) {
            return None;
        }
        let shared = asked.iter().filter(|asked| asked.is_shared()).map(|asked| asked.ask);
        let limits = shared.map(|ask| LimitAsk { take: share_of(ask.take, replicas), ..ask });
        let here = DecisionAsk { limits: limits.collect(), circuit };
        let decision = self.stand_in.decide(&here, now).await.ok()?;
        if matches!(decision.admission, Admission::Refused { .. }) {
            return Some(decision);
        }
        let mut said = decision.limits.into_iter();
        let limits = asked.iter().map(|asked| {
            let said = if asked.is_shared() { said.next() } else { None };
            said.unwrap_or_else(|| Outcome { allowed: true, status: untouched(asked, now) })
        });
        Some(Decision { limits: limits.collect(), ..decision })
    }

    /// Gives back what a request has taken that passed and did not count in the end, and the
    /// places of one that is over. Only what was taken, which a shadow limit has only been where
    /// it had room. `without_store` and `replicas` are as they were when it was decided.
    ///
    /// # Errors
    /// When the store does not answer. What was taken stays taken then, until its time is over.
    pub async fn give_back(
        &self,
        taken: &[GiveBack],
        without_store: bool,
        replicas: u64,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        if taken.is_empty() {
            return Ok(());
        }
        if !without_store {
            return self.store.give_back(taken, now).await;
        }
        // Of a limit that was left out nothing is here, and so nothing is given back.
        let shared = |taken: &GiveBack| GiveBack { take: share_of(taken.take, replicas), ..*taken };
        let shares: Vec<_> = taken.iter().map(shared).collect();
        self.stand_in.give_back(&shares, now).await
    }
}

impl Decided {
    fn by_store(decision: Decision) -> Self {
        Self { decision, without_store: false, unavailable: false, error: None }
    }
}

impl Asked {
    /// Whether nothing passes without the store. A limit that is only tried out refuses nothing.
    const fn refuses(&self) -> bool {
        matches!(self.when_store_fails, WhenStoreFails::Deny) && !self.ask.shadow
    }

    const fn is_shared(&self) -> bool {
        matches!(self.when_store_fails, WhenStoreFails::LocalShare)
    }
}

/// One replica's part of a limit. It is never less than one request, however much that counts:
/// what the whole limit has room for is not refused all the time that the store is away.
fn share_of(take: Take, replicas: u64) -> Take {
    let replicas = NonZeroU64::new(replicas).unwrap_or(NonZeroU64::MIN);
    match take {
        Take::Rate { spec, cost } => {
            let share = spec.share_of(replicas);
            let fits = cost <= spec.capacity();
            let cost = if fits { cost.min(share.capacity()) } else { cost };
            Take::Rate { spec: share, cost }
        }
        Take::InFlight { spec, id } => Take::InFlight { spec: spec.share_of(replicas), id },
    }
}

/// Where a caller stands with a limit that nobody has counted anything for.
fn untouched(asked: &Asked, now: UnixMillis) -> RateLimitStatus {
    match asked.ask.take {
        Take::Rate { spec, cost } => spec.status(&spec.fresh(now), cost, now),
        Take::InFlight { spec, .. } => spec.status(&Slots::default(), now),
    }
}

/// Nothing passes, because some limits must not be left out. Those are the ones that say no.
fn not_asked(asked: &[Asked], now: UnixMillis) -> Decision {
    let said = |asked: &Asked| Outcome { allowed: !asked.refuses(), status: untouched(asked, now) };
    let limits = asked.iter().map(said).collect();
    Decision { limits, admission: Admission::Pass, allowed: false }
}

#[cfg(test)]
mod tests;
