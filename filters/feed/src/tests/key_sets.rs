//! Issuers' keys.

use super::*;

const A: &str = "https://a.test";
const B: &str = "https://b.test";

fn process(vms: usize, issuers: &[&str]) -> Process {
    let issuers = issuers.iter().map(|issuer| (*issuer).to_owned()).collect();
    Process::with(Settings { issuers, ..settings() }, vms)
}

fn take(process: &mut Process, at: usize) -> Vec<(usize, String)> {
    let sets = process.vms[at].take_key_sets(&process.shared);
    sets.into_iter().map(|(place, jwks)| (place, String::from_utf8(jwks).unwrap())).collect()
}

fn sets(expected: &[(usize, &str)]) -> Vec<(usize, String)> {
    expected.iter().map(|(place, jwks)| (*place, (*jwks).to_owned())).collect()
}

#[test]
fn every_vm_gets_what_changed_and_only_that() {
    let mut process = process(3, &[A, B]);
    process.server().set_keys(A, "{a1}", "1");
    process.server().set_keys(B, "{b1}", "1");
    process.server().set_keys("https://other.test", "{o}", "1");
    process.ticks(3);
    for at in 0..3 {
        assert_eq!(take(&mut process, at), sets(&[(0, "{a1}"), (1, "{b1}")]));
        assert!(take(&mut process, at).is_empty());
    }
    let asked = process.asked();
    assert_eq!(
        asked[0].key_digests,
        BTreeMap::from([(A.into(), "".into()), (B.into(), "".into())])
    );
    assert!(asked.last().unwrap().key_digests.values().all(|digest| digest == "1"));
    process.server().set_keys(B, "{b2}", "2");
    process.ticks(2);
    for at in 0..3 {
        assert_eq!(take(&mut process, at), sets(&[(1, "{b2}")]));
    }
    assert_eq!(process.judge("alice"), [Good; 3]);
}

#[test]
fn a_vm_that_starts_later_has_them_without_the_server() {
    let mut process = process(1, &[A]);
    process.server().set_keys(A, "{a1}", "1");
    process.ticks(3);
    process.server = None;
    process.start_vm("d1");
    process.tick();
    assert_eq!(take(&mut process, 1), sets(&[(0, "{a1}")]));
}

#[test]
fn a_leader_that_takes_over_does_not_ask_for_what_is_there() {
    let mut process = process(2, &[A]);
    process.server().set_keys(A, "{a1}", "1");
    process.ticks(3);
    process.vms.remove(0);
    process.ticks(25);
    assert_eq!(process.asked().last().unwrap().key_digests[A], "1");
    assert_eq!(take(&mut process, 0), sets(&[(0, "{a1}")]));
}

#[test]
fn another_documents_issuer_of_the_same_place_is_another() {
    let mut process = process(1, &[A, B]);
    process.server().set_keys(A, "{a1}", "1");
    process.server().set_keys(B, "{b1}", "1");
    process.ticks(3);
    assert_eq!(take(&mut process, 0), sets(&[(0, "{a1}"), (1, "{b1}")]));
    process.settings.issuers = vec![B.to_owned(), A.to_owned()];
    let server = process.server.take();
    process.start_vm("d2");
    process.tick();
    assert!(take(&mut process, 1).is_empty(), "these are not its own");
    process.server = server;
    process.ticks(5);
    assert_eq!(take(&mut process, 1), sets(&[(0, "{b1}"), (1, "{a1}")]));
    assert!(take(&mut process, 0).is_empty(), "whoever runs the old document keeps what it has");
}

#[test]
fn a_set_that_is_out_of_bounds_is_left_and_the_rest_is_taken() {
    let (long, wide) = ("x".repeat(262_145), "d".repeat(65));
    for (jwks, digest) in [(long.as_str(), "1"), ("{}", ""), ("{}", "a b"), ("{}", wide.as_str())] {
        let mut process = process(1, &[A, B]);
        process.server().piece = Some(BUCKETS);
        process.server().revoke("mallory");
        process.server().set_keys(A, jwks, digest);
        process.server().set_keys(B, &"y".repeat(262_144), &"d".repeat(64));
        let body = process.until_asked(0);
        let mut answer = process.server().respond(&decode(&body), NOW);
        let set = process.server().key_sets[A].clone();
        // Our server would not send a set without a digest.
        if !answer.key_sets.contains(&set) {
            answer.key_sets.push(set);
        }
        let answer = framing::frame(&answer).unwrap();
        let result = process.vms[0].answered(&process.shared, Answered::Body(&answer), NOW);
        assert_eq!(result, Err(FeedError::TooLarge), "{digest}");
        assert_eq!(process.judge("mallory"), [Revoked]);
        let taken = take(&mut process, 0);
        assert_eq!(taken.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1]);
    }
}

fn decode(body: &[u8]) -> ExchangeRequest {
    ExchangeRequest::decode(framing::unframe(body).unwrap()).unwrap()
}

#[test]
fn keys_that_are_wanted_are_asked_for_at_once_and_not_again_for_a_while() {
    let settings = Settings {
        issuers: vec![A.to_owned(), B.to_owned()],
        wait_ms: 10_000,
        max_staleness_ms: 60_000,
        ..settings()
    };
    let mut process = Process::with(settings, 2);
    process.server().next_poll_ms = 0;
    process.ticks(3);
    let held = process.until_asked(0);
    assert!(decode(&held).wanted_keys.is_empty());
    process.vms[1].want_keys(&process.shared, 1);
    process.vms[1].want_keys(&process.shared, 7);
    // It does not wait for the end of the call that the server holds.
    let told = process.vms[0].tick(&process.shared).unwrap();
    assert_eq!((decode(&told).wanted_keys, decode(&told).wait_ms), (vec![B.to_owned()], 10_000));
    for tick in 0..120 {
        process.vms[1].want_keys(&process.shared, 1);
        assert!(process.vms[1].tick(&process.shared).is_none());
        let asked = process.vms[0].tick(&process.shared);
        assert_eq!(asked.is_some(), tick == 99, "{tick}");
        if let Some(body) = asked {
            assert_eq!(decode(&body).wanted_keys, [B]);
        }
    }
}

#[test]
fn keys_that_nobody_heard_of_are_asked_for_again() {
    let mut process = process(1, &[A]);
    process.ticks(3);
    process.vms[0].want_keys(&process.shared, 0);
    process.server().refuses = Some(Some(200));
    process.tick();
    assert_eq!(process.asked().last().unwrap().wanted_keys, [A]);
    process.ticks(1);
    process.server().refuses = None;
    process.ticks(3);
    let times = process.asked().iter().filter(|asked| !asked.wanted_keys.is_empty()).count();
    assert_eq!(times, 2, "once in vain");
    assert!(process.asked().last().unwrap().wanted_keys.is_empty());
}

#[test]
fn tokens_with_unknown_keys_cost_a_vm_little() {
    let mut process = process(1, &[A]);
    process.ticks(3);
    let calls = process.shared.calls.get();
    for _ in 0..1_000 {
        process.vms[0].want_keys(&process.shared, 0);
    }
    assert_eq!(process.shared.calls.get() - calls, 2);
}
