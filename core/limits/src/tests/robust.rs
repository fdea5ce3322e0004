//! Whatever a store may hold, whatever the time, whatever the cost: an answer and no panic.

use super::*;

use crate::fixed_window::Fixed;
use crate::gcra::Tat;
use crate::sliding_log::Log;
use crate::sliding_window::Window;
use crate::token_bucket::Bucket;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0_u64),
        Just(1),
        Just(u64::MAX - 1),
        Just(u64::MAX),
        0_u64..1000,
        START - 100_000..START + 100_000,
        any::<u64>(),
    ]
}

fn any_state() -> impl Strategy<Value = State> {
    let log = prop::collection::vec((number(), any::<u32>()), 0..6).prop_map(|entries| {
        let entries = entries.into_iter().map(|(at, count)| (UnixMillis(at), count));
        State::Log(Box::new(Log::from_entries(entries)))
    });
    let words = (number(), number(), number(), 0..4).prop_map(|(a, b, c, kind)| match kind {
        0 => State::Window(Window { index: a, current: b, previous: c }),
        1 => State::Fixed(Fixed { starts_at: UnixMillis(a), count: b }),
        2 => State::Bucket(Bucket { level: a, refilled_tick: b }),
        _ => State::Gcra(Tat { tick: a, part: b }),
    });
    prop_oneof![1 => log, 4 => words]
}

/// A state that the spec takes for its own, most of the time.
fn spec_and_state() -> impl Strategy<Value = (Spec, State)> {
    (any_spec(), any_state(), 0..5).prop_map(|(spec, state, other)| {
        let algorithm = if other == 0 { spec.algorithm() } else { state.algorithm() };
        let is_log = algorithm == Algorithm::SlidingLog;
        let most = if is_log { MAX_LOG } else { MAX_REQUESTS };
        let requests = spec.rate().requests().min(most);
        (spec_of(algorithm, requests, spec.rate().period_ms(), spec.burst(), false), state)
    })
}

proptest! {
    #[test]
    fn every_state_has_an_answer(
        (spec, mut state) in spec_and_state(),
        steps in prop::collection::vec((number(), number(), 0..6), 1..12),
    ) {
        for (now, cost, step) in steps {
            let now = UnixMillis(now);
            match step {
                0 => spec.add(&mut state, cost, now),
                1 => spec.give_back(&mut state, cost, now),
                2 => {
                    let room = spec.status(&state, cost, now).remaining;
                    prop_assert_eq!(spec.fits(&mut state, cost, now), cost <= room);
                }
                _ => {
                    let status = spec.status(&state, cost, now);
                    let outcome = spec.take(&mut state, cost, now);
                    prop_assert_eq!(outcome.allowed, cost <= status.remaining);
                    prop_assert!(status.remaining <= spec.capacity());
                    prop_assert!(outcome.allowed || outcome.status.reset_secs >= 1);
                }
            }
            prop_assert_eq!(state.algorithm(), spec.algorithm());
            prop_assert!(spec.forgettable_at(&state) <= UnixMillis(u64::MAX));
            if let State::Log(log) = &state {
                let sum: u64 = log.entries().map(|(_, count)| u64::from(count)).sum();
                prop_assert_eq!(log.total(), sum);
            }
        }
    }
}
