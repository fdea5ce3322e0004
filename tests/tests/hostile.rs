//! Hostile requests end in a clean 4xx or are neutralised, and the worker lives on: after each
//! of them a good request gets its 200.

use postern_e2e::client::{Answer, Call, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Key, Token};
use postern_e2e::raw;
use serde_json::{Value, json};

/// The filter alone, and the filter behind `ext_authz`.
const PATHS: [&str; 2] = ["/content/items", "/payments/charges"];
const SCOPES: &str = "content.read payments.read";

fn good() -> Token {
    Token::of("alice").scope(SCOPES)
}

async fn stack() -> Gateway {
    let gateway = Gateway::builder().start().await;
    let call = Call::get("/payments/charges").bearer(&good().sign());
    gateway.until_status(200, &call).await;
    gateway
}

/// The one worker still answers, and no VM was lost on the way.
async fn assert_alive(gateway: &mut Gateway, after: &str) {
    for path in PATHS {
        let answer = gateway.send(&Call::get(path).bearer(&good().sign())).await;
        assert_eq!(answer.status, 200, "after {after}:\n{answer}");
    }
    gateway.envoy.assert_no_failed_machine().await;
}

/// Passed on without harm, or refused; never a fault of ours.
fn assert_clean(answer: &Answer, what: &str) {
    let refused = (400..500).contains(&answer.status);
    assert!(answer.status == 200 || refused, "{what}:\n{answer}");
    if refused && !answer.body.is_empty() {
        assert!(answer.json()["error"].is_string(), "{what}:\n{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens() {
    let mut gateway = stack().await;
    for (what, token) in bad_tokens() {
        let mut answers = Vec::new();
        for protocol in Protocol::ALL {
            for path in PATHS {
                let call = Call::get(path).bearer(&token);
                let answer = gateway.client(protocol).send(&call).await;
                assert_eq!(answer.status, 401, "{what} at {path}:\n{answer}");
                answers.push(answer.expect_denial(401, "INVALID_TOKEN"));
            }
        }
        for answer in &answers {
            // RFC 6750 §3.1 and nothing beyond it: which check failed is nobody's business.
            let challenge = answer.header("www-authenticate");
            let expected = "Bearer realm=\"postern\", error=\"invalid_token\"";
            assert_eq!(challenge, Some(expected), "{what}");
            let description = answer.json()["error_description"].clone();
            assert_eq!(description, "The access token is invalid", "{what}");
        }
        assert_alive(&mut gateway, what).await;
    }
}

/// Tokens that do not hold, each for one reason.
fn bad_tokens() -> Vec<(&'static str, String)> {
    let now = keys::now();
    let rs256 = r#"{"alg":"RS256","typ":"at+jwt","kid":"rsa-1"}"#;
    let claims = good().claims_text();
    let deep = format!("{}1{}", "[".repeat(2000), "]".repeat(2000));
    let with_member = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    let signed = |header: &str, claims: &str| Key::Rsa.sign(header, claims);
    let none = r#"{"alg":"none","typ":"at+jwt"}"#;
    vec![
        ("alg none", keys::unsigned(none, &claims)),
        ("alg none with a signature", signed(none, &claims)),
        ("alg in other letters", keys::unsigned(&none.replace("none", "nOnE"), &claims)),
        ("HS256 with the public key", good().key(Key::PublicKeyAsSecret).sign()),
        (
            "RS256 named, HS256 made with the public key",
            Key::PublicKeyAsSecret.sign(rs256, &claims),
        ),
        ("somebody else's key", good().key(Key::Stranger).sign()),
        ("the other key of the issuer", good().header("kid", json!("ec-1")).sign()),
        ("an unknown kid", good().header("kid", json!("rsa-2")).sign()),
        ("a kid of 10 kB", good().header("kid", json!("k".repeat(10_000))).sign()),
        ("a kid that is a path", good().header("kid", json!("../../etc/passwd")).sign()),
        ("a kid that is a number", good().header("kid", json!(1)).sign()),
        ("unknown crit", good().header("crit", json!(["exp-2"])).header("exp-2", json!(1)).sign()),
        ("empty crit", good().header("crit", json!([])).sign()),
        ("a key that it brings along", good().key(Key::Stranger).header("jwk", jwk()).sign()),
        ("another type", good().header("typ", json!("dpop+jwt")).sign()),
        ("a repeated claim", signed(rs256, &with_member(&claims, r#""sub":"admin""#))),
        ("a repeated header", signed(&with_member(rs256, r#""alg":"none""#), &claims)),
        ("deep claims", signed(rs256, &with_member(&claims, &format!(r#""deep":{deep}"#)))),
        ("a deep header", signed(&with_member(rs256, &format!(r#""deep":{deep}"#)), &claims)),
        ("claims that are a list", signed(rs256, "[]")),
        ("claims that are no JSON", signed(rs256, "{\"iss\":")),
        ("no claims", signed(rs256, "")),
        ("no header", signed("", &claims)),
        ("exp as a string", good().claim("exp", json!((now + 600).to_string())).sign()),
        ("exp below zero", good().claim("exp", json!(-1)).sign()),
        ("exp beyond all bounds", signed(rs256, &with_exp("1e400"))),
        ("no exp", good().without("exp").sign()),
        ("over", good().claim("exp", json!(now - 60)).sign()),
        ("not yet", good().claim("nbf", json!(now + 60)).sign()),
        ("another issuer", good().claim("iss", json!("https://other.example.test")).sign()),
        ("no issuer", good().without("iss").sign()),
        ("another audience", good().claim("aud", json!("other")).sign()),
        ("no audience", good().without("aud").sign()),
        ("no subject", good().without("sub").sign()),
        ("a line break", good().claim("sub", json!("a\r\nx-postern-subject: admin")).sign()),
        ("scopes as a list", good().claim("scope", json!([SCOPES])).sign()),
        ("bound to a key", good().claim("cnf", json!({"jkt": "abc"})).sign()),
        ("20 kB", good().claim("pad", json!("p".repeat(20_000))).sign()),
        ("too few parts", "a.b".to_owned()),
        ("too many parts", format!("{}.x", good().sign())),
        ("no signature", keys::unsigned(rs256, &claims)),
        ("no base64", "!.!.!".to_owned()),
        ("dots", "..".to_owned()),
        ("a cut one", good().sign()[..200].to_owned()),
    ]
}

/// Good claims with this text as `exp`, which need not be what a JSON writer writes.
fn with_exp(exp: &str) -> String {
    let place = 7_777_777_777_u64;
    good().claim("exp", json!(place)).claims_text().replace(&place.to_string(), exp)
}

/// The public key of the issuer, as a token might bring it along.
fn jwk() -> Value {
    let set: Value = serde_json::from_str(keys::JWKS).expect("a JWK set");
    set["keys"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_but_good_tokens() {
    let gateway = stack().await;
    let claims = with_exp(&format!("{}.75", keys::now() + 600));
    let header = good().header_text();
    let tokens = [
        ("exp with a fraction", Key::Rsa.sign(&header, &claims)),
        ("several audiences", good().claim("aud", json!(["x", keys::AUDIENCE])).sign()),
        ("type JWT", good().header("typ", json!("JWT")).sign()),
        ("no type", good().without_header("typ").sign()),
        ("an unknown header", good().header("x5u", json!("https://evil.example.test")).sign()),
        ("white space", Key::Rsa.sign(&header.replace(',', " ,\n "), &good().claims_text())),
        ("claims nobody knows", good().claim("other", json!({"a": [1, 2.5, null]})).sign()),
    ];
    for (what, token) in tokens {
        for path in PATHS {
            let answer = gateway.send(&Call::get(path).bearer(&token)).await;
            assert_eq!(answer.status, 200, "{what} at {path}:\n{answer}");
        }
    }
    for scheme in ["bearer", "BEARER"] {
        let value = format!("{scheme} {}", good().sign());
        let answer = gateway.send(&Call::get(PATHS[0]).header("authorization", value)).await;
        assert_eq!(answer.status, 200, "the scheme's letters do not matter:\n{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers() {
    let mut gateway = stack().await;
    let token = good().sign();
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        for path in PATHS {
            let with = |name: &str, value: &[u8]| {
                Call::get(path).bearer(&token).header(name, value.to_vec())
            };
            for name in ["x-odd", "x-correlation-id", "user-agent", "x-api-key", "traceparent"] {
                let answer = client.send(&with(name, b"\xff\xfe\x80")).await;
                assert_clean(&answer, &format!("{name} is not UTF-8"));
                assert_alive(&mut gateway, name).await;
            }
            for value in
                [&b"Bearer \xff\xfe"[..], b"\xff", b"", b"Bearer", b"Bearer ", b"Basic YTpi"]
            {
                let call = Call::get(path).header("authorization", value.to_vec());
                let answer = client.send(&call).await;
                assert_eq!(answer.status, 401, "{value:?}:\n{answer}");
                assert_alive(&mut gateway, "an odd Authorization").await;
            }
            // Which of the two would the upstream read?
            let other = format!("Bearer {}", keys::tampered(&token));
            let first = with("authorization", other.as_bytes());
            let last = Call::get(path).header("authorization", other).bearer(&token);
            for (call, what) in [(first, "good, bad"), (last, "bad, good")] {
                let answer = client.send(&call).await;
                assert!([400, 401].contains(&answer.status), "{what}:\n{answer}");
                assert_alive(&mut gateway, "two Authorizations").await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sizes() {
    let mut gateway = stack().await;
    let port = gateway.port();
    let authorization = format!("authorization: Bearer {}", good().sign());
    for path in PATHS {
        let many: Vec<String> = (0..1000).map(|at| format!("x-many-{at}: {at}")).collect();
        let long = vec![format!("authorization: Bearer {}", "a".repeat(100_000))];
        let big = vec![authorization.clone(), format!("x-big: {}", "b".repeat(100_000))];
        let cases = [
            ("1000 headers", [many, vec![authorization.clone()]].concat()),
            ("a token of 100 kB", long),
            ("a header of 100 kB", big),
        ];
        for (what, lines) in cases {
            let answer = raw::exchange(port, &raw::get(path.as_bytes(), &lines)).await;
            let status = answer.status.unwrap_or_default();
            assert!((400..500).contains(&status) || status == 200, "{what}:\n{}", answer.text);
            if what.contains("token") {
                assert_ne!(status, 200, "{what}");
            }
            assert_alive(&mut gateway, what).await;
        }
        let query = format!("{path}?{}", "q".repeat(7000));
        let call = Call::get(&query).bearer(&good().sign());
        assert_clean(&gateway.send(&call).await, "a long query");
        let long_path = format!("{path}/{}", "p".repeat(20_000));
        let call = Call::get(&long_path).bearer(&good().sign());
        let answer = gateway.send(&call).await;
        assert!((400..500).contains(&answer.status), "a path of 20 kB:\n{answer}");
        assert_alive(&mut gateway, "long targets").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgeries() {
    let mut gateway = stack().await;
    identity_headers_have_one_writer(&gateway).await;
    underscores_are_no_way_around(&gateway).await;
    metadata_cannot_be_sent(&gateway).await;
    forwarded_for_does_not_move_the_limit(&gateway).await;
    assert_alive(&mut gateway, "forgeries").await;
}

async fn identity_headers_have_one_writer(gateway: &Gateway) {
    let forged = |call: Call| {
        call.header("x-postern-subject", "admin")
            .header("X-Postern-Scopes", "admin")
            .header("x-postern-scope-admin", "true")
            .header("x-postern-tier", "enterprise")
            .header("x-postern-anything-new", "1")
            .header("x-tenant", "somebody else's")
    };
    let names = [
        "x-postern-scope-admin",
        "x-postern-tier",
        "x-postern-anything-new",
        // The header that the document makes of a claim: this token has none.
        "x-tenant",
    ];
    for protocol in Protocol::ALL {
        let client = gateway.client(protocol);
        for path in PATHS {
            let call = forged(Call::get(path).bearer(&good().sign()));
            let answer = client.send(&call).await.expect(200);
            let subject = answer.upstream_header("x-postern-subject");
            assert_eq!(subject, Some(json!("alice")), "{answer}");
            assert_eq!(answer.upstream_header("x-postern-scopes"), Some(json!(SCOPES)));
            for name in names {
                assert_eq!(answer.upstream_header(name), None, "{name}:\n{answer}");
            }
        }
        for path in ["/open/page", "/vod/films"] {
            let answer = client.send(&forged(Call::get(path))).await.expect(200);
            for name in names.into_iter().chain(["x-postern-subject", "x-postern-scopes"]) {
                assert_eq!(answer.upstream_header(name), None, "{name}:\n{answer}");
            }
        }
    }
}

/// Some servers read `_` as `-`.
async fn underscores_are_no_way_around(gateway: &Gateway) {
    for name in ["x_postern_subject", "x-postern_scopes", "x_tenant"] {
        let call = Call::get("/open/page").header(name, "admin");
        let answer = gateway.send(&call).await;
        let kept_out = answer.status == 400
            || (answer.status == 200 && answer.upstream_header(name).is_none());
        assert!(kept_out, "{name}:\n{answer}");
    }
}

/// What looks like the evidence of `ext_authz`, or like Envoy's own headers, but came from
/// outside.
async fn metadata_cannot_be_sent(gateway: &Gateway) {
    let before = gateway.upstream.requests("payments");
    let call = Call::get("/payments/charges")
        .header("postern", r#"{"route":"payments-read","principal":{"subject":"admin"}}"#)
        .header("x-envoy-auth-partial-body", "false")
        .header("x-envoy-original-path", "/open/page")
        .header("x-envoy-internal", "true")
        .header("x-original-url", "/open/page")
        .header("x-rewrite-url", "/open/page")
        .header("x-http-method-override", "GET")
        .header("x-client-id", "test-client");
    gateway.send(&call).await.expect_denial(401, "UNAUTHORIZED");
    assert_eq!(gateway.upstream.requests("payments"), before);
}

async fn forwarded_for_does_not_move_the_limit(gateway: &Gateway) {
    let call = |at: u32| {
        Call::get("/limited/ip")
            .header("x-forwarded-for", format!("198.51.100.{at}"))
            .header("x-real-ip", format!("198.51.100.{at}"))
            .header("forwarded", format!("for=198.51.100.{at}"))
            .header("x-envoy-external-address", format!("198.51.100.{at}"))
            .header("true-client-ip", format!("198.51.100.{at}"))
    };
    for at in 0..4 {
        gateway.send(&call(at)).await.expect(200);
    }
    for at in 4..10 {
        gateway.send(&call(at)).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
    }
}
