use crate::{Document, from_json};

use super::*;

/// One route, `/r/{id}`, and one limit.
fn document(limit: &str) -> Document {
    let text = format!(
        r#"{{"version": 1, "services": {{"s": {{"upstream": "h:1"}}}},
            "credentials": {{"api_key": {{}}, "jwt": {{"issuers": [
                {{"issuer": "https://a.test", "audiences": ["x"],
                  "claim_headers": {{"x-tenant": "tenant", "x-plan": "org.plan"}}}},
                {{"issuer": "https://b.test", "audiences": ["x"],
                  "claim_headers": {{"x-customer": "tenant"}}}},
                {{"issuer": "https://c.test", "audiences": ["x"]}}]}}}},
            "limits": {{"l": {{"mode": "exact", {limit}}}}},
            "routes": [{{"name": "r", "match": {{"path": "/r/{{id}}"}}, "service": "s",
                        "auth": {{"any": ["jwt", "api_key"], "optional": true}},
                        "limits": ["l"]}}]}}"#
    );
    from_json(text.as_bytes()).unwrap()
}

fn by(key: &str) -> Document {
    document(&format!(r#""key": [{key}], "rate": "5/1m""#))
}

fn limit(document: &Document) -> &Limit {
    &document.routes[0].exact_limits[0].limit
}

fn key(document: &Document, counted: &Counted<'_>) -> String {
    let limit = limit(document);
    limit.key_of(&document.routes[0], counted, limit.allowance_for(counted.principal))
}

fn token(issuer: &str, subject: &str, headers: &[(&str, &str)]) -> Principal {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Principal {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        claim_headers: headers.collect(),
        ..Principal::default()
    }
}

static NO_HEADERS: Vec<(String, Vec<u8>)> = Vec::new();

fn request() -> Counted<'static> {
    Counted {
        address: None,
        principal: None,
        headers: &NO_HEADERS,
        method: "GET",
        authority: "a.test:443",
        path: "/r/7",
    }
}

#[test]
fn requests_that_agree_in_all_parts_share_a_count() {
    let get = request();
    for (part, other, shared) in [
        ("method", Counted { method: "POST", ..get }, false),
        ("method", Counted { path: "/r/8", ..get }, true),
        ("host", Counted { authority: "b.test", ..get }, false),
        ("host", Counted { authority: "A.test", ..get }, true),
        ("path.id", Counted { path: "/r/8", ..get }, false),
        ("path.id", Counted { path: "/r/%37", ..get }, true),
        ("service", Counted { path: "/r/8", method: "PUT", ..get }, true),
        ("route", Counted { path: "/r/8", method: "PUT", ..get }, true),
    ] {
        let document = by(&format!("\"{part}\""));
        let same = key(&document, &get) == key(&document, &other);
        assert_eq!(same, shared, "{part}");
    }
}

#[test]
fn a_claim_is_known_by_the_header_that_it_becomes() {
    let document = by(r#""claim.tenant""#);
    let counted = |principal: &Principal| {
        key(&document, &Counted { principal: Some(principal), ..request() })
    };
    let acme = token("https://a.test", "ann", &[("x-tenant", "acme"), ("x-plan", "p")]);
    let same = token("https://a.test", "bob", &[("x-plan", "q"), ("x-tenant", "acme")]);
    assert_eq!(counted(&acme), counted(&same));
    let other = token("https://a.test", "ann", &[("x-tenant", "umbrella"), ("x-plan", "p")]);
    assert_ne!(counted(&acme), counted(&other));
    let elsewhere = token("https://b.test", "ann", &[("x-customer", "acme")]);
    assert_ne!(counted(&acme), counted(&elsewhere), "another issuer's word");
    let nobody = key(&document, &request());
    assert_ne!(counted(&elsewhere), nobody);
    // Who has no such claim is counted with nobody: another header of the name says nothing.
    let forged = token("https://b.test", "ann", &[("x-tenant", "acme")]);
    let unmapped = token("https://c.test", "ann", &[("x-tenant", "acme")]);
    for missing in [forged, unmapped] {
        assert_eq!(counted(&missing), nobody);
    }
    let by_path = by(r#""claim.org.plan""#);
    let counted =
        |principal: &Principal| key(&by_path, &Counted { principal: Some(principal), ..request() });
    assert_ne!(counted(&acme), counted(&same));
}

#[test]
fn by_api_key_counts_nobody_elses_credential() {
    let document = by(r#""api_key""#);
    let by_key =
        |subject: &str| Principal { credential: Credential::ApiKey, ..token("", subject, &[]) };
    let counted = |principal: &Principal| {
        key(&document, &Counted { principal: Some(principal), ..request() })
    };
    assert_ne!(counted(&by_key("ann")), counted(&by_key("bob")));
    assert_eq!(counted(&token("https://a.test", "ann", &[])), key(&document, &request()));
}

#[test]
fn what_is_allowed_follows_client_then_tier() {
    let document = document(
        r#""key": ["claim.sub"], "rate": "5/1m",
           "tiers": {"premium": "50/1m", "enterprise": "unlimited", "basic": "5/1m"},
           "clients": {"mobile-app": "9/1m", "batch": "unlimited"}"#,
    );
    let limit = limit(&document);
    let caller = |tier: Option<&str>, client: Option<&str>| Principal {
        tier: tier.map(str::to_owned),
        client_id: client.map(str::to_owned),
        ..token("https://a.test", "ann", &[])
    };
    let requests = |principal: Option<&Principal>| match limit.allowance_for(principal) {
        Allowance::Unlimited => None,
        Allowance::Rate(spec) => Some(spec.rate().requests()),
        Allowance::InFlight(_) => panic!("a rate"),
    };
    assert_eq!(requests(None), Some(5));
    for (tier, client, expected) in [
        (None, None, Some(5)),
        (Some("basic"), None, Some(5)),
        (Some("gold"), Some("web"), Some(5)),
        (Some("premium"), Some("web"), Some(50)),
        (Some("enterprise"), None, None),
        (Some("premium"), Some("mobile-app"), Some(9)),
        (Some("enterprise"), Some("mobile-app"), Some(9)),
        (None, Some("batch"), None),
    ] {
        assert_eq!(requests(Some(&caller(tier, client))), expected, "{tier:?} {client:?}");
    }
    let counted = |principal: &Principal| {
        key(&document, &Counted { principal: Some(principal), ..request() })
    };
    let (plain, premium) = (caller(None, None), caller(Some("premium"), None));
    assert_ne!(counted(&plain), counted(&premium), "other numbers, another count");
    assert_eq!(counted(&plain), counted(&caller(Some("basic"), None)), "the same numbers");
}

#[test]
fn all_that_is_allowed_can_be_listed() {
    let document = document(
        r#""key": ["claim.sub"], "rate": "5/1m",
           "tiers": {"premium": "50/1m", "basic": "5/1m"},
           "clients": {"mobile-app": "9/1m", "batch": "unlimited"}"#,
    );
    let requests = limit(&document).allowances().map(|allowance| match allowance {
        Allowance::Rate(spec) => Some(spec.rate().requests()),
        Allowance::Unlimited | Allowance::InFlight(_) => None,
    });
    let requests: Vec<Option<u64>> = requests.collect();
    assert_eq!(requests, [Some(5), Some(5), Some(50), None, Some(9)]);
}

#[test]
fn other_numbers_are_another_count() {
    let mut seen: Vec<String> = Vec::new();
    for numbers in [
        r#""rate": "5/1m""#,
        r#""rate": "6/1m""#,
        r#""rate": "5/2m""#,
        r#""rate": "5/1m", "algorithm": "sliding_log""#,
        r#""rate": "5/1m", "algorithm": "token_bucket""#,
        r#""rate": "5/1m", "algorithm": "token_bucket", "burst": 6"#,
        r#""rate": "5/1m", "algorithm": "fixed_window""#,
        r#""rate": "5/1m", "algorithm": "fixed_window", "windows": "first_hit""#,
        r#""rate": "5/1mo", "algorithm": "fixed_window""#,
        r#""rate": "5/31d", "algorithm": "fixed_window""#,
        r#""in_flight": 5"#,
        r#""in_flight": 5, "slot_life": "30s""#,
    ] {
        let counted = key(&document(&format!(r#""key": ["ip"], {numbers}"#)), &request());
        assert!(!seen.contains(&counted), "{numbers}");
        seen.push(counted);
    }
    // A route's weight and what is skipped are about requests, not about what was counted.
    let plain = key(&by("\"ip\""), &request());
    let weighed = document(r#""key": ["ip"], "rate": "5/1m", "weight": 2, "skip": "failed""#);
    assert_eq!(key(&weighed, &request()), plain);
}

#[test]
fn an_owner_follows_from_the_key() {
    let principals = [
        None,
        Some(token("https://a.test", "ann", &[("x-tenant", "acme")])),
        Some(token("https://b.test", "ann", &[])),
        Some(Principal {
            credential: Credential::ApiKey,
            client_id: Some("batch".to_owned()),
            ..token("", "ann", &[])
        }),
        Some(Principal {
            client_id: Some("batch".to_owned()),
            ..token("https://a.test", "bob", &[])
        }),
    ];
    let addresses = [None, address::parse("192.0.2.1"), address::parse("2001:db8::1")];
    let parts = [
        r#""ip""#,
        r#""claim.sub""#,
        r#""claim.client_id""#,
        r#""api_key""#,
        r#""claim.tenant", "ip""#,
        r#""claim.sub", "ip""#,
        r#""api_key", "claim.client_id""#,
        r#""method""#,
    ];
    for parts in parts {
        let document = by(parts);
        let limit = limit(&document);
        let mut owners: Vec<(String, String)> = Vec::new();
        for principal in &principals {
            for address in addresses {
                let counted = Counted { address, principal: principal.as_ref(), ..request() };
                let key = key(&document, &counted);
                let owner = limit.owner_of(&counted, &key).into_owned();
                for (known, of) in &owners {
                    assert!(*known != key || *of == owner, "{parts}: {key} of {of} and {owner}");
                }
                owners.push((key, owner));
            }
        }
    }
}

#[test]
fn the_keys_of_one_caller_have_one_owner() {
    let ann = token("https://a.test", "ann", &[]);
    let counted =
        Counted { principal: Some(&ann), address: address::parse("192.0.2.1"), ..request() };
    let owner = |document: &Document| {
        let key = key(document, &counted);
        (limit(document).owner_of(&counted, &key).into_owned(), key)
    };
    let (one, key_of_one) = owner(&by(r#""claim.sub""#));
    let (two, key_of_two) = owner(&by(r#""claim.sub", "route""#));
    assert_ne!(key_of_one, key_of_two);
    assert_eq!(one, two);
    let (of_address, _) = owner(&by(r#""ip""#));
    assert_ne!(one, of_address);
    let (of_method, key) = owner(&by(r#""method""#));
    assert_eq!(of_method, key, "what is nobody's is its own");
}

#[test]
fn a_person_has_one_budget_by_session_and_by_token() {
    let document = by(r#""claim.sub""#);
    let of = |principal: &Principal| {
        let counted = Counted { principal: Some(principal), ..request() };
        let key = key(&document, &counted);
        let owner = limit(&document).owner_of(&counted, &key).into_owned();
        (key, owner)
    };
    let token = token("https://a.test", "ann", &[]);
    let session = Principal { credential: Credential::Session, ..token.clone() };
    assert_eq!(of(&token), of(&session));
    for other in [
        Principal { subject: "bob".to_owned(), ..session.clone() },
        Principal { issuer: "https://b.test".to_owned(), ..session.clone() },
        Principal { credential: Credential::ApiKey, ..session.clone() },
    ] {
        assert_ne!(of(&other), of(&session), "{other:?}");
    }
}
