//! URLs that a provider's metadata names.

use std::net::IpAddr;

/// Longest URL of an endpoint, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// Whether an endpoint may be used: over https, or on this machine where the issuer is there, too.
/// Nobody is named before the host, and there is no fragment.
pub(super) fn is_usable(url: &str, issuer: &str) -> bool {
    // Nothing that some readers of URLs take for something else.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}#".contains(&byte);
    if url.len() > MAX_URL_BYTES || !url.bytes().all(is_plain) {
        return false;
    }
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]_".contains(&byte);
    let is_host = !authority.is_empty() && authority.bytes().all(fits);
    let is_here = issuer.starts_with("http://") && is_loopback(authority);
    is_host && (scheme == "https" || (scheme == "http" && is_here))
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    };
    let host = host.unwrap_or_default();
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_https_or_beside_an_issuer_on_this_machine() {
        let (public, here) = ("https://op.test", "http://127.0.0.1:8080");
        for (url, issuer, expected) in [
            ("https://op.test/token", public, true),
            ("https://other.test:8443/token?a=b", public, true),
            ("https://10.0.0.1/token", public, true),
            ("http://op.test/token", public, false),
            ("http://127.0.0.1/token", public, false),
            ("http://127.0.0.1:9/token", here, true),
            ("http://[::1]:9/token", here, true),
            ("http://localhost:9/token", here, true),
            ("http://localhost.evil.test/token", here, false),
            ("http://op.test/token", here, false),
            ("https://user@op.test/token", public, false),
            ("https://op.test\\@evil.test/", public, false),
            ("https://op.test/#a", public, false),
            ("https://op.test/ a", public, false),
            ("https://", public, false),
            ("https:///token", public, false),
            ("javascript:alert(1)", public, false),
            ("//op.test/token", public, false),
            ("", public, false),
        ] {
            assert_eq!(is_usable(url, issuer), expected, "{url}");
        }
        assert!(!is_usable(&format!("https://op.test/{}", "a".repeat(3000)), public));
    }
}
