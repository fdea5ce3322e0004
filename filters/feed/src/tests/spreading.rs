//! What one VM hears reaches the others.

use super::*;

#[test]
fn nothing_is_known_before_the_first_answer_and_all_after_it() {
    let mut process = Process::new(3);
    process.server().revoke("mallory");
    assert_eq!(process.judge("alice"), [Stale; 3]);
    process.ticks(2);
    assert_eq!(process.judge("mallory"), [Revoked; 3]);
    assert_eq!(process.judge("alice"), [Good; 3]);
    assert_eq!(process.asked()[0].document_digest, "d1");
    let digests: Vec<_> = process.vms.iter().map(Feed::document_digest).collect();
    assert_eq!(digests, [Some("served"), None, None]);
}

#[test]
fn what_is_revoked_later_reaches_every_vm_within_two_polls() {
    let mut process = Process::synced(4, &[]);
    let before: Vec<u32> = process.vms.iter().map(Feed::generation).collect();
    for round in 0..200 {
        let subject = format!("s{round}");
        assert_eq!(process.judge(&subject), [Good; 4]);
        process.server().revoke(&subject);
        process.ticks(2);
        assert_eq!(process.judge(&subject), [Revoked; 4], "{round}");
    }
    let begun = |asked: &&ExchangeRequest| asked.epoch == 0 && asked.snapshot_bucket == 0;
    assert_eq!(process.asked().iter().filter(begun).count(), 1, "deltas after the first time");
    assert!(process.vms.iter().zip(before).all(|(vm, before)| vm.generation() > before));
}

#[test]
fn a_token_found_good_is_not_looked_up_again_until_something_changes() {
    let mut process = Process::synced(1, &["mallory"]);
    let vm = &process.vms[0];
    let calls = process.shared.calls.get();
    let since = Some(vm.generation());
    let judge = |process: &Process| {
        process.vms[0].judge(&process.shared, &marks("alice"), Some(1), since, NOW)
    };
    assert_eq!(judge(&process), Good);
    assert_eq!(process.shared.calls.get(), calls);
    process.server().revoke("alice");
    process.ticks(2);
    assert_eq!(judge(&process), Revoked);
}

#[test]
fn a_new_filter_is_read_a_little_in_every_tick_and_is_not_needed_until_then() {
    let mut process = Process::new(1);
    process.server().revoke("mallory");
    // 115 pieces.
    process.server().claims_records = Some(1_000_000);
    process.ticks(4);
    process.start_vm("d1");
    let mut ticks = 0;
    while !process.vms[1].view.is_complete {
        let calls = process.shared.calls.get();
        assert!(process.vms[1].tick(&process.shared).is_none());
        let calls = process.shared.calls.get() - calls;
        assert!(calls <= 32 + 8, "{calls} calls");
        ticks += 1;
        // What comes meanwhile is not missed, and what is good is not refused.
        let late = format!("late{ticks}");
        assert_eq!(process.judge(&late)[1], Good);
        process.server().revoke(&late);
        let body = process.until_asked(0);
        process.exchange(0, &body).unwrap();
        assert!(process.vms[1].tick(&process.shared).is_none());
        for subject in ["mallory", late.as_str()] {
            assert_eq!(process.judge(subject)[1], Revoked, "{subject} at {ticks}");
        }
    }
    assert_eq!(ticks, 2, "32 pieces at the start and in each of its ticks");
    for subject in ["mallory", "late1", "late2"] {
        assert_eq!(process.judge(subject), [Revoked; 2], "{subject}");
    }
    let calls = process.shared.calls.get();
    assert_eq!(process.judge("alice"), [Good; 2]);
    assert_eq!(process.shared.calls.get(), calls, "the filter answers");
}

#[test]
fn a_vm_that_missed_much_reads_it_all() {
    let mut process = Process::synced(2, &[]);
    let asleep = process.vms.pop().unwrap();
    for n in 0..100 {
        process.server().revoke(&format!("s{n}"));
        process.ticks(1);
    }
    process.vms.push(asleep);
    process.tick();
    assert_eq!(process.judge("s0"), [Revoked; 2]);
    assert_eq!(process.judge("s99"), [Revoked; 2]);
}

#[test]
fn a_large_delta_reaches_everyone() {
    let mut process = Process::synced(2, &[]);
    process.server().ring = 10_000;
    for n in 0..5_000 {
        process.server().revoke(&format!("s{n}"));
    }
    process.ticks(2);
    for n in (0..5_000).step_by(97) {
        assert_eq!(process.judge(&format!("s{n}")), [Revoked; 2], "{n}");
    }
    assert_eq!(process.vms[1].records(), 5_000);
}

#[test]
fn without_a_server_what_is_known_gets_stale_and_then_fresh_again() {
    let mut process = Process::synced(2, &["a"]);
    let server = process.server.take();
    process.ticks(20);
    assert_eq!(process.judge("a"), [Revoked; 2], "two seconds are not too old");
    process.ticks(15);
    assert_eq!(process.judge("a"), [Revoked; 2], "that is known for good");
    assert_eq!(process.judge("alice"), [Stale; 2]);
    assert!(process.vms[0].age_ms().unwrap() >= 3_000);
    process.server = server;
    process.ticks(200);
    assert_eq!(process.judge("a"), [Revoked; 2]);
    assert_eq!(process.judge("alice"), [Good; 2]);
}

#[test]
fn keys_are_few_however_much_is_revoked() {
    let mut process = Process::new(1);
    for n in 0..20_000 {
        process.server().revoke(&format!("s{n}"));
    }
    process.ticks(3);
    for n in 0..300 {
        process.server().revoke(&format!("t{n}"));
        process.ticks(1);
    }
    // Buckets, the log, three pieces of the filter, and the few that there is one of.
    let most = 16_384 + 64 + 3 + 8;
    assert!(process.shared.keys() <= most, "{}", process.shared.keys());
    assert_eq!(process.vms[0].records(), 20_300);
}
