//! Versions, faults, retries, and the rate limit service.

use super::*;
use crate::{Effect, Part};

const TRAFFIC: &str = r#"{
    "version": 1,
    "rate_limit_filter": {"domain": "shop", "on_failure": "deny"},
    "credentials": {"jwt": {"issuers": [
        {"issuer": "https://i.test", "audiences": ["gate"], "jwks": {"uri": "https://i.test/keys"}}
    ]}},
    "services": {
        "parted": {
            "upstream": "h:1",
            "versions": {"stable": {"labels": {"v": "1"}}, "canary": {"labels": {"v": "2"}},
                         "idle": {"labels": {"v": "3"}}},
            "hash": {"header": "x-room"},
            "outlier_detection": {"consecutive_5xx": 3},
            "health": {"path": "/healthz"},
            "bulkheads": {"slow": {"max_pending": 5}}
        },
        "plain": {"upstream": "h:1", "timeout": "10s"}
    },
    "routes": [
        {"name": "drawn", "match": {"path": "/drawn"}, "service": "parted", "auth": "none",
         "split": {"stable": 90, "canary": 10, "idle": 0}, "bulkhead": "slow",
         "canary": [{"header": "x-canary", "value": "always", "version": "canary"},
                    {"header": "x-kind", "value": {"prefix": "beta-"}, "version": "idle"}]},
        {"name": "by-tier", "match": {"path": "/by-tier"}, "service": "parted",
         "auth": {"any": ["jwt"], "optional": true}, "split": {"stable": 100},
         "canary": [{"header": "x-postern-tier", "value": "gold", "version": "canary"}]},
        {"name": "odd", "match": {"path": "/odd"}, "service": "plain", "auth": "none",
         "fault": {"abort": {"share": "100%", "status": 418}}},
        {"name": "failing", "match": {"path": "/failing"}, "service": "plain",
         "auth": {"any": ["jwt"]}, "fault": {"abort": {"share": "100%", "status": 500}}},
        {"name": "rarely", "match": {"path": "/rarely"}, "service": "plain", "auth": "none",
         "fault": {"delay": {"share": "0.1%", "time": "5s"},
                   "abort": {"share": "0.01%", "status": 429}}},
        {"name": "slow", "match": {"path": "/slow"}, "service": "plain", "auth": "none",
         "fault": {"delay": {"share": "100%", "time": "700ms"}}},
        {"name": "tried", "match": {"path": "/tried", "methods": ["GET"]}, "service": "plain",
         "auth": "none",
         "retries": {"attempts": 4, "on": ["gateway-error"], "per_try_timeout": "2s",
                     "backoff": "25ms"}},
        {"name": "counted", "match": {"path": "/counted"}, "service": "plain",
         "auth": {"any": ["jwt"], "optional": true},
         "descriptors": [[{"route": true}, {"remote_address": true}], [{"principal": true}],
                         [{"key": "room", "header": "x-room"}]]},
        {"name": "by-room", "match": {"path": "/by-room"}, "service": "plain", "auth": "none",
         "descriptors": [[{"key": "room", "header": "x-room"}]]}
    ]
}"#;

fn ask_with(request: &Request, assume: &Assumptions<'_>) -> Explanation {
    let document = postern_document::from_json(TRAFFIC.as_bytes()).unwrap();
    explain(&document, request, assume, &mut SoftVerifier)
}

fn ask(request: &Request) -> Explanation {
    ask_with(request, &Assumptions::at(NOW))
}

fn without(part: Part, request: &Request) -> Explanation {
    ask_with(request, &Assumptions { failed: [part].into(), ..Assumptions::at(NOW) })
}

fn versions(explanation: &Explanation) -> Vec<(&str, u8)> {
    let versions = &forwarded(explanation).versions;
    versions.iter().map(|(name, percent)| (name.as_str(), *percent)).collect()
}

fn has_rule(explanation: &Explanation, text: &str) -> bool {
    explanation.rules().any(|rule| rule.to_string() == text)
}

#[test]
fn shares_are_told_and_not_drawn() {
    let drawn = ask(&get("/drawn"));
    assert_eq!(versions(&drawn), [("stable", 90), ("canary", 10)], "nobody's turn is idle's");
    assert!(has_rule(&drawn, "routes.drawn.split[canary] passed"), "{drawn:?}");
    assert!(!has_rule(&drawn, "routes.drawn.split[idle] passed"), "{drawn:?}");
    assert!(drawn.uncertain.is_empty(), "{:?}", drawn.uncertain);
}

#[test]
fn of_the_headers_that_choose_the_first_that_fits_does() {
    let canary = [("canary", 100)];
    let (idle, drawn) = ([("idle", 100)], [("stable", 90), ("canary", 10)]);
    for (request, expected) in [
        (get("/drawn").with("x-canary", "always"), &canary[..]),
        (get("/drawn").with("x-kind", "beta-7"), &idle[..]),
        (get("/drawn").with("x-kind", "beta-7").with("x-canary", "always"), &canary[..]),
        (get("/drawn").with("x-canary", "Always"), &drawn[..]),
        (get("/drawn").with("x-kind", "alpha-beta-7"), &drawn[..]),
        (get("/drawn").with("x-canary", "never").with("x-canary", "always"), &canary[..]),
        (get("/drawn").with("x-kind", "beta-7").with("x-kind", "b"), &idle[..]),
    ] {
        assert_eq!(versions(&ask(&request)), expected, "{:?}", request.headers);
    }
    // Older Envoys take the lines of one name for one list, which may say something else.
    for (lines, is_clear) in [(["never", "always"], false), (["never", "no"], true)] {
        let [one, other] = lines;
        let explanation = ask(&get("/drawn").with("x-canary", one).with("x-canary", other));
        assert_eq!(explanation.uncertain.is_empty(), is_clear, "{:?}", explanation.uncertain);
    }
    let explanation = ask(&get("/drawn").with("x-kind", "beta-7"));
    assert!(has_rule(&explanation, "routes.drawn.canary[x-kind: beta-*] passed"));
}

#[test]
fn a_version_by_identity_is_nobodys_to_choose() {
    let gold = || get("/by-tier").claiming(&alice(r#","tier":"gold""#));
    let basic = || get("/by-tier").claiming(&alice(r#","tier":"basic""#));
    for (request, expected) in [
        (gold(), "canary"),
        (basic(), "stable"),
        (get("/by-tier").with("x-postern-tier", "gold"), "stable"),
        (basic().with("x-postern-tier", "gold"), "stable"),
        (gold().with("x-postern-tier", "basic"), "canary"),
    ] {
        assert_eq!(versions(&ask(&request)), [(expected, 100)], "{:?}", request.headers);
    }
}

#[test]
fn a_planted_answer_is_what_callers_see_of_it() {
    let failing = ask(&get("/failing").claiming(&alice("")));
    assert_eq!(refusal(&failing), (By::Envoy, 503, ""), "Envoy's own 500 becomes 503");
    assert!(has_rule(&failing, "routes.failing.fault.abort refused"));
    // Who may not call at all meets no fault.
    assert_eq!(refusal(&ask(&get("/failing"))), (By::Bundle, 401, "credential_missing"));

    let odd = ask(&get("/odd"));
    let Outcome::Refused(refused) = &odd.outcome else { panic!("{odd:?}") };
    assert!(refused.is_plain && refused.status == 418, "{refused:?}");
    let document = postern_document::from_json(TRAFFIC.as_bytes()).unwrap();
    let text = to_text(&document, &get("/odd"), &odd);
    assert!(text.contains("→ 418 by envoy\n"), "{text}");
    assert!(to_json(&document, &get("/odd"), &odd).contains(r#""error":null"#));
}

#[test]
fn a_share_of_faults_is_told_and_can_be_assumed() {
    let usually = ask(&get("/rarely"));
    assert_eq!(forwarded(&usually).may, ["429 fault, 0.01 % of requests"]);
    assert_eq!(forwarded(&usually).delay_ms, None);
    assert!(usually.steps.iter().any(|step| step.text == "0.1 % of requests wait 5s"));
    assert!(!usually.rules().any(|rule| rule.path.contains("fault")), "{usually:?}");

    let assume = Assumptions { faulted: true, ..Assumptions::at(NOW) };
    let met = ask_with(&get("/rarely"), &assume);
    assert_eq!(refusal(&met), (By::Envoy, 429, ""));
    assert!(has_rule(&met, "routes.rarely.fault.delay passed"));

    let slow = ask(&get("/slow"));
    assert_eq!((forwarded(&slow).delay_ms, forwarded(&slow).timeout_ms), (Some(700), 10_000));
    assert_eq!(forwarded(&ask_with(&get("/drawn"), &assume)).route, "drawn", "it has none");
}

#[test]
fn retries_are_the_routes_own() {
    let explanation = ask(&get("/tried"));
    let tried = forwarded(&explanation);
    assert_eq!((tried.attempts, tried.retry_on.as_slice()), (4, &["gateway-error"][..]));
    assert_eq!((tried.per_try_timeout_ms, tried.backoff_ms), (Some(2_000), Some(25)));
    let way = |explanation: &Explanation| {
        let noted = explanation.steps.iter().find(|step| step.stage == Stage::Upstream);
        noted.map(|step| step.text.clone()).unwrap_or_default()
    };
    let text = "plain: timeout 10s; 4 attempts on gateway-error; each at most 2s; at least 25ms \
                apart";
    assert_eq!(way(&explanation), text);
    let text = way(&ask(&get("/drawn")));
    assert!(text.contains("one endpoint by the header x-room"), "{text}");
    assert!(text.contains("left out for 30s after 3 answers of 500 and above in a row"), "{text}");
    assert!(text.contains("asked for /healthz every 10s; connections of `slow`"), "{text}");
}

#[test]
fn the_rate_limit_service_is_told_what_there_is_to_tell() {
    let told = |request: &Request| {
        let explanation = ask(request);
        let told = forwarded(&explanation).descriptors.iter().map(|entries| {
            let entries = entries.iter().map(|(key, value)| format!("{key}={value}"));
            entries.collect::<Vec<_>>().join(" ")
        });
        told.collect::<Vec<_>>()
    };
    let address = "route=counted remote_address=203.0.113.7";
    assert_eq!(told(&get("/counted")), [address]);
    let known = get("/counted").claiming(&alice(""));
    assert_eq!(told(&known), [address, "principal=alice"]);
    let forged = get("/counted").with("x-postern-subject", "bob").with("x-room", "7");
    assert_eq!(told(&forged), [address, "room=7"]);

    let counted = ask(&get("/counted"));
    assert!(forwarded(&counted).may.contains(&"429 of the rate limit service".to_owned()));
    assert!(counted.uncertain.is_empty(), "not counting is no assumption: {counted:?}");
    let nothing = ask(&get("/by-room"));
    assert!(forwarded(&nothing).may.is_empty(), "{nothing:?}");
    assert!(nothing.steps.iter().any(|step| step.verdict.as_str() == "skipped"));
}

#[test]
fn without_the_rate_limit_service_the_document_decides() {
    let failed = |explanation: &Explanation| {
        has_rule(explanation, "rate_limit_filter.on_failure answered for what failed")
    };
    for part in [Part::RateLimitService, Part::Server] {
        let explanation = without(part, &get("/counted"));
        assert_eq!(refusal(&explanation), (By::Envoy, 503, ""));
        assert!(failed(&explanation));
    }
    assert_eq!(forwarded(&without(Part::RateLimitService, &get("/by-room"))).route, "by-room");

    let text = TRAFFIC.replacen(r#""on_failure": "deny""#, r#""on_failure": "allow""#, 1);
    let document = postern_document::from_json(text.as_bytes()).unwrap();
    let assume = Assumptions { failed: [Part::RateLimitService].into(), ..Assumptions::at(NOW) };
    let passed = explain(&document, &get("/counted"), &assume, &mut SoftVerifier);
    assert!(forwarded(&passed).descriptors.is_empty() && failed(&passed), "{passed:?}");
}

#[test]
fn coverage_knows_what_traffic_can_do() {
    let document = postern_document::from_json(TRAFFIC.as_bytes()).unwrap();
    let rules = rules_of(&document);
    for (path, item, effect) in [
        ("routes.drawn.split", Some("stable"), Effect::Passed),
        ("routes.drawn.canary", Some("x-canary: always"), Effect::Passed),
        ("routes.rarely.fault.delay", None, Effect::Passed),
        ("routes.odd.fault.abort", None, Effect::Refused),
        ("routes.by-room.descriptors", None, Effect::Passed),
        ("rate_limit_filter.on_failure", None, Effect::Failed),
    ] {
        let is_it = |rule: &&crate::Rule| {
            rule.path == path && rule.item.as_deref() == item && rule.effect == effect
        };
        assert_eq!(rules.iter().filter(is_it).count(), 1, "{path} {item:?}");
    }
    let idle = |rule: &crate::Rule| rule.item.as_deref() == Some("idle");
    assert!(!rules.iter().any(idle), "with a share of nothing");
    // What decides is one of them.
    let assume = Assumptions { faulted: true, ..Assumptions::at(NOW) };
    for target in ["/drawn", "/by-tier", "/odd", "/failing", "/rarely", "/slow", "/counted"] {
        for rule in ask_with(&get(target).with("x-canary", "always"), &assume).rules() {
            assert!(rules.contains(rule), "{target}: {rule}");
        }
    }
}
