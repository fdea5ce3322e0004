//! URLs, origins and hosts as the authorization server and the log-in pages need them.

use std::net::IpAddr;

use super::services::read_upstream;
use crate::host::HostPattern;

/// Longest URL that is taken, in bytes.
const MAX_BYTES: usize = 2048;

/// An http or https URL, in parts.
pub(super) struct Web<'a> {
    pub(super) is_https: bool,
    /// In lower case, an IPv6 address without its brackets.
    pub(super) host: String,
    /// Host and port as they are written.
    pub(super) authority: &'a str,
    /// Path, query and fragment; empty where it ends with the authority.
    pub(super) rest: &'a str,
}

impl<'a> Web<'a> {
    /// None where it is no such URL, or names a user.
    pub(super) fn parse(url: &'a str) -> Option<Self> {
        let (is_https, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        if url.len() > MAX_BYTES || !url.bytes().all(is_uri_byte) {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end)?;
        let with_port = || read_upstream(&format!("{authority}:443"));
        let (host, _) = read_upstream(authority).or_else(with_port)?;
        Some(Self { is_https, host: host.to_ascii_lowercase(), authority, rest })
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost" || address(&self.host).is_some_and(|it| it.is_loopback())
    }

    /// https, or http where nobody sits in between.
    pub(super) fn is_safe(&self) -> bool {
        self.is_https || self.is_loopback()
    }
}

fn address(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}

/// RFC 3986 §2
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

/// RFC 3986 §4.3: a scheme, something behind it, and no fragment.
pub(super) fn is_absolute(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let is_whole = !rest.is_empty() && text.len() <= MAX_BYTES;
    // What browsers and servers speak HTTP to has a host.
    let is_web = matches!(scheme, "http" | "https");
    let has_host = !is_web || Web::parse(text).is_some();
    is_scheme && is_whole && has_host && text.bytes().all(is_uri_byte) && !text.contains('#')
}

/// What browsers say in `origin` (RFC 6454 §6.2).
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_origin(text: &str) -> Result<(), &'static str> {
    let form = "expected an origin, for example https://app.example.test";
    let web = Web::parse(text).ok_or(form)?;
    let usual = if web.is_https { ":443" } else { ":80" };
    if !web.rest.is_empty() || text.bytes().any(|b| b.is_ascii_uppercase()) {
        Err(form)
    } else if !web.is_safe() {
        Err("whoever sits in between writes the scripts of an http origin: write https (http on \
             loopback only)")
    } else if web.authority.ends_with(usual) {
        Err("browsers leave the usual port out of an origin, and so must you")
    } else {
        Ok(())
    }
}

/// A host by its name alone, in lower case: no address, no asterisk.
pub(super) fn is_host_name(text: &str) -> bool {
    matches!(HostPattern::parse(text), Ok(HostPattern::Exact(_))) && address(text).is_none()
}

/// Whether a host is a domain, or below it.
pub(super) fn is_within(host: &str, domain: &str) -> bool {
    let above = host.strip_suffix(domain);
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

/// Second labels that stand for a kind of organisation below a country's domain.
const KINDS: [&str; 14] =
    ["ac", "co", "com", "edu", "go", "gob", "gov", "gouv", "mil", "ne", "net", "nom", "or", "org"];
/// Domains below which names are given to anybody.
const SHARED: [&str; 20] = [
    "amazonaws.com",
    "appspot.com",
    "azurewebsites.net",
    "cloudfront.net",
    "ddns.net",
    "duckdns.org",
    "firebaseapp.com",
    "fly.dev",
    "github.io",
    "gitlab.io",
    "herokuapp.com",
    "netlify.app",
    "ngrok.io",
    "nip.io",
    "onrender.com",
    "pages.dev",
    "run.app",
    "vercel.app",
    "web.app",
    "workers.dev",
];

/// Whether names right below a domain are given to strangers, as far as a short list and a rule of
/// thumb can tell: browsers have a long one, and refuse more.
pub(super) fn is_public(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    match labels.as_slice() {
        [] | [_] => true,
        [kind, country] if country.len() == 2 && KINDS.contains(kind) => true,
        _ => SHARED.contains(&domain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let web = Web::parse("https://Login.example.test:8443/a?b#c").unwrap();
        assert_eq!((web.host.as_str(), web.rest), ("login.example.test", "/a?b#c"));
        assert_eq!(web.authority, "Login.example.test:8443");
        assert!(Web::parse("http://[::1]:80").unwrap().is_loopback());
        assert!(Web::parse("http://127.0.0.1").unwrap().is_safe());
        assert!(!Web::parse("http://example.test").unwrap().is_safe());
        for bad in ["", "ftp://a", "https://", "https://u@a", "https://a b", "https:///a", "//a"] {
            assert!(Web::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn resources_are_absolute_and_without_fragment() {
        for good in ["https://api.example.test/v1?x=1", "urn:example:orders", "custom+a.b:x"] {
            assert!(is_absolute(good), "{good}");
        }
        for bad in ["", "/a", "a", ":a", "1a:b", "https:", "https://a#", "urn:a b", "https:a"] {
            assert!(!is_absolute(bad), "{bad}");
        }
    }

    #[test]
    fn origins_are_what_browsers_write() {
        for good in ["https://a.test", "https://a.test:8443", "http://localhost:3000"] {
            assert_eq!(check_origin(good), Ok(()), "{good}");
        }
        for bad in [
            "*",
            "null",
            "https://a.test/",
            "https://A.test",
            "http://a.test",
            "https://a.test:443",
        ] {
            assert!(check_origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_are_within_their_domains() {
        for (host, domain, expected) in [
            ("a.example.test", "example.test", true),
            ("example.test", "example.test", true),
            ("badexample.test", "example.test", false),
            ("example.test", "a.example.test", false),
        ] {
            assert_eq!(is_within(host, domain), expected, "{host} {domain}");
        }
        assert!(is_host_name("login.example.test") && is_host_name("localhost"));
        for bad in ["*.example.test", "*", "127.0.0.1", "A.test", "a.test:1", ""] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }

    #[test]
    fn nobody_owns_what_everybody_may_have_names_in() {
        for public in ["test", "co.uk", "com.br", "github.io"] {
            assert!(is_public(public), "{public}");
        }
        for owned in ["example.test", "example.co.uk", "shop.github.io", "example.com"] {
            assert!(!is_public(owned), "{owned}");
        }
    }
}
