//! What a request meets.

use super::*;

#[test]
fn workers_share_a_slice() {
    let mut process = Process::new(strict(), 3);
    let dry = process.ask(1, CLIENT);
    let denial = dry.denial.unwrap();
    assert_eq!((denial.code.status(), denial.retry_after_secs), (429, Some(1)));
    assert_eq!((dry.dry, dry.fallbacks, process.left()), (1, 0, 0));
    process.tick();
    // One request a second so far, for three seconds, and there was no slice: twice that.
    assert_eq!(process.left(), 6);
    for vm in [0, 1, 2, 0, 1, 2] {
        let verdict = process.ask(vm, CLIENT);
        assert_eq!((verdict.denial, verdict.dry), (None, 0));
        let status = verdict.status.unwrap();
        assert_eq!((status.limit, status.window_secs), (1000, 60));
    }
    assert!(process.ask(2, CLIENT).denial.is_some(), "all of it is spent");
    assert_eq!(process.server.taken(), 6);
    assert!(process.ask(2, "192.0.2.2").denial.is_some(), "another client's key");
}

#[test]
fn a_request_costs_one_read_and_one_write() {
    let mut process = Process::new(strict(), 1);
    process.lend();
    let before = process.shared.calls.get();
    assert_eq!(process.ask(0, CLIENT).denial, None);
    assert_eq!(process.shared.calls.get(), before + 2);
}

#[test]
fn what_is_wanted_is_said_once_a_tick() {
    let mut process = Process::new(strict(), 1);
    process.ask(0, CLIENT);
    let before = process.shared.calls.get();
    assert_eq!(process.passed(0, 10), 0);
    assert_eq!(process.shared.calls.get(), before + 20, "a read and a write of the key");
}

#[test]
fn an_optimistic_start_passes_on_credit() {
    let document = gateway(&limit("l", r#""allowance": 3"#, ""), r#""l""#);
    let mut process = Process::new(document, 2);
    process.tick();
    assert_eq!((process.passed(0, 5), process.left()), (3, 0));
    process.tick();
    // Of the slice, what had passed is paid for.
    let left = usize::try_from(process.left()).unwrap();
    assert_eq!(process.server.taken(), 3 + process.left());
    assert_eq!(process.passed(1, 99), left + 3, "and there is credit again");
}

#[test]
fn a_slow_key_waits_for_the_poll_and_a_dry_one_does_not() {
    let document = gateway(&limit("l", r#""allowance": 10"#, ""), r#""l""#);
    let mut process = Process::new(document, 1);
    process.tick();
    assert_eq!(process.passed(0, 1), 1);
    process.ticks(5);
    assert_eq!(process.asked(), 0, "there is credit");
    process.ticks(5);
    assert_eq!(process.asked(), 1);
    for client in ["192.0.2.2", "192.0.2.3"] {
        assert!((0..20).any(|_| process.ask(0, client).denial.is_some()));
    }
    process.tick();
    assert_eq!((process.asked(), process.server.asked[1].asks.len()), (2, 2), "at once");
}

#[test]
fn what_is_refused_takes_from_no_limit() {
    let limits = [limit("a", STRICT, ""), limit("b", STRICT, "")].join(",");
    let mut process = Process::new(gateway(&limits, r#""a", "b""#), 1);
    process.server.nothing_of = Some("b");
    // The first limit refuses first; the second is only asked when that has something.
    process.ask(0, CLIENT);
    process.tick();
    let left = process.left();
    assert!(left > 0);
    assert_eq!(process.passed(0, 50), 0);
    process.tick();
    assert_eq!(process.passed(0, 50), 0);
    let verdict = process.ask(0, CLIENT);
    let denial = verdict.denial.unwrap();
    assert_eq!((denial.retry_after_secs, verdict.dry), (Some(30), 1));
    assert!(verdict.ticket.is_empty());
    assert!(process.left() >= left, "all that the first had given is back");
}

#[test]
fn a_limit_in_shadow_refuses_nobody() {
    let limits = [limit("tried", STRICT, r#", "shadow": true"#), limit("l", STRICT, "")].join(",");
    let mut process = Process::new(gateway(&limits, r#""tried", "l""#), 1);
    process.server.nothing_of = Some("tried");
    let refused = process.ask(0, CLIENT);
    assert!(refused.denial.is_some());
    assert_eq!(refused.shadowed, 0, "refused by another limit");
    process.tick();
    let passed = process.ask(0, CLIENT);
    assert_eq!((passed.denial, passed.shadowed, passed.dry), (None, 1, 1));
    assert!(passed.status.unwrap().remaining > 0, "of the limit that binds");
}

#[test]
fn an_answer_that_does_not_count_gives_back_what_was_spent() {
    for (skip, successful, again) in [
        ("successful", true, true),
        ("successful", false, false),
        ("failed", true, false),
        ("failed", false, true),
    ] {
        let more = format!(r#", "skip": "{skip}""#);
        let mut process = Process::new(gateway(&limit("l", STRICT, &more), r#""l""#), 1);
        let left = process.lend();
        let mut ticket = process.ask(0, CLIENT).ticket;
        assert!(!ticket.is_empty());
        assert_eq!(process.left(), left - 1);
        let now = process.wall();
        ticket.settle(&process.shared, successful, now);
        assert!(ticket.is_empty());
        ticket.settle(&process.shared, successful, now);
        assert_eq!(process.left() == left, again, "{skip} {successful}");
    }
}

#[test]
fn where_somebody_may_still_refuse_all_that_was_spent_can_go_back() {
    let mut process = Process::new(strict(), 1);
    let left = process.lend();
    for keeps in [false, true] {
        let (now, route) = (process.wall(), process.documents[0].routes[0].clone());
        let counted = counted(CLIENT);
        let mut verdict = process.vms[0].spend(&process.shared, &route, &counted, true, now);
        assert_eq!((verdict.denial, process.left()), (None, left - 1));
        assert!(!verdict.ticket.is_empty());
        if keeps {
            verdict.ticket.confirm();
        }
        verdict.ticket.put_back(&process.shared, now);
        assert!(verdict.ticket.is_empty());
    }
    assert_eq!(process.left(), left - 1, "what is confirmed stays spent");
}

#[test]
fn what_was_spent_of_a_slice_that_is_over_is_not_given_to_the_next() {
    let more = r#", "skip": "failed""#;
    let mut process = Process::new(gateway(&limit("l", STRICT, more), r#""l""#), 1);
    process.lend();
    let mut ticket = process.ask(0, CLIENT).ticket;
    process.ticks(60);
    // What an idle key still holds goes first; then there is a new slice.
    process.passed(0, 99);
    process.tick();
    let left = process.left();
    assert!(left > 0);
    let now = process.wall();
    ticket.settle(&process.shared, false, now);
    assert_eq!(process.left(), left);
}

#[test]
fn a_faster_worker_costs_a_retry_and_no_request() {
    let mut process = Process::new(strict(), 1);
    let left = process.lend();
    process.shared.conflicts.set(3);
    let verdict = process.ask(0, CLIENT);
    assert_eq!((verdict.denial, verdict.conflicts, process.left()), (None, 3, left - 1));
}

#[test]
fn what_could_not_be_written_has_passed_nobody() {
    let mut process = Process::new(strict(), 1);
    let left = process.lend();
    process.shared.conflicts.set(TOO_MANY);
    let verdict = process.ask(0, CLIENT);
    let denial = verdict.denial.unwrap();
    assert_eq!((denial.code.status(), denial.retry_after_secs), (429, Some(1)));
    assert_eq!((verdict.dry, verdict.fallbacks), (1, 0));
    assert!(wanted::Wanted::collect(&process.shared).is_urgent);
    assert_eq!((process.left(), process.passed(0, 1)), (left, 1));
}

#[test]
fn a_request_counts_as_much_as_it_weighs() {
    let limit = limit("l", STRICT, r#", "weight": 3"#);
    let mut process = Process::new(gateway(&limit, r#""l""#), 1);
    let left = process.lend();
    assert_eq!(process.ask(0, CLIENT).denial, None);
    assert_eq!(process.left(), left - 3);
}

#[test]
fn who_takes_the_place_of_a_key_in_use_passes_nothing_on_credit() {
    let document = gateway(&limit("l", r#""allowance": 3"#, ""), r#""l""#);
    let mut process = Process::new(document, 1);
    process.tick();
    let mut evictions = 0;
    for client in 0..20_000_u32 {
        let verdict = process.ask(0, &std::net::Ipv4Addr::from(client).to_string());
        assert_eq!(verdict.denial.is_some(), verdict.evicted > 0, "{client}");
        evictions += verdict.evicted;
    }
    assert!(evictions > 3000, "{evictions}");
}

#[test]
fn memory_stays_bounded_under_a_flood_of_clients() {
    let mut process = Process::new(strict(), 2);
    for client in 0..20_000_u32 {
        let _ = process.ask(1, &std::net::Ipv4Addr::from(client).to_string());
        if client % 400 == 0 {
            process.tick();
        }
    }
    let slots = usize::try_from(SLOTS).unwrap();
    assert!(process.shared.keys() <= slots + 2, "{}", process.shared.keys());
    assert!(process.shared.longest() <= WAYS * ENTRY_BYTES, "{}", process.shared.longest());
    assert!(process.server.asked.iter().any(|call| call.asks.len() > 250));
}

#[test]
fn a_flood_of_clients_takes_no_slices_away() {
    let mut process = Process::new(strict(), 1);
    let left = process.lend();
    // They all ask for slices, and get none.
    process.ends = Ends::Refused(Some(0));
    let client_of = |number: u32| std::net::Ipv4Addr::from(number).to_string();
    let slot = process.place(CLIENT).slot;
    let mut others = (25_000..u32::MAX).map(client_of);
    for _ in 0..3 * WAYS {
        // In the same slot, and each has asked before the next one comes.
        let other = others.find(|other| process.place(other).slot == slot).unwrap();
        assert!(process.ask(0, &other).denial.is_some());
        process.tick();
        let fingerprint = process.place(&other).fingerprint;
        let entry = process.entries().into_iter().find(|entry| entry.fingerprint == fingerprint);
        assert!(entry.unwrap().question.is_some());
        assert_eq!(process.left(), left);
    }
    for client in 0..25_000_u32 {
        let _ = process.ask(0, &client_of(client));
        if client % 1_000 == 0 {
            process.tick();
        }
    }
    assert_eq!(process.left(), left);
}
