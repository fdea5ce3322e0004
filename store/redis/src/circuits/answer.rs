//! What the scripts of circuits answer, in the port's terms; none when it is not what they return.

use postern_circuit::{
    Forced, ForcedState, Reason, Reporter, ReporterTotals, Settings, State, Totals, Transition,
    Window,
};
use postern_request::UnixMillis;
use postern_store::volatile::{CircuitAsk, CircuitStanding, Granted, Reported};
use redis::Value;

/// As `reporter.lua` has it.
const RECORD_BYTES: usize = 44 + 9 * Window::SLOTS;

/// The values of an answer, one after the other.
struct Values<'v>(std::slice::Iter<'v, Value>);

impl<'v> Values<'v> {
    fn of(answer: &'v Value) -> Option<Self> {
        match answer {
            Value::Array(values) => Some(Self(values.iter())),
            _ => None,
        }
    }

    /// One that is never below zero; nor is anything that is kept by us.
    fn number(&mut self) -> Option<u64> {
        match self.0.next()? {
            Value::Int(number) => Some(u64::try_from(*number).unwrap_or(0)),
            _ => None,
        }
    }

    fn short(&mut self) -> Option<u32> {
        Some(u32::try_from(self.number()?).unwrap_or(u32::MAX))
    }

    fn time(&mut self) -> Option<Option<UnixMillis>> {
        Some(Some(self.number()?).filter(|ms| *ms > 0).map(UnixMillis))
    }

    fn text(&mut self) -> Option<&'v str> {
        match self.0.next()? {
            Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// What `standing` of circuit.lua returns; how many reporters there are is not part of it.
    fn standing(&mut self, settings: &Settings) -> Option<(UnixMillis, CircuitStanding)> {
        let now = UnixMillis(self.number()?);
        let state = State::parse(self.text()?)?;
        let (failures, last_failure) = (self.short()?, self.time()?);
        let (at, probes) = (UnixMillis(self.number()?), self.number()?);
        let word = self.text()?;
        let until = UnixMillis(self.number()?);
        let forced = ForcedState::parse(word).map(|state| Forced { state, until });
        let forced = forced.filter(|forced| forced.state(now).is_some());
        let (state, waits_until) = match (forced, state) {
            (Some(Forced { state: ForcedState::Open, until }), _) => (State::Open, until),
            (Some(Forced { state: ForcedState::Closed, .. }), _) => (State::Closed, now),
            (None, State::Open) if now < at => (State::Open, at),
            // Nobody has tried yet, or its interval has probes left.
            (None, State::Open) => (State::HalfOpen, now),
            (None, State::HalfOpen) => {
                let has_more = probes < u64::from(settings.probes.per_interval.max(1));
                (State::HalfOpen, if has_more { now } else { at })
            }
            (None, State::Closed) => (State::Closed, now),
        };
        let retry_after_ms = waits_until.millis_since(now);
        let retry_at = (retry_after_ms > 0).then_some(waits_until);
        let standing = CircuitStanding {
            state,
            retry_after_ms,
            retry_at,
            forced,
            failures,
            last_failure,
            reporters: 0,
        };
        Some((now, standing))
    }
}

/// What came of a report, and what it takes to ask all reporters.
pub(super) struct Said {
    pub(super) reported: Reported,
    /// Whether they should be asked.
    pub(super) judge: bool,
    pub(super) version: u64,
    pub(super) cleared: u64,
    /// Redis' time.
    pub(super) now: UnixMillis,
}

/// Of `report.lua`.
pub(super) fn said(answer: &Value, settings: &Settings) -> Option<Said> {
    let mut values = Values::of(answer)?;
    let moved = match values.number()? {
        0 => None,
        1 => Some((State::Open, Reason::ProbeFailed)),
        2 => Some((State::Closed, Reason::Recovered)),
        _ => return None,
    };
    let moved = moved.map(|(to, reason)| Transition { from: State::HalfOpen, to, reason });
    let judge = values.number()? == 1;
    let (version, cleared) = (values.number()?, values.number()?);
    let reporters = values.short()?;
    let (now, standing) = values.standing(settings)?;
    let standing = CircuitStanding { reporters, ..standing };
    Some(Said { reported: Reported { standing, moved }, judge, version, cleared, now })
}

/// Of `open.lua`: whether it was this call.
pub(super) fn opened(answer: &Value, settings: &Settings) -> Option<(bool, CircuitStanding)> {
    let mut values = Values::of(answer)?;
    let opened = values.number()? == 1;
    Some((opened, values.standing(settings)?.1))
}

/// Of `grant.lua`.
pub(super) fn granted(answer: &Value) -> Option<Granted> {
    let mut values = Values::of(answer)?;
    Some(Granted { probes: values.short()?, life_ms: values.number()? })
}

/// Of `look.lua` and `word.lua`.
pub(super) fn standings(answer: &Value, circuits: &[CircuitAsk]) -> Option<Vec<CircuitStanding>> {
    let mut values = Values::of(answer)?;
    let standing = |circuit: &CircuitAsk| {
        let (_, standing) = values.standing(&circuit.settings)?;
        Some(CircuitStanding { reporters: values.short()?, ..standing })
    };
    circuits.iter().map(standing).collect()
}

/// What a circuit's reporters say: those that are not forgotten, and since it was `cleared`.
pub(super) fn reporters(
    answer: &Value,
    settings: &Settings,
    cleared: u64,
    now: UnixMillis,
) -> Option<Vec<ReporterTotals>> {
    let values: Vec<&Value> = match answer {
        Value::Array(values) => values.iter().skip(1).step_by(2).collect(),
        Value::Map(pairs) => pairs.iter().map(|(_, value)| value).collect(),
        _ => return None,
    };
    let records = values.into_iter().filter_map(|value| match value {
        Value::BulkString(bytes) => record(bytes),
        _ => None,
    });
    let said = records.filter(|(of, reporter)| {
        let is_alive = !reporter.is_forgotten(settings, now);
        is_alive && *of == cleared
    });
    Some(said.map(|(_, reporter)| reporter.totals(now)).collect())
}

/// A reporter, and since when its words count. What is none says how many an identity has.
fn record(bytes: &[u8]) -> Option<(u64, Reporter)> {
    if bytes.len() != RECORD_BYTES {
        return None;
    }
    let mut rest = bytes;
    let mut number = |long: usize| {
        let (number, after) = rest.split_at_checked(long)?;
        rest = after;
        Some(number.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte)))
    };
    let (_, heard, called) = (number(7)?, number(7)?, number(7)?);
    let (run, cleared) = (number(4)?, number(4)?);
    let (_, _) = (number(4)?, number(2)?);
    let (slot_ms, newest) = (number(2)?, number(7)?);
    let mut slots = [Totals::default(); Window::SLOTS];
    for slot in &mut slots {
        let mut third = || Some(u32::try_from(number(3)?).unwrap_or(u32::MAX));
        *slot = Totals { calls: third()?, failures: third()?, slow: third()? };
    }
    let window = Window::restored(u16::try_from(slot_ms).unwrap_or(u16::MAX), newest, slots);
    let run = u32::try_from(run).unwrap_or(u32::MAX);
    let called = Some(called).filter(|ms| *ms > 0).map(UnixMillis);
    Some((cleared, Reporter::restored(0, UnixMillis(heard), called, run, window)))
}

#[cfg(test)]
mod tests;
