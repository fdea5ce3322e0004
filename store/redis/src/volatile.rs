//! [`RedisStore`] as the volatile store.

use postern_circuit::{Admission, Circuit, State};
use postern_request::UnixMillis;
use postern_store::volatile::{
    CircuitAsk, Decision, DecisionAsk, GiveBack, Grant, Inspected, LendAsk, LimitAsk, LimitKey,
    ReplayKey, Take, TakeBack, VolatileStore,
};
use postern_store::{BoxFuture, StoreError};
use redis::Value;

use crate::answer::Numbers;
use crate::error::unexpected;
use crate::pack::Question;
use crate::slots::{self, Slots};
use crate::{RedisStore, Servers, answer, pack};

impl Slots for RedisStore {
    async fn ask(
        &self,
        looks: bool,
        limits: &[LimitAsk],
        circuit: Option<&CircuitAsk>,
    ) -> Result<Decision, StoreError> {
        let question = Question { looks, limits, circuit };
        match self.servers() {
            Servers::One(one) => one.decide(question).await,
            Servers::Cluster(_) => {
                let call = pack::decide(self.scripts(), std::iter::once(question));
                let answer = self.call(call).await?;
                let decision = Numbers::of(&answer)
                    .and_then(|mut numbers| answer::decision(limits, looks, &mut numbers));
                decision.ok_or_else(|| unexpected("of the decision script"))
            }
        }
    }

    async fn give_back(&self, taken: &[GiveBack]) -> Result<(), StoreError> {
        self.call(pack::give_back(self.scripts(), taken)).await.map(drop)
    }
}

impl VolatileStore for RedisStore {
    fn decide<'a>(
        &'a self,
        ask: &'a DecisionAsk,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Decision, StoreError>> {
        Box::pin(async move {
            if ask.limits.is_empty() && ask.circuit.is_none() {
                return Ok(Decision {
                    limits: Vec::new(),
                    admission: Admission::Pass,
                    allowed: true,
                });
            }
            match self.servers() {
                Servers::One(_) => self.ask(false, &ask.limits, ask.circuit.as_ref()).await,
                Servers::Cluster(_) => slots::decide(self, ask).await,
            }
        })
    }

    fn give_back<'a>(
        &'a self,
        taken: &'a [GiveBack],
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if taken.is_empty() {
                return Ok(());
            }
            if matches!(self.servers(), Servers::One(_)) {
                return Slots::give_back(self, taken).await;
            }
            let groups = slots::by_slot(taken, |taken| taken.key);
            let given = groups.iter().map(|group| Slots::give_back(self, &group.items));
            slots::all(given.collect()).await.into_iter().collect()
        })
    }

    fn inspect(
        &self,
        key: LimitKey,
        take: Take,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Inspected>, StoreError>> {
        Box::pin(async move {
            let limit = [LimitAsk { key, take, shadow: false }];
            let question = Question { looks: true, limits: &limit, circuit: None };
            let call = pack::decide(self.scripts(), std::iter::once(question));
            let answer = self.call(call).await?;
            answer::inspected(&take, &answer).ok_or_else(|| unexpected("of the decision script"))
        })
    }

    fn reset<'a>(&'a self, keys: &'a [LimitKey]) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut found = 0;
            let deletes = keys.iter().map(|key| self.call(pack::forget(*key)));
            for deleted in slots::all(deletes.collect()).await {
                match deleted? {
                    Value::Int(0) => {}
                    Value::Int(_) => found += 1,
                    _ => return Err(unexpected("to DEL")),
                }
            }
            Ok(found)
        })
    }

    fn lend<'a>(
        &'a self,
        asks: &'a [LendAsk],
        _: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Grant, StoreError>>> {
        let lend = |ask: &'a LendAsk| async move {
            let answer = self.call(pack::lend(self.scripts(), ask)).await?;
            answer::grant(ask.spec, &answer).ok_or_else(|| unexpected("of the lending script"))
        };
        let lent = asks.iter().map(lend).collect();
        Box::pin(slots::all(lent))
    }

    fn take_back<'a>(
        &'a self,
        returns: &'a [TakeBack],
        _: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<u64, StoreError>>> {
        let take_back = |back: &'a TakeBack| async move {
            match self.call(pack::take_back(self.scripts(), back)).await? {
                Value::Int(credited) => Ok(u64::try_from(credited).unwrap_or(0)),
                _ => Err(unexpected("of the script that takes back")),
            }
        };
        let taken = returns.iter().map(take_back).collect();
        Box::pin(slots::all(taken))
    }

    fn record_outcome<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        success: bool,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Circuit, StoreError>> {
        Box::pin(async move {
            let answer = self.call(pack::record(self.scripts(), circuit, success)).await?;
            let read: Result<(String, u32, u64, u64), _> = redis::from_redis_value(answer);
            let (state, failures, last, recovery) =
                read.map_err(|_| unexpected("of the record script"))?;
            Ok(Circuit {
                state: State::parse(&state).ok_or_else(|| unexpected("of the record script"))?,
                failures,
                last_failure: UnixMillis(last),
                recovery_at: UnixMillis(recovery),
            })
        })
    }

    fn remember_once(
        &self,
        key: ReplayKey,
        keep_ms: u64,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            match self.call(pack::remember(key, keep_ms)).await? {
                Value::Okay => Ok(true),
                Value::Nil => Ok(false),
                _ => Err(unexpected("to SET")),
            }
        })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.call(redis::cmd("PING")).await.map(drop) })
    }
}
