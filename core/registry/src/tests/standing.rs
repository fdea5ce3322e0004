use postern_request::UnixMillis;
use proptest::prelude::*;

use super::{NOW, check, later};
use crate::standing::{LONGEST_PAUSE, TENTHS, spread};
use crate::{Check, Health, Outcome, Standing};

const PASSED: Outcome = Outcome::Passed { took_ms: 8 };

fn at(health: Health) -> Standing {
    Standing { health, since: NOW, last_check: Some(NOW), ..Standing::default() }
}

fn times(standing: Standing, outcome: Outcome, count: u32) -> Standing {
    (0..count).fold(standing, |standing, _| standing.after(&check(), outcome, later(1)))
}

#[test]
fn every_state_and_outcome_has_its_next_state() {
    use Health::{Healthy, Recovering, Unhealthy, Unknown};
    for (from, outcome, after_ms, expected) in [
        (Unknown, PASSED, 1, Healthy),
        (Unknown, Outcome::Failed, 1, Unhealthy),
        (Healthy, PASSED, 1, Healthy),
        (Healthy, Outcome::Failed, 1, Healthy),
        (Unhealthy, PASSED, 1, Recovering),
        (Unhealthy, Outcome::Failed, 1, Unhealthy),
        (Recovering, PASSED, 59_999, Recovering),
        (Recovering, PASSED, 60_000, Healthy),
        (Recovering, Outcome::Failed, 1, Unhealthy),
    ] {
        let now = later(after_ms);
        let next = at(from).after(&check(), outcome, now);
        assert_eq!(next.health, expected, "{from:?} {outcome:?}");
        let since = if from == expected { NOW } else { now };
        assert_eq!((next.since, next.last_check), (since, Some(now)), "{from:?} {outcome:?}");
    }
}

#[test]
fn only_failures_in_a_row_make_it_unhealthy() {
    let four = times(at(Health::Healthy), Outcome::Failed, 4);
    assert_eq!((four.health, four.failures), (Health::Healthy, 4));
    let again = times(four, PASSED, 1);
    assert_eq!(again.failures, 0);
    assert_eq!(times(again, Outcome::Failed, 4).health, Health::Healthy);
    let five = times(four, Outcome::Failed, 1);
    assert_eq!((five.health, five.attempts), (Health::Unhealthy, 1));
}

#[test]
fn it_is_left_alone_for_twice_as_long_each_time() {
    let mut standing = times(at(Health::Healthy), Outcome::Failed, 5);
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let last = standing.last_check.unwrap();
        pauses.push(standing.due_at(&check(), 0).millis_since(last) / 60_000);
        standing = standing.after(&check(), Outcome::Failed, last);
    }
    assert_eq!(pauses, [1, 2, 4, 8, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]);
    // Who fails while it recovers has not recovered; who has, begins anew.
    let recovering = standing.after(&check(), PASSED, NOW);
    assert_eq!(recovering.after(&check(), Outcome::Failed, NOW).attempts, standing.attempts);
    let healthy = recovering.after(&check(), PASSED, later(60_000));
    assert_eq!((healthy.health, healthy.attempts), (Health::Healthy, 0));
}

#[test]
fn checks_that_began_together_do_not_stay_together() {
    let due = |name: &str| {
        let standing = at(Health::Healthy);
        standing.due_at(&check(), spread(name, standing.last_check)).millis_since(NOW)
    };
    let all: Vec<u64> = (0..50).map(|number| due(&format!("shop-{number}"))).collect();
    assert!(all.iter().all(|apart| (30_000..33_000).contains(apart)), "{all:?}");
    let mut different = all.clone();
    different.sort_unstable();
    different.dedup();
    assert!(different.len() > 40, "{all:?}");
    assert_eq!(due("shop-1"), due("shop-1"));
    assert_eq!(Standing::new(NOW).due_at(&check(), 7), NOW, "the first one at once");
}

#[test]
fn a_weight_comes_back_by_tenths() {
    let standing = at(Health::Recovering);
    let mut now = NOW;
    let mut tenths = vec![standing.tenths(Some(&check()), now)];
    while let Some(next) = standing.next_step(Some(&check()), now) {
        assert_eq!(
            standing.tenths(Some(&check()), UnixMillis(next.0 - 1)),
            *tenths.last().unwrap()
        );
        now = next;
        tenths.push(standing.tenths(Some(&check()), now));
    }
    assert_eq!(tenths, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert!(now.millis_since(NOW).abs_diff(60_000) < 10, "{now:?}");
    for (health, expected) in [(Health::Unknown, 1), (Health::Healthy, 10), (Health::Unhealthy, 10)]
    {
        assert_eq!(at(health).tenths(Some(&check()), NOW), expected, "{health:?}");
        assert_eq!(at(health).next_step(Some(&check()), NOW), None);
    }
    assert_eq!(at(Health::Unknown).tenths(None, NOW), TENTHS, "it is taken at its word");
}

#[test]
fn answers_are_smoothed_and_names_are_read_as_they_are_written() {
    let first = at(Health::Unknown).after(&check(), Outcome::Passed { took_ms: 80 }, NOW);
    assert_eq!(first.response_ms, 80);
    let second = first.after(&check(), Outcome::Passed { took_ms: 800 }, NOW);
    assert_eq!(second.response_ms, 170);
    for health in Health::ALL {
        assert_eq!(Health::parse(health.as_str()), Some(health));
    }
    assert_eq!(Health::parse("HEALTHY"), None);
}

proptest! {
    /// Whatever happens: a check that passes is never answered by less health, one that fails
    /// never by more, and every number stays within its bounds.
    #[test]
    fn no_history_leads_out_of_bounds(
        steps in proptest::collection::vec((any::<bool>(), 0_u64..600_000, any::<u32>()), 0..60),
        threshold in 1_u32..6,
        recovery_ms in 1_000_u64..200_000,
    ) {
        let check = Check { threshold, recovery_ms, ..check() };
        let (mut standing, mut now) = (Standing::new(NOW), NOW);
        for (passes, apart, took_ms) in steps {
            now = UnixMillis(now.0 + apart);
            let outcome = if passes { Outcome::Passed { took_ms } } else { Outcome::Failed };
            let next = standing.after(&check, outcome, now);
            prop_assert!(!passes || next.health != Health::Unhealthy);
            prop_assert!(passes || next.health != Health::Recovering);
            prop_assert!(passes || standing.health == Health::Healthy || next.health == Health::Unhealthy);
            prop_assert!((1..=TENTHS).contains(&next.tenths(Some(&check), now)));
            let pause = next.due_at(&check, u64::MAX).millis_since(now);
            prop_assert!(pause <= (recovery_ms * LONGEST_PAUSE).max(check.interval_ms) * 11 / 10);
            prop_assert!(next.since <= now);
            standing = next;
        }
    }
}
