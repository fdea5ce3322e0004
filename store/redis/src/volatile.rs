//! [`RedisStore`] as the volatile store.

use std::future::Future;

use postern_circuit::Admission;
use postern_request::UnixMillis;
use postern_store::volatile::{
    CircuitAsk, Decision, DecisionAsk, GiveBack, Grant, Inspected, LendAsk, LimitAsk, LimitKey,
    ReplayKey, Take, TakeBack, VolatileStore,
};
use postern_store::{BoxFuture, StoreError};
use redis::Value;
use tokio::sync::Semaphore;

use crate::answer::Numbers;
use crate::error::unexpected;
use crate::pack::Question;
use crate::slots::{self, Slots};
use crate::{RedisStore, Servers, answer, pack};

/// Scripts of lending that may be on their way at the same time, and of reports, about a
/// millisecond of Redis' time. Commands are answered in the order in which they come, and a decision has little time: it
/// must not stand behind all that one call asks for, nor behind many calls.
pub(crate) const LENDING_AT_ONCE: usize = 16;

/// Makes calls, as many at the same time as there are permits; their answers, in order.
pub(crate) async fn paced<T, F: Future<Output = T>>(permits: &Semaphore, calls: Vec<F>) -> Vec<T> {
    let paced = calls.into_iter().map(|call| async move {
        // Nobody closes it, so it is a permit: held until the answer is there, or the wait for it
        // was given up.
        let _permit = permits.acquire().await;
        call.await
    });
    slots::all(paced.collect()).await
}

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
        Box::pin(paced(&self.lending, lent))
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
        Box::pin(paced(&self.lending, taken))
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// How many calls are under way, and how many were at most.
    #[derive(Default)]
    struct Traffic {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl Traffic {
        /// A call that is answered after others had their turn, some later than others.
        async fn call(&self, number: usize) -> usize {
            let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(now, Ordering::Relaxed);
            for _ in 0..=number % 3 {
                tokio::task::yield_now().await;
            }
            self.now.fetch_sub(1, Ordering::Relaxed);
            number
        }
    }

    #[tokio::test]
    async fn few_scripts_stand_before_a_decision_however_many_are_to_run() {
        let (permits, traffic) = (Semaphore::new(LENDING_AT_ONCE), Traffic::default());
        let calls = |first: usize| -> Vec<_> {
            (first..first + 256).map(|number| traffic.call(number)).collect()
        };
        // One lends, another takes back.
        let both = vec![paced(&permits, calls(0)), paced(&permits, calls(256))];
        let answers = slots::all(both).await.concat();
        assert!(answers.iter().copied().eq(0..512), "{answers:?}");
        assert_eq!(traffic.most.load(Ordering::Relaxed), LENDING_AT_ONCE);
        assert_eq!(permits.available_permits(), LENDING_AT_ONCE);
    }

    #[tokio::test]
    async fn who_gives_up_waiting_gives_way_to_others() {
        let permits = Semaphore::new(LENDING_AT_ONCE);
        let hanging = (0..100).map(|_| std::future::pending::<()>()).collect();
        let waiting = std::time::Duration::from_millis(1);
        assert!(tokio::time::timeout(waiting, paced(&permits, hanging)).await.is_err());
        assert_eq!(permits.available_permits(), LENDING_AT_ONCE);
    }
}
