//! [`RedisStore`] as the store of shared circuits.
//!
//! Scripts keep what each reporter has said, count probes and follow the three states. Whether
//! reporters together say that a service fails is the core's rule: it is asked here about what they
//! have said, and its answer is taken where the circuit has not moved meanwhile.

mod answer;
mod pack;

use postern_circuit::{State, Transition, fleet, recovery_ms};
use postern_request::UnixMillis;
use postern_store::volatile::circuits::spread;
use postern_store::volatile::{
    CircuitAsk, CircuitReport, CircuitStanding, CircuitStore, CircuitWord, Granted, ProbeAsk,
    Reported, ReporterId, Reporting,
};
use postern_store::{BoxFuture, StoreError};

use self::answer::Said;
use crate::error::unexpected;
use crate::volatile::paced;
use crate::{RedisStore, Servers};

/// Circuits of one call that looks.
const LOOKED_AT_ONCE: usize = 32;
/// How many of these are on their way at the same time.
pub(crate) const LOOKS_AT_ONCE: usize = 4;

impl CircuitStore for RedisStore {
    fn report_circuits<'a>(
        &'a self,
        reporting: Reporting,
        reports: &'a [CircuitReport],
        _: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Reported, StoreError>>> {
        let report = |one: &'a CircuitReport| self.report(reporting, one);
        let reported = reports.iter().map(report).collect();
        Box::pin(paced(&self.reporting, reported))
    }

    fn grant_probes<'a>(
        &'a self,
        reporter: ReporterId,
        asks: &'a [ProbeAsk],
        _: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Granted, StoreError>>> {
        let grant = |ask: &'a ProbeAsk| async move {
            let answer = self.call(pack::grant(self.scripts(), reporter, ask)).await?;
            answer::granted(&answer).ok_or_else(|| unexpected("of the script that grants"))
        };
        let granted = asks.iter().map(grant).collect();
        Box::pin(paced(&self.reporting, granted))
    }

    fn circuits<'a>(
        &'a self,
        circuits: &'a [CircuitAsk],
        _: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<CircuitStanding, StoreError>>> {
        let together = match self.servers() {
            Servers::One(_) => LOOKED_AT_ONCE,
            // Each lies in a slot of its own.
            Servers::Cluster(_) => 1,
        };
        let look = |some: &'a [CircuitAsk]| async move {
            let looked: Vec<Result<CircuitStanding, StoreError>> = match self.look(some).await {
                Ok(standings) => standings.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error); some.len()],
            };
            looked
        };
        let looks: Vec<_> = circuits.chunks(together).map(look).collect();
        Box::pin(async move { paced(&self.looking, looks).await.concat() })
    }

    fn say_of_circuit<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        word: CircuitWord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<CircuitStanding, StoreError>> {
        Box::pin(async move {
            let answer = self.call(pack::word(self.scripts(), circuit, word, now)).await?;
            let mut standings = answer::standings(&answer, std::slice::from_ref(circuit));
            let standing = standings.as_mut().and_then(Vec::pop);
            standing.ok_or_else(|| unexpected("of the script of an operator's word"))
        })
    }
}

impl RedisStore {
    async fn report(
        &self,
        reporting: Reporting,
        one: &CircuitReport,
    ) -> Result<Reported, StoreError> {
        let settings = &one.circuit.settings;
        let answer = self.call(pack::report(self.scripts(), reporting, one, spread())).await?;
        let said = answer::said(&answer, settings);
        let said = said.ok_or_else(|| unexpected("of the script that takes reports"))?;
        if said.judge { self.judge(&one.circuit, said).await } else { Ok(said.reported) }
    }

    /// Asks all who have reported what they say together, and does it.
    async fn judge(&self, circuit: &CircuitAsk, said: Said) -> Result<Reported, StoreError> {
        let settings = &circuit.settings;
        let answer = self.call(pack::reporters(&circuit.service)).await?;
        let reporters = answer::reporters(&answer, settings, said.cleared, said.now);
        let reporters = reporters.ok_or_else(|| unexpected("to HGETALL"))?;
        let Some(reason) = fleet::judge(&reporters, settings) else { return Ok(said.reported) };
        let wait_ms = recovery_ms(settings.recovery, 0, spread());
        let call = pack::open(self.scripts(), &circuit.service, said.version, wait_ms);
        let opened = answer::opened(&self.call(call).await?, settings);
        let (opened, standing) =
            opened.ok_or_else(|| unexpected("of the script that opens circuits"))?;
        let standing = CircuitStanding { reporters: said.reported.standing.reporters, ..standing };
        // Where somebody else was faster it is open as well, and has moved once.
        let moved = opened.then_some(Transition { from: State::Closed, to: State::Open, reason });
        Ok(Reported { standing, moved })
    }

    async fn look(&self, circuits: &[CircuitAsk]) -> Result<Vec<CircuitStanding>, StoreError> {
        let answer = self.call(pack::look(self.scripts(), circuits)).await?;
        let standings = answer::standings(&answer, circuits);
        standings.ok_or_else(|| unexpected("of the script that looks at circuits"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use postern_circuit::Settings;

    use super::*;
    use crate::volatile::LENDING_AT_ONCE;

    /// Nothing is connected: who is asked says so at once.
    #[tokio::test]
    async fn who_looks_does_not_stand_behind_those_who_report() {
        let store = RedisStore::new("redis://127.0.0.1:1").unwrap();
        let all = u32::try_from(LENDING_AT_ONCE).unwrap();
        let _reporting = store.reporting.acquire_many(all).await.unwrap();
        let asks = ["pay", "ship"].map(|service| CircuitAsk {
            service: service.to_owned(),
            settings: Settings::default(),
        });
        let looking = store.circuits(&asks, UnixMillis(0));
        let answers = tokio::time::timeout(Duration::from_secs(5), looking).await.unwrap();
        let is_away = |answer: &Result<_, _>| matches!(answer, Err(StoreError::Unavailable(_)));
        assert!(answers.len() == 2 && answers.iter().all(is_away), "{answers:?}");
    }
}
