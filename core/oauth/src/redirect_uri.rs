//! Redirect URIs as clients register them (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1).

use crate::form::push_pair;

/// Longest redirect URI, in bytes.
pub const MAX_REDIRECT_URI_BYTES: usize = 2048;

/// Where a client may be answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RedirectUri(String);

/// Why a redirect URI was refused: always the fault of whoever registers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    /// Above [`MAX_REDIRECT_URI_BYTES`].
    #[error("a redirect URI has at most {} bytes", MAX_REDIRECT_URI_BYTES)]
    TooLong,
    /// Characters that no URI has; among them those that some readers take for others.
    #[error("a redirect URI has no characters but those of RFC 3986; escape the others")]
    Character,
    /// Not of the form `scheme:…`, or without what its scheme needs.
    #[error("a redirect URI is absolute")]
    Relative,
    /// RFC 6749 §3.1.2
    #[error("a redirect URI has no fragment")]
    Fragment,
    /// Somebody before an `@`.
    #[error("a redirect URI names no user")]
    UserInfo,
    /// RFC 8252 §7: anybody on the way could read the code, or any application could claim it.
    #[error(
        "a redirect URI is https, or http on 127.0.0.1 or [::1], or has a scheme with a dot such \
         as com.example.app"
    )]
    Scheme,
}

impl RedirectUri {
    /// Reads one that is to be registered.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, RedirectUriError> {
        if text.len() > MAX_REDIRECT_URI_BYTES {
            return Err(RedirectUriError::TooLong);
        }
        if !text.bytes().all(is_uri_char) {
            return Err(RedirectUriError::Character);
        }
        if text.contains('#') {
            return Err(RedirectUriError::Fragment);
        }
        let (scheme, rest) = text.split_once(':').ok_or(RedirectUriError::Relative)?;
        let is_web = matches!(scheme, "http" | "https");
        let Some(rest) = rest.strip_prefix("//").filter(|_| is_web) else {
            return Self::private_use(text, scheme, rest);
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(RedirectUriError::UserInfo);
        }
        let host = host_of(authority).ok_or(RedirectUriError::Relative)?;
        if !is_host(host) {
            return Err(RedirectUriError::Character);
        }
        if scheme == "http" && !is_loopback(host) {
            return Err(RedirectUriError::Scheme);
        }
        Ok(Self(text.to_owned()))
    }

    /// RFC 8252 §7.1: the scheme is a domain name in reverse, which nobody else may claim.
    fn private_use(text: &str, scheme: &str, rest: &str) -> Result<Self, RedirectUriError> {
        let is_scheme = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
            && scheme.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
            });
        if !is_scheme || !scheme.contains('.') {
            return Err(RedirectUriError::Scheme);
        }
        if rest.is_empty() {
            return Err(RedirectUriError::Relative);
        }
        Ok(Self(text.to_owned()))
    }

    /// As it was registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a request means this one: letter by letter (RFC 9700 §4.1.3), but for the port of
    /// an http URI at an address of the user's own machine, which an application gets from its
    /// operating system each time that it starts (RFC 8252 §7.3).
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        if self.0 == presented {
            return true;
        }
        match (without_port(&self.0), without_port(presented)) {
            (Some(registered), Some(presented)) => registered == presented,
            _ => false,
        }
    }

    /// A redirect URI with parameters behind those that it has (RFC 6749 §3.1.2). `presented` is
    /// one that [`RedirectUri::matches`].
    #[must_use]
    pub fn with_query(presented: &str, pairs: &[(&str, &str)]) -> String {
        let mut out = presented.to_owned();
        let mut separator = match presented.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some((_, query)) if query.ends_with('&') => "",
            Some(_) => "&",
        };
        for (name, value) in pairs {
            push_pair(&mut out, separator, name, value);
            separator = "&";
        }
        out
    }

    /// The source that a page's `form-action` has to allow so that a redirect to `presented` is
    /// followed: origin or scheme. Content Security Policy has no word for an IPv6 address.
    #[must_use]
    pub fn origin_for_csp(presented: &str) -> String {
        let (scheme, rest) = presented.split_once(':').unwrap_or_default();
        let authority = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?']).next());
        let is_web = matches!(scheme, "http" | "https");
        match authority.filter(|authority| is_web && host_of(authority).is_some_and(is_name)) {
            Some(authority) => [scheme, "://", authority].concat(),
            None => [scheme, ":"].concat(),
        }
    }
}

/// What stands before and behind the port of an http URI at a loopback address.
fn without_port(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let (authority, path) = rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len()))?;
    let host = host_of(authority).filter(|host| is_loopback(host))?;
    Some((host, path))
}

/// An address of this machine; never the name `localhost`, which may lead elsewhere
/// (RFC 8252 §8.3).
fn is_loopback(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "[::1]")
}

/// The host of an authority without user; none where it has none, or a port that is no number.
fn host_of(authority: &str) -> Option<&str> {
    let host_ends = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(host_ends)?;
    let is_number =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
    (!host.is_empty() && is_port).then_some(host)
}

/// A name or an IPv4 address, without the delimiters that RFC 3986 would allow there: they end
/// up in policies and in what people compare by eye.
fn is_name(host: &str) -> bool {
    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

fn is_host(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<core::net::Ipv6Addr>().is_ok(),
        None => is_name(host),
    }
}

/// RFC 3986 §2, and nothing else.
fn is_uri_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn redirect_uris_are_absolute_and_without_fragment() {
        for (text, expected) in [
            ("https://app.example/callback", None),
            ("https://app.example:8443/a?b=c", None),
            ("https://app.example", None),
            ("http://127.0.0.1:5000/callback", None),
            ("http://127.0.0.1/callback", None),
            ("http://[::1]:5000/callback", None),
            ("com.example.app:/callback", None),
            ("com.example.app://callback", None),
            ("", Some(RedirectUriError::Relative)),
            ("/callback", Some(RedirectUriError::Relative)),
            ("//app.example/callback", Some(RedirectUriError::Relative)),
            ("https://", Some(RedirectUriError::Relative)),
            ("https:///callback", Some(RedirectUriError::Relative)),
            ("https://:443/callback", Some(RedirectUriError::Relative)),
            ("https://app.example:port/", Some(RedirectUriError::Relative)),
            ("https://app.example:+443/", Some(RedirectUriError::Relative)),
            ("https://app.example:65536/", Some(RedirectUriError::Relative)),
            ("https://[::1/callback", Some(RedirectUriError::Relative)),
            ("https://[::g]/callback", Some(RedirectUriError::Character)),
            ("https://[2001:db8::1]/callback", None),
            ("https://app.example;script-src/", Some(RedirectUriError::Character)),
            ("https://app%2eexample/", Some(RedirectUriError::Character)),
            ("https://*.example/", Some(RedirectUriError::Character)),
            ("com.example.app:", Some(RedirectUriError::Relative)),
            ("https://app.example/#a", Some(RedirectUriError::Fragment)),
            ("https://app.example/a#", Some(RedirectUriError::Fragment)),
            ("https://user@app.example/", Some(RedirectUriError::UserInfo)),
            ("https://app.example\\@evil.test/", Some(RedirectUriError::Character)),
            ("https://app.example/ a", Some(RedirectUriError::Character)),
            ("https://app.example/\r\n", Some(RedirectUriError::Character)),
            ("https://app.example/\"><script>", Some(RedirectUriError::Character)),
            ("https://äpp.example/", Some(RedirectUriError::Character)),
            ("http://app.example/callback", Some(RedirectUriError::Scheme)),
            ("http://localhost:5000/callback", Some(RedirectUriError::Scheme)),
            ("http://127.0.0.1.evil.test/", Some(RedirectUriError::Scheme)),
            ("https:app.example", Some(RedirectUriError::Scheme)),
            ("HTTPS://app.example/", Some(RedirectUriError::Scheme)),
            ("javascript:alert(1)", Some(RedirectUriError::Scheme)),
            ("data:text/html,a", Some(RedirectUriError::Scheme)),
            ("myapp:/callback", Some(RedirectUriError::Scheme)),
        ] {
            let found = RedirectUri::parse(text);
            assert_eq!(found.as_ref().err(), expected.as_ref(), "{text}");
            assert!(found.is_err() || found.is_ok_and(|uri| uri.as_str() == text));
        }
        let long = |length: usize| format!("https://a.example/{}", "a".repeat(length - 18));
        assert!(RedirectUri::parse(&long(MAX_REDIRECT_URI_BYTES)).is_ok());
        let too_long = RedirectUri::parse(&long(MAX_REDIRECT_URI_BYTES + 1));
        assert_eq!(too_long, Err(RedirectUriError::TooLong));
    }

    #[test]
    fn redirect_uris_are_compared_letter_by_letter() {
        const WEB: &str = "https://app.example/callback?a=b";
        for (registered, presented, expected) in [
            (WEB, WEB, true),
            (WEB, "https://app.example/callback", false),
            (WEB, "https://app.example/callback?a=b&c=d", false),
            (WEB, "https://app.example:443/callback?a=b", false),
            (WEB, "https://APP.example/callback?a=b", false),
            (WEB, "https://app.example/callback?a=b#", false),
            (WEB, "https://app.example/x/../callback?a=b", false),
            (WEB, "https://app.example.evil.test/callback?a=b", false),
            (WEB, "", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", true),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:51004/cb", true),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1/cb", true),
            ("http://[::1]/cb", "http://[::1]:51004/cb", true),
            ("http://127.0.0.1", "http://127.0.0.1:51004", true),
            ("http://127.0.0.1?a", "http://127.0.0.1:51004?a", true),
            ("http://127.0.0.1/cb", "http://[::1]:51004/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.2:51004/cb", false),
            ("http://127.0.0.1/cb", "http://localhost:51004/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:51004/other", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb?a=b", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:51004@evil.test/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:99999/cb", false),
            ("http://127.0.0.1/cb", "https://127.0.0.1:51004/cb", false),
            ("https://127.0.0.1/cb", "https://127.0.0.1:51004/cb", false),
            ("com.example.app:/cb", "com.example.app:/cb", true),
            ("com.example.app:/cb", "com.example.app:/cb2", false),
        ] {
            let uri = RedirectUri::parse(registered).unwrap();
            assert_eq!(uri.matches(presented), expected, "{registered} {presented}");
        }
    }

    #[test]
    fn queries_of_redirect_uris_stay() {
        let pairs = [("code", "a b&c"), ("state", "é=1")];
        let added = "code=a%20b%26c&state=%C3%A9%3D1";
        for (uri, expected) in [
            ("https://a.example/cb", "https://a.example/cb?"),
            ("https://a.example/cb?", "https://a.example/cb?"),
            ("https://a.example/cb?x=y", "https://a.example/cb?x=y&"),
            ("https://a.example/cb?x=y&", "https://a.example/cb?x=y&"),
            ("https://a.example/cb?x=%20?y", "https://a.example/cb?x=%20?y&"),
            ("com.example.app:/cb", "com.example.app:/cb?"),
        ] {
            assert_eq!(RedirectUri::with_query(uri, &pairs), format!("{expected}{added}"));
        }
        assert_eq!(RedirectUri::with_query("https://a.example", &[]), "https://a.example");
    }

    #[test]
    fn a_policy_gets_an_origin_or_a_scheme_and_nothing_else() {
        for (uri, expected) in [
            ("https://a.example/cb?x=y", "https://a.example"),
            ("https://a.example:8443", "https://a.example:8443"),
            ("https://a.example?x", "https://a.example"),
            ("http://127.0.0.1:5000/cb", "http://127.0.0.1:5000"),
            ("http://[::1]:5000/cb", "http:"),
            ("com.example.app:/cb", "com.example.app:"),
            ("com.example.app://a;b/cb", "com.example.app:"),
            ("https://a.example; script-src */cb", "https:"),
        ] {
            assert_eq!(RedirectUri::origin_for_csp(uri), expected, "{uri}");
        }
    }

    proptest! {
        /// Nothing that differs from what is registered counts for it, but a port at a loopback
        /// address; and no registered URI can say more in a policy than where it leads.
        #[test]
        fn nothing_else_is_taken_for_a_registered_uri(
            tail in "[ -~]{0,24}",
            other in "[ -~]{0,40}",
        ) {
            if let Ok(uri) = RedirectUri::parse(&format!("https://app.example{tail}")) {
                prop_assert_eq!(uri.matches(&other), uri.as_str() == other);
                let origin = RedirectUri::origin_for_csp(uri.as_str());
                prop_assert!(!origin.contains([' ', ';', ',', '\'', '*']), "{}", origin);
                prop_assert!(uri.as_str().starts_with(&origin));
            }
        }
    }
}
