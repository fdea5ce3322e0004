//! Limits, circuits and what was seen, in memory: for one replica, and for a share of a limit
//! while the shared store is away. What logging in keeps for a while is a store of its own.

mod circuits;
mod decision;
mod flows;
mod keys;
mod leases;
mod replays;
mod shards;

use std::sync::{Mutex, MutexGuard, PoisonError};

use postern_circuit::Admission;
use postern_leases::Grant;
use postern_request::UnixMillis;

use crate::volatile::{
    CircuitAsk, CircuitReport, CircuitStanding, CircuitStore, CircuitWord, Decision, DecisionAsk,
    GiveBack, Granted, Inspected, LendAsk, LimitKey, ProbeAsk, ReplayKey, Reported, ReporterId,
    Reporting, Take, TakeBack, VolatileStore,
};
use crate::{BoxFuture, StoreError};

pub use flows::MemoryFlowStore;

use circuits::Circuits;
use replays::Replays;
use shards::Shards;

/// The store.
#[derive(Debug, Default)]
pub struct MemoryStore {
    shards: Shards,
    circuits: Circuits,
    replays: Replays,
}

/// A poisoned lock guards what is whole in every state, so it is used as it is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryStore {
    /// Decides at once; the port wraps it. The circuit is asked first and told last, with the
    /// limits in between: whoever holds both locks took the circuits' first.
    fn decide_now(&self, ask: &DecisionAsk, now: UnixMillis) -> Decision {
        let circuit = ask.circuit.as_ref().map(|circuit| self.circuits.ask(circuit, now));
        let admission = circuit.as_ref().map_or(Admission::Pass, |circuit| circuit.admission);
        if matches!(admission, Admission::Refused { .. }) {
            return Decision { limits: Vec::new(), admission, allowed: false };
        }
        let (limits, allowed) = decision::decide(&self.shards, &ask.limits, now);
        if let Some(circuit) = circuit.filter(|_| allowed) {
            circuit.pass();
        }
        Decision { limits, admission, allowed }
    }
}

impl VolatileStore for MemoryStore {
    fn decide<'a>(
        &'a self,
        ask: &'a DecisionAsk,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<Decision, StoreError>> {
        Box::pin(async move { Ok(self.decide_now(ask, now)) })
    }

    fn give_back<'a>(
        &'a self,
        taken: &'a [GiveBack],
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            for taken in taken {
                self.shards.give_back(taken, now);
            }
            Ok(())
        })
    }

    fn inspect(
        &self,
        key: LimitKey,
        take: Take,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<Option<Inspected>, StoreError>> {
        Box::pin(async move { Ok(self.shards.inspect(key, take, now)) })
    }

    fn reset<'a>(&'a self, keys: &'a [LimitKey]) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(
            async move { Ok(keys.iter().map(|key| u64::from(self.shards.forget(*key))).sum()) },
        )
    }

    fn lend<'a>(
        &'a self,
        asks: &'a [LendAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Grant, StoreError>>> {
        Box::pin(async move { asks.iter().map(|ask| Ok(self.shards.lend(ask, now))).collect() })
    }

    fn take_back<'a>(
        &'a self,
        returns: &'a [TakeBack],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<u64, StoreError>>> {
        Box::pin(async move {
            returns.iter().map(|back| Ok(self.shards.take_back(back, now))).collect()
        })
    }

    fn remember_once(
        &self,
        key: ReplayKey,
        keep_ms: u64,
        now: UnixMillis,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { self.replays.remember_once(key, keep_ms, now) })
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

impl CircuitStore for MemoryStore {
    fn report_circuits<'a>(
        &'a self,
        reporting: Reporting,
        reports: &'a [CircuitReport],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Reported, StoreError>>> {
        let report = move |report: &'a CircuitReport| self.circuits.report(reporting, report, now);
        Box::pin(async move { reports.iter().map(report).collect() })
    }

    fn grant_probes<'a>(
        &'a self,
        reporter: ReporterId,
        asks: &'a [ProbeAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Granted, StoreError>>> {
        let grant = move |ask: &'a ProbeAsk| self.circuits.grant(reporter, ask, now);
        Box::pin(async move { asks.iter().map(grant).collect() })
    }

    fn circuits<'a>(
        &'a self,
        circuits: &'a [CircuitAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<CircuitStanding, StoreError>>> {
        let standing = move |circuit: &'a CircuitAsk| Ok(self.circuits.standing(circuit, now));
        Box::pin(async move { circuits.iter().map(standing).collect() })
    }

    fn say_of_circuit<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        word: CircuitWord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<CircuitStanding, StoreError>> {
        Box::pin(async move { self.circuits.say(circuit, word, now) })
    }
}

#[cfg(test)]
mod tests;
