//! Where tokens stand, and that they get no further.

use super::*;

/// All places, in this order.
fn everywhere(fake: &Fake) -> Gatekeeper {
    let mut configuration = configuration(fake);
    configuration["document"]["credentials"]["jwt"]["from"] = json!([
        {"header": "authorization"}, {"header": "x-token"}, {"cookie": "access"},
        {"query": "access_token"}, {"websocket_protocol": "bearer"},
    ]);
    configured(fake, &configuration)
}

fn rewritten(recorded: &Recorded) -> Vec<(&str, &str)> {
    let all = recorded.rewritten.iter();
    all.map(|(name, value)| (name.as_str(), core::str::from_utf8(value).unwrap())).collect()
}

#[test]
fn a_token_is_found_in_each_place_and_kept_from_the_upstream() {
    let fake = Fake::default();
    let mut gatekeeper = everywhere(&fake);
    let token = token("");
    let (bearer, cookie) = (format!("Bearer {token}"), format!("a=1; access={token}; b=2"));
    let alone = format!("access={token}");
    let path = format!("/plain?a=1&access_token={token}&b=2");
    let (only, protocol) =
        (format!("/plain?access_token={token}"), format!("chat, bearer, {token}"));
    let offered = format!("bearer, {token}");
    let nothing: &[(&str, &str)] = &[];
    for (path, header, changed, removed) in [
        ("/plain", Some(("authorization", bearer.as_str())), nothing, None),
        ("/plain", Some(("x-token", &token)), nothing, None),
        ("/plain", Some(("x-token", &bearer)), nothing, None),
        ("/plain", Some(("cookie", &cookie)), &[("cookie", "a=1; b=2")], None),
        ("/plain", Some(("cookie", &alone)), nothing, Some("cookie")),
        (&path, None, &[(":path", "/plain?a=1&b=2")], None),
        (&only, None, &[(":path", "/plain")], None),
        (
            "/plain",
            Some(("sec-websocket-protocol", &protocol)),
            &[("sec-websocket-protocol", "chat")],
            None,
        ),
        (
            "/plain",
            Some(("sec-websocket-protocol", &offered)),
            nothing,
            Some("sec-websocket-protocol"),
        ),
    ] {
        let headers: Vec<_> = header.into_iter().collect();
        let (status, recorded) = ask(&mut gatekeeper, &fake, path, &headers);
        assert_eq!((status, recorded.reason()), (200, String::new()), "{header:?}");
        assert!(recorded.set.contains(&("x-postern-subject".to_owned(), "alice".to_owned())));
        assert_eq!(rewritten(&recorded), changed, "{header:?}");
        assert_eq!(recorded.removed, removed.map(str::to_owned).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn the_first_place_that_holds_a_token_decides() {
    let fake = Fake::default();
    let mut gatekeeper = everywhere(&fake);
    let token = token("");
    let good = format!("/plain?access_token={token}");
    let twice = format!("{good}&access_token={token}");
    let escaped = good.replace('.', "%2e");
    let unusable = (401, "token_unusable".to_owned());
    for (path, headers, expected) in [
        (&good, &[("authorization", "Basic x")][..], unusable.clone()),
        (&good, &[("authorization", "DPoP x")], unusable.clone()),
        (&good, &[("x-token", "")], unusable.clone()),
        (&good, &[("x-token", "a"), ("x-token", "b")], unusable.clone()),
        (&good, &[("cookie", "access=a; access=b")], unusable.clone()),
        (&good, &[("cookie", "access=a"), ("cookie", "access=b")], unusable.clone()),
        (&good, &[("cookie", "access=nonsense")], (401, "token_form".to_owned())),
        (&good, &[("cookie", "other=nonsense")], (200, String::new())),
        (&good, &[("sec-websocket-protocol", "bearer, nonsense")], (200, String::new())),
        (&twice, &[], unusable.clone()),
        (&escaped, &[], unusable),
    ] {
        let (status, recorded) = ask(&mut gatekeeper, &fake, path, headers);
        assert_eq!((status, recorded.reason()), expected, "{headers:?}");
        // Also where it is refused: our own log shows the path.
        assert!(recorded.rewritten.contains(&(":path".to_owned(), b"/plain".to_vec())));
    }
}

#[test]
fn no_place_of_the_document_reaches_the_upstream_whichever_decides() {
    let fake = Fake::default();
    let mut gatekeeper = everywhere(&fake);
    let bearer = format!("Bearer {}", token(""));
    let headers = [
        ("authorization", bearer.as_str()),
        ("cookie", "access=a; access=b"),
        ("cookie", "c=3"),
        ("sec-websocket-protocol", "bearer"),
        ("sec-websocket-protocol", "secret"),
        ("x-token", "secret"),
    ];
    let path = "/plain?access_token=a&%61ccess_token=b&c=3";
    let (status, recorded) = ask(&mut gatekeeper, &fake, path, &headers);
    assert_eq!(status, 200);
    assert_eq!(rewritten(&recorded), [(":path", "/plain?c=3"), ("cookie", "c=3")]);
    assert_eq!(recorded.removed, ["x-token", "sec-websocket-protocol"]);
    // What a route that takes no tokens is sent is its own.
    let (status, recorded) = ask(&mut gatekeeper, &fake, "/open?access_token=a", &headers);
    assert_eq!((status, rewritten(&recorded)), (200, Vec::new()));
    assert!(recorded.removed.is_empty());
}

#[test]
fn a_request_without_tokens_in_odd_places_is_left_as_it_is() {
    let fake = Fake::default();
    let mut gatekeeper = everywhere(&fake);
    let bearer = format!("Bearer {}", token(""));
    let list: HeaderList = [
        (":method", &b"GET"[..]),
        (":path", b"/plain?a=%ff&&b"),
        ("authorization", bearer.as_bytes()),
        ("cookie", b"a=\xff;;b"),
        ("cookie", b"\xfe"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_vec()))
    .to_vec();
    let mut recorded = Recorded::default();
    let outcome = gatekeeper.on_request_headers(&fake, &list, &mut recorded);
    assert!(matches!(outcome, Outcome::Continue(_)), "{outcome:?}");
    assert!(recorded.rewritten.is_empty() && recorded.removed.is_empty(), "{recorded:?}");
}

#[test]
fn by_default_only_authorization_is_looked_at() {
    let fake = Fake::default();
    let mut gatekeeper = gatekeeper(&fake);
    let token = token("");
    let (cookie, offered) = (format!("access={token}"), format!("bearer, {token}"));
    let path = format!("/plain?access_token={token}");
    let headers =
        [("cookie", cookie.as_str()), ("x-token", &token), ("sec-websocket-protocol", &offered)];
    let (status, recorded) = ask(&mut gatekeeper, &fake, &path, &headers);
    assert_eq!((status, recorded.reason()), (401, "credential_missing".to_owned()));
    assert!(recorded.rewritten.is_empty() && recorded.removed.is_empty());
}
