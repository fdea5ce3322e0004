//! A store that is away, for the tests of those who ask one.

mod flows;

use postern_circuit::Circuit;
use postern_request::UnixMillis;

use crate::volatile::{
    CircuitAsk, Decision, DecisionAsk, GiveBack, Grant, Inspected, LendAsk, LimitKey, ReplayKey,
    Take, TakeBack, VolatileStore,
};
use crate::{BoxFuture, StoreError};

/// A store that does not answer.
#[derive(Debug, Clone, Copy)]
pub struct Away;

fn away<T: Send + 'static>() -> BoxFuture<'static, Result<T, StoreError>> {
    Box::pin(async { Err(StoreError::Unavailable("away".to_owned())) })
}

fn all_away<T: Send + 'static>(calls: usize) -> BoxFuture<'static, Vec<Result<T, StoreError>>> {
    let away = |_| Err(StoreError::Unavailable("away".to_owned()));
    Box::pin(async move { (0..calls).map(away).collect() })
}

impl VolatileStore for Away {
    fn decide<'a>(
        &'a self,
        _: &'a DecisionAsk,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Decision, StoreError>> {
        away()
    }

    fn give_back<'a>(
        &'a self,
        _: &'a [GiveBack],
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        away()
    }

    fn inspect(
        &self,
        _: LimitKey,
        _: Take,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Inspected>, StoreError>> {
        away()
    }

    fn reset<'a>(&'a self, _: &'a [LimitKey]) -> BoxFuture<'a, Result<u64, StoreError>> {
        away()
    }

    fn lend<'a>(
        &'a self,
        asks: &'a [LendAsk],
        _: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Grant, StoreError>>> {
        all_away(asks.len())
    }

    fn take_back<'a>(
        &'a self,
        returns: &'a [TakeBack],
        _: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<u64, StoreError>>> {
        all_away(returns.len())
    }

    fn record_outcome<'a>(
        &'a self,
        _: &'a CircuitAsk,
        _: bool,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<Circuit, StoreError>> {
        away()
    }

    fn remember_once(
        &self,
        _: ReplayKey,
        _: u64,
        _: UnixMillis,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        away()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        away()
    }
}
