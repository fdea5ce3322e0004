//! Outcomes that have not been reported yet: of whom, and of which service.
//!
//! Envoys name themselves, so an identity is told apart into no more reporters than stores do: a few
//! of its Envoys by themselves, all others together in a few parts.

use std::collections::HashMap;

use postern_circuit::{Report, Settings, Verdict};
use postern_request::UnixMillis;
use postern_store::volatile::circuits::{OWN_REPORTERS, SHARED_REPORTERS};
use postern_store::volatile::{CircuitAsk, CircuitReport, ProbeOutcomes, ReporterId};

/// Identities and services that are told apart at the same time.
const MAX_TALLIES: usize = 10_000;
/// For how long one is kept of which nothing is heard.
const IDLE_MS: u64 = 60_000;
/// How often it is looked for such: that is a walk over all of them.
const SWEEP_MS: u64 = 1_000;

/// Of whom, and of which service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Of {
    /// Who stands for the Envoy.
    pub(super) reporter: ReporterId,
    service: String,
}

/// What has become of an outcome.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// Somebody has to begin to send.
    Begins(Of),
    /// Somebody sends already.
    GoesOn,
    /// Too many are told apart: it is lost.
    NoRoom,
}

/// All of them.
#[derive(Default)]
pub(super) struct Tallies {
    /// By an identity and a service, of each Envoy that is told apart.
    all: HashMap<(u64, String), Vec<(ReporterId, Tally)>>,
    /// When it was looked last for those of which nothing is heard.
    swept: UnixMillis,
}

/// What has not been reported yet; but for the run, which goes on.
#[derive(Default)]
struct Tally {
    report: Report,
    probes: ProbeOutcomes,
    settings: Settings,
    is_sending: bool,
    used: UnixMillis,
}

impl Tallies {
    /// Adds an outcome up.
    pub(super) fn note(
        &mut self,
        reporter: ReporterId,
        service: &str,
        settings: &Settings,
        verdict: Verdict,
        now: UnixMillis,
    ) -> Noted {
        let key = (reporter.peer, service.to_owned());
        if !self.all.contains_key(&key) && !self.has_room(now) {
            return Noted::NoRoom;
        }
        let of_identity = self.all.entry(key).or_default();
        let reporter = who_stands_for(reporter, of_identity, now);
        let at = of_identity.iter().position(|(known, _)| *known == reporter);
        let at = at.unwrap_or_else(|| {
            of_identity.push((reporter, Tally::default()));
            of_identity.len() - 1
        });
        let Some((_, tally)) = of_identity.get_mut(at) else { return Noted::NoRoom };
        tally.add(verdict);
        (tally.settings, tally.used) = (*settings, now);
        if std::mem::replace(&mut tally.is_sending, true) {
            Noted::GoesOn
        } else {
            Noted::Begins(Of { reporter, service: service.to_owned() })
        }
    }

    /// What is to be sent next; nobody sends any more where that is nothing.
    pub(super) fn take(&mut self, of: &Of) -> Option<(CircuitReport, UnixMillis)> {
        let of_identity = self.all.get_mut(&(of.reporter.peer, of.service.clone()))?;
        let (_, tally) = of_identity.iter_mut().find(|(known, _)| *known == of.reporter)?;
        if tally.report.calls == 0 {
            tally.is_sending = false;
            return None;
        }
        let report = tally.report;
        tally.report = Report { run: report.run, ..Report::default() };
        let circuit = CircuitAsk { service: of.service.clone(), settings: tally.settings };
        let probes = std::mem::take(&mut tally.probes);
        Some((CircuitReport { circuit, report, probes }, tally.used))
    }

    /// Whether there is room for one more, once those are gone of which nothing is heard.
    fn has_room(&mut self, now: UnixMillis) -> bool {
        // The other way round where the clock was set back.
        let since = now.millis_since(self.swept).max(self.swept.millis_since(now));
        if self.all.len() >= MAX_TALLIES && since >= SWEEP_MS {
            self.swept = now;
            self.all.retain(|_, of_identity| {
                of_identity.retain(|(_, tally)| tally.matters(now));
                !of_identity.is_empty()
            });
        }
        self.all.len() < MAX_TALLIES
    }
}

/// The Envoy itself, unless its identity has too many: as stores have it.
fn who_stands_for(
    reporter: ReporterId,
    of_identity: &mut Vec<(ReporterId, Tally)>,
    now: UnixMillis,
) -> ReporterId {
    if of_identity.iter().any(|(known, _)| *known == reporter) {
        return reporter;
    }
    if own_of(of_identity) >= OWN_REPORTERS {
        of_identity.retain(|(_, tally)| tally.matters(now));
    }
    if own_of(of_identity) < OWN_REPORTERS {
        reporter
    } else {
        ReporterId { envoy: reporter.shared(), ..reporter }
    }
}

/// How many of them stand for a single Envoy: those that stand for several have the numbers below.
fn own_of(of_identity: &[(ReporterId, Tally)]) -> usize {
    of_identity.iter().filter(|(known, _)| known.envoy >= SHARED_REPORTERS).count()
}

impl Tally {
    /// Whether it would be missed.
    fn matters(&self, now: UnixMillis) -> bool {
        self.is_sending || now.millis_since(self.used) < IDLE_MS
    }

    /// Which request was a probe nobody says: all outcomes are taken for those of probes, as many
    /// as were let through; a slow one has failed.
    fn add(&mut self, verdict: Verdict) {
        let (failed, slow) = match verdict {
            Verdict::Ignored => return,
            Verdict::Success { slow } => (false, slow),
            Verdict::Failure { slow } => (true, slow),
        };
        let Report { calls, failures, slow: slow_ones, run } = &mut self.report;
        add(calls, true);
        add(failures, failed);
        add(slow_ones, slow);
        *run = if failed { run.saturating_add(1) } else { 0 };
        add(&mut self.probes.failed, failed || slow);
        add(&mut self.probes.through, !failed && !slow);
    }
}

fn add(to: &mut u32, one: bool) {
    *to = to.saturating_add(one.into());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const FAILED: Verdict = Verdict::Failure { slow: false };

    fn after(millis: u64) -> UnixMillis {
        UnixMillis(NOW.0 + millis)
    }

    fn note(tallies: &mut Tallies, peer: u64, envoy: u64, now: UnixMillis) -> Noted {
        let reporter = ReporterId { peer, envoy };
        tallies.note(reporter, "pay", &Settings::default(), FAILED, now)
    }

    /// Adds one up and sends it; who stood for the Envoy.
    fn sent(tallies: &mut Tallies, peer: u64, envoy: u64, now: UnixMillis) -> ReporterId {
        let Noted::Begins(of) = note(tallies, peer, envoy, now) else { panic!("nobody sends") };
        while tallies.take(&of).is_some() {}
        of.reporter
    }

    #[test]
    fn an_identity_is_sixteen_reporters_at_most_whatever_its_envoys_are_called() {
        let mut tallies = Tallies::default();
        let mut seen = BTreeSet::new();
        for envoy in 1_000..21_000 {
            seen.insert(sent(&mut tallies, 1, envoy, NOW));
        }
        let most = OWN_REPORTERS + usize::try_from(SHARED_REPORTERS).unwrap();
        assert_eq!(seen.len(), most);
        assert_eq!(sent(&mut tallies, 1, 1_000, NOW).envoy, 1_000, "the first are themselves");
        assert_eq!(tallies.all.len(), 1);
        // Another identity is heard all the same.
        assert_eq!(sent(&mut tallies, 2, 7_777, NOW).envoy, 7_777);
        // Of those before nothing was heard for so long that another one takes their place.
        assert_eq!(sent(&mut tallies, 1, 50_000, after(IDLE_MS)).envoy, 50_000);
    }

    #[test]
    fn where_there_is_no_room_that_is_said_and_nobody_looks_again_and_again() {
        let mut tallies = Tallies::default();
        for peer in 0..10_000 {
            sent(&mut tallies, peer, 1, NOW);
        }
        assert_eq!(note(&mut tallies, 10_000, 1, after(1)), Noted::NoRoom);
        assert_eq!(tallies.swept, after(1));
        assert_eq!(note(&mut tallies, 10_001, 1, after(SWEEP_MS)), Noted::NoRoom);
        assert_eq!(tallies.swept, after(1), "it was looked just now");
        assert!(matches!(note(&mut tallies, 1, 1, after(1)), Noted::Begins(_)), "who is known is");
        sent(&mut tallies, 10_001, 1, after(IDLE_MS));
        // The one that is being sent stays.
        assert_eq!(tallies.all.len(), 2);
    }
}
