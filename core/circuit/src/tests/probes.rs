//! How many probes go, whatever is asked and whenever.

use proptest::prelude::*;

use super::*;
use crate::{Admission, Breaker, Gate, Reason, Verdict, recovery_ms};

#[test]
fn an_interval_is_as_long_as_it_is_said_to_be() {
    let mut gate = Gate::default();
    assert_eq!(gate.interval_ends(&SMALL), None);
    gate.open(&SMALL, Reason::Run, at(0), 0).unwrap();
    assert_eq!(gate.interval_ends(&SMALL), None);
    for (begins, ends) in [(300, 500), (501, 701)] {
        assert_eq!(gate.admit(&SMALL, at(begins), 0), Admission::Probe);
        assert_eq!(gate.interval_ends(&SMALL), Some(at(ends)));
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(u64),
    Ask,
    Told(Verdict),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let told = prop_oneof![
        Just(Verdict::Ignored),
        any::<bool>().prop_map(|slow| Verdict::Success { slow }),
        any::<bool>().prop_map(|slow| Verdict::Failure { slow }),
    ];
    let step = prop_oneof![
        4 => (0..400_u64).prop_map(Step::Wait),
        8 => Just(Step::Ask),
        3 => told.prop_map(Step::Told),
    ];
    prop::collection::vec(step, 0..400)
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let recovery = (1..2_000_u64, 1..4_000_u64, 0..=1_000_000_u32);
    let probes = (1..5_u32, 1..1_500_u64, 1..4_u32);
    (0..4_u32, prop::option::of(0..=1_000_000_u32), recovery, probes).prop_map(
        |(failures, ratio, recovery, probes)| Settings {
            failures,
            ratio: ratio.map(Share),
            recovery: Recovery {
                first_ms: recovery.0,
                longest_ms: recovery.1,
                jitter: Share(recovery.2),
            },
            probes: Probes { per_interval: probes.0, interval_ms: probes.1, successes: probes.2 },
            ..SMALL
        },
    )
}

proptest! {
    /// An interval begins with a probe, and the next one with the first probe after its end.
    #[test]
    fn no_interval_has_more_probes_than_it_may(
        settings in any_settings(),
        steps in steps(),
        random in any::<u32>(),
    ) {
        let (mut breaker, mut now) = (Breaker::default(), START);
        let (mut began, mut count) = (0, 0);
        for step in steps {
            match step {
                Step::Wait(ms) => now += ms,
                Step::Ask => {
                    if breaker.admit(&settings, UnixMillis(now), random) == Admission::Probe {
                        if now - began >= settings.probes.interval_ms {
                            (began, count) = (now, 0);
                        }
                        count += 1;
                        prop_assert!(count <= settings.probes.per_interval);
                    }
                }
                Step::Told(verdict) => {
                    let moved = breaker.record(&settings, verdict, UnixMillis(now), random);
                    if moved.is_some_and(|moved| moved.reason == Reason::Recovered) {
                        // All may pass: there is nothing to count until it opens again.
                        (began, count) = (0, 0);
                    }
                }
            }
        }
    }

    #[test]
    fn nobody_waits_longer_than_the_longest_recovery_whatever_the_clock_does(
        settings in any_settings(),
        steps in steps(),
        clocks in prop::collection::vec(prop_oneof![any::<u64>(), START..START + 5_000], 1..9),
        random in any::<u32>(),
    ) {
        let mut breaker = Breaker::default();
        let longest = recovery_ms(settings.recovery, u8::MAX, u32::MAX);
        let longest = longest.max(2 * settings.probes.interval_ms);
        for (number, step) in steps.into_iter().enumerate() {
            let now = UnixMillis(clocks[number / 50 % clocks.len()]);
            match step {
                Step::Wait(_) => {
                    let told = breaker.retry_after_ms(&settings, now);
                    prop_assert!(told <= longest);
                }
                Step::Ask => {
                    let said = breaker.admit(&settings, now, random);
                    if let Admission::Refused { retry_after_ms } = said {
                        prop_assert!((1..=longest).contains(&retry_after_ms));
                    }
                }
                Step::Told(verdict) => {
                    breaker.record(&settings, verdict, now, random);
                }
            }
        }
    }
}

#[test]
fn of_two_hundred_callers_at_once_one_is_the_probe() {
    let mut breaker = Breaker::default();
    for _ in 0..2 {
        breaker.record(&SMALL, Verdict::Failure { slow: false }, at(0), 0);
    }
    let asked = (0..200).map(|_| breaker.admit(&SMALL, at(300), 0));
    assert_eq!(asked.filter(|said| *said == Admission::Probe).count(), 1);
}
