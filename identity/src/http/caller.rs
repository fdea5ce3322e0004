//! Who is at the other end, as far as a request shows it.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue};
use postern_document::Browser;

use crate::Caller;

/// Reads a request's headers. `trusted_proxies` stand between the client and Envoy, and `device`
/// is what is known of the device.
#[must_use]
pub fn of(headers: &HeaderMap, trusted_proxies: usize, device: Option<String>) -> Caller {
    let shown = |name: &str| text(headers.get(name));
    Caller {
        ip: address(headers, trusted_proxies),
        user_agent: shown("user-agent"),
        accept_language: shown("accept-language"),
        platform: shown("sec-ch-ua-platform"),
        device,
        session: None,
    }
}

/// Envoy adds its peer at the end of `x-forwarded-for`: without proxies in front of it the last
/// entry is the client, with so many of them the one so many places before. Only meaningful
/// because nobody but Envoy reaches this server.
pub(crate) fn address(headers: &HeaderMap, trusted_proxies: usize) -> Option<IpAddr> {
    let lines = headers.get_all("x-forwarded-for").iter();
    let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap_or_default()).collect();
    let entry = lines.iter().flat_map(|line| line.split(',')).rev().nth(trusted_proxies)?;
    entry.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn text(value: Option<&HeaderValue>) -> String {
    value.map(|value| Browser::text(value.as_bytes())).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_client_is_the_entry_before_the_trusted_proxies() {
        const NAME: &str = "x-forwarded-for";
        for (lines, hops, expected) in [
            (&["192.0.2.1"][..], 0, Some("192.0.2.1")),
            (&["6.6.6.6, 192.0.2.1"], 0, Some("192.0.2.1")),
            (&["6.6.6.6, 192.0.2.1, 10.0.0.1"], 1, Some("192.0.2.1")),
            (&["6.6.6.6", "192.0.2.1,10.0.0.1"], 1, Some("192.0.2.1")),
            (&["::ffff:192.0.2.1"], 0, Some("192.0.2.1")),
            (&["192.0.2.1"], 1, None),
            (&["192.0.2.1:443"], 0, None),
            (&["nonsense"], 0, None),
            (&[], 0, None),
        ] {
            let pairs: Vec<_> = lines.iter().map(|line| (NAME, *line)).collect();
            let expected = expected.map(|text| text.parse::<IpAddr>().unwrap());
            assert_eq!(of(&headers(&pairs), hops, None).ip, expected, "{lines:?} {hops}");
        }
    }

    #[test]
    fn what_is_shown_is_bounded() {
        let long = "x".repeat(5000);
        let caller = of(&headers(&[("user-agent", &long), ("accept-language", "de")]), 0, None);
        assert_eq!((caller.user_agent.len(), caller.accept_language.as_str()), (512, "de"));
        assert_eq!(caller.platform, "");
    }
}
