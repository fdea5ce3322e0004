//! What the server hears, and what is made of its word.

use super::*;

fn of_bank(report: &ReportRequest) -> &ServiceReport {
    report.services.iter().find(|one| one.service == "bank").unwrap()
}

#[test]
fn what_all_workers_have_seen_is_told_once() {
    let mut process = Process::new(PLAIN, 2, true);
    let closed = answer(&[word(CircuitPhase::Closed)]);
    assert!(process.ticks(5, &closed).is_empty(), "there is nothing to say");
    for vm in [0, 1, 1] {
        process.call(vm, 200);
    }
    process.call(0, 500);
    let reports = process.ticks(30, &closed);
    let [report] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((report.workload.as_str(), report.envoy_id.as_str()), ("w", "e"));
    let service = "bank".to_owned();
    let told = ServiceReport { service, calls: 4, failures: 1, run: 1, ..Default::default() };
    assert_eq!((report.services.as_slice(), report.number), ([told].as_slice(), 1));
}

#[test]
fn reports_come_once_a_second_or_as_often_as_the_server_wants_within_bounds() {
    for (next_ms, expected) in [(0, 20), (1_000, 10), (60_000, 5)] {
        let mut process = Process::new(PLAIN, 1, true);
        let answer = ReportResponse { next_ms, ..answer(&[]) };
        let mut reports = Vec::new();
        for _ in 0..100 {
            process.call(0, 200);
            reports.extend(process.ticks(1, &answer));
        }
        assert!(reports.len().abs_diff(expected) <= 1, "{next_ms}: {}", reports.len());
        let numbers: Vec<u64> = reports.iter().map(|report| report.number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        let calls: u32 = reports.iter().map(|report| of_bank(report).calls).sum();
        assert!((80..=100).contains(&calls), "{calls}");
    }
}

#[test]
fn a_breaker_that_has_opened_is_told_at_once() {
    let mut process = Process::new(PLAIN, 2, true);
    let closed = answer(&[word(CircuitPhase::Closed)]);
    process.call(1, 500);
    assert_eq!(process.ticks(5, &closed).len(), 1);
    for _ in 0..4 {
        process.call(1, 500);
    }
    let report = process.tick().expect("at once");
    let told = of_bank(&report);
    assert_eq!((told.failures, told.run), (4, 5));
}

#[test]
fn a_report_is_repeated_as_it_is_until_it_is_answered() {
    let mut process = Process::new(PLAIN, 1, true);
    process.call(0, 500);
    let first = (0..20).find_map(|_| process.tick()).unwrap();
    let now = process.time();
    let lost = process.vms[0].answered(&process.shared, Answered::Nothing, now);
    assert_eq!(lost, Err(CallError::Unanswered));
    process.call(0, 500);
    let again = (0..20).find_map(|_| process.tick()).unwrap();
    assert_eq!(again, first);
    // One of which nobody hears is made again, too.
    let again = (0..40).find_map(|_| process.tick()).unwrap();
    assert_eq!(again, first);
    process.answer(&answer(&[]));
    let next = (0..20).find_map(|_| process.tick()).unwrap();
    assert_eq!((next.number, of_bank(&next).failures, of_bank(&next).run), (2, 1, 2));
}

#[test]
fn what_nobody_has_heard_for_long_is_no_news() {
    let mut process = Process::new(PLAIN, 1, true);
    process.call(0, 500);
    let mut numbers = Vec::new();
    for _ in 0..300 {
        process.call(0, 200);
        if let Some(report) = process.tick() {
            numbers.push((process.now, report.number, of_bank(&report).calls));
            let now = process.time();
            let _ = process.vms[0].answered(&process.shared, Answered::Nothing, now);
        }
    }
    let (_, last, calls) = *numbers.last().unwrap();
    assert!((4..=8).contains(&last), "{numbers:?}");
    assert!(calls < 100, "no more than was called since the one before: {numbers:?}");
}

#[test]
fn a_refusal_says_when_to_come_back() {
    for (next_poll_ms, pause) in [(Some(2_000), 20..=20), (Some(0), 1..=1), (None, 3..=5)] {
        let mut process = Process::new(PLAIN, 1, true);
        process.call(0, 500);
        while process.tick().is_none() {}
        let now = process.time();
        let refused = Answered::Refused { next_poll_ms };
        let said = process.vms[0].answered(&process.shared, refused, now);
        assert_eq!(said, Err(CallError::Refused));
        // However urgent it is.
        let ticks = (1..100).find(|_| {
            lead::hurry(&process.shared);
            process.tick().is_some()
        });
        let ticks = ticks.unwrap();
        assert!(pause.contains(&ticks), "{next_poll_ms:?}: {ticks}");
    }
}

#[test]
fn however_much_happens_reports_keep_a_distance() {
    let mut process = Process::new(PLAIN, 1, true);
    let mut reports = Vec::new();
    for _ in 0..30 {
        process.call(0, 200);
        lead::hurry(&process.shared);
        reports.extend(process.ticks(1, &answer(&[])));
    }
    assert_eq!(reports.len(), 10, "in three seconds: {reports:?}");
    let calls: u32 = reports.iter().map(|report| of_bank(report).calls).sum();
    assert_eq!(calls, 28, "all but those since the last one");
}

/// Shared data in which no report's number can be written.
struct Numberless<'a>(&'a Memory);

impl SharedData for Numberless<'_> {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.0.get(key)
    }

    fn set(&self, key: &str, value: &[u8], version: Option<u32>) -> bool {
        !key.ends_with(".number") && self.0.set(key, value, version)
    }

    fn put(&self, key: &str, value: &[u8]) {
        self.0.put(key, value);
    }
}

#[test]
fn without_a_number_nothing_is_taken_out() {
    let mut process = Process::new(PLAIN, 1, true);
    process.call(0, 500);
    process.now += TICK_MS;
    let now = process.time();
    assert_eq!(process.vms[0].tick(&Numberless(&process.shared), true, now), None);
    let next = (0..20).find_map(|_| process.tick()).unwrap();
    assert_eq!((next.number, of_bank(&next).failures), (1, 1));
}

#[test]
fn the_fleets_word_holds_for_all_workers() {
    let mut process = Process::new(PLAIN, 3, true);
    let open = CircuitState { retry_after_ms: 5_000, ..word(CircuitPhase::Open) };
    process.call(0, 200);
    assert_eq!(process.ticks(15, &answer(&[open])).len(), 1);
    assert!((0..3).all(|vm| process.ask(vm).is_err()));
    // Forgotten once it has not been renewed for that long.
    process.now += 5_000;
    assert!(process.ask(1).is_ok());
}

#[test]
fn who_polls_hears_of_circuits_that_others_have_opened() {
    let mut process = Process::new(PLAIN, 2, true);
    let open = CircuitState { retry_after_ms: 5_000, ..word(CircuitPhase::Open) };
    let circuits = wire::Circuits { version: 1, services: vec![open] };
    assert!(process.vms[0].hear(&process.shared, &circuits, process.time()));
    assert!(process.ask(1).is_err());
    let none = wire::Circuits { version: 2, services: Vec::new() };
    process.shared.conflicts.set(TOO_MANY);
    assert!(!process.vms[0].hear(&process.shared, &none, process.time()));
    assert!(process.ask(1).is_err());
    assert!(process.vms[0].hear(&process.shared, &none, process.time()));
    assert!(process.ask(1).is_ok());
    assert_eq!(process.shared.keys(), 1, "what is closed anyway is not written down");
}

#[test]
fn probes_are_asked_for_at_once_and_taken_by_anybody_once() {
    let mut process = Process::new(PLAIN, 2, true);
    let half_open = word(CircuitPhase::HalfOpen);
    process.call(0, 200);
    process.ticks(15, &answer(std::slice::from_ref(&half_open)));
    assert!(process.ask(1).is_err());
    let report = process.tick().expect("at the next tick");
    assert_eq!(of_bank(&report).refused, 1);
    let granted = CircuitState { probes: 1, probe_life_ms: 1_000, ..half_open };
    process.answer(&answer(&[granted]));
    let probe = process.ask(0).unwrap();
    assert!(process.ask(0).is_err() && process.ask(1).is_err());
    process.end(0, probe, 200);
    let report = (0..3).find_map(|_| process.tick()).expect("soon");
    assert_eq!((of_bank(&report).probes_through, of_bank(&report).refused), (1, 2));
}

/// Each probe has lapsed long before the next caller comes.
#[test]
fn callers_who_come_seldom_find_a_probe() {
    let mut process = Process::new(PLAIN, 1, true);
    let half_open = word(CircuitPhase::HalfOpen);
    let granted = CircuitState { probes: 1, probe_life_ms: 1_000, ..half_open.clone() };
    process.call(0, 200);
    process.ticks(15, &answer(std::slice::from_ref(&half_open)));
    let mut is_closed = false;
    let mut call = || {
        let status = process.call(0, 200);
        for _ in 0..30 {
            let Some(report) = process.tick() else { continue };
            let told = report.services.iter().find(|one| one.service == "bank");
            is_closed |= told.is_some_and(|told| told.probes_through > 0);
            let word = match told {
                _ if is_closed => word(CircuitPhase::Closed),
                Some(told) if told.refused > 0 => granted.clone(),
                _ => half_open.clone(),
            };
            process.answer(&answer(&[word]));
        }
        status
    };
    assert_eq!([call(), call(), call()], [503, 200, 200]);
    assert!(process.entry().is_closed());
}

#[test]
fn who_is_elected_next_goes_on_with_what_is_not_told() {
    let mut process = Process::new(PLAIN, 2, true);
    process.call(0, 500);
    let first = (0..20).find_map(|_| process.tick()).unwrap();
    process.answer(&answer(&[]));
    process.call(1, 500);
    process.vms.remove(0);
    let next = (0..20).find_map(|_| process.tick()).unwrap();
    assert!(next.number > first.number);
    assert_eq!((of_bank(&next).failures, of_bank(&next).run), (1, 2));
}

#[test]
fn an_answer_that_nobody_waits_for_is_not_taken() {
    let mut process = Process::new(PLAIN, 2, true);
    let body = framing::frame(&answer(&[])).unwrap();
    let now = process.time();
    for (vm, error) in [(0, CallError::TakenOver), (1, CallError::TakenOver)] {
        let said = process.vms[vm].answered(&process.shared, Answered::Body(&body), now);
        assert_eq!(said, Err(error));
    }
    process.tick();
    let said = process.vms[0].answered(&process.shared, Answered::Body(&body), now);
    assert_eq!(said, Err(CallError::NotAsked));
    process.call(0, 500);
    while process.tick().is_none() {}
    let said = process.vms[0].answered(&process.shared, Answered::Body(b"odd"), now);
    assert_eq!(said, Err(CallError::Malformed));
}
