//! A store that is away, for the tests of those who ask one.

mod flows;

use postern_request::UnixMillis;

use crate::volatile::{
    CircuitAsk, CircuitReport, CircuitStanding, CircuitStore, CircuitWord, Decision, DecisionAsk,
    GiveBack, Grant, Granted, Inspected, LendAsk, LimitKey, ProbeAsk, ReplayKey, Reported,
    ReporterId, Reporting, Take, TakeBack, VolatileStore,
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

impl CircuitStore for Away {
    fn report_circuits<'a>(
        &'a self,
        _: Reporting,
        reports: &'a [CircuitReport],
        _: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Reported, StoreError>>> {
        all_away(reports.len())
    }

    fn grant_probes<'a>(
        &'a self,
        _: ReporterId,
        asks: &'a [ProbeAsk],
        _: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Granted, StoreError>>> {
        all_away(asks.len())
    }

    fn circuits<'a>(
        &'a self,
        circuits: &'a [CircuitAsk],
        _: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<CircuitStanding, StoreError>>> {
        all_away(circuits.len())
    }

    fn say_of_circuit<'a>(
        &'a self,
        _: &'a CircuitAsk,
        _: CircuitWord,
        _: UnixMillis,
    ) -> BoxFuture<'a, Result<CircuitStanding, StoreError>> {
        away()
    }
}
