//! Circuits, in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use postern_circuit::{Admission, Circuit};
use postern_request::UnixMillis;

use super::lock;
use crate::StoreError;
use crate::volatile::CircuitAsk;

/// Circuits are as many as services; this bounds what a broken caller could add.
const MAX_CIRCUITS: usize = 100_000;

/// The circuits, by their services' names.
#[derive(Debug, Default)]
pub(super) struct Circuits(Mutex<HashMap<String, Circuit>>);

type Locked<'a> = MutexGuard<'a, HashMap<String, Circuit>>;

/// What a circuit says of a request whose limits are still to be asked.
pub(super) struct Asked<'a> {
    pub(super) admission: Admission,
    /// Locked while a probe may be given out, so that no other request gets it too.
    probe: Option<(Locked<'a>, &'a str, Circuit)>,
}

impl Asked<'_> {
    /// The request passes: if it is the probe, the others wait for what comes of it.
    pub(super) fn pass(self) {
        if let Some((mut circuits, service, probing)) = self.probe {
            circuits.insert(service.to_owned(), probing);
        }
    }
}

impl Circuits {
    pub(super) fn ask<'a>(&'a self, ask: &'a CircuitAsk, now: UnixMillis) -> Asked<'a> {
        let circuits = lock(&self.0);
        let standing = circuits.get(&ask.service).copied().unwrap_or_default();
        let (standing, admission) = standing.admit(ask.settings, now);
        let probe = matches!(admission, Admission::Probe);
        Asked { admission, probe: probe.then_some((circuits, ask.service.as_str(), standing)) }
    }

    pub(super) fn record(
        &self,
        ask: &CircuitAsk,
        success: bool,
        now: UnixMillis,
    ) -> Result<Circuit, StoreError> {
        let mut circuits = lock(&self.0);
        if circuits.len() >= MAX_CIRCUITS && !circuits.contains_key(&ask.service) {
            return Err(StoreError::Unavailable("too many circuits".to_owned()));
        }
        let standing = circuits.get(&ask.service).copied().unwrap_or_default();
        let standing = standing.record(ask.settings, success, now);
        circuits.insert(ask.service.clone(), standing);
        Ok(standing)
    }
}
