//! Exact limits: what a request takes of them, what is said where nothing is left, and what it
//! may get back when it has ended.

mod busy;
mod taken;

use std::sync::Arc;

use postern_circuit::Admission;
use postern_document::{Allowance, Counted, Document, Limit, LimitMode, Route, Skip, StoreFailure};
use postern_limits::Outcome;
use postern_request::{Denial, ErrorCode, RateLimitStatus, UnixMillis};
use postern_store::limiter::{Asked, Decided, WhenStoreFails};
use postern_store::volatile::{CircuitAsk, LimitAsk, LimitKey, Take};
use sha2::{Digest as _, Sha256};

use crate::authorizer::Authorizer;
use crate::tickets::{self, GiveBackWhen};
pub(crate) use taken::Taken;

/// What a request is held to, if it is.
#[derive(Clone, Copy)]
pub(crate) struct Held<'a> {
    pub(crate) document: &'a Document,
    pub(crate) route: &'a Route,
    pub(crate) enforced: bool,
}

/// What a request takes of the limits of its route; nothing by default.
#[derive(Default)]
pub(crate) struct Wanted<'r> {
    /// Which they are, and what each counts the request under.
    limits: Vec<(&'r Limit, String)>,
    ask: Ask,
}

/// The part of it that goes to the store; all of one length.
#[derive(Default)]
struct Ask {
    asked: Vec<Asked>,
    /// Whether the request may get back what it took.
    ends: Vec<Option<GiveBackWhen>>,
}

/// What a request has got.
#[derive(Default)]
pub(crate) struct Spent {
    /// The tightest of the limits that bind it.
    pub(crate) limit: Option<RateLimitStatus>,
    /// What it may get back.
    pub(crate) taken: Option<Taken>,
}

/// A request that is counted, and the number by which it is told from others under way, made once
/// it is needed.
struct Counting<'c> {
    route: &'c Route,
    counted: &'c Counted<'c>,
    request_id: Option<u64>,
}

impl<'r> Wanted<'r> {
    /// What the caller takes of the route's limits, and of their own besides; nothing of what is
    /// unlimited for them.
    ///
    /// # Errors
    /// Where a limit of their own is none that is counted here: without it the caller would have
    /// more than they were given.
    pub(crate) fn of(
        document: &'r Document,
        route: &'r Route,
        own: &[String],
        counted: &Counted<'_>,
    ) -> Result<Self, Denial> {
        let mut wanted = Self::default();
        let mut counting = Counting { route, counted, request_id: None };
        for used in &route.exact_limits {
            wanted.add(&used.limit, used.weight, &mut counting)?;
        }
        for name in own {
            if route.exact_limits.iter().any(|used| used.limit.name == *name) {
                continue;
            }
            let is_it = |limit: &&Arc<Limit>| {
                limit.name == *name && matches!(limit.mode, LimitMode::Exact { .. })
            };
            let Some(limit) = document.limits.iter().find(is_it) else {
                tracing::warn!(limit = name, "an API key names what is no exact limit here");
                return Err(Denial::unavailable("api_key_limit_unknown", 1));
            };
            wanted.add(limit, limit.weight, &mut counting)?;
        }
        Ok(wanted)
    }

    fn add(
        &mut self,
        limit: &'r Limit,
        cost: u64,
        counting: &mut Counting<'_>,
    ) -> Result<(), Denial> {
        let LimitMode::Exact { when_store_fails } = limit.mode else { return Ok(()) };
        let Counting { route, counted, request_id } = counting;
        let allowance = limit.allowance_for(counted.principal);
        let (take, end) = match allowance {
            Allowance::Unlimited => return Ok(()),
            Allowance::Rate(spec) => (Take::Rate { spec, cost }, on_end(limit)),
            Allowance::InFlight(spec) => {
                let id = match *request_id {
                    Some(id) => id,
                    None => *request_id.insert(random_id()?),
                };
                (Take::InFlight { spec, id }, Some(GiveBackWhen::Ended))
            }
        };
        let counted_under = limit.key_of(route, counted, allowance);
        let key = LimitKey::of(&limit.owner_of(counted, &counted_under), &counted_under);
        let ask = LimitAsk { key, take, shadow: limit.shadow };
        let when_store_fails = answer_without_store(when_store_fails);
        self.limits.push((limit, counted_under));
        self.ask.asked.push(Asked { ask, when_store_fails });
        self.ask.ends.push(end);
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> Vec<LimitKey> {
        self.ask.asked.iter().map(|asked| asked.ask.key).collect()
    }
}

/// For which end of a request a limit by rate gives back what it took.
fn on_end(limit: &Limit) -> Option<GiveBackWhen> {
    limit.skip.map(|skip| match skip {
        Skip::Successful => GiveBackWhen::Successful,
        Skip::Failed => GiveBackWhen::Failed,
    })
}

fn random_id() -> Result<u64, Denial> {
    tickets::random_u64().map_err(|error| {
        tracing::error!(%error, "a request cannot be told from others");
        Denial::unavailable("randomness", 1)
    })
}

const fn answer_without_store(answer: StoreFailure) -> WhenStoreFails {
    match answer {
        StoreFailure::Allow => WhenStoreFails::Allow,
        StoreFailure::Deny => WhenStoreFails::Deny,
        StoreFailure::LocalShare => WhenStoreFails::LocalShare,
    }
}

impl Authorizer {
    /// Limits and circuit in one call to the store. In shadow only the circuit refuses.
    pub(crate) async fn spend(
        &self,
        held: Held<'_>,
        wanted: Wanted<'_>,
        circuit: Option<CircuitAsk>,
        now: UnixMillis,
    ) -> Result<Spent, Denial> {
        match self.ask_store(held, wanted, circuit, now).await {
            Err(denial) if !held.enforced && denial.code != ErrorCode::CircuitOpen => {
                self.parts.metrics.shadowed(&held.route.name);
                Ok(Spent::default())
            }
            spent => spent,
        }
    }

    async fn ask_store(
        &self,
        held: Held<'_>,
        wanted: Wanted<'_>,
        circuit: Option<CircuitAsk>,
        now: UnixMillis,
    ) -> Result<Spent, Denial> {
        let Wanted { limits, ask } = wanted;
        if limits.is_empty() && circuit.is_none() {
            return Ok(Spent::default());
        }
        let metrics = &self.parts.metrics;
        let (asked, decided, taken) = self.take(held, ask, circuit, now).await?;
        if let Some(error) = &decided.error {
            tracing::debug!(%error, "deciding without the store");
        }
        if decided.without_store {
            asked.iter().for_each(|asked| metrics.store_failed(asked.when_store_fails.as_str()));
        }
        let limit = self.judge(held.route, &limits, &asked, &decided)?;
        Ok(Spent { limit, taken })
    }

    /// What came of it, and what may have to be given back.
    async fn take(
        &self,
        held: Held<'_>,
        ask: Ask,
        circuit: Option<CircuitAsk>,
        now: UnixMillis,
    ) -> Result<(Vec<Asked>, Decided, Option<Taken>), Denial> {
        let limiter = Arc::clone(&self.parts.limiter);
        let replicas = held.document.stores.replicas;
        let holds_places = ask.ends.contains(&Some(GiveBackWhen::Ended));
        let taking = async move {
            let Ask { asked, ends } = ask;
            let decided = limiter.decide(&asked, circuit, replicas, now).await;
            let taken = Taken::of(limiter, &asked, &ends, &decided, replicas, now);
            (asked, decided, taken)
        };
        if !holds_places {
            return Ok(taking.await);
        }
        // Envoy stops asking as soon as its client is gone, and this future with it. What takes
        // places goes on all the same and then gives them back; else whoever asks and hangs up
        // would keep one each time for as long as a place can be kept.
        let taken = tokio::spawn(taking).await;
        taken.map_err(|_| Denial::unavailable("decision_aborted", 1))
    }

    fn judge(
        &self,
        route: &Route,
        limits: &[(&Limit, String)],
        asked: &[Asked],
        decided: &Decided,
    ) -> Result<Option<RateLimitStatus>, Denial> {
        if decided.unavailable {
            return Err(Denial::unavailable("store_unavailable", 1));
        }
        if let Admission::Refused { retry_after_ms } = decided.decision.admission {
            return Err(Denial::circuit_open(retry_after_ms));
        }
        let mut tightest: Option<RateLimitStatus> = None;
        let mut refused: Option<(&Limit, RateLimitStatus)> = None;
        for (((limit, key), asked), outcome) in
            limits.iter().zip(asked).zip(&decided.decision.limits)
        {
            let standing = Standing::of(*outcome, asked.ask.shadow);
            self.parts.metrics.limit_said(&limit.name, &route.name, standing);
            if standing != Standing::Ok {
                self.busy.note(busy::readable(&limit.name, key));
            }
            let status = outcome.status;
            if standing == Standing::Over {
                // Of several the one that takes longest: before that there is no way through.
                let longer =
                    |(_, other): &(_, RateLimitStatus)| other.reset_secs < status.reset_secs;
                if refused.as_ref().is_none_or(longer) {
                    refused = Some((*limit, status));
                }
            } else if !asked.ask.shadow {
                tightest = Some(tightest.map_or(status, |tightest| tightest.tighter(status)));
            }
        }
        match refused {
            Some((limit, status)) => {
                self.parts.metrics.limit_hit(&limit.name, !decided.without_store);
                Err(Denial::rate_limited(status))
            }
            None => Ok(tightest),
        }
    }
}

/// What a limit has said of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is room.
    Ok,
    /// There was, and more than 80 % is used now.
    Near,
    /// There was none.
    Over,
    /// There was none, and the limit is only tried out.
    Shadow,
}

impl Standing {
    const fn of(outcome: Outcome, shadow: bool) -> Self {
        let RateLimitStatus { limit, remaining, .. } = outcome.status;
        match (outcome.allowed, shadow) {
            (false, true) => Self::Shadow,
            (false, false) => Self::Over,
            (true, _) if remaining.saturating_mul(5) < limit => Self::Near,
            (true, _) => Self::Ok,
        }
    }

    /// As metrics spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Near => "near",
            Self::Over => "over",
            Self::Shadow => "shadow",
        }
    }
}

/// The first half of SHA-256.
pub(crate) fn hash(text: &str) -> [u8; 16] {
    Sha256::digest(text.as_bytes()).first_chunk().copied().unwrap_or_default()
}
