//! What an own breaker does, in a few stories.

use super::*;
use crate::{Admission, Breaker, Reason, State, Totals, Transition, Verdict};

const FAILURE: Verdict = Verdict::Failure { slow: false };
const SUCCESS: Verdict = Verdict::Success { slow: false };

fn open(settings: &Settings) -> Breaker {
    let mut breaker = Breaker::default();
    while breaker.state(at(0)) == State::Closed {
        breaker.record(settings, FAILURE, at(0), 0);
    }
    breaker
}

#[test]
fn after_five_failures_the_sixth_call_is_refused() {
    let (settings, mut breaker) = (Settings::default(), Breaker::default());
    for call in 0..5 {
        assert_eq!(breaker.admit(&settings, at(call), 0), Admission::Pass);
        let moved = breaker.record(&settings, FAILURE, at(call), 1 << 31);
        assert_eq!(moved.is_some(), call == 4);
    }
    let refused = Admission::Refused { retry_after_ms: 60_000 };
    assert_eq!(breaker.admit(&settings, at(4), 0), refused);
    assert_eq!((breaker.run(), breaker.totals(at(4)).failures), (5, 5));
}

#[test]
fn a_share_counts_from_its_minimum_on() {
    let settings = Settings { ratio: Some(Share::percent(50)), ..Settings::default() };
    let mut breaker = Breaker::default();
    for call in 0..19 {
        let verdict = if call % 2 == 0 { FAILURE } else { SUCCESS };
        assert_eq!(breaker.record(&settings, verdict, at(call), 0), None, "{call}");
    }
    let moved = breaker.record(&settings, SUCCESS, at(19), 0).map(|moved| moved.reason);
    assert_eq!(moved, Some(Reason::Ratio), "ten of twenty, though the last one came through");
}

#[test]
fn calls_that_were_noted_down_count_for_shares_and_end_no_run() {
    let settings = Settings { slow: slow(50), minimum: 4, ..SMALL };
    let mut breaker = Breaker::default();
    let add = |breaker: &mut Breaker, calls, slow| {
        let totals = Totals { calls, failures: 0, slow };
        breaker.add(&settings, totals, at(1), 0).map(|moved| moved.reason)
    };
    breaker.record(&settings, FAILURE, at(0), 0);
    assert_eq!(add(&mut breaker, 2, 1), None);
    assert_eq!((breaker.run(), breaker.totals(at(1)).calls), (1, 3));
    assert_eq!(add(&mut breaker, 1, 1), Some(Reason::Slow));
    assert_eq!(add(&mut breaker, 100, 0), None, "it is open");
    assert_eq!(breaker.totals(at(1)).calls, 4);
}

#[test]
fn each_failed_recovery_doubles_the_next() {
    let mut breaker = open(&SMALL);
    let mut now = 0;
    for wait in [300, 600, 1_000, 1_000] {
        let refused = Admission::Refused { retry_after_ms: wait };
        assert_eq!(breaker.admit(&SMALL, at(now), 0), refused);
        now += wait;
        assert_eq!(breaker.admit(&SMALL, at(now), 0), Admission::Probe);
        let failed =
            Transition { from: State::HalfOpen, to: State::Open, reason: Reason::ProbeFailed };
        assert_eq!(breaker.record(&SMALL, FAILURE, at(now), 0), Some(failed));
    }
    now += 1_000;
    assert_eq!(breaker.admit(&SMALL, at(now), 0), Admission::Probe);
    let closed = Transition { from: State::HalfOpen, to: State::Closed, reason: Reason::Recovered };
    assert_eq!(breaker.record(&SMALL, SUCCESS, at(now), 0), Some(closed));
    assert_eq!(breaker, Breaker::default());
}

#[test]
fn a_lost_probe_is_followed_by_another() {
    let mut breaker = open(&SMALL);
    assert_eq!(breaker.admit(&SMALL, at(300), 0), Admission::Probe);
    assert_eq!(breaker.record(&SMALL, Verdict::Ignored, at(310), 0), None);
    assert_eq!(breaker.admit(&SMALL, at(499), 0), Admission::Refused { retry_after_ms: 1 });
    assert_eq!(breaker.retry_after_ms(&SMALL, at(500)), 0);
    assert_eq!(breaker.admit(&SMALL, at(500), 0), Admission::Probe);
}

#[test]
fn a_slow_probe_has_failed_where_slowness_counts() {
    for (slow, state) in [(None, State::Closed), (slow(50), State::Open)] {
        let settings = Settings { slow, ..SMALL };
        let mut breaker = open(&settings);
        assert_eq!(breaker.admit(&settings, at(300), 0), Admission::Probe);
        breaker.record(&settings, Verdict::Success { slow: true }, at(300), 0);
        assert_eq!(breaker.state(at(300)), state);
    }
}

#[test]
fn what_began_before_it_opened_decides_nothing() {
    let settings = Settings { probes: Probes { successes: 3, ..SMALL.probes }, ..SMALL };
    let mut breaker = open(&settings);
    assert_eq!(breaker.record(&settings, SUCCESS, at(1), 0), None);
    assert_eq!(breaker.admit(&settings, at(300), 0), Admission::Probe);
    for _ in 0..9 {
        assert_eq!(breaker.record(&settings, SUCCESS, at(301), 0), None, "one probe, one outcome");
    }
    assert_eq!(breaker.state(at(301)), State::HalfOpen);
}

#[test]
fn a_probe_of_the_servers_passes_once_its_time_has_come() {
    let mut breaker = open(&SMALL);
    assert!(!breaker.grant(&SMALL, at(299)));
    assert!(breaker.grant(&SMALL, at(300)));
    let refused = Admission::Refused { retry_after_ms: 200 };
    assert_eq!(breaker.admit(&SMALL, at(300), 0), refused, "it is the interval's");
    assert!(breaker.grant(&SMALL, at(301)), "whoever gives them out counts them");
    assert!(breaker.record(&SMALL, SUCCESS, at(302), 0).is_some());
    assert!(breaker.grant(&SMALL, at(303)));
    assert_eq!(breaker, Breaker::default(), "closed, there is nothing to count");
}

#[test]
fn a_clock_that_went_back_keeps_nobody_waiting() {
    const HOUR: u64 = 3_600_000;
    let back = UnixMillis(START - HOUR);
    let mut breaker = open(&SMALL);
    assert_eq!(breaker.admit(&SMALL, back, 0), Admission::Refused { retry_after_ms: 300 });
    let later = UnixMillis(back.0 + 300);
    assert_eq!(breaker.admit(&SMALL, later, 0), Admission::Probe);
    let back = UnixMillis(back.0 - HOUR);
    assert_eq!(breaker.admit(&SMALL, back, 0), Admission::Refused { retry_after_ms: 200 });
    let later = UnixMillis(back.0 + 200);
    assert_eq!(breaker.admit(&SMALL, later, 0), Admission::Probe);
    // And one that went forward lets a probe go early.
    let mut breaker = open(&SMALL);
    assert_eq!(breaker.admit(&SMALL, at(HOUR), 0), Admission::Probe);
}
