//! What may be kept, rule by rule, and what shared data may hold.

use postern_request::UnixMillis;
use proptest::prelude::*;

use super::*;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const PLACE: [&[u8]; 2] = [b"route", b"/page"];
const TYPE: (&str, &str) = ("content-type", "text/plain");

fn list(headers: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    headers.iter().map(owned).collect()
}

fn asking(headers: &[(&str, &str)]) -> Asking {
    Asking::read("GET", &PLACE, &list(headers), false).unwrap()
}

/// An answer with status 200 to this request.
fn judged(asking: &Asking, private: bool, headers: &[(&str, &str)]) -> Option<Judged> {
    let all: Vec<_> = [(":status", "200"), TYPE].iter().chain(headers).copied().collect();
    asking.judge(private, &list(&all))
}

/// Of a request without anything that an answer hangs on.
fn plain(headers: &[(&str, &str)]) -> Option<Judged> {
    judged(&asking(&[]), false, headers)
}

fn said(cache_control: &str) -> Option<Judged> {
    plain(&[("cache-control", cache_control)])
}

#[test]
fn only_whole_good_answers_are_kept() {
    assert!(plain(&[]).is_some());
    for status in ["201", "203", "204", "206", "301", "304", "404", "500", "", "2000"] {
        assert_eq!(asking(&[]).judge(true, &list(&[(":status", status)])), None, "{status}");
    }
    assert_eq!(asking(&[]).judge(true, &list(&[TYPE])), None, "none at all");
    for header in [("content-range", "bytes 0-1/2"), ("trailer", "x-sum"), ("content-length", "?")]
    {
        assert_eq!(plain(&[header]), None, "{header:?}");
    }
    for endless in
        ["application/grpc", "Application/GRPC+proto", "application/grpc-web", "text/event-stream"]
    {
        let answer = [(":status", "200"), ("content-type", endless)];
        assert_eq!(asking(&[]).judge(true, &list(&answer)), None, "{endless}");
    }
    assert!(!plain(&[]).unwrap().is_framed);
    for framed in [("content-length", "1"), ("transfer-encoding", "chunked")] {
        assert!(plain(&[framed]).unwrap().is_framed, "{framed:?}");
    }
    let odd = vec![(":status".to_owned(), b"200".to_vec()), ("x-odd".to_owned(), b"\xff".to_vec())];
    assert_eq!(asking(&[]).judge(true, &odd), None);
}

#[test]
fn answers_to_get_are_kept_and_answer_head_too() {
    let get = asking(&[]);
    let head = Asking::read("HEAD", &PLACE, &[], false).unwrap();
    assert_eq!((get.key(), get.may_keep()), (head.key(), true));
    assert!(!head.may_keep() && judged(&head, true, &[]).is_none());
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", ""] {
        assert_eq!(Asking::read(method, &PLACE, &[], false), None, "{method}");
    }
}

#[test]
fn what_forbids_to_be_kept_is_not_kept() {
    for forbids in [
        "no-store",
        "public, NO-STORE",
        "max-age=60,no-store",
        "private=\"x, y\", no-store",
        // Whatever is hidden behind a quotation without end.
        "private=\"x, no-store",
    ] {
        let answer = [("cache-control", forbids)];
        assert_eq!(judged(&asking(&[]), true, &answer), None, "{forbids}");
    }
    assert_eq!(plain(&[("cache-control", "public"), ("cache-control", "no-store")]), None);
    assert!(said("public, x=\"a, no-store\"").is_some(), "that is a value");
    let asked = asking(&[("cache-control", "no-store")]);
    assert!(!asked.may_keep() && judged(&asked, true, &[]).is_none());
    assert!(asking(&[("cache-control", "no-cache, max-age=0")]).may_keep());
}

#[test]
fn what_must_be_asked_for_again_is_not_kept() {
    for asks in ["no-cache", "no-cache=\"x\"", "must-revalidate", "max-age=9, Proxy-Revalidate"] {
        let answer = [("cache-control", asks)];
        assert_eq!(judged(&asking(&[]), true, &answer), None, "{asks}");
    }
}

#[test]
fn an_answer_that_sets_a_cookie_is_not_kept() {
    let answer = [("set-cookie", "a=1"), ("cache-control", "public")];
    assert_eq!(judged(&asking(&[]), true, &answer), None);
}

#[test]
fn an_answer_to_a_credential_is_shared_only_where_it_says_so() {
    let bearer = asking(&[("authorization", "Bearer x")]);
    let cookie = asking(&[("cookie", "a=1")]);
    let guarded = Asking::read("GET", &PLACE, &[], true).unwrap();
    for asking in [&bearer, &cookie, &guarded] {
        let whose = |private, said| {
            judged(asking, private, &[("cache-control", said)]).map(|judged| judged.whose)
        };
        for quiet in ["", "max-age=60", "private", "public, private", "s-maxage=9, private"] {
            assert_eq!(whose(false, quiet), None, "{quiet}");
            assert_eq!(whose(true, quiet), Some(Whose::Caller), "{quiet}");
        }
        for shared in ["public", "s-maxage=60", "Public, max-age=1"] {
            assert_eq!(whose(true, shared), Some(Whose::Everybody), "{shared}");
        }
    }
    assert_eq!(said("private").map(|judged| judged.whose), None);
    assert_eq!(said("max-age=1").unwrap().whose, Whose::Everybody);
}

#[test]
fn what_an_answer_hangs_on_is_in_the_key() {
    for fits in ["accept", "Accept-Encoding, accept-language", "x-forwarded-proto", "Origin", ""] {
        assert!(plain(&[("vary", fits)]).is_some(), "{fits}");
    }
    for beyond in ["*", "accept, user-agent", "cookie", "x-forwarded-for"] {
        assert_eq!(plain(&[("vary", beyond)]), None, "{beyond}");
    }
    assert_eq!(plain(&[("vary", "accept"), ("vary", "dpop")]), None);
    let others = [
        asking(&[]),
        asking(&[("accept", "text/html")]),
        asking(&[("accept", "text/plain")]),
        asking(&[("accept-language", "text/plain")]),
        asking(&[("x-forwarded-host", "evil.test")]),
        asking(&[("x-original-url", "/admin")]),
        asking(&[("x-forwarded-client-cert", "Hash=a")]),
        asking(&[("x-forwarded", "a")]),
        asking(&[("x-scheme", "a")]),
        asking(&[("x-url-scheme", "a")]),
        asking(&[("x-http-host-override", "a")]),
        asking(&[("origin", "https://a.test")]),
        asking(&[("origin", "https://b.test")]),
        asking(&[("accept", ""), ("accept", "")]),
        Asking::read("GET", &[b"rout", b"e/page"], &[], false).unwrap(),
    ];
    for (at, one) in others.iter().enumerate() {
        assert!(others.iter().skip(at + 1).all(|other| one.key() != other.key()), "{at}");
    }
    let same = asking(&[("user-agent", "x"), ("x-forwarded-for", "192.0.2.1"), ("cookie", "a")]);
    assert_eq!(same.key(), asking(&[]).key());
}

#[test]
fn what_has_a_body_or_a_key_too_long_is_not_kept() {
    assert!(asking(&[("content-length", "0")]).may_keep());
    assert!(!asking(&[("content-length", "1")]).may_keep());
    assert!(!asking(&[("transfer-encoding", "chunked")]).may_keep());
    let long = "x".repeat(9_000);
    assert_eq!(Asking::read("GET", &PLACE, &list(&[("accept", long.as_str())]), false), None);
}

#[test]
fn callers_have_keys_of_their_own() {
    let asking = asking(&[]);
    let (alice, bob) = (asking.key_of(b"alice"), asking.key_of(b"bob"));
    assert!(alice != bob && alice != asking.key() && !asking.key_of(b"").is_empty());
    assert_ne!(asking.key_of(b""), asking.key());
}

#[test]
fn headers_of_one_message_go_and_the_others_stay() {
    let kept = plain(&[
        ("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("etag", "\"1\""),
        ("link", "</a>"),
        ("link", "</b>"),
        ("age", "7"),
        ("content-length", "12"),
        ("server", "x"),
        ("warning", "110 - x"),
        ("cache-status", "cdn; hit"),
        ("x-request-id", "1"),
        ("x-correlation-id", "1"),
        ("x-envoy-upstream-service-time", "3"),
        ("x-postern-subject", "alice"),
        ("x-ratelimit-limit", "1"),
        ("ratelimit-policy", "1"),
        ("traceparent", "x"),
        ("keep-alive", "x"),
        ("connection", "keep-alive, X-Hop"),
        ("x-hop", "1"),
    ])
    .unwrap();
    let expected = [
        TYPE,
        ("date", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("etag", "\"1\""),
        ("link", "</a>, </b>"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!((kept.headers.as_slice(), kept.age_s, kept.length), (&expected[..], 7, Some(12)));
}

/// What is told of an answer that says this, so many seconds after it came.
fn told(cache_control: &str, age: &str, after_s: u64) -> Option<Told> {
    let judged = plain(&[("cache-control", cache_control), ("age", age)]).unwrap();
    let now = UnixMillis(NOW.0 + after_s * 1_000);
    Entry::begun(b"k", &judged, NOW).told(3_600_000, now)
}

#[test]
fn an_age_counts_from_where_the_answer_was_made() {
    let at = |age_s, ttl_s| Some(Told { age_s, ttl_s });
    assert_eq!(told("", "", 5), at(5, None));
    assert_eq!(told("", "40", 5), at(45, None));
    assert_eq!(told("max-age=60", "40", 5), at(45, Some(15)));
    assert_eq!(told("max-age=60, max-age=50", "x", 100), at(100, Some(-50)));
    assert_eq!(told("max-age=soon", "", 1), at(1, Some(-1)));
    assert_eq!(told("max-age=99999999999999", "", 0), at(0, Some(1 << 31)));
    assert_eq!(told("", "", 3_600), at(3_600, None));
    assert_eq!(told("", "", 3_601), None, "the document's own bound");
}

#[test]
fn stale_if_error_bounds_how_stale_it_may_be() {
    assert!(told("max-age=60, stale-if-error=30", "", 89).is_some());
    assert_eq!(told("max-age=60, stale-if-error=30", "", 90), None);
    assert_eq!(told("max-age=60, stale-if-error=30", "50", 40), None);
    assert_eq!(told("stale-if-error=0", "", 0), None);
    assert!(told("stale-if-error=99999", "", 3_600).is_some());
    assert_eq!(told("stale-if-error=99999", "", 3_601), None, "it is no longer time");
}

#[test]
fn s_maxage_is_given_out_only_while_it_is_fresh() {
    assert!(told("s-maxage=60, max-age=9, stale-if-error=900", "", 59).is_some());
    assert_eq!(told("s-maxage=60, max-age=900, stale-if-error=900", "", 60), None);
    // It is said to those who share.
    let bearer = asking(&[("authorization", "x")]);
    let answer = [("cache-control", "private, s-maxage=1, max-age=60")];
    let judged = judged(&bearer, true, &answer).unwrap();
    assert_eq!((judged.whose, judged.fresh_s, judged.good_s), (Whose::Caller, Some(60), None));
}

#[test]
fn a_clock_that_was_set_back_says_no_age() {
    let judged = plain(&[]).unwrap();
    let entry = Entry::begun(b"k", &judged, NOW);
    let before = |ms| entry.told(1_000, UnixMillis(NOW.0 - ms));
    assert_eq!(before(1_000), Some(Told { age_s: 0, ttl_s: None }));
    assert_eq!(before(1_001), None);
}

#[test]
fn what_is_told_is_a_structured_field() {
    let headers = |ttl_s| Told { age_s: 12, ttl_s }.headers().map(|(_, value)| value);
    assert_eq!(headers(None), ["12", "postern; hit; detail=circuit-open"]);
    assert_eq!(headers(Some(-3)), ["12", "postern; hit; ttl=-3; detail=circuit-open"]);
}

#[test]
fn what_is_no_entry_is_nothing() {
    let judged = plain(&[("etag", "1")]).unwrap();
    let good = Entry::begun(b"key", &judged, NOW).to_bytes();
    let entry = Entry::from_bytes(&good).unwrap();
    assert!(entry.body.is_empty() && entry.headers.len() == 2);
    let mut other_format = good.clone();
    other_format[0] += 1;
    let mut no_text = good.clone();
    *no_text.last_mut().unwrap() = 0xff;
    let bad: [&[u8]; 5] = [&[], &good[1..], &good[..good.len() - 1], &other_format, &no_text];
    for bad in bad {
        assert_eq!(Entry::from_bytes(bad), None, "{bad:?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        (kept_at, age_s) in any::<(u64, u32)>(),
        fresh_s in prop::option::of(0..u32::MAX),
        good_s in prop::option::of(0..u32::MAX),
        key in prop::collection::vec(any::<u8>(), 0..40),
        headers in prop::collection::vec((".{0,9}", ".{0,20}"), 0..5),
        body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let kept_at = UnixMillis(kept_at);
        let entry = Entry { kept_at, age_s, fresh_s, good_s, key: &key, headers, body: &body };
        let bytes = entry.to_bytes();
        prop_assert_eq!(Entry::from_bytes(&bytes), Some(entry));
    }

    #[test]
    fn whatever_is_read_is_what_was_written(
        bytes in prop::collection::vec(prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..120),
        now in any::<u64>(),
    ) {
        let bytes: Vec<u8> = [1].into_iter().chain(bytes).collect();
        if let Some(entry) = Entry::from_bytes(&bytes) {
            prop_assert_eq!(entry.to_bytes(), &bytes[..]);
            let _ = entry.told(u64::MAX, UnixMillis(now)).map(Told::headers);
        }
    }

    #[test]
    fn whatever_is_said_is_read(
        said in "[a-z=\", 0-9\\\\-]{0,40}",
        vary in "[a-z*, -]{0,20}",
    ) {
        let answer = [("cache-control", said.as_str()), ("vary", vary.as_str())];
        if let Some(judged) = judged(&asking(&[]), true, &answer) {
            let forbids = said.split(',').any(|part| part.trim() == "no-store");
            prop_assert!(!forbids || said.contains('"'));
            prop_assert!(judged.headers.len() == 3);
        }
    }
}
