//! What a request gets back once it has ended, or does not even begin.

use std::pin::pin;
use std::task::{Context, Waker};

use super::limits::{by, document, gateway};
use super::*;
use crate::GiveBackWhen;

/// Gives back what the ticket of a request says for its end.
async fn end(gateway: &Gateway, ticket: Option<&String>, successful: bool) {
    let ticket = gateway.tickets.open(ticket.unwrap(), NOW).unwrap();
    let due = ticket.owed.iter().filter(|owed| owed.when.applies(Some(successful)));
    let due: Vec<GiveBack> = due.map(|owed| owed.taken).collect();
    let (shared, replicas) = (ticket.shared_by.is_some(), ticket.shared_by.unwrap_or(1));
    gateway.limiter.give_back(&due, shared, replicas, NOW).await.unwrap();
}

/// Lets what goes on beside the answers come to its end.
async fn settle_down() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

fn at_once(number: u64) -> Value {
    json!({"few": {"key": ["claim.sub"], "mode": "exact", "in_flight": number}})
}

/// Requests to `/x` by a token that is bound to a key.
fn proven(path: &str, jti: &str) -> Incoming {
    let token = bound_token();
    let claims = json!({"jti": jti, "htu": format!("https://a.test{path}")});
    let (authorization, proof) = (format!("DPoP {token}"), proof(&token, &claims));
    request("GET", path, &[("authorization", &authorization), ("dpop", &proof)])
}

#[tokio::test]
async fn so_many_are_under_way_at_once() {
    let gateway = gateway(&at_once(2), &json!(["few"]));
    let (alice, bob) = (by(&json!({})), by(&json!({"sub": "bob"})));
    let (evidence, first) = gateway.passes(&alice, NOW).await;
    let limit = evidence.limit.unwrap();
    assert_eq!((limit.limit, limit.remaining), (2, 1));
    let (_, second) = gateway.passes(&alice, NOW).await;
    assert_eq!(gateway.status(&alice, NOW).await, 429);
    assert_eq!(gateway.status(&bob, NOW).await, 200, "everybody for themselves");
    end(&gateway, first.as_ref(), true).await;
    let (_, third) = gateway.passes(&alice, NOW).await;
    assert_eq!(gateway.status(&alice, NOW).await, 429);
    end(&gateway, first.as_ref(), true).await;
    assert_eq!(gateway.status(&alice, NOW).await, 429, "a place is given back once");
    for (ticket, successful) in [(second, false), (third, true)] {
        end(&gateway, ticket.as_ref(), successful).await;
        assert_eq!(gateway.status(&alice, NOW).await, 200, "however it ended");
    }
}

#[tokio::test]
async fn a_place_ends_by_itself() {
    let gateway = gateway(&at_once(1), &json!(["few"]));
    let alice = by(&json!({}));
    gateway.passes(&alice, NOW).await;
    assert_eq!(gateway.status(&alice, UnixMillis(NOW.0 + 59_000)).await, 429);
    assert_eq!(gateway.status(&alice, UnixMillis(NOW.0 + 60_001)).await, 200);
}

#[tokio::test]
async fn answers_that_do_not_count_are_given_back() {
    for (skip, counts) in [("successful", false), ("failed", true)] {
        let limits = json!({"few": {
            "key": ["claim.sub"], "mode": "exact", "rate": "5/1h", "skip": skip,
        }});
        let gateway = gateway(&limits, &json!([{"limit": "few", "weight": 5}]));
        let alice = by(&json!({}));
        let (_, first) = gateway.passes(&alice, NOW).await;
        assert_eq!(gateway.status(&alice, NOW).await, 429, "{skip}: it counts until it ends");
        end(&gateway, first.as_ref(), !counts).await;
        let (_, second) = gateway.passes(&alice, NOW).await;
        end(&gateway, second.as_ref(), counts).await;
        assert_eq!(gateway.status(&alice, NOW).await, 429, "{skip}");
    }
}

#[tokio::test]
async fn only_what_was_taken_is_on_the_ticket() {
    let limits = json!({
        "counts": {"key": ["claim.sub"], "mode": "exact", "rate": "9/1h"},
        "tried": {"key": ["claim.sub"], "mode": "exact", "rate": "1/1h", "skip": "failed",
                  "shadow": true},
        "under-way": {"key": ["claim.sub"], "mode": "exact", "in_flight": 9},
    });
    let gateway = gateway(&limits, &json!(["counts", "tried", "under-way"]));
    let owed = async || {
        let (_, ticket) = gateway.passes(&by(&json!({})), NOW).await;
        let ticket = gateway.tickets.open(&ticket.unwrap(), NOW).unwrap();
        ticket.owed.iter().map(|owed| owed.when).collect::<Vec<_>>()
    };
    assert_eq!(owed().await, [GiveBackWhen::Ended, GiveBackWhen::Failed]);
    assert_eq!(owed().await, [GiveBackWhen::Ended], "the one in shadow had no room");
}

#[tokio::test]
async fn who_is_refused_after_the_limits_keeps_no_place() {
    let store = memory();
    let gateway = Gateway::of(document(&at_once(2), &json!(["few"])), Arc::clone(&store), |_| {});
    let [first, second, third] = ["j1", "j2", "j3"].map(|jti| proven("/guarded", jti));
    assert_eq!(gateway.status(&first, NOW).await, 200);
    for _ in 0..3 {
        assert_eq!(gateway.status(&first, NOW).await, 401, "the same proof");
        settle_down().await;
    }
    open_circuit(&*store, "guarded", 10_000, NOW).await;
    assert_eq!(gateway.status(&second, NOW).await, 503, "the circuit is open");
    settle_down().await;
    assert_eq!(gateway.status(&proven("/x", "j4"), NOW).await, 200, "one place is left");
    assert_eq!(gateway.status(&proven("/x", "j5"), NOW).await, 429);
    assert_eq!(gateway.status(&third, NOW).await, 429);
}

#[tokio::test]
async fn in_shadow_a_request_keeps_its_place_whoever_sent_it() {
    let gateway = gateway(&at_once(2), &json!(["few"]));
    let request = proven("/tried", "j1");
    let (_, first) = gateway.passes(&request, NOW).await;
    let (evidence, second) = gateway.passes(&request, NOW).await;
    assert_eq!((evidence.principal, evidence.limit), (None, None), "the same proof");
    assert!(first.is_some() && second.is_some());
    let (_, third) = gateway.passes(&proven("/tried", "j2"), NOW).await;
    assert_eq!(third, None, "it has none");
}

#[tokio::test]
async fn who_hangs_up_keeps_no_place() {
    let gateway = gateway(&at_once(1), &json!(["few"]));
    let alice = by(&json!({}));
    {
        let mut asking = pin!(gateway.authorizer.check(&alice, NOW));
        let answer = asking.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(answer.is_pending(), "the store is being asked");
    }
    settle_down().await;
    let (_, ticket) = gateway.passes(&alice, NOW).await;
    assert!(ticket.is_some());
    assert_eq!(gateway.status(&alice, NOW).await, 429, "this one is under way");
}

#[tokio::test]
async fn what_was_taken_without_the_store_is_given_back_without_it() {
    let limits = json!({"few": {
        "key": ["claim.sub"], "mode": "exact", "in_flight": 2, "when_store_fails": "local_share",
    }});
    let document = document(&limits, &json!(["few"]));
    let gateway = Gateway::of(document, Arc::new(Away), |_| {});
    let alice = by(&json!({}));
    let (_, ticket) = gateway.passes(&alice, NOW).await;
    assert_eq!(gateway.status(&alice, NOW).await, 429, "two replicas share two");
    end(&gateway, ticket.as_ref(), true).await;
    assert_eq!(gateway.status(&alice, NOW).await, 200);
}
