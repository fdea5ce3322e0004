//! What has expired goes, and the filter is made anew.

use super::*;

/// In seconds.
const NOW_SECS: u32 = 1_000_000;
/// A walk over all buckets, in ticks.
const WALK: u32 = 256;
/// When the first walk begins, in ticks.
const FIRST: u32 = 600;

fn process(vms: usize, kept: u32, gone: u32, gone_at: u32) -> Process {
    let mut process = Process::new(vms);
    (0..kept).for_each(|n| process.server().revoke(&format!("kept{n}")));
    (0..gone).for_each(|n| process.server().revoke_until(&format!("gone{n}"), gone_at));
    process.ticks(3);
    process
}

fn is_there(process: &Process, subject: &str) -> bool {
    let set = process.vms[0].view.head.set;
    set::find(&process.shared, set, fingerprint(subject)).unwrap().is_some()
}

fn all_revoked(process: &Process, kept: u32) {
    for n in 0..kept {
        assert!(process.judge(&format!("kept{n}")).iter().all(|judged| *judged == Revoked), "{n}");
    }
}

#[test]
fn what_has_expired_leaves_its_bucket_and_the_rest_stays() {
    let mut process = process(2, 50, 150, NOW_SECS + 30);
    process.ticks(FIRST - 10);
    assert!(is_there(&process, "gone1"), "not before it is time for a walk");
    process.ticks(WALK + 20);
    assert!((0..150).all(|n| !is_there(&process, &format!("gone{n}"))));
    assert_eq!(process.vms.iter().map(Feed::records).collect::<Vec<_>>(), [50; 2]);
    all_revoked(&process, 50);
    assert_eq!(process.judge("gone1"), [Good; 2]);
}

#[test]
fn a_walk_is_cut_into_ticks() {
    let mut process = process(1, 2_000, 0, 0);
    process.ticks(FIRST - 3);
    let mut most = 0;
    for _ in 0..WALK + 10 {
        let calls = process.shared.calls.get();
        process.tick();
        most = most.max(process.shared.calls.get() - calls);
    }
    assert!((64..=64 + 16).contains(&most), "{most} calls in a tick");
    // And the next one an hour later.
    let calls = process.shared.calls.get();
    process.ticks(1_000);
    assert!(process.shared.calls.get() - calls < 16 * 1_000);
}

#[test]
fn an_overfull_filter_is_made_anew_and_misses_nothing() {
    let mut process = process(2, 0, 0, 0);
    process.server().ring = 10_000;
    let before = process.vms[0].view.head;
    assert_eq!(before.capacity, 4_096);
    for n in 0..5_000 {
        process.server().revoke(&format!("kept{n}"));
    }
    process.tick();
    // What comes while the new one is made is in it, whichever bucket it belongs to.
    for n in 5_000..5_300 {
        process.server().revoke(&format!("kept{n}"));
        process.tick();
    }
    let head = process.vms[0].view.head;
    assert_ne!(head.filter, before.filter);
    assert_eq!((head.capacity, head.records), (6_250, 5_300));
    assert!((5_000..=5_300).contains(&head.filtered), "{}", head.filtered);
    process.ticks(2);
    all_revoked(&process, 5_300);
    process.start_vm("d1");
    assert!(process.vms.iter().all(|vm| vm.view.is_complete));
    all_revoked(&process, 5_300);
    let calls = process.shared.calls.get();
    let good = (0..1_000).filter(|n| process.judge(&format!("good{n}")) == [Good; 3]).count();
    assert_eq!(good, 1_000);
    assert!(process.shared.calls.get() - calls < 60, "few look like members");
}

#[test]
fn a_new_filter_revokes_nothing_anew() {
    let mut process = process(1, 0, 0, 0);
    process.server().ring = 10_000;
    (0..5_000).for_each(|n| process.server().revoke(&format!("kept{n}")));
    process.ticks(2);
    let (generation, filter) = (process.vms[0].generation(), process.vms[0].view.head.filter);
    process.ticks(WALK);
    assert_ne!(process.vms[0].view.head.filter, filter);
    assert_eq!(process.vms[0].generation(), generation, "good tokens need not be looked up again");
}

#[test]
fn a_hollow_filter_is_made_anew() {
    let mut process = process(2, 100, 4_000, NOW_SECS + 30);
    assert_eq!(process.vms[0].view.head.capacity, 5_125);
    process.ticks(FIRST + WALK * 2 + 10);
    let head = process.vms[0].view.head;
    assert_eq!((head.records, head.filtered, head.capacity), (100, 100, 4_096));
    all_revoked(&process, 100);
    assert!(process.vms.iter().all(|vm| vm.view.is_complete));
}

#[test]
fn a_damaged_filter_is_made_anew_and_nobody_is_let_in_until_then() {
    let mut process = process(1, 300, 0, 0);
    let filter = process.vms[0].view.head.filter;
    process.shared.put(&format!("postern.feed.3.filter.{}.0", filter & 1), b"damage");
    process.vms.clear();
    process.start_vm("d1");
    process.ticks(25);
    assert!(!process.vms[0].view.is_complete);
    all_revoked(&process, 300);
    assert_eq!(process.judge("alice"), [Good]);
    process.ticks(WALK + 10);
    assert!(process.vms[0].view.is_complete);
    all_revoked(&process, 300);
}

#[test]
fn a_clock_that_jumps_ahead_drops_nothing() {
    const DAY_MS: u64 = 86_400_000;
    for (here, there) in [(DAY_MS, 0), (0, DAY_MS), (DAY_MS, DAY_MS)] {
        let mut process = process(2, 0, 50, NOW_SECS + 3_600);
        process.ahead_ms = here;
        process.server().ahead_ms = there;
        process.ticks(FIRST + WALK + 10);
        // So that what is merged is merged by that clock, too.
        for n in 0..50 {
            process.server().revoke_until(&format!("gone{n}"), NOW_SECS + 3_600);
        }
        process.ticks(3);
        process.ahead_ms = 0;
        process.server().ahead_ms = 0;
        process.ticks(3);
        for n in 0..50 {
            assert_eq!(process.judge(&format!("gone{n}")), [Revoked; 2], "{n} {here} {there}");
        }
    }
}

#[test]
fn what_another_store_left_is_emptied() {
    let mut process = process(1, 200, 0, 0);
    let (set, server) = (process.vms[0].view.head.set, process.server());
    (server.epoch, server.log) = (6, Vec::new());
    server.revoke("other");
    process.ticks(3);
    assert_ne!(process.vms[0].view.head.set, set);
    let left = |process: &Process| {
        let is_left = |n: &u32| {
            set::find(&process.shared, set, fingerprint(&format!("kept{n}"))).unwrap().is_some()
        };
        (0..200).filter(is_left).count()
    };
    assert_eq!(left(&process), 200, "whoever has not ticked yet looks there");
    process.ticks(FIRST + WALK);
    assert_eq!(left(&process), 0);
    assert_eq!(process.judge("other"), [Revoked]);
}
