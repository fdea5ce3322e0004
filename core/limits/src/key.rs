//! What a limit counts by.

use core::fmt::Write as _;

/// One part of a limit's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyPart {
    /// The client's address; IPv6 by prefix.
    Ip,
    /// The principal's subject.
    Subject,
    /// The principal's OAuth client.
    Client,
    /// The principal's tier.
    Tier,
    /// A request header. Whoever can send it chooses the key.
    Header(String),
    /// A parameter of the route's path template.
    PathParam(String),
    /// The route's name: every route counts for itself.
    Route,
}

impl KeyPart {
    /// Reads a part as the document spells it, e.g. `ip`, `claim.sub`, `header.x-tenant`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "ip" => Self::Ip,
            "claim.sub" => Self::Subject,
            "claim.client_id" => Self::Client,
            "claim.tier" => Self::Tier,
            "route" => Self::Route,
            _ => match text.split_once('.')? {
                ("header", name) if !name.is_empty() => Self::Header(name.to_owned()),
                ("path", name) if !name.is_empty() => Self::PathParam(name.to_owned()),
                _ => return None,
            },
        })
    }

    /// Whether the part is known only once a credential was checked.
    #[must_use]
    pub const fn needs_principal(&self) -> bool {
        matches!(self, Self::Subject | Self::Client | Self::Tier)
    }
}

/// Builds a key of several parts so that no two lists of parts give the same key: every part
/// is preceded by its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyBuilder(String);

impl KeyBuilder {
    /// Begins a key with the limit's name.
    #[must_use]
    pub fn new(limit: &str) -> Self {
        let mut key = Self(String::with_capacity(limit.len() + 48));
        key.push(Some(limit));
        key
    }

    /// Adds a part; an absent one differs from an empty one.
    pub fn push(&mut self, part: Option<&str>) {
        match part {
            // Writing to a string cannot fail.
            Some(text) => drop(write!(self.0, "{}:{text}", text.len())),
            None => self.0.push('-'),
        }
    }

    /// The finished key. Not for use as a Redis key or log line: it holds what the client sent.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_read_as_the_document_spells_them() {
        assert_eq!(KeyPart::parse("ip"), Some(KeyPart::Ip));
        assert_eq!(KeyPart::parse("header.x-a"), Some(KeyPart::Header("x-a".to_owned())));
        assert_eq!(KeyPart::parse("path.id"), Some(KeyPart::PathParam("id".to_owned())));
        for bad in ["", "header.", "claim.nonsense", "IP", "path"] {
            assert_eq!(KeyPart::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn different_parts_never_give_one_key(
            a in prop::collection::vec(prop::option::of("[0-9:a-]{0,4}"), 0..4),
            b in prop::collection::vec(prop::option::of("[0-9:a-]{0,4}"), 0..4),
        ) {
            let key = |parts: &[Option<String>]| {
                let mut key = KeyBuilder::new("l");
                parts.iter().for_each(|part| key.push(part.as_deref()));
                key.finish()
            };
            prop_assert_eq!(key(&a) == key(&b), a == b);
        }
    }
}
