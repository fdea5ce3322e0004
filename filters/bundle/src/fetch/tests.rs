//! VMs of one process, each with its fetcher, over the same shared data.

use super::*;
use postern_filter_shared_data::Memory;

const KEYS: &[u8] = include_bytes!("../../../../core/jose/tests/keys/jwks.json");
const START: u64 = 1_000_000;
const REFRESH_MS: u64 = 300_000;

fn fetcher(document: &str) -> KeyFetcher {
    fetcher_of(document, |text| text.iter().fold(7, |hash, byte| hash * 31 + u128::from(*byte)))
}

fn fetcher_of(document: &str, hash: impl Fn(&[u8]) -> u128) -> KeyFetcher {
    let source = KeySource {
        issuer: 3,
        cluster: "c".to_owned(),
        authority: "a".to_owned(),
        path: "/jwks".to_owned(),
        refresh_ms: REFRESH_MS,
    };
    let hash = |text: &[u8]| hash(text).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    KeyFetcher::new(vec![(source, "https://i.test".to_owned())], document, hash)
}

/// One VM's tick: whether it has fetched, and the keys that it has taken over.
fn tick(fetcher: &mut KeyFetcher, shared: &Memory, now: u64) -> (bool, usize) {
    let round = fetcher.tick(shared, UnixMillis(now));
    for call in &round.calls {
        // Later than the tick, by a clock that goes on meanwhile.
        fetcher.sent(shared, call, Some(9), UnixMillis(now + 1));
    }
    (!round.calls.is_empty(), round.keys.len())
}

fn answer(
    fetcher: &mut KeyFetcher,
    shared: &Memory,
    answer: (Option<u16>, &[u8]),
    now: u64,
) -> Option<Result<(usize, KeySet), String>> {
    fetcher.answered(shared, 9, answer.0, answer.1, UnixMillis(now))
}

/// When the next fetch comes, by ticks of a tenth of a second.
fn next_fetch(fetcher: &mut KeyFetcher, shared: &Memory, mut now: u64) -> u64 {
    for _ in 0..100_000 {
        if tick(fetcher, shared, now).0 {
            return now;
        }
        now += 100;
    }
    panic!("nothing is fetched");
}

#[test]
fn keys_are_fetched_at_once_and_then_on_time() {
    let (shared, mut fetcher) = (Memory::default(), fetcher("d"));
    assert_eq!(tick(&mut fetcher, &shared, START), (true, 0));
    assert_eq!(tick(&mut fetcher, &shared, START + 100), (false, 0), "on its way");
    let good = (Some(200), KEYS);
    let (issuer, keys) = answer(&mut fetcher, &shared, good, START + 150).unwrap().unwrap();
    assert_eq!((issuer, keys.keys.len()), (3, 2));
    assert!(answer(&mut fetcher, &shared, good, START + 160).is_none(), "answered already");
    let next = next_fetch(&mut fetcher, &shared, START + 200) - (START + 150);
    assert!((REFRESH_MS - REFRESH_MS / 10..=REFRESH_MS + REFRESH_MS / 10 + 100).contains(&next));
}

#[test]
fn fetches_of_many_envoys_are_spread() {
    let mut times: Vec<u64> = (0..200_u64)
        .map(|seed| {
            let mut fetcher = fetcher_of("d", |_| spread(seed).into());
            let source = fetcher.sources.first_mut().unwrap();
            source.fetched(UnixMillis(START));
            source.due_at.0 - START
        })
        .collect();
    times.sort_unstable();
    assert!(times[0] >= 270_000 && times[199] <= 330_000, "{times:?}");
    assert!(times[0] < 275_000 && times[199] > 325_000, "{times:?}");
    assert!((290_000..310_000).contains(&times[100]), "{times:?}");
}

#[test]
fn failures_are_retried_with_growing_pauses() {
    let (shared, mut fetcher) = (Memory::default(), fetcher("d"));
    let (mut now, mut pauses) = (START, Vec::new());
    for failure in [(None, &b""[..]), (Some(500), b""), (Some(200), b"<html>"), (Some(200), b"{}")]
    {
        assert!(tick(&mut fetcher, &shared, now).0);
        let error = answer(&mut fetcher, &shared, failure, now).unwrap().unwrap_err();
        assert!(error.starts_with("keys of https://i.test from c: "), "{error}");
        let start = now;
        while fetcher.sources[0].due_at > UnixMillis(now) {
            now += 500;
        }
        pauses.push(now - start);
    }
    assert_eq!(pauses, [1000, 2000, 4000, 8000]);
}

#[test]
fn a_cluster_that_is_not_there_is_tried_again() {
    let (shared, mut fetcher) = (Memory::default(), fetcher("d"));
    let round = fetcher.tick(&shared, UnixMillis(START));
    fetcher.sent(&shared, &round.calls[0], None, UnixMillis(START + 3));
    assert_eq!(next_fetch(&mut fetcher, &shared, START + 100), START + 1100);
}

#[test]
fn one_vm_fetches_and_the_others_take_it() {
    let shared = Memory::default();
    let mut vms = [fetcher("d"), fetcher("d"), fetcher("d")];
    for now in [START, START + 100, START + 200] {
        let fetched = vms.each_mut().map(|vm| tick(vm, &shared, now).0);
        assert_eq!(fetched, [now == START, false, false]);
    }
    assert!(answer(&mut vms[0], &shared, (Some(200), KEYS), START + 250).unwrap().is_ok());
    let taken = vms.each_mut().map(|vm| tick(vm, &shared, START + 300));
    assert_eq!(taken, [(false, 0), (false, 1), (false, 1)]);
    let taken = vms.each_mut().map(|vm| tick(vm, &shared, START + 400));
    assert_eq!(taken, [(false, 0); 3]);
    // Later, whoever ticks first.
    let due = vms.each_ref().map(|vm| vm.sources[0].due_at);
    assert_eq!(due, [due[0]; 3]);
    let fetched = vms.each_mut().map(|vm| tick(vm, &shared, due[0].0).0);
    assert_eq!(fetched, [true, false, false]);
    // A VM that comes late has them at once.
    let mut late = fetcher("d");
    assert_eq!(late.known(&shared).len(), 1);
    assert_eq!(late.sources[0].due_at, due[0]);
    assert_eq!(late.known(&shared).len(), 0);
}

#[test]
fn when_a_vm_fails_or_dies_another_goes_on() {
    let shared = Memory::default();
    let mut vms = [fetcher("d"), fetcher("d")];
    assert!(tick(&mut vms[0], &shared, START).0);
    assert!(answer(&mut vms[0], &shared, (Some(503), b""), START + 100).unwrap().is_err());
    // Both wait for the end of the pause; nobody asks the server sooner.
    assert_eq!(next_fetch(&mut vms[1], &shared, START + 100), START + 1100);
    assert_eq!(tick(&mut vms[0], &shared, START + 1100), (false, 0));
    // Its answer never comes.
    assert_eq!(next_fetch(&mut vms[0], &shared, START + 1200), START + 1100 + TIMEOUT_MS);
    // And comes after all, when the other has fetched anew.
    assert!(answer(&mut vms[1], &shared, (Some(500), b""), START + 6200).unwrap().is_err());
    let (claim, _) = vms[0].sources[0].places.claim(&shared);
    assert!(claim.unwrap().in_flight, "what is not its own it does not give back");
    assert!(answer(&mut vms[0], &shared, (Some(200), KEYS), START + 6300).unwrap().is_ok());
    assert_eq!(tick(&mut vms[1], &shared, START + 8300), (false, 1));
}

#[test]
fn keys_of_another_document_do_not_count() {
    let shared = Memory::default();
    let mut old = fetcher("d1");
    assert!(tick(&mut old, &shared, START).0);
    let mut new = fetcher("d2");
    assert!(tick(&mut new, &shared, START + 10).0, "and its claim holds nobody up");
    assert!(answer(&mut old, &shared, (Some(200), KEYS), START + 20).unwrap().is_ok());
    assert!(new.known(&shared).is_empty());
    assert!(answer(&mut new, &shared, (Some(200), KEYS), START + 30).unwrap().is_ok());
    assert_eq!(tick(&mut old, &shared, START + 40), (false, 0));
}

#[test]
fn what_others_say_is_read_as_strictly_as_an_answer() {
    let (shared, mut vm) = (Memory::default(), fetcher("d"));
    vm.sources[0].places.publish(&shared, UnixMillis(START), b"<html>");
    assert!(vm.known(&shared).is_empty());
    assert!(tick(&mut vm, &shared, START + 10).0);
}

#[test]
fn an_unknown_key_is_asked_for_at_most_every_ten_seconds() {
    let shared = Memory::default();
    let mut vms = [fetcher("d"), fetcher("d")];
    let mut fetches = Vec::new();
    for step in 0..600 {
        let now = START + step * 100;
        for vm in &mut vms {
            // On every request, in every VM.
            vm.want(3, UnixMillis(now));
            vm.want(4, UnixMillis(now));
            if tick(vm, &shared, now).0 {
                fetches.push(step);
                assert!(answer(vm, &shared, (Some(200), KEYS), now + 40).unwrap().is_ok());
            }
        }
    }
    assert_eq!(fetches, [0, 100, 200, 300, 400, 500]);
}

#[test]
fn wanting_a_key_all_day_looks_at_shared_data_now_and_then() {
    let (shared, mut vm) = (Memory::default(), fetcher("d"));
    assert!(tick(&mut vm, &shared, START).0);
    assert!(answer(&mut vm, &shared, (Some(200), KEYS), START + 40).unwrap().is_ok());
    let before = shared.calls.get();
    for step in 1..100 {
        vm.want(3, UnixMillis(START + step * 100));
        assert_eq!(tick(&mut vm, &shared, START + step * 100), (false, 0));
    }
    assert!(shared.calls.get() - before <= 4, "{}", shared.calls.get() - before);
}

#[test]
fn a_key_that_another_vm_has_found_is_there_at_the_next_tick() {
    let shared = Memory::default();
    let mut vms = [fetcher("d"), fetcher("d")];
    assert!(tick(&mut vms[0], &shared, START).0);
    assert!(answer(&mut vms[0], &shared, (Some(200), KEYS), START + 40).unwrap().is_ok());
    assert_eq!(tick(&mut vms[1], &shared, START + 100), (false, 1));
    let later = START + 60_000;
    vms[0].want(3, UnixMillis(later));
    assert!(tick(&mut vms[0], &shared, later).0);
    vms[1].want(3, UnixMillis(later));
    assert_eq!(tick(&mut vms[1], &shared, later), (false, 0), "it is being asked for");
    assert!(answer(&mut vms[0], &shared, (Some(200), KEYS), later + 50).unwrap().is_ok());
    assert_eq!(tick(&mut vms[1], &shared, later + 100), (false, 1));
}

#[test]
fn a_clock_that_goes_back_stops_nothing() {
    let shared = Memory::default();
    let mut vms = [fetcher("d"), fetcher("d")];
    assert!(tick(&mut vms[0], &shared, START).0);
    assert!(answer(&mut vms[0], &shared, (Some(200), KEYS), START).unwrap().is_ok());
    assert_eq!(tick(&mut vms[1], &shared, START), (false, 1));
    let yesterday = START - 900_000;
    assert!(tick(&mut vms[1], &shared, yesterday).0);
    assert!(answer(&mut vms[1], &shared, (Some(200), KEYS), yesterday).unwrap().is_ok());
    assert_eq!(tick(&mut vms[0], &shared, yesterday), (false, 1));
}
