//! What a route asks of a token, and what of it is told to policies and logs.

use super::*;

fn with_rules(fake: &Fake) -> Gatekeeper {
    let mut configuration = configuration(fake);
    let document = &mut configuration["document"];
    let issuer = |name: &str| {
        json!({"issuer": name, "audiences": ["g"], "jwks": {"inline": JWKS},
               "claim_state": {"tenant": "tenant", "org": "org.id", "groups": "groups"}})
    };
    document["credentials"]["jwt"]["issuers"] =
        json!([issuer("https://other.test"), issuer("https://i.test")]);
    if let Value::Array(routes) = &mut document["routes"] {
        let route = |name: &str, auth: Value| {
            json!({"name": name, "match": {"path": format!("/{name}")}, "service": "s",
                   "auth": auth})
        };
        routes.extend([
            route("ours", json!({"any": ["jwt"], "issuers": ["https://i.test"]})),
            route("others", json!({"any": ["jwt"], "issuers": ["https://other.test"]})),
            route("payments", json!({"any": ["jwt"], "audiences": ["payments"]})),
            route(
                "tenants",
                json!({"any": ["jwt"], "claims": {"tenant": ["t1", "t2"]},
                                    "scopes": ["read"]}),
            ),
            json!({"name": "shadowed", "match": {"path": "/shadowed"}, "service": "s",
                   "auth": {"any": ["jwt"], "claims": {"tenant": ["t2"]}}, "enforce": "shadow"}),
        ]);
    }
    configured(fake, &configuration)
}

#[test]
fn rules_are_judged_on_every_request() {
    let fake = Fake::default();
    let mut gatekeeper = with_rules(&fake);
    let plain = signed("ec", json!({"scope": "read"}));
    let other = signed("ec", json!({"aud": ["g", "payments"], "tenant": "t3", "scope": "read"}));
    let unscoped = signed("ec", json!({"tenant": "t2"}));
    // Each token is remembered from its first request on.
    for _ in 0..2 {
        for (token, path, status, reason) in [
            (&plain, "/plain", 200, ""),
            (&plain, "/ours", 200, ""),
            (&plain, "/others", 403, "token_issuer"),
            (&plain, "/payments", 403, "token_audience"),
            (&plain, "/tenants", 200, ""),
            (&other, "/payments", 200, ""),
            (&other, "/tenants", 403, "token_claims"),
            (&unscoped, "/tenants", 403, "scope_missing"),
            (&unscoped, "/shadowed", 200, ""),
            (&plain, "/shadowed", 200, ""),
        ] {
            let answer = ask_as(&mut gatekeeper, &fake, path, &format!("Bearer {token}"));
            assert_eq!(answer, (status, reason.to_owned()), "{path}");
        }
    }
}

#[test]
fn who_fails_a_rule_in_shadow_passes_as_nobody() {
    let fake = Fake::default();
    let mut gatekeeper = with_rules(&fake);
    let bearer = format!("Bearer {}", token(""));
    let headers = [("authorization", bearer.as_str())];
    let (status, recorded) = ask(&mut gatekeeper, &fake, "/shadowed", &headers);
    assert_eq!((status, recorded.state), (200, Vec::new()));
    assert!(recorded.set.iter().all(|(name, _)| name != "x-postern-subject"));
    let shadowed = gatekeeper.take_counts().into_iter().zip(crate::counters::NAMES);
    let mut shadowed = shadowed.filter(|(_, name)| name.contains("shadow"));
    assert_eq!(shadowed.next().map(|(count, _)| count), Some(1));
}

#[test]
fn claims_become_filter_state() {
    let fake = Fake::default();
    let mut gatekeeper = with_rules(&fake);
    let token = signed("ec", json!({"org": {"id": 7}, "groups": ["a", "b"]}));
    for path in ["/plain", "/ours"] {
        let bearer = format!("Bearer {token}");
        let (_, recorded) =
            ask(&mut gatekeeper, &fake, path, &[("authorization", bearer.as_str())]);
        let mut state = recorded.state;
        state.sort();
        let expected = [
            ("postern.claim.groups", "a,b"),
            ("postern.claim.org", "7"),
            ("postern.claim.tenant", "t1"),
            ("postern.subject", "alice"),
        ];
        let expected = expected.map(|(key, text)| (key.to_owned(), text.as_bytes().to_vec()));
        assert_eq!(state, expected);
    }
    // Nothing is said of what is not there.
    let (_, recorded) = ask(
        &mut gatekeeper,
        &fake,
        "/plain",
        &[("authorization", &format!("Bearer {}", super::token("")))],
    );
    let keys: Vec<_> = recorded.state.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["postern.claim.tenant", "postern.subject"]);
}

#[test]
fn nobody_vouches_for_a_token_that_is_not_there() {
    let principal = |credential| Principal {
        subject: "somebody".to_owned(),
        credential,
        ..Principal::default()
    };
    for (credential, expected) in [(Credential::ApiKey, 200), (Credential::Jwt, 401)] {
        let evidence = Evidence {
            route: "keyed".to_owned(),
            document: "d1".to_owned(),
            principal: Some(principal(credential)),
            limit: None,
            shown_certificate: None,
            shown_key: None,
            stepped_up: false,
        };
        let fake = Fake { evidence: Some(evidence), ..Fake::default() };
        let mut gatekeeper = with_rules(&fake);
        assert_eq!(ask(&mut gatekeeper, &fake, "/keyed", &[]).0, expected, "{credential:?}");
    }
}

#[test]
fn a_warm_token_costs_no_question_to_the_host() {
    let fake = Fake::default();
    let mut gatekeeper = with_rules(&fake);
    let bearer = format!("Bearer {}", token("read"));
    for _ in 0..3 {
        let (properties, calls) = (fake.asked.get(), fake.values.calls.get());
        assert_eq!(ask_as(&mut gatekeeper, &fake, "/tenants", &bearer).0, 200);
        assert_eq!((fake.asked.get(), fake.values.calls.get()), (properties, calls));
    }
}
