//! Hosts that a route is for.

use core::fmt;

/// Exact, or everything below a domain, or all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// `api.example.test`
    Exact(String),
    /// `*.example.test`; holds `.example.test`. One label or more in place of the asterisk, as
    /// Envoy's virtual hosts have it.
    Suffix(String),
    /// Any host.
    Any,
}

impl HostPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (suffix, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(
                "write a host in lower case, without a port: api.example.test or *.example.test",
            );
        }
        Ok(if suffix { Self::Suffix(format!(".{name}")) } else { Self::Exact(name.to_owned()) })
    }

    /// Whether a host (lower case, no port) is meant.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Self::Any => true,
        }
    }

    /// Whether everything that `other` means is meant by this one too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Suffix(suffix), Self::Exact(name)) => {
                name.len() > suffix.len() && name.ends_with(suffix.as_str())
            }
            (Self::Suffix(wide), Self::Suffix(narrow)) => narrow.ends_with(wide.as_str()),
            (Self::Exact(a), Self::Exact(b)) => a == b,
            _ => false,
        }
    }

    /// Envoy's order: exact before suffix, the longer suffix first, any last.
    pub(crate) fn rank(&self) -> (u8, usize, &Self) {
        match self {
            Self::Exact(_) => (0, 0, self),
            Self::Suffix(suffix) => (1, usize::MAX - suffix.len(), self),
            Self::Any => (2, 0, self),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// A request's authority as hosts are compared: lower case, without the port.
#[must_use]
pub fn host_of(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        // Within brackets a colon belongs to an IPv6 address.
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    };
    host.to_ascii_lowercase()
}

/// A service's host or address as places are compared: the names of a Kubernetes Service are one.
#[cfg(feature = "messages")]
pub(crate) fn place(host: &str) -> String {
    if let Ok(address) = host.parse::<std::net::IpAddr>() {
        return address.to_canonical().to_string();
    }
    let host = host.to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let short = host.strip_suffix(".svc.cluster.local").or_else(|| host.strip_suffix(".svc"));
    short.unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_many_names_and_one_place() {
        for same in ["pay.shop", "Pay.shop.svc", "pay.shop.svc.cluster.local."] {
            assert_eq!(place(same), "pay.shop", "{same}");
        }
        assert_eq!(place("0:0:0::1"), place("::1"));
        assert_eq!(place("::ffff:10.0.0.1"), "10.0.0.1");
        assert_ne!(place("pay.shop.example.test"), place("pay.shop"));
        assert_ne!(place("pay.shop.svc.other.test"), place("pay.shop"));
    }

    #[test]
    fn patterns_match_as_envoys_domains_do() {
        let suffix = HostPattern::parse("*.example.test").unwrap();
        assert!(suffix.matches("a.b.example.test"));
        assert!(!suffix.matches("example.test"));
        assert!(!suffix.matches("badexample.test"));
        assert!(HostPattern::parse("Api.test").is_err());
        assert!(HostPattern::parse("api.test:80").is_err());
        assert!(suffix.covers(&HostPattern::parse("a.example.test").unwrap()));
        assert!(suffix.covers(&HostPattern::parse("*.b.example.test").unwrap()));
        assert!(!suffix.covers(&HostPattern::Any));
    }

    #[test]
    fn hosts_are_compared_without_their_port() {
        for (authority, expected) in [
            ("API.test:8080", "api.test"),
            ("a.test", "a.test"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(host_of(authority), expected);
        }
    }
}
