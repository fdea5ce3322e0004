//! When reporters together say that a service fails, and what no liar brings about.

use proptest::prelude::*;

use super::*;
use crate::fleet::{RECENT_MS, judge};
use crate::{Reason, Report, Reporter, ReporterTotals, Totals, Window};

fn says(calls: u32, failures: u32, run: u32) -> ReporterTotals {
    ReporterTotals { totals: Totals { calls, failures, slow: 0 }, run, is_recent: calls > 0 }
}

#[test]
fn a_run_is_what_several_have_seen() {
    let settings = Settings { ratio: Some(Share::percent(50)), ..Settings::default() };
    let (failing, healthy) = (says(5, 5, 5), says(5, 0, 0));
    for (reporters, expected) in [
        (vec![], None),
        (vec![failing], None),
        (vec![failing, healthy], None),
        (vec![says(2, 2, 2), says(3, 3, 3)], None),
        (vec![says(3, 3, 3), says(3, 3, 3)], Some(Reason::Run)),
        (vec![failing, failing, healthy], None),
        (vec![failing, failing, failing, healthy], Some(Reason::Run)),
        (vec![says(1, 1, 1); 5], Some(Reason::Run)),
        (vec![says(1, 1, 1); 4], None),
        // Quiet ones count for how much fails, and not for how it is now.
        (vec![says(0, 0, 5), says(0, 0, 5)], None),
    ] {
        assert_eq!(judge(&reporters, &settings), expected, "{reporters:?}");
    }
    let alone = Settings { reporters: 1, ..settings };
    assert_eq!(judge(&[failing], &alone), Some(Reason::Run));
    assert_eq!(judge(&[failing, healthy], &alone), None, "as many say so as do not");
    assert_eq!(judge(&[says(4, 4, 4)], &alone), None);
}

#[test]
fn a_share_is_of_all_calls() {
    let ratio = Settings {
        failures: 0,
        ratio: Some(Share::percent(50)),
        slow: slow(80),
        ..Settings::default()
    };
    for (reporters, expected) in [
        (vec![says(10, 5, 0), says(10, 5, 1)], Some(Reason::Ratio)),
        (vec![says(10, 5, 0), says(9, 5, 1)], None),
        (vec![says(100, 100, 9), says(10, 4, 0)], None),
        (vec![says(100, 100, 9), says(9, 9, 9)], None),
        (vec![says(100, 100, 9), says(10, 5, 0)], Some(Reason::Ratio)),
        (vec![says(10, 6, 0), says(1_000, 400, 0)], None),
    ] {
        assert_eq!(judge(&reporters, &ratio), expected, "{reporters:?}");
    }
    let slow = Totals { calls: 10, failures: 0, slow: 8 };
    let slow = ReporterTotals { totals: slow, run: 0, is_recent: true };
    assert_eq!(judge(&[slow, slow], &ratio), Some(Reason::Slow));
}

#[test]
fn reporters_are_recent_for_a_while_and_then_forgotten() {
    let settings = Settings { window_ms: 10_000, ..SMALL };
    let mut reporter = Reporter::new(7, at(0));
    let report = Report { calls: 4, failures: 9, slow: 1, run: 3 };
    reporter.add(report, &settings, at(0));
    let said = reporter.totals(at(RECENT_MS));
    assert_eq!(said.totals, Totals { calls: 4, failures: 4, slow: 1 }, "no more than calls");
    assert_eq!((said.run, said.is_recent), (3, true));
    assert!(!reporter.totals(at(RECENT_MS + 1)).is_recent);
    // Being there is not calling.
    reporter.add(Report::default(), &settings, at(5_000));
    let said = reporter.totals(at(5_000));
    assert_eq!((said.run, said.is_recent, said.totals.calls), (3, false, 4));
    assert!(!reporter.is_forgotten(&settings, at(15_000)));
    assert!(reporter.is_forgotten(&settings, at(15_001)));
    assert!(reporter.is_forgotten(&settings, UnixMillis(START - 3_600_000)), "the clock was set");
    let mut window = Window::new();
    window.add(at(0), &settings, Totals { calls: 4, failures: 4, slow: 1 });
    let restored = Reporter::restored(7, at(5_000), Some(at(0)), 3, window);
    assert_eq!(restored, reporter);
    reporter.clear();
    assert_eq!((reporter.id(), reporter.totals(at(5_000))), (7, ReporterTotals::default()));
}

/// What a rule demands, tried with everybody left out in turn.
fn for_all_rests(
    reporters: &[ReporterTotals],
    left_out: u32,
    holds: impl Fn(&[ReporterTotals]) -> bool,
) -> bool {
    (0_u32..1 << reporters.len()).all(|set| {
        let is_left_out = |at: usize| set & (1 << at) != 0;
        let rest = reporters.iter().enumerate().filter(|(at, _)| !is_left_out(*at));
        let rest: Vec<ReporterTotals> = rest.map(|(_, one)| *one).collect();
        set.count_ones() != left_out || holds(&rest)
    })
}

/// Whether these say by themselves that the service fails in a row, to half of what is asked for.
fn run_holds(rest: &[ReporterTotals], failures: u32) -> bool {
    let sum: u64 = rest.iter().map(|one| u64::from(one.run)).sum();
    let recent: Vec<bool> =
        rest.iter().filter(|one| one.is_recent).map(|one| one.run >= 1).collect();
    let failing = recent.iter().filter(|failing| **failing).count();
    sum * 2 >= u64::from(failures) && failing * 2 > recent.len()
}

/// Which of the calls.
type Part = fn(&Totals) -> u32;
const FAILURES: Part = |totals| totals.failures;
const SLOW: Part = |totals| totals.slow;

/// The same of a share.
fn share_holds(rest: &[ReporterTotals], share: Share, minimum: u32, of: Part) -> bool {
    let calls: u128 = rest.iter().map(|one| u128::from(one.totals.calls)).sum();
    let part: u128 = rest.iter().map(|one| u128::from(of(&one.totals))).sum();
    calls * 2 >= u128::from(minimum) && part * 1_000_000 >= calls * u128::from(share.0)
}

fn naive(reporters: &[ReporterTotals], settings: &Settings) -> Option<Reason> {
    let left_out = settings.reporters - 1;
    if u32::try_from(reporters.len()).unwrap() <= left_out {
        return None;
    }
    let failures = settings.failures;
    let all: u64 = reporters.iter().map(|one| u64::from(one.run.min(failures))).sum();
    if failures > 0
        && all >= u64::from(failures)
        && for_all_rests(reporters, left_out, |rest| run_holds(rest, failures))
    {
        return Some(Reason::Run);
    }
    let share = |share: Share, of: Part| {
        let minimum = settings.minimum;
        share_holds(reporters, share, minimum * 2, of)
            && for_all_rests(reporters, left_out, |rest| share_holds(rest, share, minimum, of))
    };
    match (settings.ratio, settings.slow) {
        (Some(ratio), _) if share(ratio, FAILURES) => Some(Reason::Ratio),
        (_, Some(rule)) if share(rule.share, SLOW) => Some(Reason::Slow),
        _ => None,
    }
}

fn reporter() -> impl Strategy<Value = ReporterTotals> {
    let fails = prop_oneof![Just(0_u32), Just(100), 0..=100_u32];
    (0..30_u32, fails.clone(), fails, 0..6_u32, any::<bool>()).prop_map(
        |(calls, failures, slow, run, is_recent)| {
            let part = |percent: u32| calls * percent / 100;
            let totals = Totals { calls, failures: part(failures), slow: part(slow) };
            ReporterTotals { totals, run, is_recent }
        },
    )
}

fn liar() -> impl Strategy<Value = ReporterTotals> {
    let number = || prop_oneof![Just(0_u32), Just(1), Just(u32::MAX), 0..100_u32, any::<u32>()];
    (number(), number(), number(), number(), any::<bool>()).prop_map(
        |(calls, failures, slow, run, is_recent)| {
            // What a window makes of it.
            let totals = Totals { calls, failures: failures.min(calls), slow: slow.min(calls) };
            ReporterTotals { totals, run, is_recent }
        },
    )
}

fn any_settings(reporters: core::ops::Range<u32>) -> impl Strategy<Value = Settings> {
    let share = || prop::option::of(prop_oneof![1..=1_000_000_u32, Just(500_000_u32)]);
    (0..8_u32, share(), share(), 1..40_u32, reporters).prop_map(
        |(failures, ratio, slow, minimum, reporters)| Settings {
            failures,
            ratio: ratio.map(Share),
            slow: slow.map(|share| Slow { over_ms: 1, share: Share(share) }),
            minimum,
            reporters,
            ..SMALL
        },
    )
}

/// Whether honest reporters, by themselves, do not say that it fails.
fn are_healthy(honest: &[ReporterTotals], settings: &Settings) -> bool {
    let fails = settings.failures > 0 && run_holds(honest, settings.failures);
    let by = |share: Share, of: Part| share_holds(honest, share, settings.minimum, of);
    let ratio = settings.ratio.is_some_and(|share| by(share, FAILURES));
    let slow = settings.slow.is_some_and(|rule| by(rule.share, SLOW));
    !fails && !ratio && !slow
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_worst_case_is_found_without_trying_all(
        reporters in prop::collection::vec(reporter(), 0..7),
        settings in any_settings(1..5),
    ) {
        prop_assert_eq!(judge(&reporters, &settings), naive(&reporters, &settings));
    }

    #[test]
    fn one_liar_opens_nothing_for_those_who_are_healthy(
        honest in prop::collection::vec(reporter(), 0..8),
        liar in liar(),
        place in any::<prop::sample::Index>(),
        settings in any_settings(2..3),
    ) {
        if !are_healthy(&honest, &settings) {
            return Ok(());
        }
        let mut all = honest;
        all.insert(place.index(all.len() + 1), liar);
        prop_assert_eq!(judge(&all, &settings), None);
    }

    #[test]
    fn nor_do_as_many_as_were_thought_of(
        honest in prop::collection::vec(reporter(), 0..8),
        liars in prop::collection::vec(liar(), 0..5),
    ) {
        let reporters = u32::try_from(liars.len()).unwrap() + 1;
        for failures in [0, 1, 5] {
            let ratio = Some(Share::percent(50));
            let settings = Settings { failures, ratio, minimum: 20, reporters, ..SMALL };
            if are_healthy(&honest, &settings) {
                let all = [honest.clone(), liars.clone()].concat();
                prop_assert_eq!(judge(&all, &settings), None);
            }
        }
    }

    #[test]
    fn whatever_is_reported_is_judged(
        reports in prop::collection::vec(
            (0..4_u64, any::<u64>(), any::<[u32; 4]>()), 0..40),
        settings in any_settings(0..5),
        now in any::<u64>(),
    ) {
        let mut reporters: Vec<Reporter> =
            (0..4).map(|id| Reporter::new(id, UnixMillis(0))).collect();
        for (id, now, [calls, failures, slow, run]) in reports {
            let report = Report { calls, failures, slow, run };
            let reporter = reporters.iter_mut().find(|reporter| reporter.id() == id).unwrap();
            reporter.add(report, &settings, UnixMillis(now));
        }
        let said: Vec<ReporterTotals> =
            reporters.iter().map(|reporter| reporter.totals(UnixMillis(now))).collect();
        let _ = judge(&said, &settings);
    }
}
