//! One shared circuit, in memory.

use postern_circuit::{Admission, Forced, Gate, Settings, State, Transition, fleet};
use postern_request::UnixMillis;

use super::is_idle;
use super::reporters::Reporters;
use crate::volatile::{
    CircuitReport, CircuitStanding, CircuitWord, Granted, ProbeAsk, ProbeOutcomes, ProbesOf,
    Reported, ReporterId, Reporting,
};

/// A circuit that replicas share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    gate: Gate,
    /// Grows whenever it opens or closes: probes that were given out before are nobody's.
    version: u64,
    forced: Option<Forced>,
    failures: u32,
    last_failure: Option<UnixMillis>,
    /// Probes that were let through with decisions and of which nobody has heard.
    asked: u32,
    /// Who was given the last probe and has not told that it came through, and until when others
    /// go first.
    tried: Option<(u64, UnixMillis)>,
    reporters: Reporters,
    used: UnixMillis,
}

/// A request that is a probe if it passes: the gate as it is then.
#[derive(Debug)]
pub(super) struct Passing(Gate);

impl Shared {
    /// Whether it is as if it had never been.
    pub(super) fn is_over(&self, now: UnixMillis) -> bool {
        let open_until = self.gate.recovers_at().unwrap_or_default();
        is_idle(self.used.max(open_until), now) && self.word(now).is_none()
    }

    pub(super) const fn used(&mut self, now: UnixMillis) {
        self.used = now;
    }

    /// An operator's word, while it holds.
    fn word(&self, now: UnixMillis) -> Option<Forced> {
        self.forced.filter(|forced| forced.state(now).is_some())
    }

    pub(super) fn admit(
        &mut self,
        settings: &Settings,
        now: UnixMillis,
        random: u32,
    ) -> (Admission, Option<Passing>) {
        if let Some(admission) = self.word(now).and_then(|forced| forced.admission(now)) {
            return (admission, None);
        }
        let mut gate = self.gate;
        let admission = gate.admit(settings, now, random);
        if admission == Admission::Probe {
            return (admission, Some(Passing(gate)));
        }
        // Where the clock was set, waits begin anew.
        self.gate = gate;
        (admission, None)
    }

    pub(super) fn pass(&mut self, Passing(gate): Passing) {
        self.gate = gate;
        self.asked = self.asked.saturating_add(1);
        self.tried = None;
    }

    pub(super) fn report(
        &mut self,
        reporting: Reporting,
        one: &CircuitReport,
        now: UnixMillis,
        random: u32,
    ) -> Reported {
        let settings = &one.circuit.settings;
        let known = self.reporters.find(reporting.reporter, settings, now);
        let mut moved = None;
        if known.take(reporting.number, one.report, settings, now) {
            self.count(one, now);
            moved = self
                .end_probes(reporting, one.probes, settings, now, random)
                .or_else(|| self.judge(one, now, random));
        }
        Reported { standing: self.standing(settings, now), moved }
    }

    /// Failures since calls have last come through, for those who look.
    fn count(&mut self, one: &CircuitReport, now: UnixMillis) {
        let report = one.report;
        if report.failures > 0 {
            let all_failed = report.run >= report.calls;
            let before = if all_failed { self.failures } else { 0 };
            let more = if all_failed { report.failures } else { report.run };
            self.failures = before.saturating_add(more);
            self.last_failure = Some(now);
        } else if report.calls > 0 && self.gate.state(now) == State::Closed {
            self.failures = 0;
        }
    }

    fn end_probes(
        &mut self,
        reporting: Reporting,
        outcomes: ProbeOutcomes,
        settings: &Settings,
        now: UnixMillis,
        random: u32,
    ) -> Option<Transition> {
        let known = self.reporters.get(reporting.reporter)?;
        let may = match reporting.probes_of {
            ProbesOf::Reporter => known.granted(self.version),
            ProbesOf::Decisions => self.asked,
        };
        let by_reporter = reporting.probes_of == ProbesOf::Reporter;
        let peer = by_reporter.then_some(reporting.reporter.peer);
        // One that failed says more than others that came through meanwhile.
        let failed = outcomes.failed.min(may);
        let through = if failed > 0 { 0 } else { outcomes.through.min(may) };
        match reporting.probes_of {
            ProbesOf::Reporter => known.set_granted(may - failed - through, self.version),
            ProbesOf::Decisions => self.asked = may - failed - through,
        }
        if failed > 0 {
            let moved = self.gate.probed(settings, false, now, random)?;
            let waits = self.gate.retry_after_ms(settings, now);
            let first = later(later(now, waits), settings.probes.interval_ms);
            self.tried = peer.map(|peer| (peer, first));
            self.moved();
            return Some(moved);
        }
        if through > 0 && peer.is_some() && self.tried.map(|(peer, _)| peer) == peer {
            self.tried = None;
        }
        let gate = &mut self.gate;
        let moved = (0..through).find_map(|_| gate.probed(settings, true, now, random))?;
        self.moved();
        self.failures = 0;
        self.tried = None;
        self.reporters.clear();
        Some(moved)
    }

    fn judge(&mut self, one: &CircuitReport, now: UnixMillis, random: u32) -> Option<Transition> {
        let (settings, report) = (&one.circuit.settings, one.report);
        let is_fine = report.failures == 0 && report.slow == 0 && report.run == 0;
        if is_fine || self.gate.state(now) != State::Closed {
            return None;
        }
        let reason = fleet::judge(&self.reporters.said(settings, now), settings)?;
        let moved = self.gate.open(settings, reason, now, random)?;
        self.moved();
        Some(moved)
    }

    /// From here on nothing counts that was let through before.
    const fn moved(&mut self) {
        self.version += 1;
        self.asked = 0;
    }

    pub(super) fn grant(
        &mut self,
        reporter: ReporterId,
        ask: &ProbeAsk,
        now: UnixMillis,
        random: u32,
    ) -> Granted {
        let settings = &ask.circuit.settings;
        if self.word(now).is_some() || self.gate.state(now) == State::Closed {
            return Granted::default();
        }
        let Some(known) = self.reporters.get(reporter) else { return Granted::default() };
        let interval_ms = settings.probes.interval_ms.max(1);
        // For one interval, however the clock has gone.
        let waits = |(peer, until): (u64, UnixMillis)| {
            peer == reporter.peer && (1..=interval_ms).contains(&until.millis_since(now))
        };
        if settings.reporters > 1 && self.tried.is_some_and(waits) {
            return Granted::default();
        }
        let mut probes = 0;
        while probes < ask.wanted && self.gate.admit(settings, now, random) == Admission::Probe {
            probes += 1;
        }
        if probes == 0 {
            return Granted::default();
        }
        known.set_granted(known.granted(self.version).saturating_add(probes), self.version);
        let ends = self.gate.interval_ends(settings).unwrap_or(now);
        self.tried = Some((reporter.peer, later(ends, interval_ms)));
        Granted { probes, life_ms: ends.millis_since(now) }
    }

    pub(super) fn standing(&self, settings: &Settings, now: UnixMillis) -> CircuitStanding {
        let forced = self.word(now);
        let (state, retry_after_ms) = match forced {
            Some(forced) => {
                let waits = match forced.admission(now) {
                    Some(Admission::Refused { retry_after_ms }) => retry_after_ms,
                    _ => 0,
                };
                (forced.state.as_state(), waits)
            }
            None => (self.gate.state(now), self.gate.retry_after_ms(settings, now)),
        };
        let retry_at = (retry_after_ms > 0).then(|| later(now, retry_after_ms));
        CircuitStanding {
            state,
            retry_after_ms,
            retry_at,
            forced,
            failures: self.failures,
            last_failure: self.last_failure,
            reporters: self.reporters.count(settings, now),
        }
    }

    pub(super) fn say(&mut self, word: CircuitWord) {
        match word {
            CircuitWord::Force(forced) => self.forced = Some(forced),
            CircuitWord::Reset => {
                *self = Self { version: self.version + 1, used: self.used, ..Self::default() };
            }
        }
    }
}

const fn later(now: UnixMillis, millis: u64) -> UnixMillis {
    UnixMillis(now.0.saturating_add(millis))
}
