//! Signatures that no Envoy checks by itself: a filter has so much time for them and no more.

use std::time::{Duration, Instant};

use postern_e2e::client::{Answer, Call, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Key, Token};
use tokio::task::JoinSet;

use super::{INVALID, PASSES, UNAVAILABLE, assert_everywhere, assert_verdict, stack};

const DOCUMENT: &str = include_str!("../../fixtures/tokens-soft.yaml");
/// Forged tokens at once. A worker checks a quarter of them in one second.
const FLOOD: usize = 200;
/// Where the filter alone decides.
const PATH: &str = "/bundle/any";

fn token(key: Key) -> String {
    Token::of(&keys::subject("soft")).key(key).sign()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_that_only_the_filter_checks() {
    let mut gateway = stack(&DOCUMENT.replace("$SOFT_KEYS", keys::JWKS_SOFT.trim())).await;
    for key in [Key::Pss, Key::Ed] {
        let good = token(key);
        let (what, bad) = (format!("{key:?}"), keys::tampered(&good));
        let call = |kind: &str, token: &str| Call::get(&format!("/{kind}/any")).bearer(token);
        assert_everywhere(&gateway, PASSES, &what, |kind| call(kind, &good)).await;
        assert_everywhere(&gateway, INVALID, &what, |kind| call(kind, &bad)).await;
    }
    a_flood_of_forged_ones_stops_no_others(&gateway).await;
    gateway.envoy.assert_no_failed_machine().await;
}

async fn a_flood_of_forged_ones_stops_no_others(gateway: &Gateway) {
    let known = Call::get(PATH).bearer(&token(Key::Pss));
    gateway.until_status(200, &known).await;
    let began = Instant::now();
    loop {
        let (answers, ()) = tokio::join!(flood(gateway), others_pass(gateway, &known));
        let refused = answers.iter().filter(|answer| answer.status == 503).count();
        for answer in &answers {
            let expected = if answer.status == 503 { UNAVAILABLE } else { INVALID };
            assert_verdict(answer, expected, "a forged token");
        }
        if refused > 0 {
            break;
        }
        // A machine that stood still meanwhile: each second had few enough of them.
        assert!(began.elapsed() < Duration::from_secs(30), "no flood is too much");
    }
    // Good ones of these algorithms are taken again when it is over.
    for key in [Key::Pss, Key::Ed] {
        gateway.until_status(200, &Call::get(PATH).bearer(&token(key))).await;
    }
}

async fn flood(gateway: &Gateway) -> Vec<Answer> {
    let client = gateway.client(Protocol::Http1);
    let forged = [Key::Pss, Key::Ed].map(|key| keys::tampered(&token(key)));
    let mut flood = JoinSet::new();
    for token in forged.iter().cycle().take(FLOOD) {
        let call = Call::get(PATH).bearer(token);
        flood.spawn(async move { client.send(&call).await });
    }
    flood.join_all().await
}

/// Tokens whose signatures Envoy checks, new ones each time, and one that is remembered.
async fn others_pass(gateway: &Gateway, known: &Call) {
    let client = gateway.client(Protocol::Http1);
    for _ in 0..20 {
        let checked = Call::get(PATH).bearer(&token(Key::Rsa));
        assert_verdict(&client.send(&checked).await, PASSES, "a token that Envoy checks");
        assert_verdict(&client.send(known).await, PASSES, "a token that is remembered");
    }
}
