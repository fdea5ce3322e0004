//! A breaker that keeps all it has seen, and works out of that where it stands.

use crate::{Admission, Reason, Settings, State, Totals};

#[derive(Debug, Clone)]
pub(super) struct Model {
    settings: Settings,
    /// When each call ended, and whether it failed or was slow, since it was last closed.
    calls: Vec<(u64, bool, bool)>,
    phase: Phase,
}

#[derive(Debug, Clone)]
enum Phase {
    Closed,
    Open {
        until: u64,
        recoveries: u32,
    },
    HalfOpen {
        recoveries: u32,
        /// When intervals began.
        intervals: Vec<u64>,
        /// When probes were let through.
        probes: Vec<u64>,
        /// What came of them.
        outcomes: Vec<bool>,
    },
}

impl Model {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, calls: Vec::new(), phase: Phase::Closed }
    }

    pub(super) fn admit(&mut self, now: u64) -> Admission {
        let probes_of = self.settings.probes;
        if let Phase::Open { until, recoveries } = self.phase {
            if until > now {
                return Admission::Refused { retry_after_ms: until - now };
            }
            self.phase = Phase::HalfOpen {
                recoveries,
                intervals: vec![now],
                probes: Vec::new(),
                outcomes: Vec::new(),
            };
        }
        let Phase::HalfOpen { intervals, probes, .. } = &mut self.phase else {
            return Admission::Pass;
        };
        if now - intervals[intervals.len() - 1] >= probes_of.interval_ms {
            intervals.push(now);
        }
        let began = intervals[intervals.len() - 1];
        let so_far = probes.iter().filter(|probe| **probe >= began).count();
        if count(so_far) < probes_of.per_interval {
            probes.push(now);
            return Admission::Probe;
        }
        Admission::Refused { retry_after_ms: began + probes_of.interval_ms - now }
    }

    pub(super) fn record(&mut self, now: u64, failed: bool, slow: bool) -> Option<(State, Reason)> {
        let settings = self.settings;
        let wait = |recoveries: u32| {
            (settings.recovery.first_ms << recoveries).min(settings.recovery.longest_ms)
        };
        match &mut self.phase {
            Phase::Open { .. } => None,
            Phase::Closed => {
                self.calls.push((now, failed, slow));
                let reason = self.broken_rule(now)?;
                self.phase = Phase::Open { until: now + wait(0), recoveries: 0 };
                Some((State::Open, reason))
            }
            Phase::HalfOpen { recoveries, intervals, probes, outcomes } => {
                if outcomes.len() == probes.len() {
                    return None;
                }
                let good = !failed && (settings.slow.is_none() || !slow);
                outcomes.push(good);
                if !good {
                    let recoveries = *recoveries + 1;
                    let interval_ends =
                        intervals[intervals.len() - 1] + settings.probes.interval_ms;
                    let until = interval_ends.max(now + wait(recoveries));
                    self.phase = Phase::Open { until, recoveries };
                    return Some((State::Open, Reason::ProbeFailed));
                }
                if count(outcomes.len()) < settings.probes.successes {
                    return None;
                }
                *self = Self::new(settings);
                Some((State::Closed, Reason::Recovered))
            }
        }
    }

    fn broken_rule(&self, now: u64) -> Option<Reason> {
        let settings = self.settings;
        let Totals { calls, failures, slow } = self.totals(now);
        if settings.failures != 0 && self.run() >= settings.failures {
            return Some(Reason::Run);
        }
        let reached = |part: u32, share: u32| {
            calls >= settings.minimum
                && f64::from(part) / f64::from(calls) * 1e6 >= f64::from(share)
        };
        match (settings.ratio, settings.slow) {
            (Some(share), _) if reached(failures, share.0) => Some(Reason::Ratio),
            (_, Some(rule)) if reached(slow, rule.share.0) => Some(Reason::Slow),
            _ => None,
        }
    }

    pub(super) fn run(&self) -> u32 {
        count(self.calls.iter().rev().take_while(|(_, failed, _)| *failed).count())
    }

    pub(super) fn totals(&self, now: u64) -> Totals {
        let slot_ms = self.settings.window_ms / 10;
        let is_late = |time: u64| time / slot_ms + 10 > now / slot_ms;
        let lately: Vec<_> = self.calls.iter().filter(|(time, ..)| is_late(*time)).collect();
        Totals {
            calls: count(lately.len()),
            failures: count(lately.iter().filter(|(_, failed, _)| *failed).count()),
            slow: count(lately.iter().filter(|(.., slow)| *slow).count()),
        }
    }

    pub(super) fn state(&self, now: u64) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { until, .. } if now < until => State::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap()
}
