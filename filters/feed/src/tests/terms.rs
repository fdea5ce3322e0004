//! Who speaks to the server: its death, a reload, a change of document.

use super::*;

#[test]
fn the_feed_outlives_the_vm_that_led_it() {
    let mut process = Process::synced(3, &["a"]);
    process.vms.remove(0);
    process.server().revoke("b");
    process.ticks(25);
    assert_eq!(process.judge("a"), [Revoked; 2]);
    assert_eq!(process.judge("b"), [Revoked; 2]);
    let begun =
        process.asked().iter().filter(|asked| asked.epoch == 0 && asked.snapshot_bucket == 0);
    assert_eq!(begun.count(), 1);
}

#[test]
fn a_leader_that_dies_within_a_snapshot_leaves_nothing_in_the_way() {
    let mut process = Process::new(3);
    for n in 0..500 {
        process.server().revoke(&format!("s{n}"));
    }
    process.server().piece = Some(100);
    process.ticks(2);
    process.vms.remove(0);
    assert_eq!(process.judge("s7"), [Stale; 2]);
    process.ticks(30);
    for n in 0..500 {
        assert_eq!(process.judge(&format!("s{n}")), [Revoked; 2], "{n}");
    }
    assert_eq!(process.vms[0].records(), 500);
}

#[test]
fn a_reloaded_filter_knows_at_once_what_the_process_knows() {
    let mut process = Process::synced(2, &["a"]);
    process.vms.clear();
    process.start_vm("d1");
    process.start_vm("d1");
    assert_eq!(process.judge("a"), [Revoked; 2]);
    assert_eq!(process.judge("alice"), [Good; 2]);
    process.server().revoke("b");
    process.ticks(23);
    assert_eq!(process.judge("b"), [Revoked; 2], "one of them leads within two seconds");
}

#[test]
fn a_reload_makes_nothing_younger() {
    let mut process = Process::synced(2, &["a"]);
    process.server = None;
    process.ticks(20);
    process.vms.clear();
    process.start_vm("d1");
    assert!(process.vms[0].age_ms().unwrap() >= 2_000);
    assert_eq!(process.judge("a"), [Revoked]);
    process.ticks(12);
    assert_eq!(process.judge("alice"), [Stale]);
}

#[test]
fn after_a_jump_of_the_clock_or_a_standstill_the_server_is_asked_at_once() {
    for (waits, jump_ms) in [(0, 60_000), (30_000, 60_000), (30_000, 86_400_000)] {
        let mut process = Process::synced(2, &["a"]);
        process.settings.wait_ms = waits;
        process.start_vm("d1");
        process.ticks(30);
        assert_eq!(process.judge("alice")[0], Good);
        process.ahead_ms = jump_ms;
        assert_eq!(process.judge("alice")[0], Stale, "nobody knows how long it took");
        assert_eq!(process.judge("a")[0], Revoked);
        process.ticks(3);
        assert_eq!(process.judge("alice")[0], Good, "{waits} {jump_ms}");
    }
}

#[test]
fn a_new_document_asks_at_once_although_the_old_one_still_serves() {
    let mut process = Process::synced(2, &["a"]);
    process.start_vm("d2");
    process.ticks(3);
    assert_eq!(process.asked().last().unwrap().document_digest, "d2");
    process.server().revoke("b");
    process.ticks(2);
    assert_eq!(process.judge("b"), [Revoked; 3]);
}

#[test]
fn a_vm_that_was_relieved_writes_nothing() {
    let mut process = Process::synced(2, &["a"]);
    let body = process.until_asked(0);
    let answer = process.server().answer(&body, NOW).unwrap();
    let mut relieved = process.vms.remove(0);
    process.ticks(30);
    let result = relieved.answered(&process.shared, Answered::Body(&answer), NOW);
    assert_eq!(result, Err(FeedError::TakenOver));
    assert_eq!(relieved.document_digest(), None);
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let mut process = Process::synced(1, &["a"]);
    let body = process.until_asked(0);
    process.exchange(0, &body).unwrap();
    let generation = process.vms[0].generation();
    assert_eq!(process.exchange(0, &body), Err(FeedError::NotAsked));
    let nothing = process.vms[0].answered(&process.shared, Answered::Nothing, NOW);
    assert_eq!(nothing, Err(FeedError::NotAsked));
    assert_eq!(process.vms[0].generation(), generation);
    process.server().revoke("b");
    process.ticks(2);
    assert_eq!(process.judge("b"), [Revoked]);
}

#[test]
fn when_others_are_faster_nothing_is_lost() {
    let mut process = Process::synced(2, &[]);
    for n in 0..50 {
        process.server().revoke(&format!("s{n}"));
        process.shared.conflicts.set(n % 7);
        process.ticks(10);
    }
    process.shared.conflicts.set(0);
    process.ticks(200);
    for n in 0..50 {
        assert_eq!(process.judge(&format!("s{n}")), [Revoked; 2], "{n}");
    }
}

#[test]
fn a_head_of_another_version_is_no_head() {
    let mut process = Process::synced(1, &["a"]);
    process.vms.clear();
    process.shared.put("postern.feed.3.head", &[0; 60]);
    process.start_vm("d1");
    assert_eq!(process.judge("a"), [Stale]);
    process.ticks(25);
    assert_eq!(process.judge("a"), [Revoked]);
    assert_eq!(process.judge("alice"), [Good]);
}
