//! Exact limits: what callers have, what they are told, and what is counted.

use super::*;

const PREMIUM_KEY: &str = "pk_one_secret";

/// A document whose route `/x` is held to limits.
pub(super) fn document(limits: &Value, used: &Value) -> Document {
    let issuers = json!([{"issuer": ISSUER, "audiences": ["gateway"], "jwks": {"inline": JWKS}}]);
    let document = json!({
        "version": 1,
        "stores": {"replicas": 2},
        "services": {
            "s": {"upstream": "h:1"},
            "guarded": {"upstream": "h:1", "circuit": {"failures": 1, "recovery": "10s"}},
        },
        "limits": limits,
        "credentials": {
            "jwt": {"issuers": issuers, "bound": {"dpop": {}}},
            "api_key": {"keys": [{
                "id": "one", "sha256": sha256(PREMIUM_KEY), "subject": "machine",
                "tier": "premium",
            }]},
        },
        "routes": [
            {"name": "x", "match": {"path": "/x"}, "service": "s",
             "auth": {"any": ["jwt", "api_key"]}, "limits": used},
            {"name": "guarded", "match": {"path": "/guarded"}, "service": "guarded",
             "auth": {"any": ["jwt"]}, "limits": used},
            {"name": "tried", "match": {"path": "/tried"}, "service": "s",
             "auth": {"any": ["jwt"]}, "limits": used, "enforce": "shadow"},
        ],
    });
    postern_document::from_json(document.to_string().as_bytes()).unwrap()
}

fn sha256(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn gateway(limits: &Value, used: &Value) -> Gateway {
    Gateway::of(document(limits, used), memory(), |_| {})
}

/// A request to `/x` with a token that says this besides.
pub(super) fn by(claims: &Value) -> Incoming {
    let bearer = format!("Bearer {}", token(claims));
    request("GET", "/x", &[("authorization", &bearer)])
}

/// How many of ten requests pass.
async fn passing(gateway: &Gateway, request: &Incoming) -> usize {
    let mut passing = 0;
    for _ in 0..10 {
        passing += usize::from(gateway.status(request, NOW).await == 200);
    }
    passing
}

#[tokio::test]
async fn callers_have_what_their_tier_or_client_allows() {
    let limits = json!({"few": {
        "key": ["claim.sub"], "mode": "exact", "rate": "1/1h",
        "tiers": {"premium": "3/1h", "enterprise": "unlimited"},
        "clients": {"app": "2/1h"},
    }});
    let gateway = gateway(&limits, &json!(["few"]));
    let by_key = request("GET", "/x", &[("x-api-key", PREMIUM_KEY)]);
    for (request, expected) in [
        (by(&json!({"sub": "a"})), 1),
        (by(&json!({"sub": "b", "tier": "other"})), 1),
        (by(&json!({"sub": "c", "tier": "premium"})), 3),
        (by(&json!({"sub": "d", "tier": "premium", "client_id": "app"})), 2),
        (by(&json!({"sub": "e", "tier": "enterprise"})), 10),
        (by(&json!({"sub": "f", "tier": "enterprise", "client_id": "app"})), 2),
        (by_key, 3),
    ] {
        assert_eq!(passing(&gateway, &request).await, expected, "{:?}", request.headers);
    }
    let (evidence, settle) = gateway.passes(&by(&json!({"tier": "enterprise"})), NOW).await;
    assert_eq!((evidence.limit, settle), (None, None), "nothing is counted");
}

#[tokio::test]
async fn a_request_counts_what_it_weighs() {
    let limits =
        json!({"few": {"key": ["claim.sub"], "mode": "exact", "rate": "10/1h", "weight": 5}});
    let heavy = gateway(&limits, &json!(["few"]));
    let alice = by(&json!({}));
    assert_eq!(passing(&heavy, &alice).await, 2);
    let own = gateway(&limits, &json!([{"limit": "few", "weight": 4}]));
    let (evidence, _) = own.passes(&alice, NOW).await;
    let limit = evidence.limit.unwrap();
    assert_eq!((limit.limit, limit.remaining), (10, 6));
    assert_eq!(passing(&own, &alice).await, 1);
}

#[tokio::test]
async fn a_limit_in_shadow_is_counted_and_refuses_nobody() {
    let limits = json!({
        "tried": {"key": ["claim.sub"], "mode": "exact", "rate": "1/1h", "shadow": true},
        "few": {"key": ["claim.sub"], "mode": "exact", "rate": "3/1h"},
    });
    let gateway = gateway(&limits, &json!(["tried", "few"]));
    let alice = by(&json!({}));
    for remaining in [2, 1, 0] {
        let (evidence, _) = gateway.passes(&alice, NOW).await;
        let limit = evidence.limit.unwrap();
        assert_eq!((limit.limit, limit.remaining), (3, remaining), "the binding one is told");
    }
    let said = |limit: &str, outcome: &str| {
        let labels = [("limit", limit), ("route", "x"), ("outcome", outcome)];
        gateway.metric("postern_ext_authz_limit_decisions_total", &labels)
    };
    assert_eq!((said("tried", "near"), said("tried", "shadow"), said("tried", "over")), (1, 2, 0));
    let shadowed = [("limit", "tried")];
    assert_eq!(gateway.metric("postern_ext_authz_limits_shadowed_total", &shadowed), 2);
    assert_eq!(gateway.metric("api_gateway_rate_limit_hits_total", &shadowed), 0);
    assert_eq!(gateway.status(&alice, NOW).await, 429);
}

#[tokio::test]
async fn what_limits_say_is_counted_by_limit_and_route() {
    let limits = json!({"some": {"key": ["claim.sub"], "mode": "exact", "rate": "10/1h"}});
    let gateway = gateway(&limits, &json!(["some"]));
    let alice = by(&json!({}));
    let tried = Incoming { target: "/tried".to_owned(), ..alice.clone() };
    assert_eq!(passing(&gateway, &alice).await, 10);
    assert_eq!(gateway.status(&alice, NOW).await, 429);
    assert_eq!(gateway.status(&tried, NOW).await, 200, "a route that is only tried out");
    for (route, outcome, expected) in
        [("x", "ok", 8), ("x", "near", 2), ("x", "over", 1), ("tried", "over", 1)]
    {
        let labels = [("limit", "some"), ("route", route), ("outcome", outcome)];
        let counted = gateway.metric("postern_ext_authz_limit_decisions_total", &labels);
        assert_eq!(counted, expected, "{route} {outcome}");
    }
    assert_eq!(gateway.metric("postern_ext_authz_shadow_denied_total", &[("route", "tried")]), 1);
    let busiest = gateway.authorizer.top_keys(10);
    let [top] = busiest.as_slice() else { panic!("{busiest:?}") };
    let expected = format!("some: jwt, {ISSUER}, alice");
    assert_eq!((&top.key, top.count), (&expected, 4), "near or over");
}

#[tokio::test]
async fn of_several_that_refuse_the_longest_is_told() {
    let limits = json!({
        "short": {"key": ["claim.sub"], "mode": "exact", "rate": "1/1m"},
        "long": {"key": ["claim.sub"], "mode": "exact", "rate": "1/1h"},
        "wide": {"key": ["claim.sub"], "mode": "exact", "rate": "100/1d"},
    });
    let gateway = gateway(&limits, &json!(["short", "long", "wide"]));
    let alice = by(&json!({}));
    assert_eq!(gateway.status(&alice, NOW).await, 200);
    let Answer::Deny(denial) = gateway.authorizer.check(&alice, NOW).await else {
        panic!("passed");
    };
    let header = |wanted: &str| {
        let found = denial.headers.iter().find(|(name, _)| *name == wanted);
        found.unwrap().1.parse::<u64>().unwrap()
    };
    assert!(header("retry-after") > 60, "{}", header("retry-after"));
    assert_eq!(header("x-ratelimit-limit"), 1);
    let hits = |limit: &str| {
        let labels = [("limit_type", "exact"), ("limit", limit)];
        gateway.metric("api_gateway_rate_limit_hits_total", &labels)
    };
    assert_eq!((hits("short"), hits("long"), hits("wide")), (0, 1, 0));
}

#[tokio::test]
async fn without_the_store_each_limit_has_its_own_answer() {
    let alice = by(&json!({}));
    for (answer, status, expected) in
        [("allow", 429, 10), ("deny", 503, 0), ("local_share", 429, 2)]
    {
        let limits = json!({"few": {
            "key": ["claim.sub"], "mode": "exact", "rate": "4/1h", "when_store_fails": answer,
        }});
        let document = document(&limits, &json!(["few"]));
        let gateway = Gateway::of(document, Arc::new(Away), |_| {});
        assert_eq!(passing(&gateway, &alice).await, expected, "{answer}");
        if expected < 10 {
            assert_eq!(gateway.status(&alice, NOW).await, status, "{answer}");
        }
        let failures =
            gateway.metric("postern_ext_authz_store_failures_total", &[("answer", answer)]);
        assert!(failures >= 10, "{answer}: {failures}");
        let exact = gateway.metric("api_gateway_rate_limit_hits_total", &[("limit_type", "exact")]);
        assert_eq!(exact, 0, "{answer}: nothing that all replicas share has refused");
    }
}

#[tokio::test]
async fn keys_belong_to_whom_they_count() {
    let limits = json!({
        "mine": {"key": ["claim.sub"], "mode": "exact", "rate": "9/1h"},
        "too": {"key": ["claim.sub", "route"], "mode": "exact", "rate": "9/1h"},
        "all": {"key": ["route"], "mode": "exact", "rate": "9/1h"},
    });
    let document = document(&limits, &json!(["mine", "too", "all"]));
    let route = document.find_route("a.test", "GET", "/x").unwrap().unwrap();
    let keys = |subject: &str| {
        let principal = postern_request::Principal {
            subject: subject.to_owned(),
            ..postern_request::Principal::default()
        };
        let counted = postern_document::Counted {
            address: None,
            principal: Some(&principal),
            headers: &Vec::<(String, Vec<u8>)>::new(),
            method: "GET",
            authority: "a.test",
            path: "/x",
        };
        crate::limits::Wanted::of(&document, route, &[], &counted).unwrap().keys()
    };
    let (alice, bob) = (keys("alice"), keys("bob"));
    assert_eq!(alice[0].owner, alice[1].owner, "kept in one place");
    assert!(alice[0].hash != alice[1].hash && alice[0].hash != bob[0].hash);
    assert_ne!(alice[0].owner, bob[0].owner);
    assert_ne!(alice[0].owner, alice[2].owner);
    assert_eq!(alice[2], bob[2], "one key for all");
}
