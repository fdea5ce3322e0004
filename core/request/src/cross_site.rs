//! Whether a page of another site has a browser send a request.
//!
//! A session's cookie goes along with whatever a browser sends, whoever has it sent. So where a
//! cookie says who calls, and the request may change something, the browser has to say that a page
//! of the same origin, or the person in front of it, sends it: by Fetch Metadata, else by `origin`.
//! One that says neither is refused; browsers have said one of them with such requests for years.
//! `ext_authz` decides by this, and `explain` says it.

use crate::headers::{HeaderView, Single};
use crate::login::host_of;

/// The scheme that the client has used: as Envoy says, which knows what stands in front of it;
/// `otherwise` where it says nothing.
#[must_use]
pub fn scheme<'a>(headers: &dyn HeaderView, otherwise: &'a str) -> &'a str {
    match headers.single("x-forwarded-proto").one() {
        Some(b"https") => "https",
        Some(b"http") => "http",
        _ => otherwise,
    }
}

/// Whether a request that may change something was not sent by a page of its own origin, as far as
/// the browser says. `scheme` is the client's, `authority` has the port where there is one. What
/// becomes another connection (a WebSocket) begins with a `GET` and may change anything later.
#[must_use]
pub fn is_from_elsewhere(
    method: &str,
    scheme: &str,
    authority: &str,
    headers: &dyn HeaderView,
) -> bool {
    let changes_nothing = matches!(method, "GET" | "HEAD" | "OPTIONS");
    if changes_nothing && headers.single("upgrade") == Single::Absent {
        return false;
    }
    match headers.single("sec-fetch-site") {
        // `none`: by the person, and by no page.
        Single::One(site) => !matches!(site, b"same-origin" | b"none"),
        Single::Repeated => true,
        Single::Absent => match headers.single("origin") {
            Single::One(origin) => !is_same(origin, scheme, authority),
            Single::Absent | Single::Repeated => true,
        },
    }
}

/// Port included; each scheme's own may be left out (RFC 6454 §6.2).
fn is_same(origin: &[u8], scheme: &str, authority: &str) -> bool {
    let origin = core::str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(sent, host)| {
        sent == scheme && host_of(scheme, host) == host_of(scheme, authority)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn headers(pairs: Headers<'_>) -> Vec<(String, Vec<u8>)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        pairs.iter().map(owned).collect()
    }

    fn is_refused(method: &str, pairs: Headers<'_>) -> bool {
        is_from_elsewhere(method, "https", "a.test", &headers(pairs))
    }

    #[test]
    fn what_changes_nothing_may_come_from_anywhere() {
        for method in ["GET", "HEAD", "OPTIONS"] {
            let pairs = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")];
            assert!(!is_refused(method, &pairs), "{method}");
        }
    }

    #[test]
    fn what_changes_something_comes_from_our_own_pages() {
        let table: [(Headers<'_>, bool); 17] = [
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "Same-Origin")], true),
            (&[("sec-fetch-site", "")], true),
            (&[("sec-fetch-site", "none"), ("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site"), ("origin", "https://a.test")], true),
            (&[("origin", "https://a.test")], false),
            (&[("origin", "https://a.test:443")], false),
            (&[("origin", "https://A.test")], false),
            (&[("origin", "http://a.test")], true),
            (&[("origin", "https://a.test:8443")], true),
            (&[("origin", "https://a.test.evil.test")], true),
            (&[("origin", "null")], true),
            (&[("origin", "https://a.test"), ("origin", "https://a.test")], true),
            (&[("referer", "https://a.test/")], true),
        ];
        for (pairs, expected) in table {
            for method in ["POST", "PUT", "DELETE", "PATCH", "get", "CONNECT", ""] {
                assert_eq!(is_refused(method, pairs), expected, "{method} {pairs:?}");
            }
        }
        let port = [("origin", "https://a.test:8443")];
        assert!(!is_from_elsewhere("POST", "https", "a.test:8443", &headers(&port)));
    }

    #[test]
    fn a_websocket_is_no_get() {
        let upgrade = ("upgrade", "websocket");
        assert!(is_refused("GET", &[upgrade]));
        assert!(is_refused("GET", &[upgrade, ("origin", "https://evil.test")]));
        assert!(!is_refused("GET", &[upgrade, ("origin", "https://a.test")]));
    }

    #[test]
    fn the_scheme_is_the_clients() {
        let table: [(Headers<'_>, &str); 4] = [
            (&[], "http"),
            (&[("x-forwarded-proto", "https")], "https"),
            (&[("x-forwarded-proto", "gopher")], "http"),
            (&[("x-forwarded-proto", "https"), ("x-forwarded-proto", "https")], "http"),
        ];
        for (pairs, expected) in table {
            assert_eq!(scheme(&headers(pairs), "http"), expected, "{pairs:?}");
        }
    }
}
