//! How the server is asked, and by whom.

use super::*;

#[test]
fn questions_outlive_who_asked_them() {
    for ends in [Ends::Lost, Ends::AnswerLost] {
        let mut process = Process::new(strict(), 2);
        process.ask(1, CLIENT);
        process.now += TICK_MS;
        let first = process.tick_vm(0).unwrap();
        assert_eq!(first.asks.len(), 1);
        if ends == Ends::AnswerLost {
            process.server.answer(&first, UnixMillis(process.now));
        }
        // The first worker is gone before it hears anything.
        process.elect(1);
        process.now += 2000;
        let second = process.tick_vm(1).unwrap();
        assert_eq!((&second.asks, second.returns.len()), (&first.asks, 0), "the same question");
        process.end(1, &second);
        let asked = first.asks[0].asked;
        assert_eq!((process.left(), process.server.taken()), (asked, asked), "taken once");
        let asked = usize::try_from(asked).unwrap();
        assert_eq!(process.passed(1, 99), asked);
    }
}

#[test]
fn two_workers_that_both_ask_take_one_answer() {
    let mut process = Process::new(strict(), 2);
    process.ask(0, CLIENT);
    process.elected = vec![true, true];
    process.now += TICK_MS;
    let calls = [process.tick_vm(0).unwrap(), process.tick_vm(1).unwrap()];
    assert_eq!(calls[0].asks, calls[1].asks);
    let now = UnixMillis(process.now);
    let answers = calls.each_ref().map(|call| process.server.answer(call, now));
    assert_eq!(process.hand_in(1, &answers[1]), Ok(()));
    let left = process.left();
    assert_eq!(process.passed(0, 2), 2);
    assert_eq!(process.hand_in(0, &answers[0]), Ok(()));
    assert_eq!((process.left(), process.server.taken()), (left - 2, left));
}

#[test]
fn who_is_not_elected_any_more_takes_no_answer() {
    let mut process = Process::new(strict(), 2);
    process.ask(0, CLIENT);
    process.now += TICK_MS;
    let call = process.tick_vm(0).unwrap();
    let answer = process.server.answer(&call, UnixMillis(process.now));
    process.elect(1);
    assert_eq!(process.tick_vm(0), None);
    assert_eq!(process.hand_in(0, &answer), Err(CallError::TakenOver));
    process.tick();
    assert_eq!(process.left(), answer.grants[0].granted, "the next one has asked again");
    assert_eq!(process.hand_in(1, &answer), Err(CallError::NotAsked));
}

#[test]
fn there_is_one_call_at_a_time() {
    let mut process = Process::new(strict(), 1);
    process.ask(0, CLIENT);
    process.now += TICK_MS;
    let first = process.tick_vm(0).unwrap();
    for ticks in 1..15 {
        process.ask(0, "192.0.2.9");
        process.now += TICK_MS;
        assert_eq!(process.tick_vm(0), None, "{ticks}");
    }
    // Envoy would have said by now that it failed.
    let again = (0..10).find_map(|_| {
        process.now += TICK_MS;
        process.tick_vm(0)
    });
    let again = again.unwrap();
    assert!(again.asks.contains(&first.asks[0]), "{again:?}");
    assert_eq!(again.asks.len(), 2);
}

#[test]
fn what_was_not_spent_is_returned_and_nobody_is_asked_for_nothing() {
    let mut process = Process::new(strict(), 2);
    let left = process.lend();
    assert_eq!(process.passed(1, 1), 1);
    process.ticks(200);
    let returns: Vec<_> = process.server.asked.iter().flat_map(|call| &call.returns).collect();
    assert!(returns.iter().any(|back| back.unused == left - 1), "{returns:?}");
    assert_eq!(process.server.taken(), 1);
    let calls = process.asked();
    assert!(calls <= 12, "{calls}");
    process.ticks(600);
    assert_eq!((process.asked(), process.entries().len()), (calls, 0), "nobody comes any more");
    // And when somebody comes again, it is as it was in the beginning.
    process.lend();
}

#[test]
fn returns_are_repeated_until_they_were_heard() {
    let mut process = Process::new(strict(), 1);
    let left = process.lend();
    let id = process.server.asked[0].asks[0].id.clone();
    let of_it = |calls: &[BorrowRequest]| {
        let returns = calls.iter().flat_map(|call| &call.returns);
        returns.filter(|back| back.id == id).count()
    };
    process.ends = Ends::AnswerLost;
    process.ticks(150);
    assert!(of_it(&process.server.asked[..]) > 1, "{:?}", process.server.asked);
    assert_eq!(process.server.accounts[&id], (left, left), "credited once");
    process.ends = Ends::Answered;
    process.ticks(50);
    let before = process.asked();
    process.ticks(300);
    assert_eq!(of_it(&process.server.asked[before..]), 0);
}

#[test]
fn a_busy_key_never_runs_dry() {
    let mut process = Process::new(strict(), 2);
    process.lend();
    let mut refused = 0;
    for turn in 0..300 {
        // Ten a second, of a limit of sixteen.
        let vm = turn % 2;
        refused += usize::from(process.ask(vm, CLIENT).denial.is_some());
        process.tick();
    }
    // Until it was known how much is needed.
    assert!(refused <= 8, "{refused}");
    let calls = process.asked();
    assert!(calls <= 45, "{calls} calls in 30 seconds");
}

#[test]
fn many_keys_are_asked_for_in_several_calls() {
    let mut process = Process::new(strict(), 1);
    process.tick();
    for client in 0..600_u32 {
        let _ = process.ask(0, &std::net::Ipv4Addr::from(client).to_string());
    }
    process.ticks(4);
    let asks: Vec<usize> = process.server.asked.iter().map(|call| call.asks.len()).collect();
    assert!(asks.len() >= 3 && asks[0] > 250, "{asks:?}");
    let asked = process.server.asked.iter().flat_map(|call| &call.asks);
    let keys: std::collections::BTreeSet<_> = asked.map(|ask| ask.key.clone()).collect();
    assert!(keys.len() > 590, "{}: but for what was evicted", keys.len());
}

#[test]
fn keys_are_named_as_the_server_knows_them() {
    let document = gateway(
        r#""other": {"key": ["ip"], "rate": "9/1m", "mode": "local"},
           "far": {"key": ["route"], "rate": "1000/1m", "mode": "leased",
                   "lease": {"sidecars": 1, "start": "strict"}},
           "l": {"key": ["ip"], "rate": "1000/1m", "mode": "leased",
                 "lease": {"sidecars": 1, "start": "strict"}}"#,
        r#""l""#,
    );
    let route = document.routes[0].clone();
    let leased = route.leased_limits[0].limit.clone();
    let mut process = Process::new(document, 1);
    process.lend();
    let counted = counted(CLIENT);
    let key = leased.key_of(&route, &counted, leased.allowance);
    let (owner, hash) = postern_limits::key::hashed(&leased.owner_of(&counted, &key), &key);
    let ask = &process.server.asked[0].asks[0];
    assert_eq!((ask.stamp, ask.owner), (stamp("l", spec()), owner));
    assert_eq!(ask.key, hash);
    assert_eq!(process.server.asked[0].document_digest, process.document.digest);
}

#[test]
fn an_answer_that_cannot_be_written_down_is_asked_for_again() {
    let mut process = Process::new(strict(), 1);
    process.ask(0, CLIENT);
    process.now += TICK_MS;
    let first = process.tick_vm(0).unwrap();
    let answer = process.server.answer(&first, UnixMillis(process.now));
    process.shared.conflicts.set(TOO_MANY);
    assert_eq!(process.hand_in(0, &answer), Ok(()));
    assert_eq!((process.left(), process.shared.conflicts.get()), (0, 0));
    process.now += TICK_MS;
    let second = process.tick_vm(0).unwrap();
    assert_eq!(second.asks, first.asks, "as it was, and at once");
    process.end(0, &second);
    let lent = answer.grants[0].granted;
    assert_eq!((process.left(), process.server.taken()), (lent, lent));
}

#[test]
fn a_return_that_cannot_be_noted_is_sent_again() {
    let mut process = Process::new(strict(), 1);
    let left = process.lend();
    let id = process.server.asked[0].asks[0].id.clone();
    let returns_it =
        |call: &BorrowRequest| call.returns.iter().any(|back| back.id == id && back.unused == left);
    let call = (0..100).find_map(|_| {
        process.now += TICK_MS;
        let call = process.tick_vm(0)?;
        if returns_it(&call) {
            return Some(call);
        }
        process.end(0, &call);
        None
    });
    let answer = process.server.answer(&call.unwrap(), UnixMillis(process.now));
    process.shared.conflicts.set(TOO_MANY);
    assert_eq!(process.hand_in(0, &answer), Ok(()));
    process.now += TICK_MS;
    let again = process.tick_vm(0).unwrap();
    assert!(returns_it(&again), "{again:?}");
    process.end(0, &again);
    process.ticks(400);
    let returned = process.server.asked.iter().filter(|call| returns_it(call)).count();
    assert_eq!((returned, process.server.taken()), (2, 0), "and credited once");
}

#[test]
fn a_window_that_begins_is_had_at_once() {
    // Used up long before its end, and never.
    for rate in ["100/10s", "400/10s"] {
        let text = format!(
            r#""l": {{"key": ["ip"], "rate": "{rate}", "algorithm": "fixed_window",
                      "mode": "leased", "lease": {{"sidecars": 1, {STRICT}}}}}"#
        );
        let mut process = Process::new(gateway(&text, r#""l""#), 1);
        let (mut early, mut passed) = ([0; 4], [0; 4]);
        // Twenty a second, and as many ticks as there are in half of that.
        for step in 0..660 {
            let (window, into_ms) = (step / 200, step % 200 * 50);
            let passes = process.passed(0, 1);
            passed[window] += passes;
            if into_ms < 300 {
                early[window] += passes;
            }
            process.now += TICK_MS / 2;
            if step % 2 == 1 {
                process.tick_now();
            }
        }
        assert!(early[1..].iter().all(|passes| *passes > 0), "{rate}: {early:?}");
        assert!(passed[..3].iter().all(|all| (80..=200).contains(all)), "{rate}: {passed:?}");
    }
}
