//! Whose connections a route takes: one matcher for filters, server, rendering and tools.

use core::fmt;

use crate::spiffe;

/// A SPIFFE id, or all those below one of its segments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerPattern {
    /// The id, or what goes before the asterisk.
    text: String,
    takes_rest: bool,
}

impl PeerPattern {
    /// Reads `spiffe://trust-domain/path`, or the same with `*` as its last segment.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let prefix = text.strip_suffix('*').filter(|prefix| prefix.ends_with('/'));
        // With a segment in place of the asterisk the rest must be an id like any other: that
        // refuses `spiffe://*`, which would take every trust domain.
        let is_good = match prefix {
            Some(prefix) => spiffe::is_id(&[prefix, "x"].concat()),
            None => spiffe::is_id(text),
        };
        if !is_good {
            return Err("expected a SPIFFE id such as spiffe://cluster.local/ns/shop/sa/web, \
                        perhaps with `*` as its last segment");
        }
        Ok(Self { text: prefix.unwrap_or(text).to_owned(), takes_rest: prefix.is_some() })
    }

    /// Whether a peer is meant, by the URI in its certificate. An asterisk takes whatever comes
    /// below, as Istio's does, and never nothing.
    #[must_use]
    pub fn matches(&self, spiffe: &str) -> bool {
        match spiffe.strip_prefix(self.text.as_str()) {
            Some(rest) => rest.is_empty() != self.takes_rest,
            None => false,
        }
    }

    /// As Istio's policies write principals: without the scheme, an asterisk at the end for
    /// whatever comes below.
    #[must_use]
    pub fn to_istio(&self) -> String {
        let text = self.text.strip_prefix("spiffe://").unwrap_or(&self.text);
        let asterisk = if self.takes_rest { "*" } else { "" };
        format!("{text}{asterisk}")
    }
}

/// As it is written in a document.
impl fmt::Display for PeerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.takes_rest { f.write_str("*") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn peers_are_read_strictly() {
        for (text, istio) in [
            ("spiffe://cluster.local/ns/shop/sa/web", "cluster.local/ns/shop/sa/web"),
            ("spiffe://cluster.local/ns/shop/sa/*", "cluster.local/ns/shop/sa/*"),
            ("spiffe://mesh/*", "mesh/*"),
        ] {
            let pattern = PeerPattern::parse(text).unwrap();
            assert_eq!((pattern.to_string().as_str(), pattern.to_istio().as_str()), (text, istio));
        }
        for bad in [
            "",
            "*",
            "spiffe://*",
            "spiffe:///*",
            "spiffe://mesh/ns/*/sa/web",
            "spiffe://mesh/ns/shop/sa/w*",
            "spiffe://mesh/**",
            "spiffe://Mesh/a",
            "cluster.local/ns/shop/sa/web",
            "spiffe://mesh/a/",
            "spiffe://mesh/../*",
        ] {
            assert!(PeerPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_asterisk_takes_what_is_below_and_nothing_beside() {
        let below = PeerPattern::parse("spiffe://mesh/ns/ops/sa/*").unwrap();
        let one = PeerPattern::parse("spiffe://mesh/ns/ops/sa/a").unwrap();
        for (peer, of_below, of_one) in [
            ("spiffe://mesh/ns/ops/sa/a", true, true),
            ("spiffe://mesh/ns/ops/sa/ab", true, false),
            ("spiffe://mesh/ns/ops/sa/a/b", true, false),
            ("spiffe://mesh/ns/ops/sa/", false, false),
            ("spiffe://mesh/ns/ops/sa", false, false),
            ("spiffe://mesh/ns/opsx/sa/a", false, false),
            ("spiffe://other/ns/ops/sa/a", false, false),
            ("mesh/ns/ops/sa/a", false, false),
            ("SPIFFE://mesh/ns/ops/sa/a", false, false),
            ("", false, false),
        ] {
            assert_eq!((below.matches(peer), one.matches(peer)), (of_below, of_one), "{peer}");
        }
    }

    proptest! {
        /// What takes an id takes what Istio takes by the same words, and nothing else.
        #[test]
        fn it_is_istios_own_matching(
            pattern in "spiffe://[ab]/[ab]{1,2}(/([ab]{1,2}|\\*))?",
            peer in "[ab]/[ab]{1,2}(/[ab]{1,2}){0,2}",
        ) {
            let pattern = PeerPattern::parse(&pattern).unwrap();
            let written = pattern.to_istio();
            let by_istio = match written.strip_suffix('*') {
                Some(prefix) => peer.starts_with(prefix),
                None => peer == written,
            };
            prop_assert_eq!(pattern.matches(&format!("spiffe://{peer}")), by_istio);
        }
    }
}
