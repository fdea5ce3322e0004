//! What Kubernetes and Istio take as a name.

use postern_document::HostPattern;

/// Whether Istio takes a host; a document's may also begin or end with a hyphen.
pub(crate) fn is_servable(host: &HostPattern) -> bool {
    match host {
        HostPattern::Exact(name) => is_dns_name(name),
        HostPattern::Suffix(suffix) => suffix.strip_prefix('.').is_some_and(is_dns_name),
        HostPattern::Any => true,
    }
}

/// RFC 1123: lower-case letters, digits and inner hyphens, at most 63.
pub(crate) fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Labels, the last of which is no number, so that it is no address.
pub(crate) fn is_dns_name(text: &str) -> bool {
    let is_number = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    text.len() <= 253
        && text.split('.').all(is_dns_label)
        && text.rsplit('.').next().is_some_and(|label| !is_number(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_kubernetes_takes() {
        for good in ["a", "a-b", "0a"] {
            assert!(is_dns_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", &"a".repeat(64)] {
            assert!(!is_dns_label(bad), "{bad}");
        }
        assert!(is_dns_name("a.b-c.svc"));
        for bad in ["", "a..b", "10.0.0.1", "a.b.1", "*.a", "a/b"] {
            assert!(!is_dns_name(bad), "{bad}");
        }
    }
}
