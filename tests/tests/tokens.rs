//! Tokens as their holders know them: where they stand, what routes ask of them, what they are
//! bound to, and whose keys they are signed with. Whatever is asked, the filter alone and the
//! filter behind `ext_authz` answer alike.

mod bound;
mod hostile;
mod issuers;
mod places;
mod rules;
mod soft;

use std::time::Duration;

use postern_e2e::client::{Answer, Call, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::Token;
use postern_e2e::wait;
use serde_json::Value;

/// The filter alone, and the filter behind `ext_authz`: what routes' paths begin with.
const KINDS: [&str; 2] = ["bundle", "asked"];

/// What is answered: a status, and the code in the body of a denial.
type Verdict = (u16, &'static str);

const PASSES: Verdict = (200, "");
const UNAUTHORIZED: Verdict = (401, "UNAUTHORIZED");
const INVALID: Verdict = (401, "INVALID_TOKEN");
const FORBIDDEN: Verdict = (403, "FORBIDDEN");
const UNAVAILABLE: Verdict = (503, "UNAVAILABLE");

/// A fixture with each of its routes twice, one of each kind.
fn both_kinds(fixture: &str) -> String {
    let (head, routes) = fixture.split_once("\nroutes:\n").expect("routes, after all else");
    let [bundle, asked] = [("bundle", "false"), ("asked", "true")]
        .map(|(kind, asked)| routes.replace("$KIND", kind).replace("$ASKED", asked));
    format!("{head}\nroutes:\n{bundle}\n{asked}")
}

/// A stack with both kinds of routes that has answered a good call already: what a part is asked
/// for first may take it longer than its budget allows.
async fn stack(fixture: &str) -> Gateway {
    let gateway = Gateway::builder().document(both_kinds(fixture)).start().await;
    ready(&gateway).await;
    gateway
}

async fn ready(gateway: &Gateway) {
    let token = Token::of("alice").sign();
    for kind in KINDS {
        gateway.until_status(200, &Call::get(&format!("/{kind}/any")).bearer(&token)).await;
    }
}

#[track_caller]
fn assert_verdict(answer: &Answer, expected: Verdict, what: &str) {
    let (status, code) = expected;
    assert_eq!(answer.status, status, "{what}:\n{answer}");
    if status != 200 {
        assert_eq!(answer.json()["error"], code, "{what}:\n{answer}");
    }
    if expected == INVALID {
        // RFC 6750 §3.1, or RFC 9449 §7.1 where it is about the proof.
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        let of_token = challenge == "Bearer realm=\"postern\", error=\"invalid_token\"";
        assert!(of_token || challenge.starts_with("DPoP "), "{what}:\n{answer}");
    }
    if expected == UNAVAILABLE {
        assert!(answer.number("retry-after") >= 1, "{what}:\n{answer}");
    }
}

/// Asserts that a call gets this answer from each kind of route in each protocol.
async fn assert_everywhere(
    gateway: &Gateway,
    expected: Verdict,
    what: &str,
    call: impl Fn(&str) -> Call,
) {
    for protocol in Protocol::ALL {
        for kind in KINDS {
            let call = call(kind);
            let answer = gateway.client(protocol).send(&call).await;
            assert_verdict(&answer, expected, &format!("{what}: {call} ({protocol:?})"));
        }
    }
}

/// The lines of Envoy's access log with these correlation ids, in their order.
async fn logged(gateway: &Gateway, ids: &[String]) -> Vec<Value> {
    // Envoy writes its log every ten seconds.
    wait::until("line of each request", Duration::from_secs(40), || async {
        let log = gateway.envoy.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines: Vec<Value> = lines.collect();
        let of = |id: &String| {
            let line = lines.iter().find(|line| line["correlation_id"] == id.as_str());
            line.cloned().ok_or_else(|| id.clone())
        };
        ids.iter().map(of).collect::<Result<Vec<Value>, String>>()
    })
    .await
}

/// The id that an answer names.
fn id_of(answer: &Answer) -> String {
    answer.header("x-correlation-id").expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_word_in_the_document() {
    let gateway = Gateway::builder().start().await;
    let token = Token::of("alice").scope("payments.read").sign();
    gateway.until_status(200, &Call::get("/payments/charges").bearer(&token)).await;
    places::only_authorization_is_looked_at(&gateway).await;
    bound::bound_tokens_are_refused(&gateway).await;
}
