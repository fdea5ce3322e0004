//! What explanations say, by documents that fit a screen. That they say what bundle and `ext_authz`
//! do is held elsewhere: `tests/tests/explain_property.rs`.

mod failing;
mod forwarding;
mod meshes;
mod places;
mod sessions;
mod tokens;
mod traffic;

use postern_document::Document;
use postern_jose::soft::SoftVerifier;
use postern_request::UnixMillis;

use crate::{
    Assumptions, By, Explanation, Forwarded, Outcome, Request, Stage, explain, rules_of, to_json,
    to_text,
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

const DOCUMENT: &str = r#"{
    "version": 1,
    "services": {
        "shop": {"upstream": "h:1", "timeout": "10s"},
        "bank": {"upstream": "h:1", "circuit": {"failures": 5, "recovery": "10s"}}
    },
    "credentials": {
        "jwt": {
            "from": [{"header": "authorization"}, {"cookie": "at"}, {"query": "at"}],
            "issuers": [{"issuer": "https://i.test", "audiences": ["gate"],
                         "jwks": {"uri": "https://i.test/keys"},
                         "claim_headers": {"x-tenant": "tenant"}}]
        },
        "api_key": {}
    },
    "limits": {
        "per-ip": {"key": ["ip"], "mode": "local", "rate": "1000/1m"},
        "per-user": {"key": ["claim.sub"], "mode": "exact", "rate": "20/1m",
                     "tiers": {"gold": "200/1m"}},
        "strict": {"key": ["ip"], "mode": "exact", "rate": "5/1m", "when_store_fails": "deny"},
        "by-header": {"key": ["header.x-token"], "mode": "local", "rate": "5/1m"}
    },
    "transforms": {
        "marks": {"request": {"set": {"x-gateway": "postern", "x-caller": "{principal.subject}"},
                              "remove": ["x-debug"]}}
    },
    "routes": [
        {"name": "open", "match": {"path": "/open"}, "service": "shop", "auth": "none",
         "limits": ["per-ip"]},
        {"name": "read", "match": {"path": "/read/{id}", "methods": ["GET"]}, "service": "shop",
         "auth": {"any": ["jwt"], "scopes": ["read", "list"], "claims": {"tenant": ["blue"]}},
         "transform": ["marks"]},
        {"name": "pay", "match": {"path": "/pay"}, "service": "bank",
         "auth": {"any": ["jwt"], "scopes": ["pay"]}, "limits": ["per-user"]},
        {"name": "strict", "match": {"path": "/strict"}, "service": "shop", "auth": "none",
         "limits": ["strict"]},
        {"name": "keyed", "match": {"path": "/keyed"}, "service": "shop",
         "auth": {"any": ["api_key"]}},
        {"name": "tried", "match": {"path": "/tried"}, "service": "shop",
         "auth": {"any": ["jwt"]}, "enforce": "25%"},
        {"name": "by-header", "match": {"path": "/by-header"}, "service": "shop", "auth": "none",
         "limits": ["by-header"]},
        {"name": "shadow", "match": {"path": "/shadow"}, "service": "shop",
         "auth": {"any": ["jwt"]}, "enforce": "shadow"}
    ]
}"#;

fn document() -> Document {
    postern_document::from_json(DOCUMENT.as_bytes()).unwrap()
}

fn get(target: &str) -> Request {
    Request::get("a.test", target)
}

/// Claims of `alice`, good for ten minutes, and others.
fn alice(more: &str) -> String {
    let exp = NOW.as_secs() + 600;
    format!(r#"{{"iss":"https://i.test","aud":"gate","sub":"alice","exp":{exp}{more}}}"#)
}

fn explained(request: &Request, assume: &Assumptions<'_>) -> Explanation {
    explain(&document(), request, assume, &mut SoftVerifier)
}

fn usual(request: &Request) -> Explanation {
    explained(request, &Assumptions::at(NOW))
}

/// By whom, status, and reason.
fn refusal(explanation: &Explanation) -> (By, u16, &'static str) {
    match &explanation.outcome {
        Outcome::Refused(refusal) => (refusal.by, refusal.status, refusal.denial.reason),
        Outcome::Forwarded(forwarded) => panic!("{forwarded:?}"),
    }
}

fn forwarded(explanation: &Explanation) -> &Forwarded {
    match &explanation.outcome {
        Outcome::Forwarded(forwarded) => forwarded,
        Outcome::Refused(refusal) => panic!("{refusal:?}"),
    }
}

#[test]
fn who_refuses_and_why_is_told() {
    let spaced = " ".repeat(3);
    for (request, expected) in [
        (get("/open#a"), (By::Envoy, 400, "")),
        (get("/open%2Fa"), (By::Envoy, 400, "")),
        (get(&spaced), (By::Envoy, 400, "")),
        (get("/open;v=1"), (By::Bundle, 400, "path_ambiguous")),
        (get("/nowhere"), (By::Bundle, 404, "no_route")),
        (get("/read/7"), (By::Bundle, 401, "credential_missing")),
        (get("/pay"), (By::ExtAuthz, 401, "credential_missing")),
        (get("/pay").with("authorization", "Basic x"), (By::ExtAuthz, 401, "token_unusable")),
        (get("/read/7").with("authorization", "DPoP x"), (By::Bundle, 401, "token_unusable")),
        (get("/pay").claiming(&alice("")), (By::ExtAuthz, 403, "scope_missing")),
        (get("/keyed").with("x-api-key", "pk_a_b"), (By::ExtAuthz, 401, "api_key_unknown")),
    ] {
        assert_eq!(refusal(&usual(&request)), expected, "{}", request.target);
    }
    let mut post = get("/read/7");
    post.method = "POST".to_owned();
    assert_eq!(refusal(&usual(&post)), (By::Bundle, 404, "no_route"));
}

#[test]
fn envoy_reads_the_path_before_anybody_decides() {
    for target in ["/a/../open", "//open", "/%6fpen?x=/../", "/open/."] {
        let explanation = usual(&get(target));
        let is_open = forwarded_route(&explanation) == Some("open");
        assert_eq!(is_open, target != "/open/.", "{target}");
    }
}

#[test]
fn what_later_envoys_read_otherwise_is_told() {
    let document = DOCUMENT.replacen('{', r#"{"matrix_parameters": "allow","#, 1);
    let document = postern_document::from_json(document.as_bytes()).unwrap();
    let told = |target: &str| {
        let assume = Assumptions::at(NOW);
        let explanation = explain(&document, &get(target), &assume, &mut SoftVerifier);
        let told = explanation.uncertain.iter().find(|text| text.contains("CVE-2026-73551"));
        (refusal(&explanation), told.cloned())
    };
    let ambiguous = (By::Bundle, 400, "path_ambiguous");
    for (target, refused, expected) in [
        ("/x/..;a=1/open?b=/x/..;", ambiguous, Some("later ones read /open")),
        ("/.;/open", ambiguous, Some("later ones read /open")),
        ("/x/..;%00/open", (By::Envoy, 400, ""), Some("later ones read /open")),
        // Both leave it as it is.
        ("/x/%2e%2e;a=1/open", ambiguous, None),
        ("/x/../nowhere?a=/x/..;", (By::Bundle, 404, "no_route"), None),
        // Both refuse it.
        ("/x/..;a/%2Fopen", (By::Envoy, 400, ""), None),
        ("/x/..;a/open?#", (By::Envoy, 400, ""), None),
    ] {
        let (found, text) = told(target);
        assert_eq!(found, refused, "{target}");
        let text = text.as_deref().and_then(|text| text.rsplit_once("; "));
        assert_eq!(text.map(|(_, text)| text), expected, "{target}");
    }
}

fn forwarded_route(explanation: &Explanation) -> Option<&str> {
    match &explanation.outcome {
        Outcome::Forwarded(forwarded) => Some(&forwarded.route),
        Outcome::Refused(_) => None,
    }
}

#[test]
fn envoy_refuses_what_it_cannot_read() {
    let post = |request: Request| Request { method: "POST".to_owned(), ..request };
    let by_method = |method: &str| Request { method: method.to_owned(), ..get("/open") };
    for (request, status) in [
        (by_method(""), 400),
        (by_method("GET /x"), 400),
        (by_method("CONNECT"), 404),
        (Request::get("a b", "/open"), 400),
        (Request::get("", "/open"), 400),
        (get("/open").with("host", "b.test"), 400),
        (post(get("/open")).with("content-length", "abc"), 400),
        (post(get("/open")).with("content-length", "5").with("transfer-encoding", "chunked"), 400),
        (get("/open").with("connection", "upgrade").with("upgrade", "websocket"), 403),
    ] {
        assert_eq!(refusal(&usual(&request)), (By::Envoy, status, ""), "{request:?}");
    }
    for request in [
        post(get("/open")).with("content-length", "5"),
        post(get("/open")).with("transfer-encoding", "chunked"),
        get("/open").with("upgrade", "websocket"),
        Request::get("a.test:8443", "/open"),
        by_method("PURGE"),
    ] {
        let explanation = usual(&request);
        assert_eq!(forwarded_route(&explanation), Some("open"), "{request:?}");
        let told = |text: &String| text.contains("HTTP/2");
        assert!(!explanation.uncertain.iter().any(told), "{explanation:?}");
    }
    for method in ["FOO", "get", "QUERY"] {
        let explanation = usual(&by_method(method));
        assert_eq!(forwarded_route(&explanation), Some("open"));
        let told = |text: &String| text.contains(method) && text.contains("HTTP/2 alone");
        assert!(explanation.uncertain.iter().any(told), "{explanation:?}");
    }
}

#[test]
fn headers_that_are_dropped_while_they_are_read_are_not_counted() {
    let mut request = get("/open");
    for at in 0..120 {
        request = request.with(&format!("x_{at}"), "a");
    }
    assert_eq!(forwarded_route(&usual(&request)), Some("open"));
}

#[test]
fn who_speaks_grpc_gets_a_status_of_grpc() {
    let grpc = |target: &str| get(target).with("content-type", "application/grpc+proto");
    let answered = |explanation: &Explanation| match &explanation.outcome {
        Outcome::Refused(refusal) => refusal.grpc_status,
        Outcome::Forwarded(_) => None,
    };
    for (request, expected) in [
        (grpc("/read/7"), Some(16)),
        (grpc("/pay").claiming(&alice("")), Some(7)),
        (grpc("/nowhere"), Some(12)),
        // What Envoy answers by itself, it has other words for.
        (grpc("/open%2Fa"), Some(13)),
        (get("/read/7"), None),
        (get("/read/7").with("content-type", "application/grpcx"), None),
    ] {
        assert_eq!(answered(&usual(&request)), expected, "{request:?}");
    }
    let request = grpc("/read/7");
    let (document, explanation) = (document(), usual(&request));
    let text = to_text(&document, &request, &explanation);
    assert!(text.contains("to gRPC callers 200, with grpc-status: 16\n"), "{text}");
    let json = to_json(&document, &request, &explanation);
    assert!(json.contains(r#""grpc_status":16"#), "{json}");
    let plain = get("/read/7");
    let json = to_json(&document, &plain, &usual(&plain));
    assert!(json.contains(r#""grpc_status":null"#), "{json}");
}

#[test]
fn too_many_headers_never_reach_a_decision() {
    let mut request = get("/open");
    for at in 0..100 {
        request = request.with(&format!("x-{at}"), "a");
    }
    assert_eq!(refusal(&usual(&request)), (By::Envoy, 431, ""));
    request.headers.truncate(97);
    let explanation = usual(&request);
    assert!(explanation.uncertain.iter().any(|text| text.contains("HTTP/1")), "{explanation:?}");
}

#[test]
fn a_share_is_explained_both_ways() {
    let explanation = usual(&get("/tried"));
    assert_eq!(refusal(&explanation), (By::Bundle, 401, "credential_missing"));
    let other = explanation.otherwise.as_ref().unwrap();
    assert_eq!(other.percent, 75);
    assert_eq!(forwarded(&other.explanation).principal, None);

    for (enforced, passes) in [(true, false), (false, true)] {
        let assume = Assumptions { enforced: Some(enforced), ..Assumptions::at(NOW) };
        let explanation = explained(&get("/tried"), &assume);
        assert!(explanation.otherwise.is_none());
        assert_eq!(forwarded_route(&explanation).is_some(), passes);
    }
    let shadow = usual(&get("/shadow"));
    assert!(shadow.otherwise.is_none());
    assert_eq!(forwarded(&shadow).route, "shadow");
    assert!(shadow.steps.iter().any(|step| step.verdict.as_str() == "shadowed"));
    let same_either_way = usual(&get("/tried").claiming(&alice("")));
    assert!(same_either_way.otherwise.is_none());
}

#[test]
fn coverage_names_each_rule_once() {
    let rules = rules_of(&document());
    let texts: Vec<String> = rules.iter().map(ToString::to_string).collect();
    for expected in [
        "routes.open reached",
        "routes.read.auth.scopes[list] refused",
        "routes.read.auth.claims[tenant] refused",
        "routes.read.auth.any refused",
        "routes.keyed.auth.any[api_key] passed",
        "routes.pay.limits[per-user] refused",
        "services.bank.circuit refused",
        "routes.tried.enforce refused",
        "routes.tried.enforce shadowed",
        "routes.shadow.enforce shadowed",
        "failures.ext_authz answered for what failed",
        "limits.strict.when_store_fails answered for what failed",
    ] {
        assert_eq!(texts.iter().filter(|text| *text == expected).count(), 1, "{expected}");
    }
    assert!(!texts.contains(&"routes.shadow.enforce refused".to_owned()), "nobody is held to it");
    assert!(!texts.contains(&"limits.per-ip.when_store_fails answered for what failed".to_owned()));
}

#[test]
fn every_rule_that_decides_is_one_of_the_documents() {
    let rules = rules_of(&document());
    let claims = [alice(""), alice(r#","scope":"read list pay","tenant":"blue","tier":"gold""#)];
    let mut assume = Assumptions::at(NOW);
    let all = ["per-ip", "per-user", "strict"].map(str::to_owned);
    for (used_up, open) in [(false, false), (false, true), (true, true)] {
        if used_up {
            assume.used_up = all.clone().into();
        }
        if open {
            assume.open_circuits = ["bank".to_owned()].into();
        }
        for target in ["/open", "/read/7", "/pay", "/strict", "/keyed", "/tried", "/shadow"] {
            let with_claims = claims.iter().map(|claims| get(target).claiming(claims));
            for request in with_claims.chain([get(target)]) {
                for rule in explained(&request, &assume).rules() {
                    assert!(rules.contains(rule), "{target}: {rule}");
                }
            }
        }
    }
}

#[test]
fn no_secret_is_printed() {
    let secret = "hush-hush";
    let request = get(&format!("/read/7?at={secret}&x=1"))
        .with("authorization", &format!("Bearer {secret}"))
        .with("cookie", &format!("at={secret}"))
        .with("x-api-key", &format!("pk_a_{secret}"));
    let on_open_routes = [
        get("/open").with("x-api-key", secret),
        get(&format!("/open?at={secret}")),
        get(&format!("/open?x=1&access_token={secret}")),
        get(&format!("/open?x=eyJhbGciOiJub25lIn0.{secret}.{secret}")),
        Request::get(&format!("user:{secret}@a.test"), "/nowhere"),
        get("/by-header").with("x-token", secret),
    ];
    for request in on_open_routes.into_iter().chain([request]) {
        let explanation = usual(&request);
        let (document, request) = (document(), &request);
        for text in
            [to_text(&document, request, &explanation), to_json(&document, request, &explanation)]
        {
            assert!(!text.contains(secret), "{text}");
        }
    }
    // What is no secret is shown, and that there was one.
    let request = get("/open?x=1&access_token=hush");
    let (document, explanation) = (document(), usual(&request));
    for text in
        [to_text(&document, &request, &explanation), to_json(&document, &request, &explanation)]
    {
        assert!(text.contains("/open?x=1&access_token=(not shown)"), "{text}");
    }
    assert_eq!(forwarded(&explanation).target, "/open?x=1&access_token=hush", "it gets there");
}

#[test]
fn texts_tell_what_both_find_once() {
    let request = get("/pay").claiming(&alice(r#","scope":"pay""#));
    let explanation = usual(&request);
    let routes = explanation.steps.iter().filter(|step| step.stage == Stage::Route);
    assert_eq!(routes.count(), 2, "both look");
    let text = to_text(&document(), &request, &explanation);
    assert_eq!(text.matches("  route  ").count(), 1, "{text}");
    assert!(text.contains("→ forwarded to bank as alice"), "{text}");
    assert!(text.contains("x-postern-subject: alice"), "{text}");
    assert!(text.contains("429 per-user"), "{text}");
}

#[test]
fn json_is_one_object_with_stable_names() {
    let request = get("/pay").claiming(&alice(""));
    let text = to_json(&document(), &request, &usual(&request));
    let value = postern_request::json::parse(text.as_bytes()).unwrap();
    let at = |path: &[&str]| {
        let found = path.iter().try_fold(&value, |value, name| value.get(name));
        found.map(ToString::to_string).unwrap_or_default()
    };
    assert_eq!(at(&["version"]), "1");
    assert_eq!(at(&["outcome", "allowed"]), "false");
    assert_eq!(at(&["outcome", "status"]), "403");
    assert_eq!(at(&["outcome", "error"]), r#""INSUFFICIENT_SCOPE""#);
    assert_eq!(at(&["outcome", "by"]), r#""ext_authz""#);
    assert_eq!(at(&["outcome", "route"]), r#""pay""#);
    assert_eq!(at(&["forwarded"]), "null");
    assert!(text.contains(r#""rules":["routes.pay.auth.scopes"]"#), "{text}");
}
