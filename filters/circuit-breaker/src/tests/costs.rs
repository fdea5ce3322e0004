//! What a request costs.

use super::*;

/// Calls to shared data that something takes.
fn calls<T>(process: &mut Process, what: impl FnOnce(&mut Process) -> T) -> (u64, T) {
    let before = process.shared.calls.get();
    let answer = what(process);
    (process.shared.calls.get() - before, answer)
}

#[test]
fn while_all_is_well_a_request_costs_one_read() {
    let mut process = Process::new(PLAIN, 1, true);
    for _ in 0..3 {
        let (cost, ticket) = calls(&mut process, |process| process.ask(0).unwrap());
        assert_eq!(cost, 1);
        let (cost, ()) = calls(&mut process, |process| process.end(0, ticket, 200));
        assert_eq!(cost, 0);
        // Also once there is something to read.
        process.tick();
    }
    assert_eq!(process.shared.keys(), 2, "the service, and the number of the last report");
}

#[test]
fn a_failure_costs_a_read_and_a_write_and_so_does_the_success_that_ends_a_run() {
    let mut process = Process::new(PLAIN, 1, false);
    for (status, expected) in [(500, 2), (200, 2), (200, 0)] {
        let ticket = process.ask(0).unwrap();
        let (cost, ()) = calls(&mut process, |process| process.end(0, ticket, status));
        assert_eq!(cost, expected, "{status}");
    }
}

#[test]
fn while_it_is_open_a_request_costs_two_reads() {
    let mut process = Process::new(PLAIN, 1, true);
    for _ in 0..5 {
        process.call(0, 500);
    }
    let (cost, refused) = calls(&mut process, |process| process.ask(0).is_err());
    assert_eq!((cost, refused), (2, true));
    assert!(process.shared.longest() < 200 && process.shared.keys() <= 3);
}

#[test]
fn a_worker_that_has_seen_nothing_writes_nothing() {
    let mut process = Process::new(PLAIN, 1, false);
    let (cost, _) = calls(&mut process, Process::tick);
    assert_eq!(cost, 0);
    process.call(0, 200);
    let (cost, _) = calls(&mut process, Process::tick);
    assert_eq!(cost, 2);
}
