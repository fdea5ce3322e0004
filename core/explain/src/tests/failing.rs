//! Parts that fail, circuits that are open, limits that are used up.

use super::*;
use crate::{Effect, Part, UpstreamFailure};

fn without(part: Part, request: &Request) -> Explanation {
    explained(request, &Assumptions { failed: [part].into(), ..Assumptions::at(NOW) })
}

/// The end of the route `pay`.
const LIMITS_OF_PAY: &str = r#""limits": ["per-user"]},"#;

fn paying() -> Request {
    get("/pay").claiming(&alice(r#","scope":"pay""#))
}

#[test]
fn each_part_that_fails_has_the_answer_of_the_document() {
    let reading = get("/read/7").claiming(&alice(r#","scope":"read list","tenant":"blue""#));
    let issuer = || "https://i.test".to_owned();
    for (part, request, expected) in [
        (Part::Server, paying(), Some((By::Envoy, 503, ""))),
        (Part::Server, get("/open"), None),
        (Part::Server, reading.clone(), Some((By::Envoy, 503, ""))),
        (Part::ExtProc, reading.clone(), Some((By::Envoy, 503, ""))),
        (Part::VolatileStore, paying(), None),
        (Part::VolatileStore, get("/strict"), Some((By::ExtAuthz, 503, "store_unavailable"))),
        (
            Part::DurableStore,
            get("/keyed").with("x-api-key", "pk_a_b"),
            Some((By::ExtAuthz, 503, "api_keys_unavailable")),
        ),
        (Part::Feed, paying(), None),
        (Part::Bundle, get("/open"), Some((By::Envoy, 503, ""))),
        (Part::IssuerKeys { issuer: issuer(), never: false }, paying(), None),
        (
            Part::IssuerKeys { issuer: issuer(), never: true },
            paying(),
            Some((By::ExtAuthz, 503, "keys_missing")),
        ),
        (Part::Upstream(UpstreamFailure::Refused), get("/open"), Some((By::Router, 503, ""))),
        (Part::Upstream(UpstreamFailure::Hang), get("/open"), Some((By::Router, 504, ""))),
        (Part::Upstream(UpstreamFailure::Reset), get("/open"), Some((By::Router, 503, ""))),
        (Part::Upstream(UpstreamFailure::Status), get("/open"), None),
    ] {
        let explanation = without(part.clone(), &request);
        match expected {
            Some(expected) => {
                assert_eq!(refusal(&explanation), expected, "{part} {}", request.target);
            }
            None => assert!(forwarded_route(&explanation).is_some(), "{part} {explanation:?}"),
        }
    }
}

#[test]
fn the_bundle_decides_alone_where_the_document_says_so() {
    let text = DOCUMENT
        .replacen(
            r#""services""#,
            r#""failures": {"ext_authz": "allow", "ext_proc": "allow"}, "services""#,
            1,
        )
        // Nobody but the server can check API keys, so such a document has none.
        .replace(r#""any": ["api_key"]"#, r#""any": ["jwt"]"#)
        .replace(LIMITS_OF_PAY, r#""limits": ["per-user"], "transform": ["marks"]},"#);
    let document = postern_document::from_json(text.as_bytes()).unwrap();
    let assume = Assumptions { failed: [Part::Server].into(), ..Assumptions::at(NOW) };
    let ask = |request: &Request| explain(&document, request, &assume, &mut SoftVerifier);
    let passed = ask(&paying());
    assert_eq!(forwarded(&passed).principal.as_ref().unwrap().subject, "alice");
    assert!(forwarded(&passed).limits.is_empty(), "nobody counts the exact one");
    let decided = |path: &str| {
        let is_it = |rule: &&crate::Rule| rule.path == path && rule.effect == Effect::Failed;
        passed.rules().any(|rule| is_it(&rule))
    };
    assert!(decided("failures.ext_authz") && decided("failures.ext_proc"));
    let nobody = ask(&get("/pay"));
    assert_eq!(refusal(&nobody), (By::Bundle, 401, "credential_missing"), "nobody vouches");
}

#[test]
fn stale_news_of_revocations_do_what_the_document_says() {
    for (when_stale, passes) in [("deny", false), ("allow", true)] {
        let rules = format!(
            r#""revocation": {{"max_staleness": "10s", "when_stale": "{when_stale}"}}, "services""#
        );
        let text = DOCUMENT.replacen(r#""services""#, &rules, 1);
        let document = postern_document::from_json(text.as_bytes()).unwrap();
        let assume = Assumptions { failed: [Part::Feed].into(), ..Assumptions::at(NOW) };
        let explanation = explain(&document, &paying(), &assume, &mut SoftVerifier);
        if passes {
            assert_eq!(forwarded(&explanation).route, "pay");
        } else {
            assert_eq!(refusal(&explanation), (By::Bundle, 503, "revocation_stale"));
        }
    }
}

#[test]
fn a_limit_that_is_used_up_comes_before_an_open_circuit() {
    let mut assume = Assumptions::at(NOW);
    assume.open_circuits = ["bank".to_owned()].into();
    let open = explained(&paying(), &assume);
    assert_eq!(refusal(&open), (By::Bundle, 503, "circuit_open"));
    let rules: Vec<String> = open.rules().map(ToString::to_string).collect();
    assert!(rules.contains(&"services.bank.circuit refused".to_owned()), "{rules:?}");
    assume.used_up = ["per-user".to_owned()].into();
    let used_up = explained(&paying(), &assume);
    assert_eq!(refusal(&used_up), (By::ExtAuthz, 429, "limit_exceeded"));
}

#[test]
fn a_route_says_what_its_callers_get_while_a_circuit_is_open() {
    let open_circuits = ["bank".to_owned()].into();
    let open = Assumptions { open_circuits, ..Assumptions::at(NOW) };
    let ask = |fallback: &str, request: &Request, assume: &Assumptions<'_>| {
        let rest = format!(r#""limits": ["per-user"], "fallback": {fallback}}},"#);
        let text = DOCUMENT.replace(LIMITS_OF_PAY, &rest);
        let document = postern_document::from_json(text.as_bytes()).unwrap();
        let explanation = explain(&document, request, assume, &mut SoftVerifier);
        let rules = rules_of(&document);
        assert!(explanation.rules().all(|rule| rules.contains(rule)), "{explanation:?}");
        explanation
    };
    let nothing = r#"{"answer": {"status": 204}}"#;
    let answered = ask(nothing, &paying(), &open);
    assert_eq!(refusal(&answered), (By::Bundle, 204, "circuit_open"));
    let Outcome::Refused(refused) = &answered.outcome else { panic!("{answered:?}") };
    assert!(refused.is_plain, "nothing of the refusal is told");
    let grpc = paying().with("content-type", "application/grpc");
    let Outcome::Refused(refused) = ask(nothing, &grpc, &open).outcome else { panic!("passes") };
    assert_eq!(refused.grpc_status, Some(2), "what Envoy makes of the status");
    let closed = ask(nothing, &paying(), &Assumptions::at(NOW));
    assert!(forwarded(&closed).may.contains(&"204 circuit of bank".to_owned()));

    // What an Envoy has kept nobody else knows: the refusal, and that it may come otherwise.
    let kept = ask(r#"{"stale": {}}"#, &paying(), &open);
    assert_eq!(refusal(&kept), (By::Bundle, 503, "circuit_open"));
    assert!(kept.steps.iter().any(|step| step.text.contains("what this Envoy has kept")));

    let elsewhere = ask(r#"{"service": "shop"}"#, &paying(), &open);
    assert_eq!(
        (forwarded_route(&elsewhere), &*forwarded(&elsewhere).service),
        (Some("pay"), "shop")
    );
    let counted = ask(r#"{"shadow": true}"#, &paying(), &open);
    assert_eq!(forwarded(&counted).service, "bank");
    for passed in [elsewhere, counted] {
        assert_eq!(forwarded(&passed).may, ["429 per-user"]);
    }
}

#[test]
fn the_service_that_stands_in_may_be_cut_off_too() {
    let shop = r#""timeout": "10s""#;
    let text = DOCUMENT
        .replace(shop, &format!(r#"{shop}, "circuit": {{}}"#))
        .replace(LIMITS_OF_PAY, r#""limits": ["per-user"], "fallback": {"service": "shop"}},"#);
    let document = postern_document::from_json(text.as_bytes()).unwrap();
    let ask = |open: &[&str]| {
        let open_circuits = open.iter().map(|service| (*service).to_owned()).collect();
        let assume = Assumptions { open_circuits, ..Assumptions::at(NOW) };
        explain(&document, &paying(), &assume, &mut SoftVerifier)
    };
    let both = ask(&["bank", "shop"]);
    assert_eq!(refusal(&both), (By::Bundle, 503, "circuit_open"));
    let rules: Vec<String> = both.rules().map(ToString::to_string).collect();
    assert!(rules.contains(&"services.shop.circuit refused".to_owned()), "{rules:?}");
    assert!(both.rules().all(|rule| rules_of(&document).contains(rule)));
    let one = ask(&["bank"]);
    assert_eq!(forwarded(&one).service, "shop");
    assert_eq!(forwarded(&one).may, ["429 per-user", "503 circuit of shop"]);
    let none = ask(&[]);
    assert_eq!(forwarded(&none).may, ["429 per-user", "503 circuits of bank and shop"]);
}

#[test]
fn limits_are_named_and_not_counted() {
    let gold = get("/pay").claiming(&alice(r#","scope":"pay","tier":"gold""#));
    let explanation = usual(&gold);
    let [limit] = forwarded(&explanation).limits.as_slice() else { panic!("{explanation:?}") };
    assert_eq!((limit.name.as_str(), limit.mode), ("per-user", "exact"));
    assert!(limit.allows.starts_with("200/1m"), "the tier's: {}", limit.allows);
    assert_eq!(limit.by, [("claim.sub".to_owned(), Some("alice".to_owned()))]);
    let step = explanation.steps.iter().find(|step| step.stage == Stage::LimitsExact).unwrap();
    assert_eq!(step.verdict.as_str(), "assumed");
    let uncounted = |text: &String| text.contains("per-user");
    assert!(!explanation.uncertain.iter().any(uncounted), "that is no assumption");

    let open = usual(&get("/open"));
    let [limit] = forwarded(&open).limits.as_slice() else { panic!("{open:?}") };
    assert_eq!(limit.by, [("ip".to_owned(), Some("203.0.113.7".to_owned()))]);
}
