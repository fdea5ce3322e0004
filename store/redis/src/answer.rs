//! What `decide.lua` and `lend.lua` answer, in our terms. Statuses are worked out here, by the same
//! code that works them out for every other store.

use postern_circuit::Admission;
use postern_limits::fixed_window::Fixed;
use postern_limits::gcra::Tat;
use postern_limits::sliding_log::Log;
use postern_limits::sliding_window::Window;
use postern_limits::token_bucket::Bucket;
use postern_limits::{Algorithm, InFlight, Outcome, Spec, State};
use postern_request::{RateLimitStatus, UnixMillis};
use postern_store::volatile::{Decision, Grant, Inspected, LimitAsk, Take};
use redis::Value;

use crate::pack::ordered;

/// What was kept of a key before the decision; as many numbers as its algorithm has.
type Kept = [u64; 4];

/// The script's answer about one limit.
#[derive(Debug, Clone, Copy)]
struct Said {
    /// How much was taken from its key up to this limit; none where it has no room.
    taken: Option<u64>,
    kept: Kept,
}

/// The numbers of an answer, one after the other.
pub(crate) struct Numbers<'v>(std::slice::Iter<'v, Value>);

impl<'v> Numbers<'v> {
    pub(crate) fn of(answer: &'v Value) -> Option<Self> {
        match answer {
            Value::Array(values) => Some(Self(values.iter())),
            _ => None,
        }
    }

    fn signed(&mut self) -> Option<i64> {
        match self.0.next()? {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// One that is never below zero; nor is anything that is kept by us.
    fn number(&mut self) -> Option<u64> {
        Some(u64::try_from(self.signed()?).unwrap_or(0))
    }

    fn said(&mut self, take: &Take) -> Option<Said> {
        let taken = u64::try_from(self.signed()?).ok();
        let mut kept = Kept::default();
        for number in kept.iter_mut().take(numbers_of(take)) {
            *number = self.number()?;
        }
        Some(Said { taken, kept })
    }
}

fn numbers_of(take: &Take) -> usize {
    match take {
        Take::InFlight { .. } => 3,
        Take::Rate { spec, .. } => match spec.algorithm() {
            Algorithm::TokenBucket | Algorithm::Gcra | Algorithm::FixedWindow => 2,
            Algorithm::SlidingWindow => 3,
            Algorithm::SlidingLog => 4,
        },
    }
}

/// The next decision; none when the answer is not what the script returns. One that only looked
/// has taken nothing.
pub(crate) fn decision(
    limits: &[LimitAsk],
    looks: bool,
    numbers: &mut Numbers<'_>,
) -> Option<Decision> {
    let (admission, now) = (numbers.number()?, UnixMillis(numbers.number()?));
    let admission = match admission {
        0 => Admission::Pass,
        1 => Admission::Probe,
        2 => {
            let admission = Admission::Refused { retry_after_ms: numbers.number()? };
            return Some(Decision { limits: Vec::new(), admission, allowed: false });
        }
        _ => return None,
    };
    let mut said = Vec::with_capacity(limits.len());
    for limit in ordered(limits) {
        said.push(numbers.said(&limit.take)?);
    }
    let asked = || ordered(limits).zip(&said);
    let allowed = asked().all(|(limit, said)| limit.shadow || said.taken.is_some());
    let counts = allowed && !looks;
    let outcomes = asked().map(|(limit, said)| outcome(&limit.take, *said, counts, now));
    let limits = in_place(limits, outcomes.collect());
    Some(Decision { limits, admission, allowed })
}

/// Outcomes in the order of the limits, from the one in which they were asked.
fn in_place(limits: &[LimitAsk], asked: Vec<Outcome>) -> Vec<Outcome> {
    if limits.is_sorted_by_key(|limit| limit.shadow) {
        return asked;
    }
    let binding = limits.iter().filter(|limit| !limit.shadow).count();
    let mut tried = asked.iter().skip(binding);
    let mut binding = asked.iter();
    let next = |limit: &LimitAsk| if limit.shadow { tried.next() } else { binding.next() };
    limits.iter().filter_map(next).copied().collect()
}

/// How one key stands that was looked at; the inner one is none when nothing counts.
pub(crate) fn inspected(take: &Take, answer: &Value) -> Option<Option<Inspected>> {
    let mut numbers = Numbers::of(answer)?;
    numbers.number()?;
    let now = UnixMillis(numbers.number()?);
    let said = numbers.said(take)?;
    let ends = match take {
        Take::Rate { spec, cost } => spec.forgettable_at(&state(*spec, *cost, said.kept)),
        Take::InFlight { .. } => {
            let [_, _, last_ends, _] = said.kept;
            UnixMillis(last_ends)
        }
    };
    let expires_in_ms = ends.millis_since(now);
    let status = outcome(take, said, false, now).status;
    Some((expires_in_ms > 0).then_some(Inspected { status, expires_in_ms }))
}

/// What was lent of a limit, and how it stands then; none when the answer is not what the script
/// returns.
pub(crate) fn grant(spec: Spec, answer: &Value) -> Option<Grant> {
    let mut numbers = Numbers::of(answer)?;
    let now = UnixMillis(numbers.number()?);
    let (granted, life_ms) = (numbers.number()?, numbers.number()?);
    let Said { taken, kept } = numbers.said(&Take::Rate { spec, cost: 0 })?;
    // As much as was taken for it now: nothing, where it was lent before.
    let taken = taken?;
    let mut state = state(spec, taken, kept);
    spec.add(&mut state, taken, now);
    Some(Grant::of(granted, life_ms, spec, &mut state, now))
}

/// Where a caller stands. `counts` when what the script says was taken.
fn outcome(take: &Take, said: Said, counts: bool, now: UnixMillis) -> Outcome {
    let taken = said.taken.filter(|_| counts).unwrap_or(0);
    let status = match take {
        Take::Rate { spec, cost } => {
            let mut state = state(*spec, *cost, said.kept);
            if taken > 0 {
                spec.add(&mut state, taken, now);
            }
            spec.status(&state, *cost, now)
        }
        Take::InFlight { spec, .. } => places(*spec, taken, said.kept, now),
    };
    Outcome { allowed: said.taken.is_some(), status }
}

fn state(spec: Spec, cost: u64, kept: Kept) -> State {
    let [first, second, third, fourth] = kept;
    match spec.algorithm() {
        Algorithm::SlidingWindow => {
            State::Window(Window { index: first, current: second, previous: third })
        }
        Algorithm::FixedWindow => {
            State::Fixed(Fixed { starts_at: UnixMillis(first), count: second })
        }
        Algorithm::TokenBucket => State::Bucket(Bucket { level: first, refilled_tick: second }),
        Algorithm::Gcra => State::Gcra(Tat { tick: first, part: second }),
        Algorithm::SlidingLog => {
            State::Log(Box::new(log(spec, cost, first, [second, third, fourth])))
        }
    }
}

/// A log of which is known what a status needs: how many there are, the times of the oldest and
/// the newest one, and the time of the one that has to leave before as much fits again.
fn log(spec: Spec, cost: u64, total: u64, times: [u64; 3]) -> Log {
    let [oldest, last_to_leave, newest] = times;
    let requests = spec.rate().requests();
    // As the script worked it out.
    let taken = if cost <= requests.saturating_sub(total) { cost } else { 0 };
    let after = total.saturating_add(taken).saturating_add(cost.clamp(1, requests));
    let leave = after.saturating_sub(requests).min(total).max(1);
    let stay = total.saturating_sub(leave);
    let parts = if oldest == last_to_leave {
        [(oldest, leave), (newest, stay), (newest, 0)]
    } else {
        [(oldest, leave - 1), (last_to_leave, 1), (newest, stay)]
    };
    let entry = |(at, count)| (UnixMillis(at), u32::try_from(count).unwrap_or(u32::MAX));
    Log::from_entries(parts.map(entry).into_iter().filter(|_| total > 0))
}

/// As [`InFlight::status`] has it, without all those that are in flight.
fn places(spec: InFlight, taken: u64, kept: Kept, now: UnixMillis) -> RateLimitStatus {
    let [live, first_ends, ..] = kept;
    let max = u64::from(spec.max());
    let remaining = max.saturating_sub(live.saturating_add(taken));
    let wait_ms = match (remaining, first_ends) {
        (0, 0) => spec.life_ms(),
        (0, ends) => UnixMillis(ends).millis_since(now).min(spec.life_ms()),
        _ => 0,
    };
    RateLimitStatus {
        limit: max,
        remaining,
        reset_secs: wait_ms.div_ceil(1000).max(1),
        window_secs: spec.life_ms().div_ceil(1000),
    }
}

#[cfg(test)]
mod tests;
