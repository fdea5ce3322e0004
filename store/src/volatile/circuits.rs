//! The volatile port's part for shared circuits: what Envoys report of a service, who may try it
//! again, and what operators say.
//!
//! Whether reports mean that a service fails is [`postern_circuit::fleet`]'s to say, for every
//! store. What a store adds is that all replicas see one circuit: each report counts once, a move
//! from one state to another happens once, and probes are counted for the whole fleet.

use std::hash::{BuildHasher as _, RandomState};

use postern_circuit::{Forced, Report, Settings, State, Transition};
use postern_request::UnixMillis;
use sha2::{Digest as _, Sha256};

use crate::{BoxFuture, StoreError};

/// Reporters that are told apart under one proven identity; the others share [`SHARED_REPORTERS`].
pub const OWN_REPORTERS: usize = 8;
/// Reporters that stand for all others of one identity, so that it never counts for more than
/// sixteen, however many names it goes by.
pub const SHARED_REPORTERS: u64 = 8;
/// Reporters of one service. Where there are more, those that were heard of the longest ago go.
pub const MAX_REPORTERS: usize = 1_024;
/// How long a circuit is kept of which nobody says anything, after it has been open.
pub const IDLE_MS: u64 = 3_600_000;

/// A shared circuit, and what it goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitAsk {
    /// The service's name.
    pub service: String,
    /// Its settings.
    pub settings: Settings,
}

/// Who reports: an Envoy, and the identity that it has proved. Hashes of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReporterId {
    /// The identity.
    pub peer: u64,
    /// The Envoy, which nobody of another identity can pass for.
    pub envoy: u64,
}

impl ReporterId {
    /// Of an Envoy, by what it has proved and by what it calls itself.
    #[must_use]
    pub fn of(peer: &str, envoy: &str) -> Self {
        let hashed = |parts: [&[u8]; 3]| {
            let mut digest = Sha256::new();
            parts.into_iter().for_each(|part| digest.update(part));
            let digest: [u8; 32] = digest.finalize().into();
            digest.first_chunk().copied().map_or(0, u64::from_be_bytes)
        };
        let length = u64::try_from(peer.len()).unwrap_or(u64::MAX).to_be_bytes();
        let (of_peer, of_envoy) = (peer.as_bytes(), envoy.as_bytes());
        Self {
            peer: hashed([b"reporter", of_peer, b""]),
            envoy: hashed([&length, of_peer, of_envoy]),
        }
    }

    /// Which of the shared ones stands for it, where its identity has too many.
    #[must_use]
    pub const fn shared(self) -> u64 {
        self.envoy % SHARED_REPORTERS
    }
}

/// Who reports, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reporting {
    /// Who.
    pub reporter: ReporterId,
    /// Which report this is. One that is not above the reporter's last one was counted before;
    /// none where that cannot happen.
    pub number: Option<u64>,
    /// Whose probes its outcomes are of.
    pub probes_of: ProbesOf,
}

/// Whose probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbesOf {
    /// Those that the reporter itself was [granted](CircuitStore::grant_probes). It can end no
    /// others.
    Reporter,
    /// Those that were let through with a decision, by whichever replica.
    Decisions,
}

/// What is reported of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitReport {
    /// Which circuit.
    pub circuit: CircuitAsk,
    /// What became of calls since the reporter's last report.
    pub report: Report,
    /// What became of probes.
    pub probes: ProbeOutcomes,
}

/// What became of probes. More than were let through, and those of another time, count for
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProbeOutcomes {
    /// So many came through.
    pub through: u32,
    /// So many failed.
    pub failed: u32,
}

/// How a shared circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CircuitStanding {
    /// Its state, by an operator's word where there is one.
    pub state: State,
    /// How long until a probe may go; 0 where one may, or all may pass.
    pub retry_after_ms: u64,
    /// When that is, by the store's clock; none where one may go, or all may pass. The same on
    /// every replica.
    pub retry_at: Option<UnixMillis>,
    /// An operator's word, while it holds.
    pub forced: Option<Forced>,
    /// Failures that were reported since calls have last come through.
    pub failures: u32,
    /// When the last one was.
    pub last_failure: Option<UnixMillis>,
    /// Reporters that were heard of within the window.
    pub reporters: u32,
}

/// What came of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    /// How the circuit stands then.
    pub standing: CircuitStanding,
    /// How this report has moved it.
    pub moved: Option<Transition>,
}

/// Somebody has a use for probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeAsk {
    /// Of which service.
    pub circuit: CircuitAsk,
    /// How many.
    pub wanted: u32,
}

/// Probes that were given out. Nobody else was given the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Granted {
    /// How many.
    pub probes: u32,
    /// How long they may be used: then their interval is over, and others may go.
    pub life_ms: u64,
}

/// What operators do to a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitWord {
    /// It is open or closed until some time, whatever is reported.
    Force(Forced),
    /// Everything is forgotten, their own word included: it is closed, as if it were new.
    Reset,
}

/// Shared circuits.
///
/// `now` is for stores without a clock of their own.
pub trait CircuitStore: Send + Sync {
    /// Takes one reporter's reports: one answer for each, in order, and each for itself.
    fn report_circuits<'a>(
        &'a self,
        reporting: Reporting,
        reports: &'a [CircuitReport],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Reported, StoreError>>>;

    /// Gives out probes to one reporter: as many as asked at most, and to all together no more
    /// than [`postern_circuit::Probes::per_interval`] in an interval, those included that were let
    /// through with decisions. One answer for each question, in order.
    ///
    /// There are none but while the circuit is half open, and none for a reporter that has not
    /// [reported](CircuitStore::report_circuits): nobody could tell its outcomes from made-up ones.
    /// Nor is there, for an interval, one for the identity that was given the last, as long as it
    /// has not told that it came through: where several are to say so, another one tries.
    fn grant_probes<'a>(
        &'a self,
        reporter: ReporterId,
        asks: &'a [ProbeAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Granted, StoreError>>>;

    /// How circuits stand: one answer for each, in order. Changes nothing.
    fn circuits<'a>(
        &'a self,
        circuits: &'a [CircuitAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<CircuitStanding, StoreError>>>;

    /// Does to a circuit what an operator says, and says how it stands then.
    fn say_of_circuit<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        word: CircuitWord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<CircuitStanding, StoreError>>;
}

impl<T: CircuitStore + ?Sized> CircuitStore for std::sync::Arc<T> {
    fn report_circuits<'a>(
        &'a self,
        reporting: Reporting,
        reports: &'a [CircuitReport],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Reported, StoreError>>> {
        (**self).report_circuits(reporting, reports, now)
    }

    fn grant_probes<'a>(
        &'a self,
        reporter: ReporterId,
        asks: &'a [ProbeAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<Granted, StoreError>>> {
        (**self).grant_probes(reporter, asks, now)
    }

    fn circuits<'a>(
        &'a self,
        circuits: &'a [CircuitAsk],
        now: UnixMillis,
    ) -> BoxFuture<'a, Vec<Result<CircuitStanding, StoreError>>> {
        (**self).circuits(circuits, now)
    }

    fn say_of_circuit<'a>(
        &'a self,
        circuit: &'a CircuitAsk,
        word: CircuitWord,
        now: UnixMillis,
    ) -> BoxFuture<'a, Result<CircuitStanding, StoreError>> {
        (**self).say_of_circuit(circuit, word, now)
    }
}

/// A number for jitter: another one each time, and no secret.
#[must_use]
pub fn spread() -> u32 {
    // A keyed hash, with a key of its own each time, is as good as any number here.
    u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_passes_for_an_envoy_of_another_identity() {
        let one = ReporterId::of("spiffe://mesh/a", "1");
        assert_eq!(ReporterId::of("spiffe://mesh/a", "1"), one);
        let other = ReporterId::of("spiffe://mesh/a", "2");
        assert!(other.peer == one.peer && other.envoy != one.envoy);
        for stranger in
            [("spiffe://mesh/b", "1"), ("spiffe://mesh/", "a1"), ("spiffe://mesh/a1", "")]
        {
            let stranger = ReporterId::of(stranger.0, stranger.1);
            assert!(stranger.peer != one.peer && stranger.envoy != one.envoy, "{stranger:?}");
        }
        assert!(one.shared() < SHARED_REPORTERS);
    }
}
