//! When the server is asked, and what becomes of calls that go wrong.

use super::*;

/// The ticks between two calls, over so many ticks.
fn gaps(process: &mut Process, ticks: u32) -> Vec<u32> {
    let (mut gaps, mut gap) = (Vec::new(), 0);
    for _ in 0..ticks {
        let before = process.asked().len();
        process.tick();
        gap += 1;
        if process.asked().len() > before {
            gaps.push(gap);
            gap = 0;
        }
    }
    gaps
}

fn polling(poll_ms: u64, max_staleness_ms: u64) -> Process {
    let settings = Settings { poll_ms, wait_ms: 10_000, max_staleness_ms, ..settings() };
    let mut process = Process::with(settings, 1);
    process.ticks(2);
    process
}

#[test]
fn polls_come_on_time_within_a_tenth() {
    let mut process = polling(1_000, 30_000);
    let gaps = gaps(&mut process, 2_000);
    assert!(gaps.iter().all(|gap| (9..=11).contains(gap)), "{gaps:?}");
    assert!((190..=210).contains(&gaps.len()), "{}", gaps.len());
    assert!(gaps.contains(&9) && gaps.contains(&11), "{gaps:?}");
    assert!(process.asked().iter().all(|asked| asked.wait_ms == 0));
}

#[test]
fn a_server_can_only_slow_polls_down_and_not_until_all_is_stale() {
    for (next_poll_ms, expected) in [(0, 10), (300, 10), (5_000, 50), (u32::MAX, 200)] {
        let mut process = polling(1_000, 60_000);
        process.server().next_poll_ms = next_poll_ms;
        process.ticks(12);
        let gaps = gaps(&mut process, 1_000);
        let near = expected - 1..=expected + 1;
        assert!(gaps.iter().skip(1).all(|gap| near.contains(gap)), "{next_poll_ms}: {gaps:?}");
        assert!(gaps.len() > 3);
    }
}

#[test]
fn a_refusal_says_when_to_come_back() {
    for (next_poll_ms, expected) in [(0, 1), (700, 7), (4_000, 40), (u64::MAX, 600)] {
        let mut process = Process::synced(1, &[]);
        process.server().refuses = Some(Some(next_poll_ms));
        let body = process.until_asked(0);
        assert_eq!(process.exchange(0, &body), Err(FeedError::Refused));
        let gaps = gaps(&mut process, 1_300);
        assert!(gaps.iter().all(|gap| *gap == expected), "{next_poll_ms}: {gaps:?}");
        assert!(gaps.len() > 1);
    }
}

#[test]
fn without_an_answer_pauses_grow_and_spread() {
    let mut process = Process::synced(1, &[]);
    process.server().refuses = Some(None);
    let gaps = gaps(&mut process, 6_000);
    assert!(gaps.iter().all(|gap| *gap <= 150), "{gaps:?}");
    let (early, late) = gaps.split_at(4);
    assert!(early.iter().sum::<u32>() <= 80, "{early:?}");
    let mean = late.iter().sum::<u32>() / u32::try_from(late.len()).unwrap();
    assert!((50..=100).contains(&mean), "{mean}: {late:?}");
}

fn waiting() -> Process {
    let settings = Settings { wait_ms: 10_000, max_staleness_ms: 60_000, ..settings() };
    let mut process = Process::with(settings, 1);
    process.server().next_poll_ms = 0;
    process.ticks(3);
    process
}

#[test]
fn only_whoever_knows_everything_waits() {
    let process = waiting();
    for asked in process.asked() {
        assert_eq!(asked.wait_ms, if asked.epoch == 0 { 0 } else { 10_000 });
    }
    assert_eq!(process.asked().last().unwrap().wait_ms, 10_000);
}

#[test]
fn after_a_call_that_was_held_the_next_one_follows_at_once() {
    let mut process = waiting();
    let body = process.until_asked(0);
    for _ in 0..50 {
        assert_eq!(process.vms[0].tick(&process.shared), None);
    }
    let next = process.exchange(0, &body).unwrap();
    assert!(next.is_some());
    // One that came back at once, without anything, would else never end.
    assert_eq!(process.exchange(0, &next.unwrap()), Ok(None));
    assert!(process.vms[0].tick(&process.shared).is_some());
}

#[test]
fn a_call_that_is_never_answered_is_made_again() {
    let mut process = waiting();
    let first = process.until_asked(0);
    let shared = &process.shared;
    let ticks = (1..).find(|_| process.vms[0].tick(shared).is_some());
    assert_eq!(ticks, Some(151), "ten seconds and five");
    assert!(process.exchange(0, &first).is_ok());
}

#[test]
fn a_server_that_always_has_more_is_asked_so_often_and_not_more() {
    let mut process = Process::synced(1, &[]);
    process.server().most_added = 1;
    for n in 0..200 {
        process.server().revoke(&format!("s{n}"));
    }
    let before = process.asked().len();
    process.tick();
    assert_eq!(process.asked().len() - before, 65);
    process.ticks(3);
    assert_eq!(process.judge("s199"), [Revoked]);
}

#[test]
fn part_of_what_is_missing_makes_nothing_fresh() {
    let mut process = Process::synced(1, &[]);
    process.server = None;
    process.ticks(40);
    assert_eq!(process.judge("alice"), [Stale]);
    let mut server = Server::new();
    server.most_added = 1;
    server.revoke("a");
    server.revoke("b");
    process.server = Some(server);
    let body = process.until_asked(0);
    let next = process.exchange(0, &body).unwrap().unwrap();
    assert_eq!(process.judge("alice"), [Stale], "there is more to come");
    assert_eq!(process.judge("a"), [Revoked], "what is known to be revoked is");
    process.exchange(0, &next).unwrap();
    assert_eq!(process.judge("alice"), [Good]);
}

#[test]
fn an_idle_process_says_so() {
    let mut process = polling(1_000, 30_000);
    process.start_vm("d1");
    process.ticks(100);
    let idle = process.asked().last().unwrap().idle_ms;
    assert!((8_000..=10_500).contains(&idle), "{idle}");
    process.vms[1].serves();
    process.ticks(15);
    assert!(process.asked().last().unwrap().idle_ms <= 1_500);
}

#[test]
fn a_busy_vm_writes_once_a_second_that_it_is() {
    let mut process = Process::synced(2, &[]);
    let version = |process: &Process| process.shared.get("postern.feed.3.used").map(|(_, at)| at);
    assert_eq!(version(&process), None);
    for _ in 0..100 {
        process.vms[1].serves();
        process.tick();
    }
    assert_eq!(version(&process), Some(10));
}

#[test]
fn where_nobody_listens_a_vm_is_elected_and_the_server_is_not_asked() {
    let mut process = Process::new(0);
    for _ in 0..3 {
        let vm = Feed::new(settings(), "d1", &process.shared, NOW).quiet();
        process.vms.push(vm);
    }
    process.ticks(60);
    assert!(process.asked().is_empty());
    assert_eq!(process.vms.iter().filter(|vm| vm.is_elected()).count(), 1);
    let numbers: std::collections::BTreeSet<u32> = process.vms.iter().map(Feed::vm).collect();
    assert_eq!(numbers.len(), 3);
}
