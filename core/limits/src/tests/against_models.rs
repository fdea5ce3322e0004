//! Decisions and what remains, compared with the models.

use super::*;

use super::models::{self, Passed};

/// Asks the limit and its model the same.
fn compare(spec: Spec, requests: &[(u64, u64)]) -> Result<(), TestCaseError> {
    let mut state = spec.fresh(UnixMillis(START));
    let (mut now, mut passed) = (START, Vec::<Passed>::new());
    for (step, cost) in requests {
        now += step;
        let room = models::remaining(spec, &passed, now);
        let outcome = spec.take(&mut state, *cost, UnixMillis(now));
        prop_assert_eq!(outcome.allowed, *cost <= room, "{} of {} at {}", cost, room, now);
        let left = if outcome.allowed { room - cost } else { room };
        prop_assert_eq!(outcome.status.remaining, left, "after {} at {}", cost, now);
        if outcome.allowed && *cost > 0 {
            passed.push((now, *cost));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn small_limits_are_as_their_models_say(spec in small_spec(), requests in requests()) {
        compare(spec, &requests)?;
    }

    #[test]
    fn all_limits_are_as_their_models_say(spec in any_spec(), shares in shares()) {
        compare(spec, &scaled(spec, &shares))?;
    }

    #[test]
    fn calendar_months_are_as_their_model_says(
        requests in 1_u64..10,
        hits in prop::collection::vec((0_u64..900_000_000, 0_u64..4), 1..40),
    ) {
        let rate = Rate::monthly(requests).unwrap();
        let spec = Spec::new(Algorithm::FixedWindow, rate, None, Anchor::Clock).unwrap();
        compare(spec, &hits)?;
    }

    /// One is a level that rises, the other a time that draws near.
    #[test]
    fn gcra_is_a_token_bucket(
        (requests, period_ms, burst) in (1_u64..30, 1_u64..4000, 1_u64..40),
        hits in requests(),
    ) {
        let [bucket, gcra] = [Algorithm::TokenBucket, Algorithm::Gcra]
            .map(|algorithm| spec_of(algorithm, requests, period_ms, burst, false));
        let mut now = START;
        let mut level = bucket.fresh(UnixMillis(now));
        let mut time = gcra.fresh(UnixMillis(now));
        for (step, cost) in hits {
            now += step;
            let expected = bucket.take(&mut level, cost, UnixMillis(now));
            prop_assert_eq!(gcra.take(&mut time, cost, UnixMillis(now)), expected);
            if expected.allowed && cost % 3 == 2 {
                bucket.give_back(&mut level, 1, UnixMillis(now));
                gcra.give_back(&mut time, 1, UnixMillis(now));
            }
            let full_at = bucket.forgettable_at(&level).0.max(now);
            prop_assert_eq!(gcra.forgettable_at(&time).0.max(now), full_at);
        }
    }

    /// The log of a clock that lags behind itself by less than a period: what came late counts
    /// as having come with the newest.
    #[test]
    fn a_log_of_an_unsteady_clock_is_as_its_model_says(
        (requests, period_ms) in (1_u64..30, 1_u64..4000),
        hits in prop::collection::vec((-2000_i64..2500, 0_u64..4), 1..200),
    ) {
        let spec = spec_of(Algorithm::SlidingLog, requests, period_ms, 1, false);
        let mut state = spec.fresh(UnixMillis(START));
        let (mut now, mut passed) = (START, Vec::<Passed>::new());
        for (step, cost) in hits {
            let newest = passed.last().map_or(0, |(at, _)| *at);
            now = now.saturating_add_signed(step).max(newest.saturating_sub(period_ms));
            let counted: u64 =
                passed.iter().filter(|(at, _)| at + period_ms > now).map(|(_, cost)| cost).sum();
            let outcome = spec.take(&mut state, cost, UnixMillis(now));
            // What has left stays out, though the clock goes back to when it was still there.
            passed.retain(|(at, _)| at + period_ms > now);
            prop_assert_eq!(outcome.allowed, cost <= requests - counted);
            if outcome.allowed && cost > 0 {
                passed.push((now.max(newest), cost));
            }
        }
    }

    /// The bucket of such a clock: for it, time stands still until it has caught up.
    #[test]
    fn a_bucket_of_an_unsteady_clock_waits_for_it(
        (requests, period_ms, burst) in (1_u64..30, 1_u64..4000, 1_u64..40),
        hits in prop::collection::vec((-2000_i64..2500, 0_u64..4), 1..200),
    ) {
        let spec = spec_of(Algorithm::TokenBucket, requests, period_ms, burst, false);
        let mut state = spec.fresh(UnixMillis(START));
        let (mut now, mut latest, mut passed) = (START, START, Vec::<Passed>::new());
        for (step, cost) in hits {
            now = now.saturating_add_signed(step).max(latest - period_ms);
            latest = latest.max(now);
            let room = models::remaining(spec, &passed, latest);
            let outcome = spec.take(&mut state, cost, UnixMillis(now));
            prop_assert_eq!(outcome.allowed, cost <= room);
            if outcome.allowed && cost > 0 {
                passed.push((latest, cost));
            }
        }
    }
}
