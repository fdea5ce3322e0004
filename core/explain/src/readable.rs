//! Requests that Envoy refuses by itself, because it cannot read them, or because nobody has told
//! it to take them. These are its defaults, which `render/src/envoy/listener.rs` leaves alone.

use postern_request::headers::HeaderView as _;
use postern_request::token_places::is_token;

use crate::envoy::Sent;

/// Methods that Envoy takes with HTTP/1 (`isMethodValid` of its `balsa_parser.cc`). With HTTP/2 it
/// takes any.
const METHODS: [&str; 34] = [
    "ACL",
    "BIND",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MOVE",
    "MSEARCH",
    "NOTIFY",
    "OPTIONS",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SOURCE",
    "SUBSCRIBE",
    "TRACE",
    "UNBIND",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
];

const CONTENT_LENGTH: &str = "content-length";
const TRANSFER_ENCODING: &str = "transfer-encoding";
const CONNECTION: &str = "connection";
const UPGRADE: &str = "upgrade";

/// Why Envoy cannot read it, and answers 400.
pub(crate) fn unreadable(sent: &Sent) -> Option<&'static str> {
    let has = |name: &str| sent.headers.iter().any(|(known, _)| known == name);
    if !is_token(sent.method.as_bytes()) {
        Some("the method is no word")
    } else if sent.authority.is_empty() {
        Some("there is no host")
    } else if has("host") || !sent.authority.bytes().all(is_of_authority) {
        Some("this is no host, with or without a port")
    } else if has(CONTENT_LENGTH) && !has_one_length(sent) {
        Some("`content-length` is no number")
    } else if has(CONTENT_LENGTH) && has(TRANSFER_ENCODING) {
        Some("`content-length` and `transfer-encoding` differ about where the body ends")
    } else {
        None
    }
}

/// Whether it comes with HTTP/2 or not at all.
pub(crate) fn is_of_http2(sent: &Sent) -> bool {
    !METHODS.contains(&sent.method.as_str())
}

/// A tunnel: no route has a place for one.
pub(crate) fn is_connect(sent: &Sent) -> bool {
    sent.method == "CONNECT"
}

/// What the connection shall become; none where it stays as it is. An upgrade to HTTP/2 is passed
/// over.
pub(crate) fn upgrade(sent: &Sent) -> Option<String> {
    let asks = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(UPGRADE.as_bytes());
    let mut lines = sent.headers.iter().filter(|(name, _)| name == CONNECTION);
    let is_asked = lines.any(|(_, value)| value.split(|byte| *byte == b',').any(asks));
    let to = sent.headers.single(UPGRADE).one().filter(|_| is_asked)?;
    let to = String::from_utf8_lossy(to.trim_ascii()).into_owned();
    (!to.eq_ignore_ascii_case("h2c")).then_some(to)
}

/// Envoy's `HeaderUtility::authorityIsValid`.
const fn is_of_authority(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'$' | b'%' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',')
        || matches!(byte, b'-' | b'.' | b':' | b';' | b'=' | b'@' | b'[' | b']' | b'_' | b'~')
}

/// All lines say the same, in digits.
fn has_one_length(sent: &Sent) -> bool {
    let mut lines = sent.headers.iter().filter(|(name, _)| name == CONTENT_LENGTH);
    let Some((_, first)) = lines.next() else { return false };
    let is_number = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
    is_number && lines.all(|(_, other)| other == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(method: &str, authority: &str, headers: &[(&str, &str)]) -> Sent {
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        Sent {
            method: method.to_owned(),
            scheme: "https".to_owned(),
            authority: authority.to_owned(),
            target: "/".to_owned(),
            headers: headers.collect(),
            address: None,
            certificate: None,
            peer: None,
        }
    }

    #[test]
    fn what_envoy_cannot_read() {
        for (method, authority) in
            [("", "a.test"), ("GET /x", "a.test"), ("G\tET", "a.test"), ("GET", "")]
        {
            assert!(unreadable(&sent(method, authority, &[])).is_some(), "{method} {authority}");
        }
        for authority in ["a b", "a.test/b", "é.test", "a\"b", "a<b"] {
            assert!(unreadable(&sent("GET", authority, &[])).is_some(), "{authority}");
        }
        for headers in [
            &[("content-length", "abc")][..],
            &[("content-length", "")],
            &[("content-length", "-1")],
            &[("content-length", "5"), ("content-length", "6")],
            &[("content-length", "5"), ("transfer-encoding", "chunked")],
            &[("host", "b.test")],
        ] {
            assert!(unreadable(&sent("POST", "a.test", headers)).is_some(), "{headers:?}");
        }
        for (method, authority, headers) in [
            ("POST", "A.test:8443", &[("content-length", "0")][..]),
            ("GET", "[::1]:80", &[]),
            ("GET", "a_b.test", &[]),
            ("QUERY", "a.test", &[]),
            ("POST", "a.test", &[("content-length", "5"), ("content-length", "5")]),
            ("POST", "a.test", &[("transfer-encoding", "chunked")]),
        ] {
            assert_eq!(unreadable(&sent(method, authority, headers)), None, "{method} {authority}");
        }
    }

    #[test]
    fn methods_of_http_1_are_a_list() {
        assert!(METHODS.is_sorted());
        for (method, expected) in [
            ("GET", false),
            ("PURGE", false),
            ("TRACE", false),
            ("get", true),
            ("FOO", true),
            ("QUERY", true),
        ] {
            assert_eq!(is_of_http2(&sent(method, "a", &[])), expected, "{method}");
        }
    }

    #[test]
    fn an_upgrade_is_asked_for_twice() {
        for (headers, expected) in [
            (&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")][..], true),
            (&[("connection", "upgrade"), ("upgrade", "h2c")], false),
            (&[("upgrade", "websocket")], false),
            (&[("connection", "upgrade")], false),
            (&[("connection", "close"), ("upgrade", "websocket")], false),
        ] {
            assert_eq!(upgrade(&sent("GET", "a", headers)).is_some(), expected, "{headers:?}");
        }
    }
}
