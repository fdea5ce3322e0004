//! Limits that want to know how a request ends: what it came to, or only that it is over.

use std::time::Duration;

use postern_e2e::client::{Answer, Call, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::raw::UnderWay;
use postern_e2e::{documents, keys, wait};

const LONGEST: Duration = Duration::from_secs(20);
/// How many may be under way at once.
const AT_ONCE: u64 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counted_by_the_server() {
    let gateway = gateway("exact").await;
    every_end_counts(&gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counted_in_envoy() {
    let mut gateway = gateway("local").await;
    every_end_counts(&gateway).await;
    what_ext_proc_stops_has_ended(&mut gateway).await;
}

async fn gateway(mode: &str) -> Gateway {
    let gateway = Gateway::builder().document(documents::limits(mode)).workers(2).start().await;
    gateway.until_status(200, &of("/any/wide", &keys::subject("warm-up"))).await;
    gateway
}

async fn every_end_counts(gateway: &Gateway) {
    for protocol in Protocol::ALL {
        what_went_well_does_not_count(gateway, protocol).await;
        what_failed_does_not_count(gateway, protocol).await;
        a_place_is_free_when_the_answer_has_ended(gateway, protocol).await;
    }
    a_place_is_free_when_the_client_hangs_up(gateway).await;
    a_place_is_free_when_a_later_limit_refuses(gateway).await;
}

/// A call that is counted by this caller.
fn of(path: &str, caller: &str) -> Call {
    Call::get(path).header("x-test-caller", caller)
}

/// The server hears of an end a moment after the client, and until then the request counts: a
/// call that is refused meanwhile is sent again, which counts for nothing.
async fn passes_with(gateway: &Gateway, protocol: Protocol, status: u16, call: &Call) -> Answer {
    let client = gateway.client(protocol);
    wait::until(&format!("{status} for {call}"), LONGEST, || async move {
        let answer = client.send(call).await;
        match answer.status {
            429 => Err(answer.to_string()),
            found if found == status => Ok(answer),
            _ => panic!("{status} was expected:\n{answer}"),
        }
    })
    .await
}

async fn refused(gateway: &Gateway, protocol: Protocol, call: &Call) {
    for _ in 0..2 {
        let answer = gateway.client(protocol).send(call).await;
        let answer = answer.expect_denial(429, "RATE_LIMIT_EXCEEDED");
        assert!(answer.number("retry-after") >= 1, "{answer}");
    }
}

async fn what_went_well_does_not_count(gateway: &Gateway, protocol: Protocol) {
    let call = of("/guessed/login", &keys::subject("guessing"));
    for _ in 0..6 {
        let answer = passes_with(gateway, protocol, 200, &call).await;
        assert_eq!(answer.number("x-ratelimit-limit"), 3, "{answer}");
    }
    gateway.upstream.fail("guessed", 401);
    for _ in 0..3 {
        passes_with(gateway, protocol, 401, &call).await;
    }
    refused(gateway, protocol, &call).await;
    gateway.upstream.recover("guessed");
    refused(gateway, protocol, &call).await;
    let other = of("/guessed/login", &keys::subject("guessing"));
    passes_with(gateway, protocol, 200, &other).await;
}

async fn what_failed_does_not_count(gateway: &Gateway, protocol: Protocol) {
    let call = of("/used/credits", &keys::subject("using"));
    gateway.upstream.fail("used", 500);
    for _ in 0..6 {
        passes_with(gateway, protocol, 500, &call).await;
    }
    gateway.upstream.recover("used");
    for _ in 0..3 {
        passes_with(gateway, protocol, 200, &call).await;
    }
    refused(gateway, protocol, &call).await;
}

/// A request of this caller that stays under way.
async fn under_way(gateway: &Gateway, caller: &str) -> UnderWay {
    let header = [format!("x-test-caller: {caller}")];
    UnderWay::begin(gateway.port(), "/held/at-once/echo", &header).await
}

/// Until a caller's request finds nobody of theirs under way but itself.
async fn until_alone(gateway: &Gateway, caller: &str) {
    let call = of("/held/at-once/page", caller);
    wait::until("place for everybody", LONGEST, || async {
        let answer = gateway.send(&call).await;
        let alone = answer.status == 200 && answer.number("x-ratelimit-remaining") == AT_ONCE - 1;
        if alone { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
}

async fn a_place_is_free_when_the_answer_has_ended(gateway: &Gateway, protocol: Protocol) {
    let caller = keys::subject("holding");
    let call = of("/held/at-once/page", &caller);
    let (one, two) = (under_way(gateway, &caller).await, under_way(gateway, &caller).await);
    assert_eq!((one.answer.status, two.answer.status), (Some(200), Some(200)));
    let answer = gateway.client(protocol).send(&call).await;
    let answer = answer.expect_denial(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(answer.number("x-ratelimit-limit"), AT_ONCE, "{answer}");
    assert_eq!(answer.number("x-ratelimit-remaining"), 0, "{answer}");
    assert_eq!(answer.header("ratelimit-policy"), Some("2;w=600"), "{answer}");
    assert!((1..=600).contains(&answer.number("retry-after")), "{answer}");
    // A refused one takes no place, and somebody else has places of their own.
    assert_eq!(under_way(gateway, &caller).await.answer.status, Some(429));
    until_alone(gateway, &keys::subject("holding")).await;

    one.end().await;
    let answer = passes_with(gateway, protocol, 200, &call).await;
    assert_eq!(answer.number("x-ratelimit-remaining"), 0, "{answer}");
    two.end().await;
    until_alone(gateway, &caller).await;
}

async fn a_place_is_free_when_the_client_hangs_up(gateway: &Gateway) {
    let caller = keys::subject("leaving");
    for _ in 0..3 {
        let places = (under_way(gateway, &caller).await, under_way(gateway, &caller).await);
        assert_eq!((places.0.answer.status, places.1.answer.status), (Some(200), Some(200)));
        refused(gateway, Protocol::Http1, &of("/held/at-once/page", &caller)).await;
        drop(places);
        until_alone(gateway, &caller).await;
    }
}

/// The place was given before the other limit, in Envoy, had its say.
async fn a_place_is_free_when_a_later_limit_refuses(gateway: &Gateway) {
    let caller = keys::subject("denied");
    let call = of("/held/denied", &caller);
    gateway.send(&call).await.expect(200);
    for _ in 0..6 {
        gateway.send(&call).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
    }
    until_alone(gateway, &caller).await;
}

/// A filter behind the one that counts.
async fn what_ext_proc_stops_has_ended(gateway: &mut Gateway) {
    let caller = keys::subject("stopped");
    let call = of("/held/stamped", &caller);
    gateway.until_status(200, &call).await;
    gateway.server.take_down();
    for _ in 0..6 {
        gateway.send(&call).await.expect_denial(503, "UNAVAILABLE");
    }
    until_alone(gateway, &caller).await;
}
