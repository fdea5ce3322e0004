//! Several servers behind one name.

use super::*;

#[test]
fn a_replica_that_is_behind_takes_nothing_back() {
    let mut process = Process::synced(1, &["a", "b"]);
    // Another replica: the same store, one commit ago.
    process.server().hidden = 1;
    process.ticks(5);
    assert_eq!(process.judge("b"), [Revoked]);
    // And one that has just started, and sends the whole of it.
    process.server().forgetful = true;
    process.ticks(5);
    assert_eq!(process.judge("a"), [Revoked]);
    assert_eq!(process.judge("b"), [Revoked]);
    assert_eq!(process.vms[0].records(), 2);
}

#[test]
fn two_with_different_cursors_answer_in_turn() {
    let mut process = Process::synced(2, &[]);
    for n in 0..100 {
        let subject = format!("s{n}");
        process.server().revoke(&subject);
        for hidden in [3, 0] {
            process.server().hidden = hidden;
            process.tick();
        }
        // The other VM may be a tick behind.
        process.server().hidden = 3;
        process.tick();
        for known in 0..=n {
            assert_eq!(process.judge(&format!("s{known}")), [Revoked; 2], "{known} at {n}");
        }
    }
    assert_eq!(process.vms[0].records(), 100, "what comes twice counts once");
    let snapshots = process.asked().iter().filter(|asked| asked.epoch == 0);
    assert!(snapshots.count() < 10, "only the first time");
}

#[test]
fn a_store_that_lost_its_last_commits_goes_on_with_others_of_their_numbers() {
    let mut process = Process::synced(2, &["a", "b"]);
    process.server().log.pop();
    process.ticks(2);
    process.server().revoke("c");
    process.ticks(2);
    for subject in ["a", "b", "c"] {
        assert_eq!(process.judge(subject), [Revoked; 2], "{subject}");
    }
}

#[test]
fn two_of_different_stores_do_no_harm() {
    let mut process = Process::synced(2, &["a"]);
    process.server().piece = Some(5_000);
    let mut other = Server::new();
    other.epoch = 6;
    other.piece = Some(5_000);
    other.revoke("b");
    let mut at = 0;
    for _ in 0..20 {
        process.now.0 += 100;
        let mut next = process.vms[0].tick(&process.shared);
        while let Some(body) = next.take() {
            at += 1;
            if at % 2 == 0 {
                std::mem::swap(process.server(), &mut other);
            }
            next = process.exchange(0, &body).unwrap_or_default();
        }
        let _ = process.vms[1].tick(&process.shared);
        for vm in 0..2 {
            let subject = if process.vms[vm].epoch() == 5 { "a" } else { "b" };
            assert_eq!(process.judge(subject)[vm], Revoked);
        }
    }
}
