//! Every sentence of what the first version promises, over both stores, with one and with four
//! workers, in HTTP/1.1 and HTTP/2. A stack is started once for each store and number of
//! workers; both protocols use it in turn.

use std::time::Duration;

use postern_e2e::client::{Answer, Call, Client, Protocol};
use postern_e2e::gateway::{Gateway, Store};
use postern_e2e::keys::{self, Key, Token};
use postern_e2e::wait;
use serde_json::json;

/// Longer than a circuit stays open, which doubles each time that a probe fails.
const LONGEST: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory_with_one_worker() {
    outcome(Store::Memory, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory_with_four_workers() {
    outcome(Store::Memory, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_redis_with_one_worker() {
    outcome(Store::Redis, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_redis_with_four_workers() {
    outcome(Store::Redis, 4).await;
}

async fn outcome(store: Store, workers: u32) {
    let gateway = Gateway::builder().store(store).workers(workers).start().await;
    // The first request that each part sees may take it longer than its budget allows.
    gateway.until_status(200, &payments(&keys::subject("warm-up"))).await;
    for protocol in Protocol::ALL {
        let case = Case { gateway: &gateway, client: gateway.client(protocol) };
        case.a_token_opens_the_door().await;
        case.both_algorithms_are_taken().await;
        case.without_a_token_401().await;
        case.a_tampered_token_401().await;
        case.too_little_scope_403().await;
        case.an_optional_token_may_be_missing_but_not_bad().await;
        case.an_api_key_opens_the_door().await;
        case.what_no_route_matches_404().await;
        case.correlation_ids_are_kept_or_made().await;
        case.rules_change_headers().await;
        case.answers_are_hardened().await;
        case.past_a_local_limit_429().await;
        case.past_an_exact_limit_429().await;
        case.an_open_circuit_503_until_a_probe_succeeds().await;
        if protocol == Protocol::Http2 {
            case.grpc_gets_its_own_status().await;
        }
    }
}

/// A call that passes the filter, `ext_authz` and `ext_proc`.
fn payments(subject: &str) -> Call {
    let token = Token::of(subject).scope("payments.read payments.write").sign();
    Call::get("/payments/charges").bearer(&token)
}

fn content(token: &str) -> Call {
    Call::get("/content/items").bearer(token)
}

struct Case<'a> {
    gateway: &'a Gateway,
    client: Client,
}

impl Case<'_> {
    async fn send(&self, call: &Call) -> Answer {
        self.client.send(call).await
    }

    async fn a_token_opens_the_door(&self) {
        let token = Token::of("alice")
            .scope("content.read content.write")
            .claim("tenant", json!("blue"))
            .claim("tier", json!("premium"))
            .sign();
        let answer = self.send(&content(&token)).await.expect(200);
        let upstream = answer.json();
        assert_eq!(upstream["service"], "content");
        assert_eq!(upstream["path"], "/content/items");
        let headers = &upstream["headers"];
        assert_eq!(headers["x-postern-subject"], "alice");
        assert_eq!(headers["x-postern-client"], "test-client");
        assert_eq!(headers["x-postern-scopes"], "content.read content.write");
        assert_eq!(headers["x-postern-scope-content.read"], "true");
        assert_eq!(headers["x-postern-tier"], "premium");
        assert_eq!(headers["x-tenant"], "blue");

        let through_the_server = self.send(&payments("alice")).await.expect(200);
        assert_eq!(through_the_server.json()["headers"]["x-postern-subject"], "alice");
    }

    async fn both_algorithms_are_taken(&self) {
        for key in [Key::Rsa, Key::Ec] {
            let token = Token::of("alice").scope("content.read payments.read").key(key);
            self.send(&content(&token.sign())).await.expect(200);
            self.send(&content(&token.clone().without_header("kid").sign())).await.expect(200);
            let call = Call::get("/payments/charges").bearer(&token.sign());
            self.send(&call).await.expect(200);
        }
    }

    async fn without_a_token_401(&self) {
        let before = self.gateway.upstream.total();
        for path in ["/content/items", "/payments/charges", "/commerce/orders"] {
            let answer = self.send(&Call::get(path)).await.expect_denial(401, "UNAUTHORIZED");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"postern\""));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
        assert_eq!(self.gateway.upstream.total(), before, "the upstream was asked");
    }

    async fn a_tampered_token_401(&self) {
        let before = self.gateway.upstream.total();
        let good = Token::of("alice").scope("content.read payments.read").sign();
        // Known and good first, so that a cache that looks at less than the whole token shows.
        self.send(&content(&good)).await.expect(200);
        let bad = [
            keys::tampered(&good),
            keys::with_other_claims(&good, "alice", "admin"),
            Token::of("alice").scope("content.read payments.read").key(Key::Stranger).sign(),
        ];
        for token in &bad {
            for path in ["/content/items", "/payments/charges"] {
                let answer = self.send(&Call::get(path).bearer(token)).await;
                let answer = answer.expect_denial(401, "INVALID_TOKEN");
                let challenge = answer.header("www-authenticate");
                let expected = "Bearer realm=\"postern\", error=\"invalid_token\"";
                assert_eq!(challenge, Some(expected));
            }
        }
        assert_eq!(self.gateway.upstream.total(), before + 1, "the upstream was asked");
    }

    async fn too_little_scope_403(&self) {
        let narrow = Token::of("alice").scope("content.read payments.read").sign();
        for (path, scope) in
            [("/content/items", "content.write"), ("/payments/charges", "payments.write")]
        {
            let answer = self.send(&Call::post(path).bearer(&narrow)).await;
            let answer = answer.expect_denial(403, "INSUFFICIENT_SCOPE");
            let challenge = answer.header("www-authenticate").expect("a challenge");
            assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
            assert!(challenge.contains(&format!("scope=\"{scope}\"")), "{challenge}");
        }
    }

    async fn an_optional_token_may_be_missing_but_not_bad(&self) {
        let nobody = self.send(&Call::get("/vod/films")).await.expect(200);
        assert_eq!(nobody.upstream_header("x-postern-subject"), None);
        let token = Token::of("alice").sign();
        let alice = self.send(&Call::get("/vod/films").bearer(&token)).await.expect(200);
        assert_eq!(alice.upstream_header("x-postern-subject"), Some(json!("alice")));
        let bad = Call::get("/vod/films").bearer(&keys::tampered(&token));
        self.send(&bad).await.expect_denial(401, "INVALID_TOKEN");
    }

    async fn an_api_key_opens_the_door(&self) {
        let call = |key: &str| Call::get("/commerce/orders").header("x-api-key", key);
        let answer = self.send(&call(keys::API_KEY)).await.expect(200);
        assert_eq!(answer.upstream_header("x-postern-subject"), Some(json!("robot")));
        assert_eq!(answer.upstream_header("x-postern-client"), Some(json!("robot-client")));
        assert_eq!(answer.upstream_header("x-postern-scopes"), Some(json!("commerce.read")));
        let almost = keys::API_KEY.replace('Z', "z");
        for key in [almost.as_str(), "pk_test1_", "pk_other_abc", "nonsense", ""] {
            let answer = self.send(&call(key)).await;
            assert_eq!(answer.status, 401, "{key}\n{answer}");
        }
        // A key is no credential where the route asks for a token.
        let wrong_place = Call::get("/content/items").header("x-api-key", keys::API_KEY);
        self.send(&wrong_place).await.expect_denial(401, "UNAUTHORIZED");
    }

    async fn what_no_route_matches_404(&self) {
        let token = Token::of("alice").scope("content.read").sign();
        for path in ["/", "/nothing/here", "/content", "/contents/items"] {
            self.send(&Call::get(path).bearer(&token)).await.expect_denial(404, "NOT_FOUND");
        }
        let other_method = Call::new("DELETE", "/content/items").bearer(&token);
        self.send(&other_method).await.expect_denial(404, "NOT_FOUND");
    }

    async fn correlation_ids_are_kept_or_made(&self) {
        let id = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
        let token = Token::of("alice").scope("content.read").sign();
        let kept = self.send(&content(&token).header("x-correlation-id", id)).await.expect(200);
        assert_eq!(kept.header("x-correlation-id"), Some(id));
        assert_eq!(kept.upstream_header("x-correlation-id"), Some(json!(id)));
        assert!(kept.upstream_header("traceparent").is_some(), "{kept}");
        assert!(kept.upstream_header("x-request-id").is_some(), "{kept}");
        assert!(kept.number("x-response-time") < 60_000, "{kept}");

        let made = self.send(&content(&token).header("x-correlation-id", "<script>")).await;
        let made = made.expect(200);
        let id = made.header("x-correlation-id").expect("an id").to_owned();
        assert_eq!(id.len(), 36, "{made}");
        assert_eq!(made.upstream_header("x-correlation-id"), Some(json!(id)));

        let denied = self.send(&Call::get("/content/items")).await.expect(401);
        let id = denied.header("x-correlation-id").expect("an id");
        assert_eq!(denied.json()["correlation_id"], id);
    }

    async fn rules_change_headers(&self) {
        let call = Call::get("/commerce/orders")
            .header("x-api-key", keys::API_KEY)
            .header("x-internal-debug", "1")
            .header("x-caller", "somebody else");
        let answer = self.send(&call).await.expect(200);
        assert_eq!(answer.upstream_header("x-internal-debug"), None);
        assert_eq!(answer.upstream_header("x-gateway"), Some(json!("postern")));
        let caller = json!("user=robot; route=commerce");
        assert_eq!(answer.upstream_header("x-caller"), Some(caller));
        let id = answer.header("x-correlation-id").expect("an id");
        assert_eq!(answer.upstream_header("x-caller-request"), Some(json!(id)));
        assert_eq!(answer.header("x-answered-by"), Some("gateway"));
        assert_eq!(answer.header("x-served-by"), Some("commerce"));

        let fixed = Call::get("/commerce/static/page").header("x-internal-debug", "1");
        let answer = self.send(&fixed).await.expect(200);
        assert_eq!(answer.upstream_header("x-internal-debug"), None);
        assert_eq!(answer.upstream_header("x-gateway"), Some(json!("postern")));
        assert_eq!(answer.header("x-answered-by"), Some("gateway"));
        assert_eq!(answer.header("x-served-by"), None);
    }

    async fn answers_are_hardened(&self) {
        let token = Token::of("alice").scope("content.read").sign();
        let answer = self.send(&content(&token)).await.expect(200);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{answer}");
        let policy = Some("default-src 'none'; frame-ancestors 'none'");
        assert_eq!(answer.header("content-security-policy"), policy, "{answer}");
        // The upstream says both.
        assert_eq!(answer.header("server"), None, "{answer}");
        assert_eq!(answer.header("x-powered-by"), None, "{answer}");
        let denied = self.send(&Call::get("/content/items")).await.expect(401);
        assert_eq!(denied.header("server"), None, "{denied}");
    }

    async fn past_a_local_limit_429(&self) {
        self.limited("/limited/local", 3).await;
    }

    async fn past_an_exact_limit_429(&self) {
        self.limited("/limited/exact", 5).await;
    }

    /// `limit` calls an hour pass, each telling what is left; those after them do not.
    async fn limited(&self, path: &str, limit: u64) {
        let token = Token::of(&keys::subject("limited")).sign();
        let call = Call::get(path).bearer(&token);
        for used in 1..=limit {
            let answer = self.send(&call).await.expect(200);
            assert_eq!(answer.number("x-ratelimit-limit"), limit, "{answer}");
            assert_eq!(answer.number("x-ratelimit-remaining"), limit - used, "{answer}");
            assert_eq!(answer.number("ratelimit-remaining"), limit - used, "{answer}");
        }
        let before = self.gateway.upstream.requests("limited");
        for _ in 0..2 {
            let answer = self.send(&call).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
            for prefix in ["x-ratelimit", "ratelimit"] {
                assert_eq!(answer.number(&format!("{prefix}-limit")), limit, "{answer}");
                assert_eq!(answer.number(&format!("{prefix}-remaining")), 0, "{answer}");
                // Of a sliding window some may still count in the one after it.
                let reset = answer.number(&format!("{prefix}-reset"));
                assert!((1..=7200).contains(&reset), "{answer}");
            }
            let policy = format!("{limit};w=3600");
            assert_eq!(answer.header("ratelimit-policy"), Some(policy.as_str()));
            assert!((1..=7200).contains(&answer.number("retry-after")), "{answer}");
        }
        assert_eq!(self.gateway.upstream.requests("limited"), before, "the upstream was asked");
        // Somebody else still has all of theirs.
        let other = Token::of(&keys::subject("unlimited")).sign();
        self.send(&Call::get(path).bearer(&other)).await.expect(200);
    }

    async fn an_open_circuit_503_until_a_probe_succeeds(&self) {
        let upstream = &self.gateway.upstream;
        let call = payments(&keys::subject("circuit"));
        self.send(&call).await.expect(200);

        upstream.fail("payments", 500);
        for _ in 0..5 {
            self.send(&call).await.expect(500);
        }
        let asked = upstream.requests("payments");
        let answer = self.send(&call).await.expect_denial(503, "CIRCUIT_OPEN");
        assert!(answer.number("retry-after") >= 1, "{answer}");
        assert_eq!(upstream.requests("payments"), asked, "the upstream was asked");
        // Other services go on.
        let token = Token::of("alice").scope("content.read").sign();
        self.send(&content(&token)).await.expect(200);

        // A probe that fails opens it again.
        self.gateway.until_status(500, &call).await;
        self.send(&call).await.expect_denial(503, "CIRCUIT_OPEN");

        // One that succeeds closes it. After one that has failed, it stays open twice as long.
        upstream.recover("payments");
        wait::until("closed circuit", LONGEST, || self.succeeds_twice(&call)).await;
    }

    /// A probe alone would be followed by a refusal.
    async fn succeeds_twice(&self, call: &Call) -> Result<(), String> {
        for _ in 0..2 {
            let answer = self.send(call).await;
            if answer.status != 200 {
                return Err(answer.to_string());
            }
        }
        Ok(())
    }

    async fn grpc_gets_its_own_status(&self) {
        for path in ["/content/items", "/payments/charges"] {
            let call = Call::post(path)
                .header("content-type", "application/grpc")
                .header("te", "trailers");
            let answer = self.send(&call).await.expect(200);
            assert_eq!(answer.header("grpc-status"), Some("16"), "{answer}");
        }
    }
}
