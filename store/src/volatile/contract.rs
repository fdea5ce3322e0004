//! What every volatile store must do. Each case uses keys of its own, so that all of them run
//! against one server.

#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use postern_circuit::{Admission, Settings, State};
use postern_limits::Rate;
use postern_request::UnixMillis;

use super::{CircuitAsk, DecisionAsk, LimitAsk, LimitKey, ReplayKey, VolatileStore};

/// Runs every case. `now` must be near the store's own clock; `salt` keeps runs apart.
pub async fn run(store: &dyn VolatileStore, now: UnixMillis, salt: u8) {
    store.ping().await.unwrap();
    a_limit_lets_through_what_it_says(store, now, salt).await;
    all_or_none(store, now, salt).await;
    parallel_requests_get_no_more(store, now, salt).await;
    a_circuit_opens_and_probes(store, now, salt).await;
    a_refused_request_takes_no_probe(store, now, salt).await;
    what_was_seen_is_known_for_its_time(store, now, salt).await;
    one_of_many_at_once_is_the_first(store, now, salt).await;
    an_earlier_clock_forgets_nothing(store, now, salt).await;
}

fn ask(key: [u8; 2], salt: u8, rate: &str) -> LimitAsk {
    let mut bytes = [0; 16];
    bytes[0] = key[0];
    bytes[1] = key[1];
    bytes[15] = salt;
    LimitAsk { key: LimitKey(bytes), rate: Rate::parse(rate).unwrap(), cost: 1 }
}

fn limits(asks: Vec<LimitAsk>) -> DecisionAsk {
    DecisionAsk { limits: asks, circuit: None }
}

async fn a_limit_lets_through_what_it_says(store: &dyn VolatileStore, now: UnixMillis, salt: u8) {
    let ask = limits(vec![ask(*b"a1", salt, "3/1h")]);
    for remaining in [2, 1, 0] {
        let decision = store.decide(&ask, now).await.unwrap();
        assert!(decision.allows());
        let status = decision.limits[0].status;
        assert_eq!((status.limit, status.remaining), (3, remaining));
        assert!((1..=3600).contains(&status.reset_secs), "{status:?}");
    }
    let decision = store.decide(&ask, now).await.unwrap();
    assert!(!decision.allows());
    assert_eq!(decision.limits[0].status.remaining, 0);
}

async fn all_or_none(store: &dyn VolatileStore, now: UnixMillis, salt: u8) {
    let wide = ask(*b"b1", salt, "5/1h");
    let narrow = ask(*b"b2", salt, "1/1h");
    let both = limits(vec![wide, narrow]);
    assert!(store.decide(&both, now).await.unwrap().allows());
    for _ in 0..4 {
        let decision = store.decide(&both, now).await.unwrap();
        let allowed: Vec<_> = decision.limits.iter().map(|limit| limit.allowed).collect();
        assert_eq!(allowed, [true, false], "the first has room, and was not taken from");
    }
    let left = store.decide(&limits(vec![wide]), now).await.unwrap();
    assert_eq!(left.limits[0].status.remaining, 3);
}

async fn parallel_requests_get_no_more(store: &dyn VolatileStore, now: UnixMillis, salt: u8) {
    let ask = limits(vec![ask(*b"c1", salt, "20/1h")]);
    let calls = (0..100).map(|_| store.decide(&ask, now));
    let mut allowed = 0;
    for call in calls.collect::<Vec<_>>() {
        allowed += u32::from(call.await.unwrap().allows());
    }
    assert_eq!(allowed, 20);
}

fn circuit(name: &str, salt: u8) -> CircuitAsk {
    CircuitAsk {
        service: format!("{name}-{salt}"),
        settings: Settings { consecutive_failures: 5, recovery_ms: 200 },
    }
}

async fn a_circuit_opens_and_probes(store: &dyn VolatileStore, now: UnixMillis, salt: u8) {
    let circuit = circuit("opens", salt);
    let ask = DecisionAsk { limits: Vec::new(), circuit: Some(circuit.clone()) };
    for _ in 0..5 {
        assert_eq!(store.decide(&ask, now).await.unwrap().admission, Admission::Pass);
        store.record_outcome(&circuit, false, now).await.unwrap();
    }
    let refused = store.decide(&ask, now).await.unwrap().admission;
    assert!(matches!(refused, Admission::Refused { retry_after_ms: 1..=200 }), "{refused:?}");
    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    let later = UnixMillis(now.0 + 250);
    assert_eq!(store.decide(&ask, later).await.unwrap().admission, Admission::Probe);
    let second = store.decide(&ask, later).await.unwrap().admission;
    assert!(matches!(second, Admission::Refused { .. }), "one probe at a time");
    let closed = store.record_outcome(&circuit, true, later).await.unwrap();
    assert_eq!((closed.state, closed.failures), (State::Closed, 0));
    assert_eq!(store.decide(&ask, later).await.unwrap().admission, Admission::Pass);
}

async fn a_refused_request_takes_no_probe(store: &dyn VolatileStore, now: UnixMillis, salt: u8) {
    let circuit = circuit("no-probe", salt);
    let limit = ask(*b"d1", salt, "1/1h");
    assert!(store.decide(&limits(vec![limit]), now).await.unwrap().allows());
    for _ in 0..5 {
        store.record_outcome(&circuit, false, now).await.unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    let later = UnixMillis(now.0 + 250);
    let both = DecisionAsk { limits: vec![limit], circuit: Some(circuit.clone()) };
    assert!(!store.decide(&both, later).await.unwrap().allows());
    let alone = DecisionAsk { limits: Vec::new(), circuit: Some(circuit) };
    assert_eq!(store.decide(&alone, later).await.unwrap().admission, Admission::Probe);
}

fn seen(name: u8, salt: u8) -> ReplayKey {
    let mut bytes = [name; 32];
    bytes[31] = salt;
    ReplayKey(bytes)
}

async fn what_was_seen_is_known_for_its_time(store: &dyn VolatileStore, now: UnixMillis, salt: u8) {
    let (long, short) = (seen(b'a', salt), seen(b'b', salt));
    assert!(store.remember_once(long, 3_600_000, now).await.unwrap());
    assert!(store.remember_once(short, 200, now).await.unwrap());
    for key in [long, short, long] {
        assert!(!store.remember_once(key, 3_600_000, now).await.unwrap());
    }
    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    let later = UnixMillis(now.0 + 250);
    assert!(!store.remember_once(long, 200, later).await.unwrap());
    let again = store.remember_once(short, 3_600_000, later).await.unwrap();
    assert!(again, "its time is over, and being seen again has not prolonged it");
    assert!(!store.remember_once(short, 200, later).await.unwrap());
}

async fn one_of_many_at_once_is_the_first(store: &dyn VolatileStore, now: UnixMillis, salt: u8) {
    let see = || store.remember_once(seen(b'c', salt), 3_600_000, now);
    let (a, b, c, d) = tokio::join!(see(), see(), see(), see());
    let first = [a, b, c, d].into_iter().filter(|seen| *seen == Ok(true)).count();
    assert_eq!(first, 1);
    assert_eq!(see().await, Ok(false));
}

/// Those who ask have read their clocks some time before, each another time.
async fn an_earlier_clock_forgets_nothing(store: &dyn VolatileStore, now: UnixMillis, salt: u8) {
    assert!(store.remember_once(seen(b'd', salt), 3_600_000, now).await.unwrap());
    for (name, earlier_ms) in [(b'e', 1), (b'f', 20), (b'g', 1_000)] {
        let earlier = UnixMillis(now.0 - earlier_ms);
        assert!(store.remember_once(seen(name, salt), 3_600_000, earlier).await.unwrap());
        for name in [b'd', name] {
            let again = store.remember_once(seen(name, salt), 3_600_000, earlier).await.unwrap();
            assert!(!again, "{earlier_ms} ms earlier");
        }
    }
    assert!(!store.remember_once(seen(b'd', salt), 3_600_000, now).await.unwrap());
}
