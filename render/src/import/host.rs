//! Hosts. A policy compares what the client sent, port included; the document leaves the port out.

use std::collections::BTreeSet;

use postern_document::HostPattern;

use super::star::Star;

/// What of a policy's hosts the document can take, among those of a cell; none is every host.
///
/// A host is taken where the policy lets it in with every port and without one: nothing less is
/// what the document means by it.
pub(super) fn within(values: &[String], among: Option<&str>) -> Option<BTreeSet<Option<String>>> {
    if values.iter().any(|value| value == "*") {
        return Some([among.map(str::to_owned)].into());
    }
    let values: Vec<String> = values.iter().map(|value| value.to_ascii_lowercase()).collect();
    let hosts: BTreeSet<Option<String>> = match among {
        Some(host) => std::iter::once(host.to_owned())
            .filter(|host| !host.starts_with('*') && takes_all_ports(&values, host))
            .map(Some)
            .collect(),
        None => {
            let named = values.iter().map(|value| bare(value));
            let named = named.filter(|host| is_exact(host) && takes_all_ports(&values, host));
            named.map(|host| Some(host.to_owned())).collect()
        }
    };
    (!hosts.is_empty()).then_some(hosts)
}

/// Values for which a policy's hosts cannot be written: each alone lets in less than the document
/// would.
pub(super) fn lost(values: &[String]) -> Vec<&String> {
    let lower: Vec<String> = values.iter().map(|value| value.to_ascii_lowercase()).collect();
    let is_taken = |value: &&String| {
        let host = bare(value).to_ascii_lowercase();
        value.as_str() == "*" || is_exact(&host) && takes_all_ports(&lower, &host)
    };
    values.iter().filter(|value| !is_taken(value)).collect()
}

/// Whether a request for a cell's host may be for one of a policy's.
pub(super) fn may_meet(values: &[String], host: Option<&str>) -> bool {
    let Some(host) = host.filter(|host| !host.starts_with('*')) else { return true };
    values.iter().any(|value| {
        let value = value.to_ascii_lowercase();
        match Star::read(&value) {
            Star::Any | Star::Suffix(_) => true,
            Star::Prefix(prefix) => host.starts_with(prefix) || prefix.starts_with(host),
            Star::Exact(exact) => exact == host || exact.starts_with(&format!("{host}:")),
        }
    })
}

/// The host that both of two cells are for; the outer none is none.
pub(super) fn meet(a: Option<&str>, b: Option<&str>) -> Option<Option<String>> {
    match (a, b) {
        (None, other) | (other, None) => Some(other.map(str::to_owned)),
        (Some(_), Some(_)) if covers(a, b) => Some(b.map(str::to_owned)),
        (Some(_), Some(_)) if covers(b, a) => Some(a.map(str::to_owned)),
        _ => None,
    }
}

/// Whether every request for the second host is for the first one too.
pub(super) fn covers(wide: Option<&str>, narrow: Option<&str>) -> bool {
    let (Some(wide), Some(narrow)) = (wide, narrow) else { return wide.is_none() };
    // Most are exact, and compared often.
    if !wide.starts_with('*') {
        return wide == narrow;
    }
    match (HostPattern::parse(wide), HostPattern::parse(narrow)) {
        (Ok(wide), Ok(narrow)) => wide.covers(&narrow),
        _ => false,
    }
}

/// A host of a VirtualService; the inner none is every host.
pub(super) fn read(text: &str) -> Option<Option<String>> {
    match HostPattern::parse(text) {
        Ok(HostPattern::Any) => Some(None),
        Ok(HostPattern::Exact(_) | HostPattern::Suffix(_)) => Some(Some(text.to_owned())),
        Err(_) => None,
    }
}

/// `host` of `host`, `host*`, `host:*`.
fn bare(value: &str) -> &str {
    let value = value.strip_suffix('*').unwrap_or(value);
    value.strip_suffix(':').unwrap_or(value)
}

fn is_exact(host: &str) -> bool {
    matches!(HostPattern::parse(host), Ok(HostPattern::Exact(_)))
}

/// Whether values in lower case let a host in, with any port and without.
fn takes_all_ports(values: &[String], host: &str) -> bool {
    let with_port = format!("{host}:");
    let takes_ports = |value: &String| match Star::read(value) {
        Star::Any => true,
        Star::Prefix(prefix) => with_port.starts_with(prefix),
        Star::Exact(_) | Star::Suffix(_) => false,
    };
    values.iter().any(|value| Star::read(value).matches(host)) && values.iter().any(takes_ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn a_host_is_taken_with_all_its_ports_or_not_at_all() {
        for (values, among, expected) in [
            (&["a.test", "a.test:*"][..], None, vec!["a.test"]),
            (&["A.test", "a.test:*"], None, vec!["a.test"]),
            (&["a.test*"], None, vec!["a.test"]),
            (&["a.test"], None, vec![]),
            (&["a.test:*"], None, vec![]),
            (&["a.test:8080"], None, vec![]),
            (&["*.a.test", "*.a.test:443"], None, vec![]),
            (&["a*"], Some("a.test"), vec!["a.test"]),
            (&["a.test", "a.test:*"], Some("b.test"), vec![]),
            (&["a.test", "a.test:*"], Some("*.test"), vec![]),
        ] {
            let found = within(&texts(values), among).unwrap_or_default();
            let found: Vec<String> = found.into_iter().flatten().collect();
            assert_eq!(found, expected, "{values:?} {among:?}");
        }
        assert_eq!(within(&texts(&["*"]), None), Some([None].into()));
        assert_eq!(lost(&texts(&["a.test", "a.test:*", "b.test"])), ["b.test"]);
    }

    #[test]
    fn what_may_be_kept_out_is() {
        for (value, host, expected) in [
            ("a.test", Some("a.test"), true),
            ("A.test:80", Some("a.test"), true),
            ("a.test:*", Some("a.test"), true),
            ("a*", Some("a.test"), true),
            ("*.test", Some("b.other"), true),
            ("b.test", Some("a.test"), false),
            ("a.tes", Some("a.test"), false),
            ("b.test", None, true),
            ("b.test", Some("*.test"), true),
        ] {
            assert_eq!(may_meet(&texts(&[value]), host), expected, "{value} {host:?}");
        }
    }

    #[test]
    fn hosts_meet_in_the_narrower_one() {
        let some = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(meet(None, Some("a.test")), some("a.test"));
        assert_eq!(meet(Some("*.test"), Some("a.test")), some("a.test"));
        assert_eq!(meet(Some("a.test"), Some("b.test")), None);
        assert_eq!(meet(None, None), Some(None));
        assert_eq!(read("*"), Some(None));
        assert_eq!(read("a.test:80"), None);
    }
}
