//! Every algorithm against the same demands: random requests, random clocks, random states.

mod against_models;
mod bounds;
mod clocks;
mod models;
mod robust;
mod standing;

use proptest::prelude::*;
use proptest::sample::select;

use postern_request::UnixMillis;

use crate::rate::{MAX_PERIOD_MS, MAX_REQUESTS};
use crate::sliding_log::MAX_LOG;
use crate::{Algorithm, Anchor, Rate, Spec, State};

/// When requests begin to come: some time in 2023.
const START: u64 = 1_700_000_000_000;

fn spec_of(
    algorithm: Algorithm,
    requests: u64,
    period_ms: u64,
    burst: u64,
    first_hit: bool,
) -> Spec {
    let rate = Rate::new(requests, period_ms).unwrap();
    let burst = algorithm.has_burst().then_some(burst);
    let first_hit = first_hit && algorithm == Algorithm::FixedWindow;
    let anchor = if first_hit { Anchor::FirstHit } else { Anchor::Clock };
    Spec::new(algorithm, rate, burst, anchor).unwrap()
}

fn any_algorithm() -> impl Strategy<Value = Algorithm> {
    select(Algorithm::ALL.to_vec())
}

/// Small numbers: many windows pass, and limits are met, in a short test.
fn small_spec() -> impl Strategy<Value = Spec> {
    (any_algorithm(), 1_u64..30, 1_u64..4000, 1_u64..40, any::<bool>())
        .prop_map(|(a, requests, period, burst, hit)| spec_of(a, requests, period, burst, hit))
}

/// All that may be written, the largest numbers included.
fn any_spec() -> impl Strategy<Value = Spec> {
    let number = |most: u64| prop_oneof![1 => Just(most), 2 => 1..=most, 1 => 1..=most.min(100)];
    (
        any_algorithm(),
        number(MAX_REQUESTS),
        number(MAX_PERIOD_MS),
        number(MAX_REQUESTS),
        any::<bool>(),
    )
        .prop_map(|(algorithm, requests, period_ms, burst, first_hit)| {
            let is_log = algorithm == Algorithm::SlidingLog;
            let requests = if is_log { requests.min(MAX_LOG) } else { requests };
            spec_of(algorithm, requests, period_ms, burst, first_hit)
        })
}

/// One request after the other: milliseconds since the one before, and costs.
fn requests() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let step = prop_oneof![3 => 0_u64..100, 1 => 0_u64..3000];
    let cost = prop_oneof![3 => 0_u64..3, 1 => 0_u64..20];
    prop::collection::vec((step, cost), 1..200)
}

/// The same in thousandths of what a limit is about: of its period, and of its capacity.
fn shares() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let step = prop_oneof![3 => 0_u64..100, 1 => 0_u64..2000];
    let cost = prop_oneof![3 => 0_u64..100, 1 => 0_u64..1001];
    prop::collection::vec((step, cost), 1..150)
}

/// What `shares` are for this limit.
fn scaled(spec: Spec, shares: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let share = |whole: u64, thousandths: u64| {
        u64::try_from(u128::from(whole) * u128::from(thousandths) / 1000).unwrap()
    };
    let scale = |(step, cost): &(u64, u64)| {
        (share(spec.rate().period_ms(), *step), share(spec.capacity(), *cost))
    };
    shares.iter().map(scale).collect()
}

/// Requests by a clock that steps both ways, by a little or by a lot.
fn stepping_requests() -> impl Strategy<Value = Vec<(i64, u64)>> {
    let step = prop_oneof![
        6 => 0_i64..300,
        1 => -300_i64..0,
        1 => -4000_i64..4000,
        1 => -200_000_i64..200_000,
    ];
    prop::collection::vec((step, 0_u64..6), 0..60)
}

/// Requests by a clock that never goes back.
fn steady_requests() -> impl Strategy<Value = Vec<(i64, u64)>> {
    prop::collection::vec((0_i64..300, 0_u64..6), 0..60)
}

/// The state of a key after these requests, and the time then.
fn after(spec: Spec, requests: &[(i64, u64)]) -> (State, u64) {
    let (mut state, mut now) = (spec.fresh(UnixMillis(START)), START);
    for (step, cost) in requests {
        now = now.saturating_add_signed(*step);
        spec.take(&mut state, *cost, UnixMillis(now));
    }
    // As of now, whatever the last request was.
    spec.fits(&mut state, 0, UnixMillis(now));
    (state, now)
}

/// What fits at `now`.
fn remaining(spec: Spec, state: &State, now: u64) -> u64 {
    spec.status(state, 1, UnixMillis(now)).remaining
}
