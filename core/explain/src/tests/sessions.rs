//! Browsers' sessions, second factors, and the way to log in.

use postern_request::Principal;

use super::tokens::List;
use super::*;
use crate::{GivenSession, Part, Revocations, Revoked, Shown};

fn document() -> Document {
    let text = r#"{
        "version": 1, "issuer": "https://a.test",
        "oauth": {}, "login": {"roles": {"user": {}}},
        "services": {"shop": {"upstream": "h:1"}},
        "credentials": {"session": {}, "jwt": {"from": [{"header": "authorization"},
            {"query": "at"}], "issuers": [{"issuer": "https://a.test", "audiences": ["gate"],
                                           "jwks": {"service": "postern"}}]}},
        "routes": [
            {"name": "own", "match": {"path": "/oauth2/{rest=**}"}, "service": "postern",
             "auth": "none"},
            {"name": "open", "match": {"path": "/open"}, "service": "shop", "auth": "none"},
            {"name": "api", "match": {"path": "/api"}, "service": "shop",
             "auth": {"any": ["session"], "scopes": ["read"]}},
            {"name": "page", "match": {"path": "/page"}, "service": "shop",
             "auth": {"any": ["session"], "login": true}},
            {"name": "safe", "match": {"path": "/safe"}, "service": "shop",
             "auth": {"any": ["jwt", "session"], "mfa": "within 15m", "login": true}}
        ]
    }"#;
    postern_document::from_json(text.as_bytes()).unwrap()
}

fn with_session(target: &str, mfa_age_secs: Option<u64>) -> Request {
    let principal = Principal {
        subject: "alice".to_owned(),
        scopes: vec!["read".to_owned()],
        ..Principal::default()
    };
    let given = GivenSession { principal, mfa_age_secs };
    Request { shown: Shown::Session(Box::new(given)), ..get(target) }
}

fn of(request: &Request, assume: &Assumptions<'_>) -> Explanation {
    explain(&document(), request, assume, &mut SoftVerifier)
}

fn told(request: &Request) -> Explanation {
    of(request, &Assumptions::at(NOW))
}

fn post(mut request: Request) -> Request {
    request.method = "POST".to_owned();
    request
}

fn status(explanation: &Explanation) -> (u16, &'static str) {
    match &explanation.outcome {
        Outcome::Forwarded(_) => (200, ""),
        Outcome::Refused(refusal) => (refusal.status, refusal.denial.reason),
    }
}

#[test]
fn what_a_session_opens_is_told() {
    let known = "__Host-postern=f47ac10b-58cc-4372-a567-0e02b2c3d479.\
                 abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO-_";
    for (request, expected) in [
        (with_session("/api", None), (200, "")),
        (post(with_session("/api", None)), (403, "session_cross_site")),
        (post(with_session("/api", None).with("sec-fetch-site", "same-origin")), (200, "")),
        (get("/api"), (401, "credential_missing")),
        (get("/api").with("cookie", known), (401, "session_unknown")),
        (get("/api").with("cookie", "__Host-postern=x"), (401, "session_unknown")),
        (get("/page").with("cookie", known), (401, "credential_missing")),
        (get("/page").with("accept", "text/html"), (302, "credential_missing")),
        (
            get("/page").with("cookie", known).with("accept", "text/html"),
            (302, "credential_missing"),
        ),
        (with_session("/safe", None), (401, "mfa_missing")),
        (with_session("/safe", Some(901)), (401, "mfa_stale")),
        (with_session("/safe", Some(900)), (200, "")),
        (with_session("/safe", None).with("accept", "text/html"), (302, "mfa_missing")),
    ] {
        assert_eq!(status(&told(&request)), expected, "{request:?}");
    }
    let from_headers = told(&get("/api").with("cookie", known));
    assert!(from_headers.uncertain.iter().any(|text| text.contains("not at hand")));
}

#[test]
fn the_cookie_is_for_the_suite_alone() {
    let service = told(&with_session("/open", None).with("cookie", "a=1"));
    assert_eq!(forwarded(&service).header("cookie").as_deref(), Some("a=1"));
    let pages = "__Host-postern-login=x; a=1; __Host-postern-device=y";
    let service = told(&get("/open").with("cookie", pages));
    assert_eq!(forwarded(&service).header("cookie").as_deref(), Some("a=1"));
    let own = told(&get("/oauth2/x").with("cookie", pages));
    assert_eq!(forwarded(&own).header("cookie").as_deref(), Some(pages));
    let own = told(&get("/oauth2/x").with("cookie", "__Host-postern=x"));
    assert_eq!(forwarded(&own).header("cookie").as_deref(), Some("__Host-postern=x"));
    let given = told(&with_session("/oauth2/x", None));
    assert!(forwarded(&given).left.is_empty(), "what stands for it is no header");
}

#[test]
fn a_session_that_a_list_has_the_end_of_is_over() {
    let by_list = |age, revoked| {
        let list = Some(&List as &dyn Revocations);
        let assume = Assumptions { revocations: list, revoked, ..Assumptions::at(NOW) };
        status(&of(&with_session("/safe", Some(age)), &assume))
    };
    assert_eq!(by_list(61, Revoked::No), (401, "credential_missing"));
    assert_eq!(by_list(61, Revoked::Unknown), (401, "credential_missing"));
    assert_eq!(by_list(60, Revoked::No), (200, ""), "it began after that");
}

#[test]
fn what_happens_to_sessions_while_something_is_away_is_told() {
    let request = with_session("/api", None);
    let mut assume = Assumptions::at(NOW);
    assume.revoked = Revoked::Yes;
    assert_eq!(status(&of(&request, &assume)), (401, "session_unknown"));
    let mut assume = Assumptions::at(NOW);
    assume.failed.insert(Part::VolatileStore);
    assert_eq!(status(&of(&request, &assume)), (503, "sessions_unavailable"));
    assert_eq!(status(&of(&get("/open"), &assume)), (200, ""));
}

#[test]
fn the_way_to_log_in_is_told_without_what_may_be_a_credential() {
    let request = get("/page?at=hush&b=1").with("accept", "text/html");
    let told = told(&request);
    let Outcome::Refused(refusal) = &told.outcome else { panic!("{told:?}") };
    let sent = refusal.sent.as_ref().unwrap();
    assert_eq!(sent.location, "https://a.test/login?return_to=%2Fpage%3Fat%3Dhush%26b%3D1");
    let (text, json) =
        (to_text(&document(), &request, &told), to_json(&document(), &request, &told));
    for shown in [text, json] {
        assert!(shown.contains("https://a.test/login?return_to=") && !shown.contains("hush"));
        assert!(!shown.contains("www-authenticate: Bearer"), "{shown}");
    }
    assert!(told.rules().any(|rule| rule.path == "routes.page.auth.login"));
}

#[test]
fn every_rule_that_decides_is_one_of_the_documents() {
    let known = rules_of(&document());
    for request in [
        with_session("/api", None),
        with_session("/safe", Some(1)),
        with_session("/safe", None),
        get("/page").with("accept", "text/html"),
    ] {
        for rule in told(&request).rules() {
            assert!(known.contains(rule), "{rule}");
        }
    }
}

#[test]
fn a_challenge_is_told_as_it_is_sent() {
    const METADATA: &str = "https://a.test/.well-known/oauth-protected-resource";
    for advertise in [true, false] {
        let text = format!(
            r#"{{"version": 1, "issuer": "https://a.test", "services": {{"shop": {{"upstream":
                "h:1"}}}}, "credentials": {{"jwt": {{"advertise": {advertise}, "issuers": [
                {{"issuer": "https://i.test", "audiences": ["g"],
                  "jwks": {{"uri": "https://i.test/keys"}}}}]}}}},
                "routes": [{{"name": "api", "match": {{"path": "/api"}}, "service": "shop",
                            "auth": {{"any": ["jwt"]}}}}]}}"#
        );
        let document = postern_document::from_json(text.as_bytes()).unwrap();
        let request = get("/api");
        let told = explain(&document, &request, &Assumptions::at(NOW), &mut SoftVerifier);
        assert_eq!(status(&told), (401, "credential_missing"));
        let text = to_text(&document, &request, &told);
        assert!(text.contains("www-authenticate: Bearer realm=\"postern\""), "{text}");
        for shown in [text, to_json(&document, &request, &told)] {
            assert_eq!(shown.contains(METADATA), advertise, "{shown}");
        }
    }
}
