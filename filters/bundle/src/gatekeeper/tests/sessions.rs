//! Sessions are the server's to judge: what the evidence says counts, the cookie gets no further.

use super::*;

type Headers<'a> = &'a [(&'a str, &'a str)];

const COOKIE: &str = "__Host-postern=id.secret";

/// Routes for sessions and second factors, of a suite at another issuer than the tokens'.
fn with_sessions(fake: &Fake) -> Gatekeeper {
    let mut configuration = configuration(fake);
    let document = &mut configuration["document"];
    document["issuer"] = json!("https://gate.test");
    let credentials = &mut document["credentials"];
    credentials["session"] = json!({"cookie": "__Host-postern"});
    credentials["jwt"]["advertise"] = json!(true);
    credentials["jwt"]["from"] = json!([{"header": "authorization"}, {"cookie": "access"}]);
    let Value::Array(routes) = &mut document["routes"] else { panic!() };
    routes.extend([
        json!({"name": "page", "match": {"path": "/page"}, "service": "s",
               "auth": {"any": ["jwt", "session"]}}),
        json!({"name": "safe", "match": {"path": "/safe"}, "service": "s",
               "auth": {"any": ["jwt", "session"], "mfa": "within 15m"}}),
        json!({"name": "tried", "match": {"path": "/tried"}, "service": "s",
               "auth": {"any": ["jwt"], "mfa": "required"}, "enforce": "shadow"}),
        json!({"name": "own", "match": {"path": "/own"}, "service": "postern", "auth": "none"}),
    ]);
    configured(fake, &configuration)
}

fn evidence(route: &str, stepped_up: bool) -> Evidence {
    Evidence {
        route: route.to_owned(),
        document: "d1".to_owned(),
        principal: Some(Principal {
            subject: "alice".to_owned(),
            session: Some("id".to_owned()),
            credential: Credential::Session,
            ..Principal::default()
        }),
        limit: None,
        shown_certificate: None,
        shown_key: None,
        stepped_up,
    }
}

#[test]
fn the_evidence_says_whose_session_it_is() {
    let fake = Fake { evidence: Some(evidence("page", false)), ..Fake::default() };
    let mut gatekeeper = with_sessions(&fake);
    let (status, recorded) = ask(&mut gatekeeper, &fake, "/page", &[("cookie", COOKIE)]);
    assert_eq!(status, 200, "{}", recorded.reason());
    for header in [("x-postern-subject", "alice"), ("x-postern-session", "id")] {
        let (name, value) = header;
        assert!(recorded.set.contains(&(name.to_owned(), value.to_owned())), "{name}");
    }
    assert_eq!(recorded.removed, ["cookie"], "nobody behind gets it");
    // Without evidence the cookie alone says nothing.
    let alone = Fake::default();
    let (status, recorded) = ask(&mut gatekeeper, &alone, "/page", &[("cookie", COOKIE)]);
    assert_eq!((status, recorded.reason().as_str()), (503, "evidence_missing"));
}

#[test]
fn a_second_factor_is_the_servers_to_have_seen() {
    let bearer = format!("Bearer {}", token(""));
    for (found, expected) in [
        (Some(evidence("safe", true)), 200),
        (Some(evidence("safe", false)), 503),
        (Some(evidence("page", true)), 503),
        (None, 503),
    ] {
        let fake = Fake { evidence: found.clone(), ..Fake::default() };
        let mut gatekeeper = with_sessions(&fake);
        let headers: [&[(&str, &str)]; 2] =
            [&[("cookie", COOKIE)], &[("authorization", bearer.as_str())]];
        for headers in headers {
            let (status, recorded) = ask(&mut gatekeeper, &fake, "/safe", headers);
            assert_eq!(status, expected, "{found:?}");
            if status == 503 {
                assert_eq!(recorded.reason(), "evidence_missing");
            }
        }
    }
}

#[test]
fn in_shadow_who_lacks_a_second_factor_passes_as_nobody() {
    let fake = Fake { evidence: Some(evidence("tried", false)), ..Fake::default() };
    let mut gatekeeper = with_sessions(&fake);
    let bearer = format!("Bearer {}", token(""));
    let (status, recorded) =
        ask(&mut gatekeeper, &fake, "/tried", &[("authorization", bearer.as_str())]);
    assert_eq!(status, 200);
    assert!(recorded.set.iter().all(|(name, _)| name != "x-postern-subject"));
}

#[test]
fn the_cookie_of_a_session_gets_to_no_other_service() {
    let fake = Fake::default();
    let mut gatekeeper = with_sessions(&fake);
    let token = token("");
    let both = format!("access={token}; {COOKIE}; b=2");
    let beside = format!("a=1; {COOKIE}; b=2");
    let apart = [("cookie", "a=1"), ("cookie", COOKIE), ("cookie", "b=2")];
    let pages = "__Host-postern-login=a; c=3; __Host-postern-device=b; postern-device=c";
    let table: [(&str, Headers<'_>, Option<&str>); 8] = [
        ("/open", &[("cookie", &beside)], Some("a=1; b=2")),
        ("/open", &apart, Some("a=1; b=2")),
        // A token stays where the route takes none, and goes where it does.
        ("/plain", &[("cookie", &both)], Some("b=2")),
        ("/own", &[("cookie", &beside)], None),
        // Neither do those of the log-in pages, by their whole names.
        ("/open", &[("cookie", pages), ("cookie", COOKIE)], Some("c=3; postern-device=c")),
        ("/own", &[("cookie", pages)], None),
        ("/open", &[("cookie", "a=1; postern=x")], None),
        // Of several nobody chose one: none is left.
        ("/open", &[("cookie", "__Host-postern=a; b=1; __Host-postern=c")], Some("b=1")),
    ];
    for (path, headers, expected) in table {
        let (status, recorded) = ask(&mut gatekeeper, &fake, path, headers);
        assert_eq!(status, 200, "{path}: {}", recorded.reason());
        let cookie = recorded.rewritten.iter().find(|(name, _)| name == "cookie");
        let cookie = cookie.map(|(_, value)| core::str::from_utf8(value).unwrap());
        assert_eq!(cookie, expected, "{path} {headers:?}");
    }
    let (_, recorded) = ask(&mut gatekeeper, &fake, "/open", &[("cookie", &both)]);
    let cookie = recorded.rewritten.iter().find(|(name, _)| name == "cookie").unwrap();
    assert_eq!(cookie.1, format!("access={token}; b=2").into_bytes());
}

#[test]
fn the_pages_cookies_get_to_no_other_service_where_no_route_takes_a_session() {
    let fake = Fake::default();
    for (issuer, sent, expected) in [
        ("https://gate.test", "__Host-postern=a; b=2; __Host-postern-login=c", "b=2"),
        ("https://gate.test", "__Secure-postern=a; b=2; postern=c", "b=2; postern=c"),
        ("http://localhost:8080", "postern=a; b=2; postern-login=c; postern-device=d", "b=2"),
    ] {
        let mut configuration = configuration(&fake);
        configuration["document"]["issuer"] = json!(issuer);
        let mut gatekeeper = configured(&fake, &configuration);
        let (status, recorded) = ask(&mut gatekeeper, &fake, "/open", &[("cookie", sent)]);
        assert_eq!(status, 200, "{sent}");
        let left = [("cookie".to_owned(), expected.as_bytes().to_vec())];
        assert_eq!(recorded.rewritten, left, "{sent}");
        let (_, recorded) = ask(&mut gatekeeper, &fake, "/open", &[("cookie", "b=2; c")]);
        assert!(recorded.rewritten.is_empty(), "{:?}", recorded.rewritten);
    }
}

#[test]
fn refusals_name_the_authorization_server_where_the_document_says_so() {
    let fake = Fake::default();
    for (mut gatekeeper, expected) in [(with_sessions(&fake), true), (gatekeeper(&fake), false)] {
        let list: HeaderList = [(":method", "GET"), (":path", "/plain"), (":authority", "h")]
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
            .to_vec();
        let asked = gatekeeper.on_request_headers(&fake, &list, &mut Recorded::default());
        let Outcome::Deny(denial, _) = asked else { panic!("{asked:?}") };
        let challenge = denial.headers.iter().find(|(name, _)| *name == "www-authenticate");
        let url = "resource_metadata=\"https://gate.test/.well-known/oauth-protected-resource\"";
        assert_eq!(challenge.unwrap().1.contains(url), expected);
    }
}
