//! Tokens that only count for who holds a certificate (RFC 8705) or a key (DPoP, RFC 9449) too.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_e2e::client::{Answer, Call, Client, Protocol};
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::keys::{self, Token};
use postern_e2e::redis::Redis;
use postern_e2e::wait;
use serde_json::{Value, json};

use super::{
    INVALID, PASSES, UNAVAILABLE, Verdict, assert_everywhere, assert_verdict, both_kinds, ready,
    stack,
};
use crate::kit::proof::{Proof, bound_to_key};

const DOCUMENT: &str = include_str!("../../fixtures/tokens-bound.yaml");
const CERTIFICATE: &str = "x-forwarded-client-cert";

/// Routes behind `ext_authz`, which alone can tell whether a proof was seen before.
const PROVEN: [&str; 3] = ["/asked/any", "/asked-proven", "/bundle-proven"];

/// What stands for the hash of a certificate: nobody looks at more of one.
const fn hash(byte: u8) -> [u8; 32] {
    [byte; 32]
}

fn hex(byte: u8) -> String {
    hash(byte).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bound_to_certificate(byte: u8) -> Value {
    json!({"x5t#S256": URL_SAFE_NO_PAD.encode(hash(byte))})
}

fn bound(cnf: Value) -> String {
    Token::of("alice").claim("cnf", cnf).sign()
}

/// What a proxy says of the certificate that it was shown.
fn element(byte: u8) -> String {
    format!("By=spiffe://cluster.test/ns/edge/sa/proxy;Hash={};Subject=\"CN=a,O=b\"", hex(byte))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_bound() {
    let mut gateway = stack(DOCUMENT).await;
    certificates_are_asked_for(&gateway).await;
    for protocol in Protocol::ALL {
        for path in PROVEN {
            let case = Case { gateway: &gateway, client: gateway.client(protocol), path };
            case.a_proof_passes_once().await;
            case.a_proof_is_for_its_request_and_token_and_for_now().await;
            case.the_scheme_says_whether_a_token_is_bound().await;
            case.what_is_bound_to_both_needs_both().await;
        }
    }
    without_ext_authz_no_key_is_proven(&gateway).await;
    gateway.envoy.assert_no_failed_machine().await;
}

async fn certificates_are_asked_for(gateway: &Gateway) {
    let token = bound(bound_to_certificate(1));
    let (right, wrong) = (element(1), element(2));
    let quoted = format!("By=spiffe://a;Subject=\"CN=a;Hash={}\"", hex(1));
    // A name with a comma in it, which Envoy writes without quotes.
    let forged = format!("By=spiffe://a;Hash={};URI=spiffe://b,Hash={}", hex(2), hex(1));
    let cases: [(&str, &[&str], Verdict); 11] = [
        ("its certificate", &[&right], PASSES),
        ("another one", &[&wrong], INVALID),
        ("none", &[], INVALID),
        ("the nearer of two", &[&format!("{wrong},{right}")], INVALID),
        ("the farther of two", &[&format!("{right},{wrong}")], INVALID),
        ("one within a name", &[&forged], INVALID),
        ("the first of two lines", &[&right, &wrong], INVALID),
        ("no element", &["nonsense"], INVALID),
        ("no hash", &["By=spiffe://a;URI=spiffe://b"], INVALID),
        ("two hashes", &[&format!("{right};Hash={}", hex(1))], INVALID),
        ("a hash within something else", &[&quoted], INVALID),
    ];
    for (what, forwarded, expected) in cases {
        for rest in ["/any", "-certified"] {
            let call = |kind: &str| {
                let call = Call::get(&format!("/{kind}{rest}")).bearer(&token);
                forwarded.iter().fold(call, |call, line| call.header(CERTIFICATE, *line))
            };
            assert_everywhere(gateway, expected, what, call).await;
        }
    }
    let plain = Token::of("alice").sign();
    for (rest, expected) in [("/any", PASSES), ("-certified", INVALID)] {
        let call = |kind: &str| {
            Call::get(&format!("/{kind}{rest}")).bearer(&plain).header(CERTIFICATE, &*right)
        };
        assert_everywhere(gateway, expected, "a token that is not bound", call).await;
    }
}

/// A call with a token of a scheme, and proofs.
fn shown(method: &str, target: &str, scheme: &str, token: &str, proofs: &[String]) -> Call {
    let call = Call::new(method, target).header("authorization", format!("{scheme} {token}"));
    proofs.iter().fold(call, |call, proof| call.header("dpop", proof.as_str()))
}

/// RFC 9449 §7.1
fn assert_proof_refused(answer: &Answer, what: &str) {
    assert_verdict(answer, INVALID, what);
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    for part in ["DPoP ", "error=\"invalid_dpop_proof\"", "algs=\"", "ES256"] {
        assert!(challenge.contains(part), "no {part}: {what}:\n{answer}");
    }
}

/// One route that proofs count for, in one protocol.
struct Case<'a> {
    gateway: &'a Gateway,
    client: Client,
    path: &'static str,
}

impl Case<'_> {
    fn say(&self, what: &str) -> String {
        format!("{what} at {} ({:?})", self.path, self.client.protocol())
    }

    /// Sends a token of a scheme with proofs.
    async fn send(&self, scheme: &str, token: &str, proofs: &[String]) -> Answer {
        self.client.send(&shown("GET", self.path, scheme, token, proofs)).await
    }

    fn proof(&self, token: &str) -> Proof {
        Proof::of("GET", &self.gateway.url(self.path), token)
    }

    async fn a_proof_passes_once(&self) {
        let token = bound(bound_to_key());
        let proof = [self.proof(&token).sign()];
        let answer = self.send("DPoP", &token, &proof).await.expect(200);
        assert_eq!(answer.upstream_header("x-postern-subject"), Some(json!("alice")), "{answer}");
        for _ in 0..2 {
            let answer = self.send("DPoP", &token, &proof).await;
            assert_proof_refused(&answer, &self.say("once more"));
        }
        // Of the same token, and for a query, which the proof does not name.
        let target = format!("{}?page=2", self.path);
        let (read, write) = (self.proof(&token).sign(), self.proof(&token));
        self.client.send(&shown("GET", &target, "dpop", &token, &[read])).await.expect(200);
        let write = write.claim("htm", json!("POST")).sign();
        self.client.send(&shown("POST", &target, "DPoP", &token, &[write])).await.expect(200);
    }

    async fn a_proof_is_for_its_request_and_token_and_for_now(&self) {
        let token = bound(bound_to_key());
        let (good, now) = (|| self.proof(&token), keys::now());
        let other_url = self.gateway.url("/asked/other");
        let other_host = format!("http://other.example.test{}", self.path);
        let other_token = keys::sha256(bound(bound_to_key()).as_bytes());
        let before = self.gateway.upstream.total();
        for (what, proofs) in [
            ("no proof", vec![]),
            ("two proofs", vec![good().sign(), good().sign()]),
            ("another method", vec![good().claim("htm", json!("POST")).sign()]),
            ("another path", vec![good().claim("htu", json!(other_url)).sign()]),
            ("another host", vec![good().claim("htu", json!(other_host)).sign()]),
            ("another token", vec![good().claim("ath", json!(other_token)).sign()]),
            ("no token", vec![good().claim("ath", json!(null)).sign()]),
            ("no id", vec![good().claim("jti", json!("")).sign()]),
            ("old", vec![good().claim("iat", json!(now - 120)).sign()]),
            ("of the future", vec![good().claim("iat", json!(now + 120)).sign()]),
            ("another key", vec![good().by_rsa().sign()]),
            ("tampered", vec![keys::tampered(&good().sign())]),
            ("the token", vec![token.clone()]),
            ("nonsense", vec!["nonsense".to_owned()]),
            ("nothing", vec![String::new()]),
        ] {
            let answer = self.send("DPoP", &token, &proofs).await;
            assert_proof_refused(&answer, &self.say(what));
        }
        assert_eq!(self.gateway.upstream.total(), before, "the upstream was asked");
        let older = good().claim("iat", json!(keys::now() - 40)).sign();
        self.send("DPoP", &token, &[older]).await.expect(200);
    }

    async fn the_scheme_says_whether_a_token_is_bound(&self) {
        let (token, plain) = (bound(bound_to_key()), Token::of("alice").sign());
        let asks_for_proof = self.path.ends_with("-proven");
        let for_plain = if asks_for_proof { INVALID } else { PASSES };
        for (what, scheme, token, expected) in [
            ("a bound token as bearer token", "Bearer", &token, INVALID),
            ("a token that is not bound", "DPoP", &plain, INVALID),
            ("a bearer token", "Bearer", &plain, for_plain),
        ] {
            let proof = [self.proof(token).sign()];
            let answer = self.send(scheme, token, &proof).await;
            assert_verdict(&answer, expected, &self.say(what));
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            assert!(!challenge.contains("dpop_proof"), "{}:\n{answer}", self.say(what));
        }
    }

    async fn what_is_bound_to_both_needs_both(&self) {
        let mut cnf = bound_to_key();
        cnf["x5t#S256"] = bound_to_certificate(1)["x5t#S256"].clone();
        let token = bound(cnf);
        for (certificate, expected) in [(Some(1), PASSES), (Some(2), INVALID), (None, INVALID)] {
            let call = shown("GET", self.path, "DPoP", &token, &[self.proof(&token).sign()]);
            let call = match certificate {
                Some(byte) => call.header(CERTIFICATE, element(byte)),
                None => call,
            };
            let answer = self.client.send(&call).await;
            assert_verdict(&answer, expected, &self.say(&format!("with {certificate:?}")));
        }
        let call = shown("GET", self.path, "DPoP", &token, &[]).header(CERTIFICATE, element(1));
        let answer = self.client.send(&call).await;
        assert_proof_refused(&answer, &self.say("the certificate alone"));
    }
}

/// Nobody has looked at the proof there.
async fn without_ext_authz_no_key_is_proven(gateway: &Gateway) {
    let (path, token) = ("/bundle/any", bound(bound_to_key()));
    for protocol in Protocol::ALL {
        for scheme in ["DPoP", "Bearer"] {
            let proof = [Proof::of("GET", &gateway.url(path), &token).sign()];
            let call = shown("GET", path, scheme, &token, &proof);
            let answer = gateway.client(protocol).send(&call).await;
            assert_verdict(&answer, INVALID, &format!("{scheme} ({protocol:?})"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_no_proof_passes() {
    let Some(mut redis) = Redis::down_or_skip() else { return };
    redis.bring_up().await;
    let builder = Gateway::builder().document(both_kinds(DOCUMENT)).store(Store::At(redis.url()));
    let gateway = builder.start().await;
    ready(&gateway).await;
    let token = bound(bound_to_key());
    let proven = |path: &'static str| {
        let proof = Proof::of("GET", &gateway.url(path), &token).sign();
        shown("GET", path, "DPoP", &token, &[proof])
    };
    // The server connects to Redis beside its start.
    until_passes(&gateway, || proven("/asked/any")).await;

    redis.take_down();
    for path in PROVEN {
        let before = gateway.upstream.total();
        let answer = gateway.send(&proven(path)).await;
        assert_verdict(&answer, UNAVAILABLE, path);
        assert_eq!(gateway.upstream.total(), before, "the upstream was asked");
    }
    // Bearer tokens need no memory, and what is wrong with a proof is still said.
    let plain = Token::of("alice").sign();
    let call = |kind: &str| Call::get(&format!("/{kind}/any")).bearer(&plain);
    assert_everywhere(&gateway, PASSES, "a bearer token", call).await;
    let answer = gateway.send(&shown("GET", "/asked/any", "DPoP", &token, &[])).await;
    assert_proof_refused(&answer, "no proof");

    redis.bring_up().await;
    for path in PROVEN {
        until_passes(&gateway, || proven(path)).await;
    }
}

/// Sends calls, each of them made anew, until one passes.
async fn until_passes(gateway: &Gateway, call: impl Fn() -> Call) {
    wait::until("answer to a proof", Duration::from_secs(20), || async {
        let answer = gateway.send(&call()).await;
        if answer.status == 200 { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
}

/// Where the document does not say so, no bound token is taken, whatever comes with it.
pub(crate) async fn bound_tokens_are_refused(gateway: &Gateway) {
    let scopes = "content.read payments.read";
    let bound_to = |cnf: Value| Token::of("alice").scope(scopes).claim("cnf", cnf).sign();
    let by_certificate = bound_to(bound_to_certificate(1));
    let by_key = bound_to(bound_to_key());
    let plain = Token::of("alice").scope(scopes).sign();
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        for path in ["/content/items", "/payments/charges"] {
            for (what, scheme, token) in [
                ("to a certificate", "Bearer", &by_certificate),
                ("to a key", "DPoP", &by_key),
                ("to a key", "Bearer", &by_key),
                ("to nothing", "DPoP", &plain),
            ] {
                let proof = [Proof::of("GET", &gateway.url(path), token).sign()];
                let call = shown("GET", path, scheme, token, &proof);
                let answer = client.send(&call.header(CERTIFICATE, element(1))).await;
                assert_verdict(&answer, INVALID, &format!("{what}, {scheme}: {path}"));
            }
        }
    }
}
