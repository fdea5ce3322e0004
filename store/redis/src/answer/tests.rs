use postern_leases::{Ask, LeaseId, Ledger, Start, Terms};
use postern_limits::in_flight::Slots;
use postern_limits::{Anchor, Rate};
use postern_store::volatile::LimitKey;

use super::*;

const NOW: UnixMillis = UnixMillis(1_795_000_012_345);

fn decision(limits: &[LimitAsk], looks: bool, answer: &Value) -> Option<Decision> {
    super::decision(limits, looks, &mut Numbers::of(answer)?)
}

fn answer(numbers: &[i64]) -> Value {
    Value::Array(numbers.iter().map(|number| Value::Int(*number)).collect())
}

fn now() -> i64 {
    i64::try_from(NOW.0).unwrap()
}

fn spec(algorithm: Algorithm) -> Spec {
    Spec::new(algorithm, Rate::parse("10/1m").unwrap(), None, Anchor::Clock).unwrap()
}

fn ask(algorithm: Algorithm, cost: u64) -> LimitAsk {
    let key = LimitKey { owner: 1, hash: [2; 16] };
    LimitAsk { key, take: Take::Rate { spec: spec(algorithm), cost }, shadow: false }
}

/// The numbers that the script has of a state.
fn numbers(state: &State) -> Vec<i64> {
    let numbers = match state {
        State::Window(window) => vec![window.index, window.current, window.previous],
        State::Fixed(fixed) => vec![fixed.starts_at.0, fixed.count],
        State::Bucket(bucket) => vec![bucket.level, bucket.refilled_tick],
        State::Gcra(tat) => vec![tat.tick, tat.part],
        State::Log(log) => {
            let at = |(at, _): (UnixMillis, u32)| at.0;
            let first = log.entries().next().map_or(0, at);
            vec![log.total(), first, first, log.entries().last().map_or(0, at)]
        }
    };
    numbers.into_iter().map(|number| i64::try_from(number).unwrap()).collect()
}

#[test]
fn outcomes_are_those_of_the_core() {
    for algorithm in Algorithm::ALL {
        let spec = spec(algorithm);
        let earlier = UnixMillis(NOW.0 - 1000);
        let mut state = spec.fresh(earlier);
        spec.add(&mut state, 3, earlier);
        for cost in [0, 1, 2, 7, 8, 11] {
            let mut kept = state.clone();
            // The script brings it up to now, and so does this.
            assert!(spec.fits(&mut kept, 0, NOW));
            let before = numbers(&kept);
            let expected = spec.take(&mut kept, cost, NOW);
            let taken = if expected.allowed { i64::try_from(cost).unwrap() } else { -1 };
            let said = [vec![0, now(), taken], before].concat();
            let limits = [ask(algorithm, cost)];
            let decision = decision(&limits, false, &answer(&said)).unwrap();
            assert_eq!(decision.limits, [expected], "{algorithm:?} {cost}");
            assert_eq!(decision.allowed, expected.allowed, "{algorithm:?} {cost}");
            assert_eq!(decision.admission, Admission::Pass);
        }
    }
}

#[test]
fn a_log_tells_when_enough_of_it_has_left() {
    let spec = spec(Algorithm::SlidingLog);
    let at = |secs: u64| UnixMillis(NOW.0 - 60_000 + secs * 1000);
    // Of ten, 4 leave after 10 s, 1 each after 20 s and 30 s, and 3 after 40 s: 9 in all.
    let whole = Log::from_entries([(at(10), 4), (at(20), 1), (at(30), 1), (at(40), 3)]);
    for (cost, taken, last_to_leave, reset_secs) in
        [(1, 1, 10, 10), (2, -1, 10, 10), (5, -1, 10, 10), (6, -1, 20, 20), (8, -1, 40, 40)]
    {
        let times = [9, at(10).0, at(last_to_leave).0, at(40).0];
        let times = times.map(|time| i64::try_from(time).unwrap());
        let said = [vec![0, now(), taken], times.to_vec()].concat();
        let limits = [ask(Algorithm::SlidingLog, cost)];
        let found = decision(&limits, false, &answer(&said)).unwrap();
        assert_eq!(found.limits[0].status.reset_secs, reset_secs, "{cost}");
        let mut state = State::Log(Box::new(whole.clone()));
        assert_eq!(found.limits, [spec.take(&mut state, cost, NOW)], "{cost}");
    }
}

#[test]
fn what_is_not_taken_is_not_counted() {
    let limits = [ask(Algorithm::FixedWindow, 1), ask(Algorithm::FixedWindow, 8)];
    let start = now() - now() % 60_000;
    // The same key twice: the second one sees the first.
    let twice = answer(&[1, now(), 1, start, 1, 9, start, 1]);
    let remaining = |decision: &Decision| {
        decision.limits.iter().map(|limit| limit.status.remaining).collect::<Vec<_>>()
    };
    let taken = decision(&limits, false, &twice).unwrap();
    assert_eq!((taken.allowed, taken.admission), (true, Admission::Probe));
    assert_eq!(remaining(&taken), [8, 0]);
    let looked = decision(&limits, true, &twice).unwrap();
    assert!(looked.allowed);
    assert_eq!(remaining(&looked), [9, 9]);
    let refused = decision(&limits, false, &answer(&[0, now(), 1, start, 1, -1, start, 4]));
    let refused = refused.unwrap();
    assert!(!refused.allowed && refused.limits[0].allowed && !refused.limits[1].allowed);
    assert_eq!(remaining(&refused), [9, 6]);
}

#[test]
fn limits_that_are_only_tried_out_refuse_nothing_and_keep_their_place() {
    let tried = LimitAsk { shadow: true, ..ask(Algorithm::FixedWindow, 1) };
    let limits = [tried, ask(Algorithm::FixedWindow, 1), tried, ask(Algorithm::FixedWindow, 1)];
    let start = now() - now() % 60_000;
    // The binding ones first.
    let said = answer(&[0, now(), 1, start, 1, 1, start, 2, -1, start, 10, 1, start, 4]);
    let decision = decision(&limits, false, &said).unwrap();
    assert!(decision.allowed);
    let found: Vec<_> =
        decision.limits.iter().map(|limit| (limit.allowed, limit.status.remaining)).collect();
    assert_eq!(found, [(false, 0), (true, 8), (true, 5), (true, 7)]);
}

#[test]
fn a_circuit_refuses_before_anything_is_counted() {
    let refused = decision(&[ask(Algorithm::Gcra, 1)], false, &answer(&[2, now(), 250])).unwrap();
    assert!(!refused.allowed && refused.limits.is_empty());
    assert_eq!(refused.admission, Admission::Refused { retry_after_ms: 250 });
}

#[test]
fn places_in_flight_are_told_as_the_core_tells_them() {
    let spec = InFlight::new(2, 60_000).unwrap();
    let mut slots = Slots::default();
    let mut kept = [0, 0, 0];
    for (id, at) in [(1, 30), (2, 20), (3, 10), (1, 5)] {
        let now = UnixMillis(NOW.0 - at * 1000);
        let before = slots.len();
        let expected = spec.enter(&mut slots, id, now);
        let taken =
            if expected.allowed { i64::try_from(slots.len() - before).unwrap() } else { -1 };
        let key = LimitKey { owner: 1, hash: [2; 16] };
        let limit = LimitAsk { key, take: Take::InFlight { spec, id }, shadow: false };
        let time = i64::try_from(now.0).unwrap();
        let said = answer(&[0, time, taken, kept[0], kept[1], kept[2]]);
        let found = decision(&[limit], false, &said).unwrap();
        assert_eq!(found.limits[0].allowed, expected.allowed, "{id}");
        assert_eq!(found.limits[0].status.remaining, expected.status.remaining, "{id}");
        if id != 1 {
            // Whose place begins anew may have been the one that ends first.
            assert_eq!(found.limits, [expected], "{id}");
        }
        if kept[0] == 0 {
            kept[1] = time + 60_000;
        }
        kept[0] = i64::try_from(slots.len()).unwrap();
        kept[2] = time + 60_000;
        let inspected = inspected(&limit.take, &answer(&[0, time, 0, kept[0], kept[1], kept[2]]));
        assert_eq!(inspected.unwrap().unwrap().expires_in_ms, 60_000);
    }
}

#[test]
fn a_key_that_counts_nothing_is_not_there() {
    for algorithm in Algorithm::ALL {
        let spec = spec(algorithm);
        let take = Take::Rate { spec, cost: 1 };
        let mut state = spec.fresh(NOW);
        let said = |state: &State| answer(&[vec![0, now(), 1], numbers(state)].concat());
        assert_eq!(inspected(&take, &said(&state)), Some(None), "{algorithm:?}");
        spec.add(&mut state, 4, NOW);
        let found = inspected(&take, &said(&state)).unwrap().unwrap();
        assert_eq!(found.status, spec.status(&state, 1, NOW), "{algorithm:?}");
        let ends = spec.forgettable_at(&state).millis_since(NOW);
        assert_eq!(found.expires_in_ms, ends, "{algorithm:?}");
    }
}

#[test]
fn grants_are_those_of_the_core() {
    let terms = Terms::new(1, 100, 5000, Start::Strict).unwrap();
    for algorithm in Algorithm::ALL {
        let spec = spec(algorithm);
        let earlier = UnixMillis(NOW.0 - 1000);
        let (mut state, mut ledger) = (spec.fresh(earlier), Ledger::default());
        spec.add(&mut state, 3, earlier);
        // A slice, the same again, another one, nothing; all that is left, and one too many.
        let mut resets = Vec::new();
        for (id, asked) in [(1, 4), (1, 4), (2, 9), (3, 0), (4, 9), (5, 9)] {
            assert!(spec.fits(&mut state, 0, NOW));
            let before = (numbers(&state), ledger.outstanding(NOW));
            let ask = Ask { id: LeaseId([id; 16]), asked };
            let expected = ledger.lend(&mut state, spec, &terms, ask, NOW);
            let taken = ledger.outstanding(NOW) - before.1;
            let head = [NOW.0, expected.granted, expected.life_ms, taken];
            let head = head.map(|number| i64::try_from(number).unwrap());
            let said = answer(&[head.to_vec(), before.0].concat());
            assert_eq!(grant(spec, &said), Some(expected), "{algorithm:?} {id}");
            resets.push((expected.remaining, expected.reset_ms));
        }
        assert_eq!(resets.first().map(|(remaining, _)| *remaining), Some(3), "{algorithm:?}");
        let [.., last] = resets.as_slice() else { panic!("six answers") };
        // Into a bucket one comes back every 6 s, and of the next 1 s has passed.
        let used_up = match algorithm {
            Algorithm::FixedWindow => 7655,
            Algorithm::SlidingWindow => 7655 + 6000,
            Algorithm::SlidingLog => 59_000,
            Algorithm::TokenBucket | Algorithm::Gcra => 5000,
        };
        assert_eq!(*last, (0, used_up), "{algorithm:?}: to the millisecond");
        assert_eq!(grant(spec, &answer(&[now(), 0, 0, 0])), None, "{algorithm:?}: cut off");
        assert_eq!(grant(spec, &Value::Okay), None);
    }
}

#[test]
fn anything_else_is_not_an_answer() {
    let limits = [ask(Algorithm::SlidingWindow, 1)];
    for numbers in [&[][..], &[0], &[3, 1], &[2, 1], &[0, 1, 1, 2, 3]] {
        assert_eq!(decision(&limits, false, &answer(numbers)), None, "{numbers:?}");
    }
    assert_eq!(decision(&limits, false, &Value::Okay), None);
    assert_eq!(decision(&limits, false, &Value::Array(vec![Value::Nil; 9])), None);
}
