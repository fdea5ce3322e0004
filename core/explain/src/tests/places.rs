//! Routes that a workload guards: the edge leaves them open, the workload's own Envoy judges.

use super::*;
use crate::{Effect, Part, entry, peer_id};

const WEB: &str = "spiffe://cluster.local/ns/shop/sa/web";
const EDGE: &str = "spiffe://cluster.local/ns/ingress/sa/edge";

const GUARDED: &str = r#"{
    "version": 1,
    "workloads": {
        "front": {"gateway": true, "namespace": "ingress", "labels": {"app": "edge"},
                  "service_account": "edge"},
        "web": {"namespace": "shop", "labels": {"app": "web"}, "service_account": "web"},
        "pay": {"namespace": "shop", "labels": {"app": "pay"}, "service_account": "pay",
                "ports": [8080]}
    },
    "credentials": {
        "jwt": {"from": [{"header": "authorization"}, {"cookie": "at"}],
                "issuers": [{"issuer": "https://i.test", "audiences": ["gate"],
                             "jwks": {"uri": "https://i.test/keys", "fetched_by": "server"}}]},
        "api_key": {}
    },
    "services": {
        "near": {"upstream": "near:1"},
        "pay": {"upstream": "pay:8080", "workload": "pay", "guard": "workload",
                "versions": {"old": {"labels": {"v": "1"}}, "new": {"labels": {"v": "2"}}},
                "retries": {"attempts": 2, "on": ["connect-failure"]}}
    },
    "limits": {"each": {"key": ["claim.sub"], "mode": "local", "rate": "5/1m"}},
    "routes": [
        {"name": "near", "match": {"path": "/near"}, "service": "near", "auth": "none"},
        {"name": "pay", "match": {"path": "/pay/{rest=**}"}, "service": "pay",
         "auth": {"any": ["jwt"], "scopes": ["pay"]}, "limits": ["each"],
         "split": {"old": 60, "new": 40},
         "canary": [{"header": "x-beta", "value": "alice", "version": "new"}]},
        {"name": "keyed", "match": {"path": "/pay/keyed"}, "service": "pay",
         "auth": {"any": ["api_key"]}, "split": {"old": 100, "new": 0}},
        {"name": "inside", "match": {"path": "/pay/inside"}, "service": "pay", "auth": "none",
         "peers": ["web"], "split": {"old": 100, "new": 0}},
        {"name": "through", "match": {"path": "/pay/through"}, "service": "pay", "auth": "none",
         "peers": ["front", "web"], "split": {"old": 100, "new": 0}},
        {"name": "tried", "match": {"path": "/pay/tried"}, "service": "pay", "auth": "none",
         "peers": ["web"], "split": {"old": 100, "new": 0}, "enforce": "shadow"}
    ]
}"#;

fn document() -> Document {
    postern_document::from_json(GUARDED.as_bytes()).unwrap()
}

fn ask_with(request: &Request, assume: &Assumptions<'_>) -> Explanation {
    explain(&document(), request, assume, &mut SoftVerifier)
}

fn ask(request: &Request) -> Explanation {
    ask_with(request, &Assumptions::at(NOW))
}

/// Past the edge, by this workload.
fn directly(request: Request, peer: Option<&str>) -> Explanation {
    let request = Request { peer: peer.map(str::to_owned), ..request };
    ask_with(&request, &Assumptions { workload: Some("pay"), ..Assumptions::at(NOW) })
}

fn paying() -> Request {
    get("/pay/bill").claiming(&alice(r#","scope":"pay""#))
}

fn refused_at(explanation: &Explanation) -> (&str, u16, &'static str) {
    match &explanation.outcome {
        Outcome::Refused(refusal) => (&refusal.at, refusal.status, refusal.denial.reason),
        Outcome::Forwarded(forwarded) => panic!("{forwarded:?}"),
    }
}

#[test]
fn a_route_is_judged_beside_its_workload_and_nowhere_else() {
    let explanation = ask(&paying());
    let passed = forwarded(&explanation);
    assert_eq!((passed.at.as_str(), passed.route.as_str()), ("pay", "pay"));
    assert_eq!(passed.principal.as_ref().unwrap().subject, "alice");
    assert_eq!(passed.limits.len(), 1, "counted once");
    let at = |stage: Stage| {
        let steps = explanation.steps.iter().filter(|step| step.stage == stage);
        steps.map(|step| step.at.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(at(Stage::Route), ["front", "pay"]);
    assert_eq!(at(Stage::Credential), ["pay"]);
    assert_eq!(at(Stage::LimitsLocal), ["pay"]);
    assert_eq!(at(Stage::Version), ["front"]);

    assert_eq!(refused_at(&ask(&get("/pay/bill"))), ("pay", 401, "credential_missing"));
    let poor = get("/pay/bill").claiming(&alice(""));
    assert_eq!(refused_at(&ask(&poor)), ("pay", 403, "scope_missing"));
    assert_eq!(refused_at(&ask(&get("/nowhere"))), ("front", 404, "no_route"));
    let near = ask(&get("/near"));
    assert_eq!(forwarded(&near).at, "front");
    assert!(near.steps.iter().all(|step| step.at == "front"));
}

#[test]
fn what_the_edge_chooses_is_chosen_once() {
    let through = ask(&paying());
    let passed = forwarded(&through);
    assert_eq!(passed.versions, [("old".to_owned(), 60), ("new".to_owned(), 40)]);
    assert_eq!(passed.attempts, 2);
    let inside = directly(paying(), Some(WEB));
    let passed = forwarded(&inside);
    assert!(passed.versions.is_empty(), "{passed:?}");
    assert_eq!(passed.attempts, 1);
    assert!(inside.steps.iter().all(|step| step.at == "pay"));
}

#[test]
fn identity_from_outside_ends_at_the_edge() {
    let request = paying().with("x-postern-subject", "root").with("x-postern-tier", "gold");
    let explanation = ask(&request);
    let passed = forwarded(&explanation);
    assert_eq!(passed.header("x-postern-subject").as_deref(), Some("alice"));
    assert_eq!(passed.header("x-postern-tier"), None);
    assert!(passed.removed.contains(&"x-postern-tier".to_owned()), "{:?}", passed.removed);
    assert_eq!(passed.header("authorization"), None, "given, and so no header");
    // A token in a cookie comes as far as whoever judges it.
    let cookie = ask(&get("/pay/bill").with("cookie", "at=a.b.c; b=1"));
    let (at, status, reason) = refused_at(&cookie);
    assert_eq!((at, status), ("pay", 401));
    assert_ne!(reason, "credential_missing");
}

#[test]
fn a_route_takes_calls_from_its_peers() {
    for (request, peer, expected) in [
        ("/pay/inside", Some(WEB), None),
        ("/pay/inside", Some(EDGE), Some("peer_unknown")),
        ("/pay/inside", Some("spiffe://cluster.local/ns/shop/sa/webs"), Some("peer_unknown")),
        ("/pay/inside", None, Some("peer_unknown")),
        ("/pay/through", Some(EDGE), None),
    ] {
        let explanation = directly(get(request), peer);
        let found = match &explanation.outcome {
            Outcome::Refused(refusal) => Some(refusal.denial.reason),
            Outcome::Forwarded(_) => None,
        };
        assert_eq!(found, expected, "{request} {peer:?}");
    }
    // What comes by the edge has the edge's certificate, whatever else was shown.
    let mut request = get("/pay/inside");
    request.peer = Some(WEB.to_owned());
    assert_eq!(refused_at(&ask(&request)), ("pay", 403, "peer_unknown"));
    let through = ask(&get("/pay/through"));
    assert_eq!(forwarded(&through).route, "through");
    let passed =
        |rule: &&crate::Rule| rule.path == "routes.through.peers" && rule.effect == Effect::Passed;
    assert_eq!(through.rules().filter(passed).count(), 1);
}

#[test]
fn shadow_counts_where_the_route_is_enforced() {
    let held = directly(get("/pay/inside"), None);
    assert_eq!(refused_at(&held), ("pay", 403, "peer_unknown"));
    let tried = directly(get("/pay/tried"), None);
    assert_eq!(forwarded(&tried).at, "pay");
}

#[test]
fn beside_a_workload_there_are_its_own_routes_alone() {
    assert_eq!(refused_at(&directly(get("/near"), Some(WEB))), ("pay", 404, "no_route"));
    let keyed = get("/pay/keyed").with("x-api-key", "pk_a_b");
    let refused = directly(keyed, Some(WEB));
    assert_eq!(refusal(&refused), (By::ExtAuthz, 401, "api_key_unknown"));
    assert_eq!(refused_at(&refused).0, "pay");
}

#[test]
fn a_part_is_away_where_it_is_needed() {
    let away = |part: Part, request: &Request| {
        ask_with(request, &Assumptions { failed: [part].into(), ..Assumptions::at(NOW) })
    };
    assert_eq!(refused_at(&away(Part::Server, &get("/pay/keyed"))), ("pay", 503, ""));
    assert_eq!(forwarded(&away(Part::Server, &paying())).at, "pay");
    assert_eq!(refused_at(&away(Part::Bundle, &paying())), ("front", 503, ""));
}

#[test]
fn what_is_not_known_of_a_connection_is_said() {
    let says = |explanation: &Explanation| {
        explanation.uncertain.iter().any(|text| text.contains("with mutual TLS it takes none"))
    };
    assert!(says(&directly(paying(), None)));
    assert!(says(&directly(paying(), Some("spiffe://cluster.local.other/ns/a/sa/b"))));
    assert!(!says(&directly(paying(), Some(WEB))));
    assert!(!says(&ask(&paying())));
    // Without a gateway nobody knows whom the edge's certificate names.
    let text = GUARDED.replacen(r#""gateway": true, "#, "", 1);
    let document = postern_document::from_json(text.as_bytes()).unwrap();
    let assume = Assumptions::at(NOW);
    let explanation = explain(&document, &get("/pay/through"), &assume, &mut SoftVerifier);
    assert_eq!(refused_at(&explanation), ("pay", 403, "peer_unknown"));
    let is_said = |text: &String| text.contains("no workload is the gateway");
    assert!(explanation.uncertain.iter().any(is_said), "{:?}", explanation.uncertain);
    assert_eq!(explanation.steps[0].at, "edge");
}

#[test]
fn texts_and_json_say_where() {
    let request = get("/pay/bill");
    let explanation = ask(&request);
    let text = to_text(&document(), &request, &explanation);
    let (front, pay) = (text.find("  at front\n").unwrap(), text.find("  at pay\n").unwrap());
    assert!(front < pay, "{text}");
    assert!(text.contains("→ 401 UNAUTHORIZED by bundle at pay (reason"), "{text}");
    let json = to_json(&document(), &request, &explanation);
    let value = postern_request::json::parse(json.as_bytes()).unwrap();
    let at = value.get("outcome").and_then(|outcome| outcome.get("at"));
    assert_eq!(at.and_then(|at| at.as_str()), Some("pay"));
    assert!(json.contains(r#"{"at":"front","stage":"route""#), "{json}");
    let near = to_text(&document(), &get("/near"), &ask(&get("/near")));
    assert!(!near.contains("  at "), "one place needs no name: {near}");
}

#[test]
fn names_lead_to_places_and_callers() {
    let document = document();
    assert_eq!(entry(&document, "pay"), Ok(Some("pay")));
    assert_eq!(entry(&document, "front"), Ok(None));
    for (bad, word) in [("web", "no Envoy of ours"), ("edge", "front, web, pay")] {
        let message = entry(&document, bad).unwrap_err();
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(peer_id(&document, "web").as_deref(), Ok(WEB));
    assert_eq!(peer_id(&document, EDGE).as_deref(), Ok(EDGE));
    for bad in ["nobody", "spiffe://*", "https://a/b", ""] {
        assert!(peer_id(&document, bad).is_err(), "{bad}");
    }
}

#[test]
fn coverage_knows_peers() {
    let rules: Vec<String> = rules_of(&document()).iter().map(ToString::to_string).collect();
    for expected in ["routes.inside.peers passed", "routes.inside.peers refused"] {
        assert_eq!(rules.iter().filter(|rule| *rule == expected).count(), 1, "{expected}");
    }
}
