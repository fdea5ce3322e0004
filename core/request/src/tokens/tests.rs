use super::*;

type Headers = Vec<(String, Vec<u8>)>;

fn headers_of(sent: &[(&str, &str)]) -> Headers {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    sent.iter().map(owned).collect()
}

fn found(places: &[TokenPlace], target: &str, sent: &[(&str, &str)], takes_dpop: bool) -> String {
    let headers = headers_of(sent);
    match find(places, &WholeRequest { target, headers: &headers }, takes_dpop) {
        Ok(None) => "nothing".to_owned(),
        Ok(Some(ShownToken { text, with_proof })) => {
            let scheme = if with_proof { "dpop " } else { "" };
            format!("{scheme}{}", String::from_utf8_lossy(&text))
        }
        Err(denial) => denial.reason.to_owned(),
    }
}

/// What is left where something is taken out, by header; nothing is written as `-`.
fn stripped(places: &[TokenPlace], target: &str, sent: &[(&str, &str)]) -> Vec<String> {
    let headers = headers_of(sent);
    let mut changes = Vec::new();
    strip(places, &WholeRequest { target, headers: &headers }, &mut |name, left| {
        let left = left.map_or(Cow::Borrowed("-"), String::from_utf8_lossy);
        changes.push(format!("{name}: {left}"));
    });
    changes
}

fn everywhere() -> [TokenPlace; 5] {
    [
        TokenPlace::Header("x-token".to_owned()),
        TokenPlace::Authorization,
        TokenPlace::Cookie("at".to_owned()),
        TokenPlace::Query("at".to_owned()),
        TokenPlace::WebSocketProtocol("bearer".to_owned()),
    ]
}

#[test]
fn the_first_place_that_holds_something_decides() {
    let all = everywhere();
    let header = ("x-token", "a");
    let authorization = ("authorization", "Bearer b");
    let cookie = ("cookie", "x=1; at=c");
    let protocol = ("sec-websocket-protocol", "bearer, e");
    type Case<'c> = (&'c str, &'c str, &'c [(&'c str, &'c str)]);
    let cases: &[Case<'_>] = &[
        ("a", "/?at=d", &[protocol, cookie, authorization, header]),
        ("b", "/?at=d", &[protocol, cookie, authorization]),
        ("c", "/?at=d", &[protocol, cookie]),
        ("d", "/?at=d", &[protocol]),
        ("e", "/?x=d", &[protocol]),
        ("nothing", "/", &[("cookie", "x=1"), ("sec-websocket-protocol", "chat")]),
        ("dpop b", "/", &[("authorization", "DPoP b")]),
        ("token_unusable", "/", &[("authorization", "Basic b"), cookie]),
        ("token_unusable", "/", &[header, ("x-token", "a"), authorization]),
        ("token_unusable", "/?at=d", &[("cookie", "at=c; at=c")]),
        ("token_unusable", "/?at=d&at=d", &[protocol]),
        ("token_unusable", "/?at=%64", &[protocol]),
    ];
    for (expected, target, headers) in cases {
        assert_eq!(found(&all, target, headers, true), *expected, "{target} {headers:?}");
    }
    let only = &all[1..2];
    assert_eq!(found(only, "/?at=d", &[header, cookie, protocol], true), "nothing");
}

#[test]
fn a_scheme_that_is_not_taken_is_refused_and_not_passed_over() {
    let all = everywhere();
    let cookie = ("cookie", "at=c");
    for (expected, headers) in [
        ("token_unusable", [("authorization", "DPoP b"), cookie]),
        ("token_unusable", [("x-token", "DPoP b"), cookie]),
        ("b", [("authorization", "Bearer b"), cookie]),
    ] {
        assert_eq!(found(&all, "/", &headers, false), expected, "{headers:?}");
    }
}

#[test]
fn headers_that_may_come_in_parts_are_read_whole() {
    let cookie = [TokenPlace::Cookie("at".to_owned())];
    let parts = [("cookie", "x=1"), ("cookie", "at=c"), ("cookie", "y=2")];
    assert_eq!(found(&cookie, "/", &parts, false), "c");
    let twice = [("cookie", "at=c"), ("cookie", "at=d")];
    assert_eq!(found(&cookie, "/", &twice, false), "token_unusable");
    let protocol = [TokenPlace::WebSocketProtocol("bearer".to_owned())];
    let parts = [("sec-websocket-protocol", "bearer"), ("sec-websocket-protocol", "e, chat")];
    assert_eq!(found(&protocol, "/", &parts, false), "e");
}

#[test]
fn no_place_is_left_but_the_header_that_decided() {
    let all = everywhere();
    let headers = [
        ("authorization", "Bearer b"),
        ("cookie", "at=a; at=b"),
        ("cookie", "c=3"),
        ("sec-websocket-protocol", "bearer"),
        ("sec-websocket-protocol", "secret"),
    ];
    let target = "/?at=a&%61t=b&c=3";
    let rest = [":path: /?c=3", "cookie: c=3", "sec-websocket-protocol: -"];
    assert_eq!(stripped(&all, target, &headers), rest, "the header decides");

    let header = [("x-token", "Basic a"), ("authorization", "Bearer b")];
    assert_eq!(stripped(&all, "/", &header), ["authorization: -"], "also where it is no token");
    let cookie_first = [TokenPlace::Cookie("at".to_owned()), TokenPlace::Authorization];
    let both = [("cookie", "at=a"), ("authorization", "Bearer b")];
    assert_eq!(stripped(&cookie_first, "/", &both), ["authorization: -", "cookie: -"]);
}

#[test]
fn what_holds_no_token_is_left_as_it_came() {
    let all = everywhere();
    let headers = [
        ("authorization", "Bearer b"),
        ("cookie", "a=1;;b"),
        ("cookie", "c"),
        ("sec-websocket-protocol", "chat"),
    ];
    assert!(stripped(&all, "/?a=%ff&&b", &headers).is_empty());
}

#[test]
fn headers_of_tokens_stay_where_they_are_the_only_place() {
    for (places, expected) in [
        (&everywhere()[..], true),
        (&everywhere()[..1], false),
        (&everywhere()[1..2], false),
        (&everywhere()[..2], true),
        (&everywhere()[2..3], true),
        (&[], false),
    ] {
        assert_eq!(are_stripped(places), expected, "{places:?}");
    }
}
