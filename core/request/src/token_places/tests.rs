use proptest::prelude::*;

use super::*;

#[test]
fn a_cookie_is_found_by_its_exact_name() {
    for (header, expected) in [
        ("token=abc", Find::One(&b"abc"[..])),
        ("a=1; token=abc; b=2", Find::One(b"abc")),
        ("a=1;token=abc;b=2", Find::One(b"abc")),
        (" token = abc ;b", Find::One(b"abc")),
        ("token=\"abc\"", Find::One(b"abc")),
        ("token=a=b", Find::One(b"a=b")),
        ("", Find::Absent),
        ("a=token", Find::Absent),
        ("Token=abc", Find::Absent),
        ("xtoken=abc; token2=abc", Find::Absent),
        ("token", Find::Unusable),
        ("token=", Find::Unusable),
        ("token=\"\"", Find::Unusable),
        ("token=\"", Find::Unusable),
        ("token=\"abc", Find::Unusable),
        ("token=a\"bc", Find::Unusable),
        ("token=a b", Find::Unusable),
        ("token=a,b", Find::Unusable),
        ("token=a\\b", Find::Unusable),
        ("token=é", Find::Unusable),
        ("token=a; token=a", Find::Repeated),
        ("token=a; token", Find::Repeated),
        ("token=; token=a", Find::Repeated),
        // One for who reads quotes over semicolons, two for who does not.
        ("x=\"a; token=b\"; token=c", Find::Repeated),
    ] {
        assert_eq!(from_cookie(header.as_bytes(), "token"), expected, "{header}");
    }
}

#[test]
fn the_other_cookies_stay_as_they_are() {
    for (header, expected) in [
        ("a=1; token=abc; b=2", "a=1; b=2"),
        ("token=abc; a=1;  b=\"2\"", "a=1;  b=\"2\""),
        ("a=1; token=abc", "a=1"),
        ("token=abc", ""),
        ("token; token=\"a;b=1", "b=1"),
        (" a = 1;token2=x", " a = 1;token2=x"),
        ("", ""),
    ] {
        let left = without_cookies(header.as_bytes(), |name| name == b"token");
        let left = left.unwrap_or_else(|| header.as_bytes().to_vec());
        assert_eq!(String::from_utf8_lossy(&left), expected, "{header}");
    }
}

#[test]
fn several_cookies_go_in_one_pass_and_a_header_without_them_is_not_written_anew() {
    let is_it = |name: &[u8]| name == b"a" || name == b"b";
    for (header, expected) in [
        ("a=1; b=2; c=3; a", Some("c=3")),
        ("c=3;b=\"; a=1", Some("c=3")),
        ("a=1; b=2", Some("")),
        ("c=a; d=b;;", None),
        ("", None),
    ] {
        let left = without_cookies(header.as_bytes(), is_it);
        assert_eq!(left.as_deref(), expected.map(str::as_bytes), "{header}");
    }
}

#[test]
fn a_query_parameter_is_found_in_one_spelling_only() {
    for (target, expected) in [
        ("/a?token=a.b-c_d~1", Find::One(&b"a.b-c_d~1"[..])),
        ("/a?x=1&token=abc&y=2", Find::One(b"abc")),
        ("/a?token=abc#part", Find::One(b"abc")),
        ("/a", Find::Absent),
        ("/a?", Find::Absent),
        ("/token=abc", Find::Absent),
        ("/a#?token=abc", Find::Absent),
        ("/a?x=token&Token=abc&token2=abc", Find::Absent),
        ("/a?%zztoken=abc", Find::Absent),
        ("/a?token", Find::Unusable),
        ("/a?token=", Find::Unusable),
        ("/a?token=a%2Eb", Find::Unusable),
        ("/a?token=a+b", Find::Unusable),
        ("/a?token=a=b", Find::Unusable),
        ("/a?token=a?b", Find::Unusable),
        ("/a?%74oken=abc", Find::Unusable),
        ("/a?tok%65n=abc", Find::Unusable),
        ("/a?token=abc&token=abc", Find::Repeated),
        ("/a?token=abc&%74oken=def", Find::Repeated),
        ("/a?token&token", Find::Repeated),
    ] {
        assert_eq!(from_query(target, "token"), expected, "{target}");
    }
}

#[test]
fn the_rest_of_the_query_stays_as_it_is() {
    for (target, expected) in [
        ("/a?x=1&token=abc&y=%2F", "/a?x=1&y=%2F"),
        ("/a?token=abc&x=1", "/a?x=1"),
        ("/a?token=abc", "/a"),
        ("/a?token=abc&tok%65n=d#part", "/a#part"),
        ("/a?x&&token", "/a?x&"),
        ("/a?", "/a?"),
        ("/a", "/a"),
        ("/a#?token=abc", "/a#?token=abc"),
    ] {
        assert_eq!(without_query(target, "token"), expected, "{target}");
    }
}

#[test]
fn a_subprotocol_marks_the_token_behind_it() {
    for (header, expected) in [
        ("bearer, abc", Find::One(&b"abc"[..])),
        ("bearer,abc", Find::One(b"abc")),
        ("chat, bearer ,\ta.b-c_d , other", Find::One(b"a.b-c_d")),
        ("", Find::Absent),
        ("chat, abc", Find::Absent),
        ("Bearer, abc", Find::Absent),
        ("bearerx, abc", Find::Absent),
        ("bearer", Find::Unusable),
        ("chat, bearer", Find::Unusable),
        ("bearer,", Find::Unusable),
        ("bearer,, abc", Find::Unusable),
        ("bearer, a b", Find::Unusable),
        ("bearer, a=b", Find::Unusable),
        ("bearer, a, bearer, b", Find::Repeated),
        ("bearer, bearer", Find::Repeated),
        ("bearer, bearer, abc", Find::Repeated),
    ] {
        assert_eq!(from_websocket_protocol(header.as_bytes(), "bearer"), expected, "{header}");
    }
}

#[test]
fn the_other_subprotocols_stay_as_they_are() {
    for (header, expected) in [
        ("bearer, abc", ""),
        ("bearer, abc, chat", "chat"),
        ("chat, bearer, abc", "chat"),
        ("chat,  bearer, abc,v2 , v1", "chat,v2 , v1"),
        ("chat, bearer", "chat"),
        ("bearer, bearer, abc, chat", "chat"),
        ("bearer, a, chat, bearer, b", "chat"),
        ("chat, v2", "chat, v2"),
    ] {
        let left = without_websocket_protocol(header.as_bytes(), "bearer");
        assert_eq!(String::from_utf8_lossy(&left), expected, "{header}");
    }
}

#[test]
fn what_is_found_is_presented() {
    for (found, expected) in [
        (Find::Absent, Presented::Nothing),
        (Find::One(b"abc"), Presented::Bearer(b"abc")),
        (Find::Repeated, Presented::Unusable),
        (Find::Unusable, Presented::Unusable),
    ] {
        assert_eq!(Presented::from(found), expected);
    }
}

/// The pieces of a list, without the space around them, but for those of the name.
fn others(list: &[u8], separator: u8, is_it: impl Fn(&[u8]) -> bool) -> Vec<&[u8]> {
    let pieces = list.split(|b| *b == separator).map(<[u8]>::trim_ascii);
    // A list of nothing is one empty piece to `split`.
    pieces.filter(|piece| !piece.is_empty() && !is_it(piece)).collect()
}

proptest! {
    /// Clearing leaves nothing to find, and every other cookie in its order.
    #[test]
    fn a_cleared_cookie_is_gone(header in "([abt]{0,2}[=\" ]{0,2}[abt;]{0,3}; ?){0,6}") {
        let left = without_cookies(header.as_bytes(), |name| name == b"t");
        prop_assert_eq!(left.is_none(), from_cookie(header.as_bytes(), "t") == Find::Absent);
        let left = left.unwrap_or_else(|| header.as_bytes().to_vec());
        prop_assert_eq!(from_cookie(&left, "t"), Find::Absent);
        let is_it = |pair: &[u8]| cookie(pair).0 == b"t";
        prop_assert_eq!(
            others(&left, b';', |_| false),
            others(header.as_bytes(), b';', is_it)
        );
    }

    /// The same for the query; what is in front of it and behind it stays.
    #[test]
    fn a_cleared_parameter_is_gone(
        query in "(([ab]{1,2}|t|%74|%7|%)(=[ab%]{0,3})?&?){0,6}",
        fragment in "(#t=1)?",
    ) {
        let target = format!("/t=1?{query}{fragment}");
        let left = without_query(&target, "t");
        prop_assert_eq!(from_query(&left, "t"), Find::Absent);
        prop_assert!(left.starts_with("/t=1") && left.ends_with(&fragment));
        if from_query(&target, "t") == Find::Absent {
            prop_assert_eq!(left, target);
        }
    }

    /// The same for subprotocols, and no token stays behind without its marker.
    #[test]
    fn a_cleared_subprotocol_is_gone(header in "((m|t|a|), ?){0,4}(m|t|a|)") {
        let left = without_websocket_protocol(header.as_bytes(), "m");
        prop_assert_eq!(from_websocket_protocol(&left, "m"), Find::Absent);
        let found = from_websocket_protocol(header.as_bytes(), "m");
        if found == Find::Absent {
            prop_assert_eq!(left, header.into_bytes());
        } else if header.matches('t').count() == 1 && found == Find::One(b"t") {
            prop_assert!(!left.contains(&b't'));
        }
    }

    /// What is found is a part of what was sent, and never what cannot be a token.
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let text = String::from_utf8_lossy(&bytes);
        for found in [
            from_cookie(&bytes, "t"),
            from_query(&text, "t"),
            from_websocket_protocol(&bytes, "t"),
        ] {
            if let Find::One(token) = found {
                prop_assert!(!token.is_empty() && token.iter().all(u8::is_ascii_graphic));
            }
        }
        let is_it = |name: &[u8]| name == b"t";
        let _ = (without_cookies(&bytes, is_it), without_query(&text, "t"));
        let _ = without_websocket_protocol(&bytes, "t");
    }
}
