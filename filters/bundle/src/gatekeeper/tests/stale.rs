//! Answers that are kept: which, whose, and what callers get of them.

use super::circuits::{UPSTREAM, configuration_with, counted, list, open, pass};
use super::*;

type Header = (&'static str, &'static str);
type Pairs<'a> = &'a [Header];
type Request<'a> = &'a [(&'a str, &'a str)];

/// What most answers say.
const USUAL: [Header; 3] =
    [(":status", "200"), ("content-type", "text/css"), ("transfer-encoding", "chunked")];

/// What somebody got: headers beside Envoy's own, and the body.
type Got = Option<(Vec<(String, String)>, Vec<u8>)>;

struct Story {
    fake: Fake,
    gatekeeper: Gatekeeper,
}

impl Story {
    fn new() -> Self {
        Self::at(Fake::default(), "h:1")
    }

    /// The same with the service there.
    fn at(fake: Fake, upstream: &str) -> Self {
        let mut configuration = configuration_with(&fake, false);
        let document = &mut configuration["document"];
        document["services"]["bank"]["upstream"] = json!(upstream);
        document["credentials"]["jwt"]["from"] =
            json!([{"header": "authorization"}, {"header": "x-token"}]);
        document["transforms"] = json!({"stamp": {"response": {
            "set": {"x-set": "now", "x-mine": "{principal.subject}"}, "remove": ["x-gone"]}}});
        let routes = document["routes"].as_array_mut().unwrap();
        let jwt = json!({"any": ["jwt"]});
        for (name, auth, stale) in [
            ("kept", json!("none"), json!({"max_age": "1m", "max_bytes": "2KiB"})),
            ("brief", json!("none"), json!({"max_age": "1s"})),
            ("ruled", json!("none"), json!({})),
            ("few", json!("none"), json!({})),
            ("shared", jwt.clone(), json!({})),
            ("mine", jwt, json!({"private": true})),
        ] {
            let path = format!("/{name}/{{rest=**}}");
            let mut route = json!({"name": name, "match": {"path": path}, "service": "bank",
                                   "auth": auth, "fallback": {"stale": stale}});
            if name == "ruled" {
                route["transform"] = json!(["stamp"]);
            }
            if name == "few" {
                route["limits"] = json!(["two"]);
            }
            routes.push(route);
        }
        let gatekeeper = configured(&fake, &configuration);
        Self { fake, gatekeeper }
    }

    /// A request that the service answers with this, in these pieces; all of them, or not.
    fn serve_all(
        &mut self,
        path: &str,
        request: &[(&str, &str)],
        answer: Pairs<'_>,
        pieces: &[&[u8]],
        ends: bool,
    ) {
        let Self { fake, gatekeeper } = self;
        let (mut stream, _) = pass(gatekeeper, fake, path, request).unwrap();
        fake.details.set(fake.details.get().or(UPSTREAM));
        // What the answer says itself comes before what most say.
        let has = answer.iter().chain(&USUAL).copied().collect();
        let mut recorded = Recorded { has, ..Recorded::default() };
        gatekeeper.on_response_headers(&*fake, &mut stream, &mut recorded);
        for (at, piece) in pieces.iter().enumerate() {
            if Gatekeeper::reads_body(&stream) {
                let (read, ends) = (|| piece.to_vec(), ends && at + 1 == pieces.len());
                gatekeeper.on_response_body(&*fake, &mut stream, piece.len(), &read, ends);
            }
        }
        gatekeeper.on_end(&*fake, stream);
        assert_eq!(gatekeeper.answers.copied, 0, "nothing is left over");
    }

    fn serve(&mut self, path: &str, request: &[(&str, &str)], answer: Pairs<'_>) {
        self.serve_all(path, request, answer, &[b"one ", b"", b"answer"], true);
    }

    fn open(&mut self) {
        self.fake.details.set(UPSTREAM);
        open(&mut self.gatekeeper, &self.fake);
    }

    /// What a caller gets while the circuit is open; nothing where it is the refusal.
    fn ask(&mut self, method: &str, path: &str, request: &[(&str, &str)]) -> Got {
        let Self { fake, gatekeeper } = self;
        let mut list = list(path, request);
        list[0].1 = method.as_bytes().to_vec();
        let mut recorded = Recorded::default();
        let asked = gatekeeper.on_request_headers(&*fake, &list, &mut recorded);
        assert_eq!(recorded.reason(), "circuit_open");
        let (answer, mut stream) = match asked {
            Outcome::Answer(answer, stream) => (answer, stream),
            Outcome::Deny(denial, _) => {
                assert_eq!(denial.status, 503);
                return None;
            }
            Outcome::Continue(_) => panic!("it is not open"),
        };
        assert_eq!(answer.status, 200);
        // As Envoy hands it over, with what it writes by the rules that hold now.
        let mut has = vec![(":status", "200"), ("x-set", "now"), ("x-frame-options", "DENY")];
        let types: Vec<&str> = answer.headers.iter().map(|(_, value)| value.as_str()).collect();
        assert!(types.is_empty() || types == ["text/css"], "{types:?}");
        has.push(("content-type", if types.is_empty() { "text/plain" } else { "text/css" }));
        let mut recorded = Recorded { has, ..Recorded::default() };
        gatekeeper.on_response_headers(&*fake, &mut stream, &mut recorded);
        assert!(!Gatekeeper::reads_body(&stream), "it is not kept once more");
        gatekeeper.on_end(&*fake, stream);
        assert_eq!(recorded.removed.is_empty(), !types.is_empty());
        let ours = ["x-correlation-id", "x-response-time"];
        recorded.set.retain(|(name, _)| !ours.contains(&name.as_str()));
        Some((recorded.set, answer.body))
    }

    fn body(&mut self, path: &str, request: &[(&str, &str)]) -> Option<String> {
        self.ask("GET", path, request).map(|(_, body)| String::from_utf8(body).unwrap())
    }
}

#[test]
fn an_open_circuit_gives_out_what_was_kept() {
    let mut story = Story::new();
    story.serve("/kept/a?b=1", &[], &[("etag", "\"1\""), ("x-frame-options", "SAMEORIGIN")]);
    story.fake.later.set(2_500);
    story.open();
    for method in ["GET", "HEAD"] {
        let (headers, body) = story.ask(method, "/kept/a?b=1", &[]).unwrap();
        assert_eq!(body, b"one answer");
        let expected = [
            ("etag", "\"1\""),
            ("age", "2"),
            ("cache-status", "postern; hit; detail=circuit-open"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(headers, expected, "{method}");
    }
    for (method, path) in [("POST", "/kept/a?b=1"), ("GET", "/kept/a"), ("GET", "/stale")] {
        assert_eq!(story.ask(method, path, &[]), None, "{method} {path}");
    }
    let grpc = [("content-type", "application/grpc")];
    assert_eq!(story.ask("GET", "/kept/a?b=1", &grpc), None);
    assert_eq!(
        counted(&mut story.gatekeeper),
        [
            ("circuit_refused_total", 6),
            ("circuit_fallback_total", 2),
            ("circuit_opened_total", 1),
            ("circuit_stale_total", 2),
            ("stale_kept_total", 1),
            ("stale_misses_total", 4),
        ]
    );
}

#[test]
fn only_whole_answers_of_the_service_are_kept() {
    let mut story = Story::new();
    let long = [b'x'; 3_000];
    story.serve("/kept/no-store", &[], &[("cache-control", "no-store")]);
    story.serve("/kept/cookie", &[], &[("set-cookie", "a=1")]);
    story.serve("/kept/credential", &[("authorization", "x")], &[]);
    story.serve_all("/kept/empty", &[], &[], &[b""], true);
    story.serve_all("/kept/long", &[], &[], &[&long], true);
    story.serve_all("/kept/pieces", &[], &[], &[&long[..1_500], &long[..1_500]], true);
    story.serve("/kept/said", &[], &[("content-length", "3000")]);
    story.serve("/kept/short", &[], &[("content-length", "11")]);
    story.serve_all("/kept/broken", &[], &[], &[b"one ", b"answer"], false);
    story.fake.size.set(4);
    story.serve("/kept/body", &[], &[]);
    story.fake.size.set(0);
    story.fake.details.set(Some("fault_filter_abort"));
    story.serve("/kept/other", &[], &[]);
    story.fake.details.set(UPSTREAM);

    let (mut stream, _) = pass(&mut story.gatekeeper, &story.fake, "/kept/trailers", &[]).unwrap();
    let mut recorded = Recorded { has: USUAL.to_vec(), ..Recorded::default() };
    story.gatekeeper.on_response_headers(&story.fake, &mut stream, &mut recorded);
    assert!(Gatekeeper::reads_body(&stream));
    let read = || b"one".to_vec();
    story.gatekeeper.on_response_body(&story.fake, &mut stream, 3, &read, false);
    story.gatekeeper.on_response_trailers(&story.fake, &mut stream, &recorded);
    assert!(!Gatekeeper::reads_body(&stream));
    story.gatekeeper.on_end(&story.fake, stream);

    story.serve("/kept/good", &[], &[("content-length", "10")]);
    story.open();
    let paths = [
        "no-store",
        "cookie",
        "credential",
        "empty",
        "long",
        "pieces",
        "said",
        "short",
        "broken",
        "body",
        "other",
        "trailers",
    ];
    for path in paths {
        assert_eq!(story.body(&format!("/kept/{path}"), &[]), None, "{path}");
    }
    assert_eq!(story.body("/kept/good", &[]).as_deref(), Some("one answer"));
}

#[test]
fn whatever_may_show_who_calls_is_a_credential() {
    let mut story = Story::new();
    let names =
        ["x-api-key", "x-token", "proxy-authorization", "dpop", "sec-websocket-protocol", "cookie"];
    for name in names {
        story.serve(&format!("/kept/{name}"), &[(name, "x")], &[]);
    }
    let certificate = [("x-forwarded-client-cert", "Hash=a")];
    story.serve("/kept/mesh", &certificate, &[]);
    story.open();
    for name in names {
        assert_eq!(story.body(&format!("/kept/{name}"), &[(name, "x")]), None, "{name}");
    }
    assert!(story.body("/kept/mesh", &certificate).is_some());
    assert_eq!(story.body("/kept/mesh", &[("x-forwarded-client-cert", "Hash=b")]), None);
}

#[test]
fn a_piece_that_cannot_be_read_is_missed() {
    let mut story = Story::new();
    let (mut stream, _) = pass(&mut story.gatekeeper, &story.fake, "/kept/a", &[]).unwrap();
    story.fake.details.set(UPSTREAM);
    let mut recorded = Recorded { has: USUAL.to_vec(), ..Recorded::default() };
    story.gatekeeper.on_response_headers(&story.fake, &mut stream, &mut recorded);
    assert!(Gatekeeper::reads_body(&stream));
    let read = || b"on".to_vec();
    story.gatekeeper.on_response_body(&story.fake, &mut stream, 3, &read, false);
    assert!(!Gatekeeper::reads_body(&stream));
    assert_eq!(story.gatekeeper.answers.copied, 0);
    story.gatekeeper.on_end(&story.fake, stream);
}

#[test]
fn an_answer_that_ends_with_its_connection_may_be_cut_off() {
    let mut story = Story::new();
    let (mut stream, _) = pass(&mut story.gatekeeper, &story.fake, "/kept/a", &[]).unwrap();
    story.fake.details.set(UPSTREAM);
    let mut recorded = Recorded { has: USUAL[..2].to_vec(), ..Recorded::default() };
    story.gatekeeper.on_response_headers(&story.fake, &mut stream, &mut recorded);
    assert!(!Gatekeeper::reads_body(&stream));
    story.gatekeeper.on_end(&story.fake, stream);
}

#[test]
fn an_answer_is_that_of_a_service_in_its_place() {
    for (upstream, is_found) in [("h:1", true), ("h:2", false), ("g:1", false)] {
        let mut story = Story::new();
        story.serve("/kept/a", &[], &[]);
        let mut story = Story::at(story.fake, upstream);
        story.open();
        assert_eq!(story.body("/kept/a", &[]).is_some(), is_found, "{upstream}");
    }
}

#[test]
fn a_kept_answer_counts_as_the_services_own() {
    let mut story = Story::new();
    story.serve("/few/a", &[], &[]);
    story.open();
    for _ in 0..3 {
        assert_eq!(story.body("/few/b", &[]), None, "what is refused counts nowhere");
    }
    assert!(story.body("/few/a", &[]).is_some());
    assert_eq!(ask(&mut story.gatekeeper, &story.fake, "/few/a", &[]).0, 429);
}

#[test]
fn what_the_service_has_taken_back_is_given_to_nobody() {
    let mut story = Story::new();
    let alice = format!("Bearer {}", signed("ec", json!({})));
    let bearer = [("authorization", alice.as_str())];
    let (public, secret) = (("cache-control", "public"), ("cache-control", "no-store"));
    let cookie = [("cookie", "a=1")];
    let status = |status| (":status", status);
    // By whom it was kept and taken back, how, and whether it is still given out.
    let all: [(&str, Request<'_>, Pairs<'_>, Header, bool); 9] = [
        ("/kept/missing", &[], &[], status("404"), false),
        ("/kept/gone", &[], &[], status("410"), false),
        ("/kept/closed", &[], &[], status("403"), true),
        ("/kept/failed", &[], &[], status("500"), true),
        ("/kept/secret", &[], &[], secret, false),
        ("/kept/of-one", &cookie, &[public], secret, true),
        ("/mine/closed", &bearer, &[], status("403"), false),
        ("/mine/secret", &bearer, &[], secret, false),
        ("/mine/public", &bearer, &[public], status("401"), true),
    ];
    for (path, request, answer, _, _) in all {
        story.serve(path, request, answer);
    }
    story.serve("/kept/ours", &[], &[]);
    story.fake.later.set(1_000);
    story.fake.details.set(Some("fault_filter_abort"));
    story.serve("/kept/ours", &[], &[status("404")]);
    story.fake.details.set(UPSTREAM);
    for (path, request, _, said, _) in all {
        story.serve_all(path, request, &[said], &[b"other"], true);
    }
    story.open();
    for (path, request, _, _, is_left) in all {
        assert_eq!(story.body(path, request).is_some(), is_left, "{path}");
    }
    assert!(story.body("/kept/ours", &[]).is_some(), "it was not the service who said so");
}

#[test]
fn an_answer_is_kept_no_longer_than_the_document_says() {
    let mut story = Story::new();
    story.serve("/brief/a", &[], &[]);
    story.serve("/kept/a", &[], &[("cache-control", "max-age=1, stale-if-error=0")]);
    story.fake.later.set(900);
    story.open();
    assert!(story.body("/brief/a", &[]).is_some() && story.body("/kept/a", &[]).is_some());
    story.fake.later.set(1_100);
    assert!(story.body("/brief/a", &[]).is_none() && story.body("/kept/a", &[]).is_none());
}

#[test]
fn nobody_gets_what_is_another_callers() {
    let mut story = Story::new();
    let bearer = |claims: Value| format!("Bearer {}", signed("ec", claims));
    let alice = bearer(json!({}));
    let wider = bearer(json!({"scope": "all"}));
    let elsewhere = bearer(json!({"tenant": "t2"}));
    let bob = bearer(json!({"sub": "bob"}));
    let again = bearer(json!({"jti": "another"}));
    for path in ["/mine/quiet", "/shared/quiet"] {
        story.serve(path, &[("authorization", alice.as_str())], &[]);
    }
    for path in ["/mine/public", "/shared/public"] {
        story.serve(path, &[("authorization", alice.as_str())], &[("cache-control", "public")]);
    }
    story.open();
    let mut gets =
        |path: &str, token: &str| story.body(path, &[("authorization", token)]).is_some();
    assert!(gets("/mine/quiet", &alice) && gets("/mine/quiet", &again));
    for other in [&bob, &wider, &elsewhere] {
        assert!(!gets("/mine/quiet", other), "{other}");
        assert!(gets("/mine/public", other) && gets("/shared/public", other), "{other}");
    }
    assert!(!gets("/shared/quiet", &alice), "it was not said to be for everybody");
    // Who may not call the route gets nothing of it.
    for path in ["/mine/quiet", "/shared/public"] {
        let (status, recorded) = ask(&mut story.gatekeeper, &story.fake, path, &[]);
        assert_eq!((status, recorded.reason().as_str()), (401, "credential_missing"), "{path}");
    }
}

#[test]
fn who_is_at_the_other_end_counts() {
    let mut story = Story::new();
    story.fake.peer = Some("spiffe://m/a");
    story.serve("/kept/a", &[], &[]);
    story.open();
    assert!(story.body("/kept/a", &[]).is_some());
    story.fake.peer = Some("spiffe://m/b");
    assert!(story.body("/kept/a", &[]).is_none());
}

#[test]
fn the_rules_that_hold_now_are_kept_to() {
    let mut story = Story::new();
    let answer = [("x-set", "before"), ("x-gone", "secret"), ("x-mine", "alice"), ("x-own", "1")];
    story.serve("/ruled/a", &[], &answer);
    story.open();
    let (headers, _) = story.ask("GET", "/ruled/a", &[]).unwrap();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-own", "age", "cache-status"]);
}

#[test]
fn an_answer_that_was_just_kept_costs_one_read() {
    let mut story = Story::new();
    story.serve("/kept/a", &[], &[]);
    let (asked, calls) = (story.fake.asked.get(), story.fake.values.calls.get());
    story.serve("/kept/a", &[], &[]);
    assert_eq!(story.fake.values.calls.get() - calls, 2, "the circuit's, and one of the list");
    assert_eq!(story.fake.asked.get() - asked, 1, "who is at the other end");
    assert_eq!(counted(&mut story.gatekeeper), [("stale_kept_total", 1)]);
    let (asked, calls) = (story.fake.asked.get(), story.fake.values.calls.get());
    story.serve("/bank", &[], &[]);
    assert_eq!(story.fake.values.calls.get() - calls, 1, "other routes know nothing of it");
    assert_eq!(story.fake.asked.get(), asked);
}

#[test]
fn what_is_on_its_way_is_bounded() {
    let mut story = Story::new();
    let (fake, gatekeeper) = (&story.fake, &mut story.gatekeeper);
    fake.details.set(UPSTREAM);
    let piece = vec![b'x'; 60_000];
    let mut streams = Vec::new();
    for at in 0..150 {
        let path = format!("/ruled/{at}");
        let (mut stream, _) = pass(gatekeeper, fake, &path, &[]).unwrap();
        let mut recorded = Recorded { has: USUAL.to_vec(), ..Recorded::default() };
        gatekeeper.on_response_headers(fake, &mut stream, &mut recorded);
        let read = || piece.clone();
        gatekeeper.on_response_body(fake, &mut stream, piece.len(), &read, false);
        assert!(gatekeeper.answers.copied <= 8 << 20);
        streams.push(stream);
    }
    let held = streams.iter().filter(|stream| Gatekeeper::reads_body(stream)).count();
    assert!((130..=140).contains(&held), "{held}");
    streams.into_iter().for_each(|stream| gatekeeper.on_end(fake, stream));
    assert_eq!(gatekeeper.answers.copied, 0);
}
