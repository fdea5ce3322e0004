//! How much a limit allows whom, and what a caller is told of it.

use std::time::Duration;

use postern_e2e::client::{Answer, Call, Protocol};
use postern_e2e::gateway::Gateway;
use postern_e2e::keys::{self, Token};
use postern_e2e::{documents, wait};
use serde_json::json;

const LONGEST: Duration = Duration::from_secs(20);
/// The longest that a caller may be asked to wait, in seconds: of a sliding window some may still
/// count in the one after it.
const TWO_HOURS: u64 = 2 * 3600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counted_by_the_server() {
    every_number_holds("exact").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counted_in_envoy() {
    every_number_holds("local").await;
}

async fn every_number_holds(mode: &'static str) {
    let gateway = Gateway::builder().document(documents::limits(mode)).start().await;
    gateway.until_status(200, &of("/any/wide", &keys::subject("warm-up"))).await;
    let case = Case { gateway: &gateway, mode };
    case.tiers_and_clients_have_their_own().await;
    case.an_api_key_has_a_tier_too().await;
    case.a_request_counts_as_much_as_its_route_says().await;
    case.of_several_limits_all_are_taken_from_or_none().await;
    case.a_limit_in_shadow_refuses_nobody().await;
    case.bursts_pass_and_no_more().await;
    case.a_window_begins_with_its_first_request().await;
    for protocol in Protocol::ALL {
        case.callers_are_told_in_http(protocol).await;
        case.callers_are_told_in_grpc(protocol).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_told_as_structured_fields_where_the_document_says_so() {
    for mode in ["exact", "local"] {
        let document = format!("{}\nlimit_headers: structured\n", documents::limits(mode));
        let gateway = Gateway::builder().document(document).start().await;
        gateway.until_status(200, &of("/any/wide", &keys::subject("warm-up"))).await;
        let call = of("/any/few", &keys::subject("told"));
        for (status, left) in [(200, 2), (200, 1), (200, 0), (429, 0)] {
            let answer = gateway.send(&call).await.expect(status);
            let policy = answer.header("ratelimit-policy");
            assert_eq!(policy, Some("\"default\";q=3;w=3600"), "{answer}");
            let reset = answer.number("x-ratelimit-reset");
            let standing = format!("\"default\";r={left};t={reset}");
            assert_eq!(answer.header("ratelimit"), Some(standing.as_str()), "{answer}");
            for other in ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"] {
                assert_eq!(answer.header(other), None, "{answer}");
            }
        }
    }
}

/// A call that is counted by this caller.
fn of(path: &str, caller: &str) -> Call {
    Call::get(path).header("x-test-caller", caller)
}

struct Case<'a> {
    gateway: &'a Gateway,
    mode: &'static str,
}

impl Case<'_> {
    async fn send(&self, call: &Call) -> Answer {
        self.gateway.send(call).await
    }

    /// `passing` calls pass, each telling what is left; those after them do not.
    async fn lets_pass(&self, call: &Call, passing: u64) {
        for used in 1..=passing {
            let answer = self.send(call).await.expect(200);
            assert_eq!(answer.number("x-ratelimit-limit"), passing, "{call}:\n{answer}");
            assert_eq!(answer.number("x-ratelimit-remaining"), passing - used, "{call}:\n{answer}");
        }
        for _ in 0..2 {
            self.send(call).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
        }
    }

    async fn tiers_and_clients_have_their_own(&self) {
        let call = |token: Token| Call::get("/any/tiered").bearer(&token.sign());
        let token = || Token::of(&keys::subject("tiered"));
        self.lets_pass(&call(token()), 2).await;
        self.lets_pass(&call(token().claim("tier", json!("unknown"))), 2).await;
        let premium = || token().claim("tier", json!("premium"));
        self.lets_pass(&call(premium()), 4).await;
        // A client goes before a tier.
        self.lets_pass(&call(premium().claim("client_id", json!("mobile-app"))), 6).await;
        let unlimited = call(token().claim("tier", json!("enterprise")));
        for _ in 0..8 {
            let answer = self.send(&unlimited).await.expect(200);
            assert_eq!(answer.header("x-ratelimit-limit"), None, "{answer}");
        }
    }

    async fn an_api_key_has_a_tier_too(&self) {
        let call = Call::get("/any/tiered").header("x-api-key", keys::API_KEY);
        self.lets_pass(&call, 4).await;
    }

    async fn a_request_counts_as_much_as_its_route_says(&self) {
        let caller = keys::subject("weighed");
        let (light, four) = (of("/any/light", &caller), of("/any/four", &caller));
        for left in [6, 2] {
            let answer = self.send(&four).await.expect(200);
            assert_eq!(answer.number("x-ratelimit-remaining"), left, "{answer}");
        }
        let answer = self.send(&four).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
        assert_eq!(answer.number("x-ratelimit-remaining"), 2, "{answer}");
        assert!((1..=TWO_HOURS).contains(&answer.number("retry-after")), "{answer}");
        for left in [1, 0] {
            let answer = self.send(&light).await.expect(200);
            assert_eq!(answer.number("x-ratelimit-remaining"), left, "{answer}");
        }
        self.send(&light).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
        // By the limit itself.
        let heavy = of("/any/heavy", &keys::subject("heavy"));
        for left in [3, 1] {
            let answer = self.send(&heavy).await.expect(200);
            assert_eq!(answer.number("x-ratelimit-remaining"), left, "{answer}");
        }
        self.send(&heavy).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
    }

    async fn of_several_limits_all_are_taken_from_or_none(&self) {
        let caller = keys::subject("several");
        // Two of the narrow one pass, and what is told is how that stands.
        self.lets_pass(&of("/any/both", &caller), 2).await;
        let answer = self.send(&of("/any/wide", &caller)).await.expect(200);
        assert_eq!(answer.number("x-ratelimit-limit"), 5, "{answer}");
        assert_eq!(answer.number("x-ratelimit-remaining"), 2, "what was refused counts:\n{answer}");
    }

    async fn a_limit_in_shadow_refuses_nobody(&self) {
        let before = self.shadowed().await;
        let alone = of("/any/tried", &keys::subject("tried"));
        for _ in 0..3 {
            let answer = self.send(&alone).await.expect(200);
            assert_eq!(answer.header("x-ratelimit-limit"), None, "{answer}");
        }
        // Beside a limit that binds, that one is told and refuses.
        self.lets_pass(&of("/any/tried-beside", &keys::subject("tried")), 3).await;
        wait::until("counts of what would have been refused", LONGEST, || async {
            let counted = self.shadowed().await - before;
            if counted >= 4 { Ok(()) } else { Err(counted) }
        })
        .await;
    }

    /// Requests that a limit in shadow would have refused.
    async fn shadowed(&self) -> u64 {
        if self.mode == "exact" {
            let name = "postern_ext_authz_limits_shadowed_total";
            return self.gateway.server.metric(name, &[("limit", "tried")]).await;
        }
        let name = "postern_filter_limits_shadowed_total";
        self.gateway.envoy.filter_stat(name).await.unwrap_or(0)
    }

    async fn bursts_pass_and_no_more(&self) {
        for (path, burst) in [("/any/spaced", 2), ("/any/bucket", 3)] {
            let call = of(path, &keys::subject("burst"));
            self.lets_pass(&call, burst).await;
            let answer = self.send(&call).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
            let policy = format!("{burst};w=3600");
            assert_eq!(answer.header("ratelimit-policy"), Some(policy.as_str()), "{answer}");
            // One in six minutes.
            assert!((300..=360).contains(&answer.number("retry-after")), "{answer}");
        }
    }

    async fn a_window_begins_with_its_first_request(&self) {
        let call = of("/any/by-first-hit", &keys::subject("first-hit"));
        self.lets_pass(&call, 3).await;
        let answer = self.send(&call).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
        assert!((1..=5).contains(&answer.number("retry-after")), "{answer}");
        // Whenever that is over, there is a whole window again.
        let first = self.gateway.until_status(200, &call).await;
        assert_eq!(first.number("x-ratelimit-remaining"), 2, "{first}");
        assert!((4..=5).contains(&first.number("x-ratelimit-reset")), "{first}");
        for left in [1, 0] {
            let answer = self.send(&call).await.expect(200);
            assert_eq!(answer.number("x-ratelimit-remaining"), left, "{answer}");
        }
        self.send(&call).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
    }

    async fn callers_are_told_in_http(&self, protocol: Protocol) {
        let call = of("/any/few", &keys::subject("told"));
        let client = self.gateway.client(protocol);
        for left in [2, 1, 0] {
            let answer = client.send(&call).await.expect(200);
            assert_standing(&answer, left);
            assert_eq!(answer.header("retry-after"), None, "{answer}");
        }
        let before = self.gateway.upstream.total();
        let answer = client.send(&call).await.expect_denial(429, "RATE_LIMIT_EXCEEDED");
        assert_standing(&answer, 0);
        assert!((1..=TWO_HOURS).contains(&answer.number("retry-after")), "{answer}");
        assert_eq!(self.gateway.upstream.total(), before, "the upstream was asked");
    }

    async fn callers_are_told_in_grpc(&self, protocol: Protocol) {
        let call = Call::post("/any/few")
            .header("x-test-caller", keys::subject("told"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let client = self.gateway.client(protocol);
        for left in [2, 1, 0] {
            let answer = client.send(&call).await.expect(200);
            assert_standing(&answer, left);
            assert_eq!(answer.header("grpc-status"), None, "{answer}");
        }
        let before = self.gateway.upstream.total();
        let answer = client.send(&call).await.expect(200);
        assert_eq!(answer.header("grpc-status"), Some("8"), "{answer}");
        assert_standing(&answer, 0);
        assert!((1..=TWO_HOURS).contains(&answer.number("retry-after")), "{answer}");
        assert_eq!(self.gateway.upstream.total(), before, "the upstream was asked");
    }
}

fn assert_standing(answer: &Answer, left: u64) {
    for prefix in ["x-ratelimit", "ratelimit"] {
        assert_eq!(answer.number(&format!("{prefix}-limit")), 3, "{answer}");
        assert_eq!(answer.number(&format!("{prefix}-remaining")), left, "{answer}");
        let reset = answer.number(&format!("{prefix}-reset"));
        assert!((1..=TWO_HOURS).contains(&reset), "{answer}");
    }
    assert_eq!(answer.header("ratelimit-policy"), Some("3;w=3600"), "{answer}");
}
