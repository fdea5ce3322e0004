//! The whole set, in pieces.

use super::*;

#[test]
fn a_snapshot_in_pieces_is_applied_to_its_end() {
    let mut process = Process::new(2);
    for n in 0..3000 {
        process.server().revoke(&format!("s{n}"));
    }
    // 164 pieces, 65 in a tick.
    process.server().piece = Some(100);
    process.ticks(3);
    assert_eq!(process.judge("s7"), [Stale; 2], "half of it is nothing");
    process.server().revoke("late");
    process.ticks(3);
    for subject in ["s0", "s1234", "s2999", "late"] {
        assert_eq!(process.judge(subject), [Revoked; 2], "{subject}");
    }
    assert_eq!(process.judge("alice"), [Good; 2]);
    assert_eq!(process.vms[0].records(), 3001);
}

#[test]
fn pieces_follow_each_other_without_waiting_for_ticks() {
    let mut process = Process::new(1);
    process.server().piece = Some(1000);
    process.ticks(2);
    assert_eq!(process.judge("alice"), [Good]);
    let buckets: Vec<u32> = process.asked().iter().map(|asked| asked.snapshot_bucket).collect();
    let expected: Vec<u32> = (0..17).map(|at| at * 1000).collect();
    assert_eq!(buckets, expected);
}

#[test]
fn what_is_asked_for_at_once_goes_by_what_it_costs() {
    for (records, expected) in [(10, 24 * 1024), (131_071, 24 * 1024), (131_072, 64 * 1024)] {
        let mut process = Process::new(1);
        process.server().claims_records = Some(records);
        process.ticks(3);
        let bytes: Vec<u32> = process.asked().iter().map(|asked| asked.max_bytes).collect();
        let (first, others) = bytes.split_first().unwrap();
        let (delta, pieces) = others.split_last().unwrap();
        assert_eq!((*first, *delta), (24 * 1024, 8 * 1024), "{records}");
        assert!(pieces.iter().all(|bytes| *bytes == expected), "{records}: {pieces:?}");
    }
}

#[test]
fn a_set_that_is_there_is_never_replaced_by_one_of_the_same_store() {
    let mut process = Process::synced(2, &["a", "b"]);
    process.server().piece = Some(300);
    // The server remembers no deltas, and has not heard of all yet.
    process.server().forgetful = true;
    process.server().hidden = 1;
    for n in 0..5 {
        process.tick();
        assert_eq!(process.judge("a"), [Revoked; 2], "{n}");
        assert_eq!(process.judge("b"), [Revoked; 2], "{n}");
    }
    process.server().hidden = 0;
    process.server().revoke("c");
    process.ticks(4);
    assert_eq!(process.judge("c"), [Revoked; 2]);
    assert_eq!(process.vms[0].records(), 3);
}

#[test]
fn while_a_snapshot_is_taken_what_is_known_gets_older() {
    let mut process = Process::synced(1, &["a"]);
    process.server().forgetful = true;
    process.server().piece = Some(10);
    process.ticks(5);
    assert!(process.vms[0].age_ms().unwrap() >= 500);
    process.server().piece = None;
    process.ticks(2);
    assert!(process.vms[0].age_ms().unwrap() <= 100);
}

#[test]
fn another_store_means_the_whole_set_anew() {
    let mut process = Process::synced(2, &["a"]);
    let server = process.server();
    (server.epoch, server.log) = (6, Vec::new());
    server.piece = Some(100);
    server.revoke("b");
    process.ticks(2);
    assert_eq!(process.judge("a"), [Revoked; 2], "the old set counts until the new one is whole");
    assert_eq!(process.vms[0].epoch(), 5);
    process.ticks(3);
    assert_eq!(process.judge("b"), [Revoked; 2]);
    assert_eq!(process.judge("a"), [Good; 2], "the other store knows nothing of it");
    assert_eq!((process.vms[0].epoch(), process.vms[0].records()), (6, 1));
}

#[test]
fn more_than_is_kept_is_refused_and_what_is_known_gets_stale() {
    let mut process = Process::new(1);
    process.server().claims_records = Some(4_000_001);
    let body = process.until_asked(0);
    assert_eq!(process.exchange(0, &body), Err(FeedError::TooLarge));
    process.ticks(40);
    assert_eq!(process.judge("alice"), [Stale]);
}

#[test]
fn a_snapshot_goes_on_after_a_refusal() {
    let mut process = Process::new(1);
    process.server().piece = Some(200);
    process.ticks(2);
    process.server().refuses = Some(Some(300));
    process.ticks(10);
    process.server().refuses = None;
    process.ticks(5);
    assert_eq!(process.judge("alice"), [Good]);
    let begun =
        process.asked().iter().filter(|asked| asked.snapshot_bucket == 0 && asked.epoch == 0);
    assert_eq!(begun.count(), 1, "no piece was asked for twice but those that were refused");
}
