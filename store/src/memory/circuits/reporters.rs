//! Who has reported of one service, and what.

use std::collections::HashMap;

use postern_circuit::{Report, Reporter, ReporterTotals, Settings};
use postern_request::UnixMillis;

use crate::volatile::ReporterId;
use crate::volatile::circuits::{MAX_REPORTERS, OWN_REPORTERS};

/// By whom something is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Name {
    /// An Envoy.
    Own(ReporterId),
    /// All Envoys of an identity that have no place of their own, in a few parts.
    Shared { peer: u64, part: u64 },
}

/// What is remembered.
#[derive(Debug)]
pub(super) struct Known {
    reporter: Reporter,
    heard: UnixMillis,
    /// Several share it: their numbers say nothing.
    is_shared: bool,
    /// Of its last report.
    number: Option<u64>,
    /// Probes that it was given, and at which version of the circuit.
    granted: (u32, u64),
}

impl Known {
    /// Takes a report, unless it was taken before; says whether it was taken now.
    pub(super) fn take(
        &mut self,
        number: Option<u64>,
        report: Report,
        settings: &Settings,
        now: UnixMillis,
    ) -> bool {
        self.heard = now;
        let is_old = number.zip(self.number).is_some_and(|(number, last)| number <= last);
        if is_old && !self.is_shared {
            return false;
        }
        self.number = number.or(self.number);
        self.reporter.add(report, settings, now);
        true
    }

    /// Probes that it was given and has told nothing of.
    pub(super) const fn granted(&self, version: u64) -> u32 {
        if self.granted.1 == version { self.granted.0 } else { 0 }
    }

    pub(super) const fn set_granted(&mut self, probes: u32, version: u64) {
        self.granted = (probes, version);
    }
}

/// All reporters of one service.
#[derive(Debug, Default)]
pub(super) struct Reporters(HashMap<Name, Known>);

impl Reporters {
    /// Whoever stands for this one, if anybody does.
    pub(super) fn get(&mut self, id: ReporterId) -> Option<&mut Known> {
        let own = Name::Own(id);
        let name = if self.0.contains_key(&own) { own } else { shared(id) };
        self.0.get_mut(&name)
    }

    /// The same, who is remembered from now on.
    pub(super) fn find(
        &mut self,
        id: ReporterId,
        settings: &Settings,
        now: UnixMillis,
    ) -> &mut Known {
        let own = Name::Own(id);
        let is_own = self.0.contains_key(&own) || self.has_room(id.peer, settings, now);
        let name = if is_own { own } else { shared(id) };
        if !self.0.contains_key(&name) && self.0.len() >= MAX_REPORTERS {
            let oldest = self.0.iter().min_by_key(|(_, known)| known.heard);
            if let Some(oldest) = oldest.map(|(name, _)| *name) {
                self.0.remove(&oldest);
            }
        }
        self.0.entry(name).or_insert_with(|| Known {
            reporter: Reporter::new(id.envoy, now),
            heard: now,
            is_shared: !is_own,
            number: None,
            granted: (0, 0),
        })
    }

    /// Whether one more of an identity has a place of its own.
    fn has_room(&mut self, peer: u64, settings: &Settings, now: UnixMillis) -> bool {
        if self.own_of(peer) >= OWN_REPORTERS {
            self.0.retain(|_, known| !known.reporter.is_forgotten(settings, now));
        }
        self.own_of(peer) < OWN_REPORTERS
    }

    fn own_of(&self, peer: u64) -> usize {
        self.0.keys().filter(|name| matches!(name, Name::Own(id) if id.peer == peer)).count()
    }

    /// What those say who are not forgotten.
    pub(super) fn said(&self, settings: &Settings, now: UnixMillis) -> Vec<ReporterTotals> {
        self.alive(settings, now).map(|known| known.reporter.totals(now)).collect()
    }

    pub(super) fn count(&self, settings: &Settings, now: UnixMillis) -> u32 {
        u32::try_from(self.alive(settings, now).count()).unwrap_or(u32::MAX)
    }

    fn alive(&self, settings: &Settings, now: UnixMillis) -> impl Iterator<Item = &Known> {
        self.0.values().filter(move |known| !known.reporter.is_forgotten(settings, now))
    }

    /// Forgets what they have said, and not who they are.
    pub(super) fn clear(&mut self) {
        self.0.values_mut().for_each(|known| known.reporter.clear());
    }
}

const fn shared(id: ReporterId) -> Name {
    Name::Shared { peer: id.peer, part: id.shared() }
}
