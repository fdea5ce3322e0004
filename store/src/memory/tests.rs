use super::*;

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use postern_leases::{Ask, LeaseId, Start, Terms};
use postern_limits::{Algorithm, Anchor, InFlight, Rate, Spec};

use crate::volatile::{LimitAsk, contract};

const NOW: UnixMillis = UnixMillis(7_200_000);

fn spec(rate: &str) -> Spec {
    let rate = Rate::parse(rate).unwrap();
    Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock).unwrap()
}

/// As well spread as the hashes that keys are.
fn key(number: u64) -> LimitKey {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(number);
    let mut hash = [7; 16];
    hash[..8].copy_from_slice(&hasher.finish().to_le_bytes());
    LimitKey { owner: 1, hash }
}

fn ask(number: u64, rate: &str) -> LimitAsk {
    LimitAsk { key: key(number), take: Take::Rate { spec: spec(rate), cost: 1 }, shadow: false }
}

impl MemoryStore {
    fn decide_on(&self, limits: &[LimitAsk], now: UnixMillis) -> Decision {
        self.decide_now(&DecisionAsk { limits: limits.to_vec(), circuit: None }, now)
    }

    /// Whether the key is there, over or not.
    fn has(&self, number: u64) -> bool {
        let hash = key(number).hash;
        let shard = self.shards.of(key(number)).unwrap();
        let is_counted = shard.rates.get(&hash).is_some() || shard.in_flight.get(&hash).is_some();
        is_counted || shard.ledgers.get(&hash).is_some()
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let store = MemoryStore::default();
    contract::run(&store, NOW, 1).await;
    contract::run_replicas(&store, &store, NOW, 2).await;
}

#[test]
fn keys_are_bounded() {
    let store = MemoryStore { shards: Shards::holding(4), ..MemoryStore::default() };
    for number in 0..2_000 {
        assert!(store.decide_on(&[ask(number, "1/1m")], NOW).allowed);
    }
    let kept = (0..2_000).filter(|number| store.has(*number)).count();
    assert!((200..=64 * 4).contains(&kept), "{kept}");
}

#[test]
fn keys_that_are_over_make_way() {
    let store = MemoryStore::default();
    for number in 0..5_000 {
        store.decide_on(&[ask(number, "9/1s")], NOW);
    }
    let later = UnixMillis(NOW.0 + 60_000);
    for number in 5_000..20_000 {
        store.decide_on(&[ask(number, "9/1h")], later);
    }
    assert_eq!((0..5_000).filter(|number| store.has(*number)).count(), 0);
    assert_eq!((5_000..20_000).filter(|number| store.has(*number)).count(), 15_000);
}

#[test]
fn a_request_that_is_refused_or_looks_makes_no_keys() {
    let store = MemoryStore::default();
    let full = ask(1, "1/1h");
    assert!(store.decide_on(&[full], NOW).allowed);
    let place = Take::InFlight { spec: InFlight::new(5, 60_000).unwrap(), id: 1 };
    let place = LimitAsk { key: key(3), take: place, shadow: false };
    for _ in 0..3 {
        assert!(!store.decide_on(&[ask(2, "5/1h"), place, full], NOW).allowed);
    }
    let look = LimitAsk { take: Take::Rate { spec: spec("5/1h"), cost: 0 }, ..ask(4, "5/1h") };
    assert!(store.decide_on(&[look], NOW).allowed);
    assert_eq!([1, 2, 3, 4].map(|number| store.has(number)), [true, false, false, false]);
}

#[test]
fn a_key_whose_requests_have_all_left_is_gone() {
    let store = MemoryStore::default();
    let place = |id| {
        let spec = InFlight::new(5, 60_000).unwrap();
        LimitAsk { key: key(1), take: Take::InFlight { spec, id }, shadow: false }
    };
    for id in [1, 2] {
        assert!(store.decide_on(&[place(id)], NOW).allowed);
    }
    for (id, still_there) in [(1, true), (2, false)] {
        let left = GiveBack { key: key(1), take: place(id).take };
        store.shards.give_back(&left, NOW);
        assert_eq!(store.has(1), still_there, "{id}");
    }
}

#[test]
fn a_hundred_limits_are_one_decision() {
    let store = MemoryStore::default();
    let mut limits: Vec<_> = (0..100).map(|number| ask(number, "2/1h")).collect();
    assert!(store.decide_on(&limits, NOW).allowed);
    limits[77] = ask(77, "1/1h");
    for _ in 0..3 {
        let refused = store.decide_on(&limits, NOW);
        assert!(!refused.allowed);
        let said = refused.limits.iter().map(|limit| (limit.allowed, limit.status.remaining));
        for (at, said) in said.enumerate() {
            assert_eq!(said, if at == 77 { (false, 0) } else { (true, 1) }, "{at}");
        }
    }
    limits[77] = ask(77, "2/1h");
    assert!(store.decide_on(&limits, NOW).allowed);
}

/// Each thread names its limits in another order, and none waits for ever.
#[test]
fn threads_get_no_more_than_the_limits_say() {
    let store = MemoryStore::default();
    let passed = AtomicU32::new(0);
    thread::scope(|scope| {
        for turn in 0..8 {
            let (store, passed) = (&store, &passed);
            scope.spawn(move || {
                let mut limits = vec![ask(1, "500/1h"), ask(2, "900/1h"), ask(3, "700/1h")];
                limits.extend((10..20).map(|number| ask(number, "10000/1h")));
                limits.rotate_left(turn);
                for _ in 0..200 {
                    let allowed = store.decide_on(&limits, NOW).allowed;
                    passed.fetch_add(u32::from(allowed), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 500);
    let left = |number, rate| store.decide_on(&[ask(number, rate)], NOW).limits[0].status.remaining;
    assert_eq!((left(2, "900/1h"), left(3, "700/1h")), (399, 199), "one less each, for this look");
}

#[tokio::test]
async fn one_of_many_threads_is_the_probe() {
    let store = MemoryStore::default();
    let circuit = contract::open_circuit(&store, "s", 1_000, NOW).await;
    let ask = DecisionAsk { limits: vec![ask(1, "1000/1h")], circuit: Some(circuit) };
    let later = UnixMillis(NOW.0 + 1_000);
    let probes = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let admission = store.decide_now(&ask, later).admission;
                probes.fetch_add(u32::from(admission == Admission::Probe), Ordering::Relaxed);
            });
        }
    });
    assert_eq!(probes.into_inner(), 1);
}

/// Whoever asks has read the clock some time before, each another time.
#[test]
fn an_earlier_clock_forgets_nothing() {
    let store = MemoryStore::default();
    let mut limits: Vec<_> = (0..500).map(|number| ask(number, "1/1s")).collect();
    assert!(store.decide_on(&limits, NOW).allowed);
    // Long enough for the windows to be over, and not so long that nobody can be late for them.
    limits.iter_mut().for_each(|limit| limit.key.hash[15] = 1);
    let ends = UnixMillis(NOW.0 + 2_000);
    for limit in &limits {
        assert!(store.decide_on(&[*limit], ends).allowed);
    }
    let before = UnixMillis(NOW.0 + 999);
    assert!((0..500).all(|number| !store.decide_on(&[ask(number, "1/1s")], before).allowed));
}

/// A tenth of a thousand an hour at once, for a second.
fn lend(number: u64, id: u8, asked: u64) -> LendAsk {
    let terms = Terms::new(10, 10, 1000, Start::Strict).unwrap();
    let ask = Ask { id: LeaseId([id; 16]), asked };
    LendAsk { key: key(number), spec: spec("1000/1h"), terms, ask }
}

#[test]
fn who_is_lent_nothing_makes_no_keys() {
    let store = MemoryStore::default();
    assert_eq!(store.shards.lend(&lend(1, 1, 0), NOW).granted, 0);
    assert!(!store.has(1));
    let back = TakeBack { key: key(1), spec: spec("1000/1h"), id: LeaseId([1; 16]), unused: 5 };
    assert_eq!(store.shards.take_back(&back, NOW), 0);
    assert!(!store.has(1));
    assert_eq!(store.shards.lend(&lend(1, 1, 9), NOW).granted, 9);
    assert!(store.has(1));
}

#[test]
fn ledgers_that_are_over_make_way() {
    let store = MemoryStore::default();
    for number in 0..2_000 {
        assert_eq!(store.shards.lend(&lend(number, 1, 9), NOW).granted, 9);
    }
    // Past the time in which one may still come back, and past the windows.
    let later = UnixMillis(NOW.0 + 3 * 3_600_000);
    for number in 2_000..8_000 {
        assert_eq!(store.shards.lend(&lend(number, 1, 9), later).granted, 9);
    }
    assert_eq!((0..2_000).filter(|number| store.has(*number)).count(), 0);
    assert_eq!((2_000..8_000).filter(|number| store.has(*number)).count(), 6_000);
}

#[test]
fn threads_are_lent_no_more_than_the_terms_say() {
    let store = MemoryStore::default();
    let granted = AtomicU32::new(0);
    thread::scope(|scope| {
        for thread in 0..8_u8 {
            let (store, granted) = (&store, &granted);
            scope.spawn(move || {
                for turn in 0..30 {
                    let lent = store.shards.lend(&lend(1, thread * 30 + turn, 1000), NOW).granted;
                    granted.fetch_add(u32::try_from(lent).unwrap(), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(granted.into_inner(), 100);
}
