//! Circuits, in memory.

mod reporters;
mod shared;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use postern_circuit::Admission;
use postern_request::UnixMillis;

use self::shared::{Passing, Shared};
use super::lock;
use crate::StoreError;
use crate::volatile::circuits::{IDLE_MS, spread};
use crate::volatile::{
    CircuitAsk, CircuitReport, CircuitStanding, CircuitWord, Granted, ProbeAsk, Reported,
    ReporterId, Reporting,
};

/// Circuits are as many as services; this bounds what a broken caller could add.
const MAX_CIRCUITS: usize = 100_000;

/// The circuits, by their services' names.
#[derive(Debug, Default)]
pub(super) struct Circuits(Mutex<HashMap<String, Shared>>);

type Locked<'a> = MutexGuard<'a, HashMap<String, Shared>>;

/// What a circuit says of a request whose limits are still to be asked.
pub(super) struct Asked<'a> {
    pub(super) admission: Admission,
    /// Locked while a probe may be given out, so that no other request gets it too.
    probe: Option<(Locked<'a>, &'a str, Passing)>,
}

impl Asked<'_> {
    /// The request passes: if it is a probe, it counts as one.
    pub(super) fn pass(self) {
        if let Some((mut circuits, service, passing)) = self.probe
            && let Some(circuit) = circuits.get_mut(service)
        {
            circuit.pass(passing);
        }
    }
}

impl Circuits {
    pub(super) fn ask<'a>(&'a self, ask: &'a CircuitAsk, now: UnixMillis) -> Asked<'a> {
        let mut circuits = lock(&self.0);
        let Some(circuit) = circuits.get_mut(&ask.service).filter(|it| !it.is_over(now)) else {
            return Asked { admission: Admission::Pass, probe: None };
        };
        let (admission, passing) = circuit.admit(&ask.settings, now, spread());
        let probe = passing.map(|passing| (circuits, ask.service.as_str(), passing));
        Asked { admission, probe }
    }

    pub(super) fn report(
        &self,
        reporting: Reporting,
        report: &CircuitReport,
        now: UnixMillis,
    ) -> Result<Reported, StoreError> {
        self.with(&report.circuit, now, |circuit| circuit.report(reporting, report, now, spread()))
    }

    pub(super) fn grant(
        &self,
        reporter: ReporterId,
        ask: &ProbeAsk,
        now: UnixMillis,
    ) -> Result<Granted, StoreError> {
        self.with(&ask.circuit, now, |circuit| circuit.grant(reporter, ask, now, spread()))
    }

    pub(super) fn standing(&self, ask: &CircuitAsk, now: UnixMillis) -> CircuitStanding {
        let circuits = lock(&self.0);
        let circuit = circuits.get(&ask.service).filter(|circuit| !circuit.is_over(now));
        circuit.map(|circuit| circuit.standing(&ask.settings, now)).unwrap_or_default()
    }

    pub(super) fn say(
        &self,
        ask: &CircuitAsk,
        word: CircuitWord,
        now: UnixMillis,
    ) -> Result<CircuitStanding, StoreError> {
        self.with(ask, now, |circuit| {
            circuit.say(word);
            circuit.standing(&ask.settings, now)
        })
    }

    /// A circuit, which is there from now on.
    fn with<T>(
        &self,
        ask: &CircuitAsk,
        now: UnixMillis,
        change: impl FnOnce(&mut Shared) -> T,
    ) -> Result<T, StoreError> {
        let mut circuits = lock(&self.0);
        if !circuits.contains_key(&ask.service) && circuits.len() >= MAX_CIRCUITS {
            circuits.retain(|_, circuit| !circuit.is_over(now));
            if circuits.len() >= MAX_CIRCUITS {
                return Err(StoreError::Unavailable("too many circuits".to_owned()));
            }
        }
        let circuit = circuits.entry(ask.service.clone()).or_default();
        if circuit.is_over(now) {
            *circuit = Shared::default();
        }
        circuit.used(now);
        Ok(change(circuit))
    }
}

/// Whether nobody has said anything for so long that it is as if it had never been.
const fn is_idle(used: UnixMillis, now: UnixMillis) -> bool {
    now.millis_since(used) > IDLE_MS
}

#[cfg(test)]
mod tests;
