//! Servers that do not answer, and clocks that jump.

use super::*;

/// Limits of which each of twenty Envoys may have a share of a hundred, by what holds while no
/// leases can be had.
fn when_it_fails(how: &str) -> Document {
    gateway(
        &format!(
            r#""l": {{"key": ["ip"], "rate": "2000/1m", "mode": "leased",
                      "when_store_fails": "{how}", "lease": {{"sidecars": 20, {STRICT}}}}}"#
        ),
        r#""l""#,
    )
}

#[test]
fn while_no_leases_can_be_had_the_document_decides() {
    for (how, passing, status) in [("allow", 150, 0), ("deny", 0, 503), ("local_share", 100, 429)] {
        let mut process = Process::new(when_it_fails(how), 2);
        process.ends = Ends::Lost;
        process.ask(1, CLIENT);
        process.ticks(20);
        let early = process.ask(1, CLIENT);
        assert_eq!((early.dry, early.fallbacks), (1, 0), "{how}: it may still answer");
        assert_eq!(early.denial.unwrap().code.status(), 429);
        process.ticks(12);
        // Also for who has not been here before.
        for client in [CLIENT, "192.0.2.77"] {
            let verdicts: Vec<Verdict> = (0..150).map(|_| process.ask(1, client)).collect();
            assert!(verdicts.iter().all(|said| (said.dry, said.fallbacks) == (0, 1)), "{how}");
            let passed = verdicts.iter().filter(|said| said.denial.is_none());
            assert_eq!(passed.count(), passing, "{how}");
            let denied = verdicts.into_iter().find_map(|said| said.denial);
            assert_eq!(denied.map_or(0, |denial| denial.code.status()), status, "{how}");
        }
    }
}

#[test]
fn what_was_lent_before_is_spent_first() {
    let mut process = Process::new(when_it_fails("deny"), 1);
    let left = usize::try_from(process.lend()).unwrap();
    process.ends = Ends::Lost;
    process.ask(0, "192.0.2.2");
    process.ticks(35);
    assert_eq!(process.passed(0, 1), 1, "{left} were there");
    assert_eq!(process.ask(0, "192.0.2.2").fallbacks, 1);
}

#[test]
fn what_is_counted_locally_settles_too() {
    let text = r#""l": {"key": ["ip"], "rate": "2000/1m", "mode": "leased", "skip": "failed",
                        "lease": {"sidecars": 20, "start": "strict"}}"#;
    let mut process = Process::new(gateway(text, r#""l""#), 1);
    process.ends = Ends::Lost;
    process.ask(0, CLIENT);
    process.ticks(35);
    let mut first = process.ask(0, CLIENT);
    assert_eq!((first.denial.is_none(), first.fallbacks), (true, 1));
    assert_eq!(process.passed(0, 200), 99);
    first.ticket.settle(&process.shared, false, process.wall());
    assert_eq!(process.passed(0, 200), 1);
}

#[test]
fn a_limit_that_is_used_up_stays_so_while_nobody_answers() {
    let mut process = Process::new(when_it_fails("allow"), 1);
    process.server.nothing_of = Some("l");
    process.ask(0, CLIENT);
    process.tick();
    process.ends = Ends::Lost;
    process.ask(0, "192.0.2.2");
    process.ticks(60);
    let verdict = process.ask(0, CLIENT);
    assert_eq!((verdict.dry, verdict.fallbacks), (1, 0));
    assert_eq!(verdict.denial.unwrap().code.status(), 429);
    process.ticks(300);
    assert_eq!(process.ask(0, CLIENT).fallbacks, 1, "there may be room by now");
}

#[test]
fn what_cannot_be_had_just_now_is_asked_for_in_its_turn() {
    let mut process = Process::new(when_it_fails("allow"), 1);
    process.server.full = Some("l");
    for _ in 0..100 {
        let verdict = process.ask(0, CLIENT);
        assert_eq!((verdict.dry, verdict.fallbacks), (1, 0));
        process.tick();
    }
    let calls = process.asked();
    assert!((8..=14).contains(&calls), "{calls} in ten seconds, however urgent");
    // It is not used up: nobody knows whether there is something by now.
    process.ends = Ends::Lost;
    for _ in 0..45 {
        let _ = process.ask(0, CLIENT);
        process.tick();
    }
    let verdict = process.ask(0, CLIENT);
    assert_eq!((verdict.denial, verdict.fallbacks), (None, 1));
}

#[test]
fn when_the_server_is_back_slices_are_spent_again() {
    let mut process = Process::new(when_it_fails("allow"), 2);
    process.ends = Ends::Lost;
    process.ask(1, CLIENT);
    process.ticks(400);
    assert_eq!(process.ask(1, "192.0.2.2").fallbacks, 1, "it is still away");
    process.ends = Ends::Answered;
    // Whether it is back is asked also where nobody wants a slice.
    process.ticks(45);
    let refused = process.ask(1, CLIENT);
    assert_eq!((refused.dry, refused.fallbacks), (1, 0));
    process.tick();
    assert!(process.left() > 0);
    assert_eq!(process.ask(1, CLIENT).denial, None);
}

#[test]
fn failed_questions_are_repeated_for_one_life_and_then_returned() {
    let mut process = Process::new(when_it_fails("deny"), 1);
    process.ends = Ends::AnswerLost;
    for _ in 0..120 {
        process.ask(0, CLIENT);
        process.tick();
    }
    let calls = &process.server.asked;
    let mut ids: Vec<&Vec<u8>> = calls.iter().map(|call| &call.asks[0].id).collect();
    assert!(ids.len() > 3, "{calls:?}");
    ids.dedup();
    assert!((2..=4).contains(&ids.len()), "{ids:?}");
    let second = calls.iter().find(|call| call.asks[0].id == *ids[1]).unwrap();
    let asked = calls[0].asks[0].asked;
    let whole = second.returns.iter().any(|back| back.id == *ids[0] && back.unused == asked);
    assert!(whole, "{second:?}");
}

/// Ticks until the next call, which is left under way.
fn until_called(process: &mut Process) -> u64 {
    let called = (1..=1000).find(|_| {
        process.now += TICK_MS;
        process.tick_vm(0).is_some()
    });
    called.unwrap()
}

#[test]
fn who_is_turned_away_comes_back_when_it_was_told_to() {
    for (told, ticks) in [(0, 1), (1500, 15), (u64::MAX, 600)] {
        let mut process = Process::new(strict(), 1);
        process.ask(0, CLIENT);
        until_called(&mut process);
        let (refused, now) = (Answered::Refused { next_poll_ms: Some(told) }, process.wall());
        let _ = process.vms[0].answered(&process.shared, refused, now);
        process.ask(0, "192.0.2.2");
        assert_eq!(until_called(&mut process), ticks, "{told}: however urgent");
    }
}

#[test]
fn failures_wait_ever_longer() {
    let mut process = Process::new(strict(), 1);
    process.ask(0, CLIENT);
    until_called(&mut process);
    for expected in [3..=5, 5..=10, 10..=20, 20..=40, 20..=40] {
        let now = process.wall();
        let failed = process.vms[0].answered(&process.shared, Answered::Nothing, now);
        assert_eq!(failed, Err(CallError::Unanswered));
        let ticks = until_called(&mut process);
        assert!(expected.contains(&ticks), "{ticks} in {expected:?}");
    }
}

#[test]
fn nonsense_is_no_answer() {
    let mut process = Process::new(strict(), 1);
    process.ask(0, CLIENT);
    for body in [&b""[..], b"<html>", b"\0\0\0\0\x02\xff\xff"] {
        until_called(&mut process);
        let now = process.wall();
        let said = process.vms[0].answered(&process.shared, Answered::Body(body), now);
        assert_eq!(said, Err(CallError::Malformed));
    }
    until_called(&mut process);
    let hostile = BorrowResponse {
        grants: vec![
            LeaseGrant { id: b"short".to_vec(), granted: 5, ..LeaseGrant::default() },
            LeaseGrant { id: vec![0; 16], granted: 5, ..LeaseGrant::default() },
        ],
        returned: vec![Vec::new(), vec![7; 16]],
        next_ms: u32::MAX,
        ..BorrowResponse::default()
    };
    assert_eq!(process.hand_in(0, &hostile), Ok(()));
    assert_eq!(process.left(), 0);
}

#[test]
fn what_the_server_does_not_lease_is_not_waited_for() {
    let mut process = Process::new(when_it_fails("allow"), 1);
    process.server.unknown = Some("l");
    assert_eq!(process.ask(0, CLIENT).dry, 1);
    process.tick();
    for _ in 0..10 {
        let verdict = process.ask(0, CLIENT);
        assert_eq!((verdict.denial, verdict.fallbacks), (None, 1));
        process.tick();
    }
    assert!(process.asked() <= 3, "{}: once a second", process.asked());
    process.server.unknown = None;
    process.ticks(10);
    process.ask(0, CLIENT);
    process.tick();
    assert!(process.left() > 0, "and when it is leased, it is spent");
}

#[test]
fn one_part_of_the_store_that_is_away_is_not_all_of_it() {
    let limits = [
        limit("far", STRICT, r#", "when_store_fails": "allow""#),
        limit("near", STRICT, r#", "when_store_fails": "allow""#),
    ]
    .join(",");
    let mut process = Process::new(gateway(&limits, r#""far", "near""#), 1);
    process.server.away = Some("far");
    let mut passed = 0;
    for turn in 0..45 {
        let verdict = process.ask(0, CLIENT);
        if turn >= 35 {
            assert_eq!(verdict.fallbacks, 1, "far alone");
            passed += u32::from(verdict.denial.is_none());
        }
        process.tick();
    }
    assert!(passed >= 7, "{passed} of 10");
    let asks = process.server.asked.iter().flat_map(|call| &call.asks);
    let mut far: Vec<_> =
        asks.filter(|ask| ask.stamp == stamp("far", spec())).map(|ask| &ask.id).collect();
    assert!(far.len() > 2, "asked again");
    far.dedup();
    assert_eq!(far.len(), 1, "as it was");
}

/// What the server has lent for its first question, and what of that it was given back.
fn first_account(process: &Process) -> (u64, u64) {
    process.server.accounts[&process.server.asked[0].asks[0].id]
}

#[test]
fn a_clock_that_goes_back_ends_slices_and_loses_nothing() {
    let mut process = Process::new(strict(), 2);
    let left = process.lend();
    assert_eq!(process.passed(1, 2), 2);
    process.behind_ms = 10_000;
    assert_eq!(process.passed(1, 1), 0);
    process.tick();
    assert_eq!(first_account(&process), (left, left - 2));
    assert!(process.left() > 0, "a new one");
    process.behind_ms = 0;
    assert_eq!(process.passed(1, 1), 0, "which the same clock ends, when it comes forth again");
}

#[test]
fn nobody_spends_of_slices_while_nobody_knows_how_old_they_are() {
    let mut process = Process::new(strict(), 2);
    let left = process.lend();
    process.ticks(20);
    // By this clock it would live that much longer: nobody has spent of it yet.
    process.behind_ms = 1_500;
    let verdict = process.ask(1, CLIENT);
    assert_eq!((verdict.dry, verdict.fallbacks, process.left()), (1, 0, left));
    assert_eq!(verdict.denial.unwrap().retry_after_secs, Some(1));
    // The elected one sees it, and cannot end the slice at once.
    process.shared.conflicts.set(TOO_MANY);
    process.now += TICK_MS;
    let _ = process.tick_vm(0);
    assert_eq!((process.left(), process.passed(0, 1)), (left, 0));
    process.tick();
    assert_eq!(first_account(&process), (left, left), "it has ended");
    assert_eq!((process.passed(0, 1), process.passed(1, 1)), (1, 1), "there is a new one");
}

#[test]
fn a_clock_that_jumps_ahead_ends_slices_and_loses_nothing() {
    let mut process = Process::new(strict(), 2);
    process.behind_ms = 3_600_000;
    let left = process.lend();
    process.behind_ms = 0;
    assert_eq!(process.passed(1, 1), 0);
    process.tick();
    assert_eq!(first_account(&process), (left, left));
    assert!(process.left() > 0);
}

#[test]
fn what_was_asked_by_another_clock_is_returned_whole() {
    let mut process = Process::new(strict(), 1);
    process.ask(0, CLIENT);
    process.now += TICK_MS;
    let call = process.tick_vm(0).unwrap();
    let answer = process.server.answer(&call, UnixMillis(process.now));
    process.behind_ms = 10_000;
    assert_eq!(process.hand_in(0, &answer), Ok(()));
    assert_eq!(process.left(), 0);
    process.ticks(11);
    let lent = answer.grants[0].granted;
    assert_eq!(first_account(&process), (lent, lent));
}

#[test]
fn a_step_back_between_two_elected_ones_is_seen() {
    let mut process = Process::new(strict(), 2);
    process.lend();
    process.elect(1);
    process.behind_ms = 10_000;
    process.tick();
    process.behind_ms = 0;
    assert_eq!(process.passed(0, 1), 0, "the slice has ended for good");
}
