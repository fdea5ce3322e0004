//! What all workers of an Envoy know of one service, and what it says of a request.

mod bytes;

use postern_circuit::{Admission, Breaker, Settings, State, Totals, Transition, Verdict};
use postern_proto::feed::v1::{CircuitPhase, CircuitState, ServiceReport};
use postern_request::UnixMillis;

pub(crate) use bytes::is_well;

/// For how long the server's word is taken for what holds now.
const FRESH_MS: u64 = 3_000;
/// So long before its word is needed the server is asked again.
const AHEAD_MS: u64 = 2_000;
/// Workers read their clocks one after the other; behind by more than this, one was set.
const SKEW_MS: u64 = 1_000;
/// For how long a call that was refused is reason to ask for a probe.
const WISHED_MS: u64 = 10_000;

/// One service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    /// What this Envoy judges by its own calls.
    pub(crate) breaker: Breaker,
    /// What the fleet does.
    pub(crate) said: Said,
    /// What the server has not heard of yet.
    pub(crate) tally: Tally,
    /// When workers have last told of calls that were refused.
    refused_at: UnixMillis,
}

/// What the server has last said of the shared circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Said {
    state: State,
    /// By an operator: open or closed, whatever breakers say.
    forced: bool,
    /// When.
    told: UnixMillis,
    /// Open: for how long from then.
    retry_after_ms: u32,
    /// Calls that may be tried, since when they may, and for how long.
    probes: u16,
    granted: UnixMillis,
    life_ms: u32,
}

/// What has become of calls since the last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    calls: u32,
    failures: u32,
    slow: u32,
    refused: u32,
    through: u32,
    failed: u32,
}

/// What one worker has seen since it last wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// Calls that came through.
    pub(crate) calls: u32,
    /// Those of them that were slow.
    pub(crate) slow: u32,
    /// Calls that were refused.
    pub(crate) refused: u32,
}

impl Entry {
    /// Whether every call passes, whatever the time is.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_own_closed() && self.said.state == State::Closed && !self.said.forced
    }

    /// Failures in a row, as long as they can become too many.
    pub(crate) fn run(&self) -> u32 {
        if self.is_own_closed() { self.breaker.run() } else { 0 }
    }

    /// Closed once is closed at any time.
    fn is_own_closed(&self) -> bool {
        self.breaker.state(UnixMillis(0)) == State::Closed
    }

    /// Asks for admission, and says whether a probe would be of use that the server has not given
    /// out yet.
    ///
    /// An operator's word goes first, then the own breaker, then the fleet. Who may try what the
    /// fleet holds to be broken is the server's to say, as long as it is heard: what each Envoy
    /// tries by itself adds up. Whether what works for the fleet works here too, nobody else knows.
    pub(crate) fn admit(
        &mut self,
        settings: &Settings,
        now: UnixMillis,
        random: u32,
    ) -> (Admission, bool) {
        if !self.said.holds(now) {
            self.said = Said::default();
        }
        let refused = |retry_after_ms: u64| Admission::Refused { retry_after_ms };
        let (shared, left_ms) = self.said.state(now);
        match (self.said.forced, shared) {
            (true, State::Closed) => return (Admission::Pass, false),
            (true, _) => return (refused(left_ms.max(1)), false),
            (false, _) => {}
        }
        let own = self.breaker.state(now);
        if own == State::Open {
            return (self.breaker.admit(settings, now, random), false);
        }
        match (own, shared) {
            (State::Closed, State::Closed) => return (Admission::Pass, false),
            (_, State::Open) => return (refused(left_ms.max(1)), false),
            _ => {}
        }
        if shared == State::Closed || !self.said.is_fresh(now) {
            return (self.breaker.admit(settings, now, random), false);
        }
        if self.said.has_probes(now) && self.breaker.grant(settings, now) {
            self.said.probes = self.said.probes.saturating_sub(1);
            return (Admission::Probe, false);
        }
        (refused(settings.probes.interval_ms.max(1)), true)
    }

    /// Takes over what a worker has seen.
    pub(crate) fn add(
        &mut self,
        settings: &Settings,
        seen: Seen,
        now: UnixMillis,
        random: u32,
    ) -> Option<Transition> {
        let Seen { calls, slow, refused } = seen;
        let totals = Totals { calls, failures: 0, slow };
        self.tally.count(totals);
        self.tally.refused = self.tally.refused.saturating_add(refused);
        if refused > 0 {
            self.refused_at = now;
        }
        if calls == 0 {
            return None;
        }
        self.breaker.add(settings, totals, now, random)
    }

    /// Counts what came of a call. One that began before the breaker opened decides nothing once
    /// it has.
    pub(crate) fn record(
        &mut self,
        settings: &Settings,
        verdict: Verdict,
        is_probe: bool,
        now: UnixMillis,
        random: u32,
    ) -> Option<Transition> {
        let totals = Totals::of(verdict);
        self.tally.count(totals);
        if is_probe {
            // As breakers have it.
            let has_failed = totals.failures > 0 || (totals.slow > 0 && settings.slow.is_some());
            let counted = if has_failed { &mut self.tally.failed } else { &mut self.tally.through };
            *counted = counted.saturating_add(totals.calls);
        }
        if is_probe || self.is_own_closed() {
            self.breaker.record(settings, verdict, now, random)
        } else {
            None
        }
    }

    /// What the server is to hear, if anything; it counts as told. Whose service it is, the caller
    /// knows.
    ///
    /// Who has refused calls wants to try one. As long as the own breaker lets nobody try, the
    /// server does not hear of them: it would give out a probe in vain.
    pub(crate) fn report(&mut self, settings: &Settings, now: UnixMillis) -> Option<ServiceReport> {
        let own = self.breaker.state(now);
        let kept = if own == State::Open { self.tally.refused } else { 0 };
        let refused = self.tally.refused.saturating_sub(kept);
        let asked = u32::from(own != State::Open && self.wishes_still(now));
        let told = Tally { refused: refused.max(asked), ..self.tally };
        if told == Tally::default() && !self.needs_word(settings, now) {
            return None;
        }
        self.tally = Tally { refused: kept, ..Tally::default() };
        Some(ServiceReport {
            service: String::new(),
            calls: told.calls,
            failures: told.failures,
            slow: told.slow,
            run: self.breaker.run(),
            refused: told.refused,
            probes_through: told.through,
            probes_failed: told.failed,
        })
    }

    /// Whether a probe is still of use: calls were refused lately, or one has lapsed before anybody
    /// came. Probes live for an interval at most, and callers may come less often than that.
    fn wishes_still(&self, now: UnixMillis) -> bool {
        let said = &self.said;
        let may_be_had = said.holds(now) && said.state(now).0 == State::HalfOpen;
        let was_refused = is_within(self.refused_at, WISHED_MS, now);
        may_be_had && !said.has_probes(now) && (said.probes > 0 || was_refused)
    }

    /// Whether the next request may hang on what the server says now.
    fn needs_word(&self, settings: &Settings, now: UnixMillis) -> bool {
        let own = match self.breaker.state(now) {
            State::Closed => false,
            State::HalfOpen => true,
            State::Open => self.breaker.retry_after_ms(settings, now) <= AHEAD_MS,
        };
        let Said { state, forced, .. } = self.said;
        let is_plain = state == State::Closed && !forced;
        own || (!is_plain && self.said.holds(now) && self.said.state(now).1 <= AHEAD_MS)
    }

    /// Takes the server's word over. `sent` is when it was asked.
    pub(crate) fn hear(&mut self, word: &CircuitState, sent: UnixMillis, now: UnixMillis) {
        let state = match word.phase() {
            CircuitPhase::Unspecified => return,
            CircuitPhase::Closed => State::Closed,
            CircuitPhase::Open => State::Open,
            CircuitPhase::HalfOpen => State::HalfOpen,
        };
        let mut said = Said {
            state,
            forced: word.forced && state != State::HalfOpen,
            told: now,
            retry_after_ms: if state == State::Open { word.retry_after_ms } else { 0 },
            // Also those that have lapsed: they are asked for again.
            probes: if state == State::HalfOpen { self.said.probes } else { 0 },
            ..self.said
        };
        if word.probes > 0 {
            said.probes = u16::try_from(word.probes).unwrap_or(u16::MAX);
            (said.granted, said.life_ms) = (sent, word.probe_life_ms);
        }
        self.said = said;
    }

    /// The server has named all that are not closed, and this one was not among them.
    pub(crate) fn hear_nothing(&mut self) {
        (self.said.state, self.said.forced, self.said.probes) = (State::Closed, false, 0);
    }
}

impl Said {
    /// Whether the server can be taken for being there.
    fn is_fresh(&self, now: UnixMillis) -> bool {
        is_within(self.told, FRESH_MS, now)
    }

    /// Whether what it said still counts: without news no longer than it was said for.
    fn holds(&self, now: UnixMillis) -> bool {
        is_within(self.told, FRESH_MS.max(self.retry_after_ms.into()), now)
    }

    /// Where the shared circuit stands, and for how long it stays open. One whose time is over is
    /// half open, though nobody has said so.
    fn state(&self, now: UnixMillis) -> (State, u64) {
        let left_ms = u64::from(self.retry_after_ms).saturating_sub(now.millis_since(self.told));
        match self.state {
            State::Open if left_ms == 0 && !self.forced => (State::HalfOpen, 0),
            state => (state, left_ms),
        }
    }

    fn has_probes(&self, now: UnixMillis) -> bool {
        self.probes > 0 && is_within(self.granted, self.life_ms.into(), now)
    }
}

impl Tally {
    fn count(&mut self, totals: Totals) {
        let Totals { calls, failures, slow } = totals;
        self.calls = self.calls.saturating_add(calls);
        self.failures = self.failures.saturating_add(failures);
        self.slow = self.slow.saturating_add(slow);
    }
}

/// Whether something was less than so long ago. Of what lies ahead nobody knows: the clock was
/// set.
pub(crate) fn is_within(at: UnixMillis, millis: u64, now: UnixMillis) -> bool {
    at.millis_since(now) <= SKEW_MS && now.millis_since(at) < millis
}

#[cfg(test)]
mod tests;
