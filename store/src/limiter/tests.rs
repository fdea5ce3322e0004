use super::WhenStoreFails::{Allow, Deny, LocalShare};
use super::*;

use std::time::Duration;

use postern_limits::{Algorithm, Anchor, InFlight, Rate, Spec};

use crate::Guarded;
use crate::hanging::Hanging;
use crate::volatile::LimitKey;
use crate::volatile::contract::open_circuit;

const NOW: UnixMillis = UnixMillis(7_200_000);
const REPLICAS: u64 = 2;

struct Limited {
    store: Arc<Hanging>,
    stand_in: Arc<MemoryStore>,
    limiter: Limiter,
}

fn limited() -> Limited {
    let (store, stand_in) = (Arc::<Hanging>::default(), Arc::<MemoryStore>::default());
    let guarded = Guarded::with_budget(Arc::clone(&store), Duration::from_millis(5));
    let limiter = Limiter::new(Arc::new(guarded), Arc::clone(&stand_in));
    Limited { store, stand_in, limiter }
}

/// One whose store hangs from the beginning.
fn alone() -> Limited {
    let limited = limited();
    limited.store.hang(true);
    limited
}

impl Limited {
    async fn decide(&self, asked: &[Asked]) -> Decided {
        self.limiter.decide(asked, None, REPLICAS, NOW).await
    }
}

fn rate(name: u8, requests: u64, cost: u64, when_store_fails: WhenStoreFails) -> Asked {
    let rate = Rate::new(requests, 3_600_000).unwrap();
    let spec = Spec::new(Algorithm::SlidingWindow, rate, None, Anchor::Clock).unwrap();
    let key = LimitKey { owner: 1, hash: [name; 16] };
    Asked {
        ask: LimitAsk { key, take: Take::Rate { spec, cost }, shadow: false },
        when_store_fails,
    }
}

fn place(name: u8, max: u32, id: u64, when_store_fails: WhenStoreFails) -> Asked {
    let spec = InFlight::new(max, 60_000).unwrap();
    let key = LimitKey { owner: 1, hash: [name; 16] };
    Asked {
        ask: LimitAsk { key, take: Take::InFlight { spec, id }, shadow: false },
        when_store_fails,
    }
}

fn shadow(asked: Asked) -> Asked {
    Asked { ask: LimitAsk { shadow: true, ..asked.ask }, ..asked }
}

fn taken(asked: Asked) -> GiveBack {
    GiveBack { key: asked.ask.key, take: asked.ask.take }
}

/// What each limit said: whether it has room, what it allows, what is left.
fn said(decided: &Decided) -> Vec<(bool, u64, u64)> {
    let of = |said: &Outcome| (said.allowed, said.status.limit, said.status.remaining);
    decided.decision.limits.iter().map(of).collect()
}

#[tokio::test]
async fn a_store_that_answers_decides() {
    let limited = limited();
    for (name, when) in [(1, Allow), (2, Deny), (3, LocalShare)] {
        let asked = [rate(name, 4, 1, when), shadow(rate(name + 10, 1, 2, when))];
        let decided = limited.decide(&asked).await;
        assert!(decided.decision.allowed);
        assert_eq!(said(&decided), [(true, 4, 3), (false, 1, 1)]);
        assert_eq!(
            (decided.without_store, decided.unavailable, decided.error),
            (false, false, None)
        );
    }
    assert_eq!(limited.store.asked(), 3);
}

#[tokio::test]
async fn nothing_asked_costs_no_call() {
    let limited = alone();
    let decided = limited.decide(&[]).await;
    assert!(decided.decision.allowed && !decided.without_store);
    assert_eq!(limited.store.asked(), 0);
}

#[tokio::test]
async fn allow_leaves_the_limit_out() {
    let limited = alone();
    for _ in 0..20 {
        let decided = limited.decide(&[rate(1, 4, 1, Allow), place(2, 3, 1, Allow)]).await;
        assert!(decided.decision.allowed);
        assert!(decided.without_store && !decided.unavailable);
        assert!(matches!(decided.error, Some(StoreError::Unavailable(_))));
        assert_eq!(said(&decided), [(true, 4, 4), (true, 3, 3)], "as of a new key");
    }
    assert!(limited.store.asked() < 10, "an open breaker does not ask");
}

#[tokio::test]
async fn deny_lets_nothing_through_and_takes_nothing() {
    let limited = alone();
    let local = rate(1, 4, 1, LocalShare);
    for _ in 0..20 {
        let decided = limited.decide(&[local, rate(2, 5, 1, Deny), rate(3, 6, 1, Allow)]).await;
        assert!(!decided.decision.allowed);
        assert!(decided.without_store && decided.unavailable);
        assert_eq!(said(&decided), [(true, 4, 4), (false, 5, 5), (true, 6, 6)]);
    }
    let decided = limited.decide(&[local]).await;
    assert_eq!(said(&decided), [(true, 2, 1)], "nothing was taken meanwhile");
}

#[tokio::test]
async fn a_shadow_limit_denies_nothing_either() {
    let limited = alone();
    let asked = [shadow(rate(1, 4, 1, Deny)), rate(2, 4, 1, LocalShare)];
    let decided = limited.decide(&asked).await;
    assert!(decided.decision.allowed && !decided.unavailable);
    assert_eq!(said(&decided), [(true, 4, 4), (true, 2, 1)]);
}

#[tokio::test]
async fn local_share_counts_here() {
    let limited = alone();
    // Outcomes stay with their limits, whichever of them are counted here.
    let asked = [rate(1, 9, 1, Allow), rate(2, 4, 1, LocalShare), rate(3, 8, 1, Allow)];
    for left in [1, 0] {
        let decided = limited.decide(&asked).await;
        assert!(decided.decision.allowed);
        assert_eq!(said(&decided), [(true, 9, 9), (true, 2, left), (true, 8, 8)]);
    }
    let decided = limited.decide(&asked).await;
    assert!(!decided.decision.allowed);
    assert!(decided.without_store && !decided.unavailable, "the limit refuses");
    assert_eq!(said(&decided), [(true, 9, 9), (false, 2, 0), (true, 8, 8)]);
}

#[tokio::test]
async fn a_share_is_never_less_than_one_request() {
    let limited = alone();
    let limiter = &limited.limiter;
    let decide = |asked: Asked| async move { limiter.decide(&[asked], None, 100, NOW).await };
    let heavy = rate(1, 100, 50, LocalShare);
    assert!(decide(heavy).await.decision.allowed, "50 of a share of 1");
    assert!(!decide(heavy).await.decision.allowed);
    let impossible = rate(2, 100, 101, LocalShare);
    assert!(!decide(impossible).await.decision.allowed, "more than the whole limit");
    let one = place(3, 5, 1, LocalShare);
    assert!(decide(one).await.decision.allowed);
    assert!(!decide(place(3, 5, 2, LocalShare)).await.decision.allowed);
}

#[tokio::test]
async fn requests_in_flight_are_shared_too() {
    let limited = alone();
    for (id, allowed) in [(1, true), (2, true), (3, false)] {
        let decided = limited.decide(&[place(1, 4, id, LocalShare)]).await;
        assert_eq!(decided.decision.allowed, allowed, "{id}");
    }
    let left = taken(place(1, 4, 1, LocalShare));
    limited.limiter.give_back(&[left], true, REPLICAS, NOW).await.unwrap();
    let decided = limited.decide(&[place(1, 4, 3, LocalShare)]).await;
    assert_eq!(said(&decided), [(true, 2, 0)]);
}

#[tokio::test]
async fn what_was_taken_here_is_given_back_here() {
    let limited = alone();
    let asked = [rate(1, 4, 2, LocalShare), rate(2, 4, 2, Allow)];
    assert!(limited.decide(&asked).await.decision.allowed);
    let all = asked.map(taken);
    limited.limiter.give_back(&all, true, REPLICAS, NOW).await.unwrap();
    let decided = limited.decide(&asked).await;
    assert!(decided.decision.allowed);
    assert_eq!(said(&decided), [(true, 2, 0), (true, 4, 4)]);
}

#[tokio::test]
async fn what_the_store_gave_it_gets_back() {
    let limited = limited();
    let asked = rate(1, 4, 3, LocalShare);
    assert!(limited.decide(&[asked]).await.decision.allowed);
    limited.limiter.give_back(&[], false, REPLICAS, NOW).await.unwrap();
    limited.limiter.give_back(&[taken(asked)], false, REPLICAS, NOW).await.unwrap();
    assert_eq!(limited.store.asked(), 2);
    assert_eq!(said(&limited.decide(&[asked]).await), [(true, 4, 1)]);
    limited.store.hang(true);
    let failed = limited.limiter.give_back(&[taken(asked)], false, REPLICAS, NOW).await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))));
    limited.store.hang(false);
    assert_eq!(said(&limited.decide(&[asked]).await), [(false, 4, 1)], "it stays taken");
}

#[tokio::test]
async fn a_circuit_is_judged_by_what_this_replica_has_seen() {
    let limited = alone();
    let settings = postern_circuit::Settings::default();
    let circuit = CircuitAsk { service: "s".to_owned(), settings };
    let asked = [rate(1, 4, 1, LocalShare), rate(2, 4, 1, Allow)];
    let decide = || limited.limiter.decide(&asked, Some(circuit.clone()), REPLICAS, NOW);
    let passing = decide().await;
    assert_eq!((passing.decision.admission, passing.decision.allowed), (Admission::Pass, true));
    open_circuit(&*limited.stand_in, "s", 10_000, NOW).await;
    let refused = decide().await;
    assert!(matches!(refused.decision.admission, Admission::Refused { .. }));
    assert!(!refused.decision.allowed && !refused.unavailable);
    assert!(refused.decision.limits.is_empty(), "as the store has it");
    let alone = limited.limiter.decide(&[], Some(circuit.clone()), REPLICAS, NOW).await;
    assert!(!alone.decision.allowed);
}

#[test]
fn policies_are_told_as_the_document_spells_them() {
    let told = [Allow, Deny, LocalShare].map(WhenStoreFails::as_str);
    assert_eq!(told, ["allow", "deny", "local_share"]);
}
