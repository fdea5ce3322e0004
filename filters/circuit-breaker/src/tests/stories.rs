//! What callers of several workers get.

use super::*;

#[test]
fn after_five_failures_in_a_row_no_worker_lets_the_sixth_call_through() {
    let mut process = Process::new(PLAIN, 3, false);
    for call in 0..5 {
        assert_eq!(process.call(call % 3, 500), 500);
    }
    for vm in 0..3 {
        assert_eq!(process.ask(vm), Err(10_000));
    }
    let opened: u32 = process.vms.iter_mut().map(|vm| vm.take_happened().opened).sum();
    assert_eq!(opened, 1);
    assert_eq!(process.vms[1].take_happened(), Happened::default());
}

#[test]
fn a_success_ends_the_run_whoever_saw_it() {
    let mut process = Process::new(PLAIN, 2, false);
    for _ in 0..3 {
        assert_eq!([process.call(0, 500), process.call(1, 500)], [500, 500]);
        assert_eq!(process.call(1, 500), 500);
        assert_eq!(process.call(0, 200), 200);
        assert_eq!(process.entry().run(), 0);
    }
    // One that began while all was well, and ends when this worker has seen that it is not.
    let began = process.ask(0).unwrap();
    assert_eq!([process.call(0, 500), process.call(1, 500)], [500, 500]);
    process.end(0, began, 200);
    assert_eq!(process.entry().run(), 0);
}

#[test]
fn a_service_without_a_circuit_is_nobodys_business() {
    let mut process = Process::new(PLAIN, 1, false);
    let shop = Service { name: "bank".to_owned(), ..(*process.service).clone() };
    assert_eq!(process.vms[0].look(&process.shared, &Arc::new(shop)), None, "another document's");
    assert!(!process.vms[0].is_empty());
    let document = from_json(
        br#"{"version": 1, "services": {"s": {"upstream": "h:1"}},
            "routes": [{"name": "r", "match": {"path": "/"}, "service": "s", "auth": "none"}]}"#,
    )
    .unwrap();
    let mut none = Circuits::new(&document, None, 0);
    assert!(none.is_empty());
    assert_eq!(none.look(&process.shared, &document.services[0]), None);
}

#[test]
fn each_service_has_a_circuit_of_its_own() {
    let mut process = Process::new(PLAIN, 1, false);
    let bank = Arc::clone(&process.service);
    let known: Vec<String> =
        process.vms[0].guarded.iter().map(|one| one.service.name.clone()).collect();
    assert_eq!(known.len(), 2, "{known:?}");
    let post = process.vms[0].guarded.iter().find(|one| one.service.name == "post").unwrap();
    process.service = Arc::clone(&post.service);
    for _ in 0..5 {
        process.call(0, 500);
    }
    assert_eq!(process.call(0, 200), 503);
    process.service = bank;
    assert_eq!(process.call(0, 200), 200);
}

#[test]
fn what_was_seen_says_nothing_of_a_service_that_has_moved_or_is_judged_otherwise() {
    let mut process = Process::new(PLAIN, 1, false);
    for _ in 0..5 {
        process.call(0, 500);
    }
    let mut under = |circuit: &str| {
        let other = Process::new(circuit, 1, false);
        (process.vms, process.service) = (other.vms, other.service);
        process.call(0, 200)
    };
    assert_eq!(under(PLAIN), 503, "another worker, the same document");
    let others = (6..12).map(|failures| under(&format!(r#""failures": {failures}"#)));
    assert!(others.filter(|status| *status == 200).count() > 3);
    assert_eq!(under(PLAIN), 503);
    let of_port = |port: u16| key_of(&Service { port, ..(*process.service).clone() });
    let keys: std::collections::BTreeSet<String> = (1..=20).map(of_port).collect();
    assert!(keys.len() > 10, "{keys:?}");
}

#[test]
fn shares_count_what_all_workers_have_seen() {
    let circuit = r#""failures": "off", "ratio": "50%", "minimum": 10, "jitter": "0%""#;
    let mut process = Process::new(circuit, 2, false);
    for _ in 0..5 {
        assert_eq!(process.call(0, 200), 200);
    }
    // Not handed over yet.
    for _ in 0..4 {
        assert_eq!(process.call(1, 500), 500);
    }
    process.tick();
    assert_eq!(process.entry().breaker.totals(process.time()).calls, 9);
    assert_eq!(process.call(1, 500), 500);
    assert!(process.ask(0).is_err(), "five of ten");
}

#[test]
fn slow_calls_open_it_by_the_tick_that_hands_them_over() {
    let circuit = r#""failures": "off", "slow": {"over": "100ms", "share": "80%"}, "minimum": 5,
                     "jitter": "0%""#;
    let mut process = Process::new(circuit, 2, true);
    for vm in [0, 1, 0, 1, 1] {
        let ticket = process.ask(vm).unwrap();
        let made_by = MadeBy::Upstream;
        let ended = Ended::Answered { status: 200, grpc: None, made_by, took_ms: 101 };
        let now = process.time();
        process.vms[vm].settle(&process.shared, ticket, &ended, now);
    }
    assert!(process.ask(0).is_ok());
    process.tick();
    assert!(process.ask(0).is_err());
    let opened: u32 = process.vms.iter_mut().map(|vm| vm.take_happened().opened).sum();
    assert_eq!(opened, 1);
}

#[test]
fn a_probe_decides_and_is_followed_by_another_where_it_vanishes() {
    let mut process = Process::new(PLAIN, 2, false);
    for _ in 0..5 {
        process.call(0, 500);
    }
    process.now += 10_000;
    let vanished = process.ask(0).unwrap();
    assert_eq!([process.ask(0), process.ask(1)], [Err(1_000), Err(1_000)]);
    let hung_up = Ended::Reset { by_caller: true, took_ms: 1 };
    let now = process.time();
    process.vms[0].settle(&process.shared, vanished, &hung_up, now);
    assert_eq!(process.ask(1), Err(1_000));
    process.now += 1_000;
    assert_eq!(process.call(1, 500), 500);
    assert_eq!(process.ask(0), Err(20_000));
    process.now += 20_000;
    assert_eq!(process.call(0, 200), 200);
    assert_eq!(process.entry().breaker, postern_circuit::Breaker::default());
}

#[test]
fn a_failure_that_cannot_be_written_is_lost_and_what_was_seen_before_is_not() {
    let mut process = Process::new(PLAIN, 1, false);
    for _ in 0..3 {
        process.call(0, 200);
    }
    process.shared.conflicts.set(TOO_MANY);
    process.call(0, 500);
    assert_eq!(process.vms[0].take_happened().conflicts, TOO_MANY - 1);
    assert_eq!(process.entry(), Entry::default());
    process.shared.conflicts.set(TOO_MANY - 1);
    process.call(0, 500);
    let totals = process.entry().breaker.totals(process.time());
    assert_eq!((totals.calls, totals.failures), (4, 1));
}
