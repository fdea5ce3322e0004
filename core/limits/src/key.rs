//! What a limit counts by.

use core::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256};

use crate::{Anchor, Period, Spec};

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
    /// The API key that the request came with.
    ApiKey,
    /// Another claim of the principal's token, by its name.
    Claim(String),
    /// A request header. Whoever can send it chooses the key.
    Header(String),
    /// A parameter of the route's path template.
    PathParam(String),
    /// The request's method.
    Method,
    /// The host that the request is for. Whoever sends it chooses the key, as far as hosts are
    /// let in.
    Host,
    /// The name of the route's service: all of its routes count as one.
    Service,
    /// The route's name: every route counts for itself.
    Route,
}

/// As the document spells it.
impl fmt::Display for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip => f.write_str("ip"),
            Self::Subject => f.write_str("claim.sub"),
            Self::Client => f.write_str("claim.client_id"),
            Self::Tier => f.write_str("claim.tier"),
            Self::ApiKey => f.write_str("api_key"),
            Self::Claim(name) => write!(f, "claim.{name}"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::PathParam(name) => write!(f, "path.{name}"),
            Self::Method => f.write_str("method"),
            Self::Host => f.write_str("host"),
            Self::Service => f.write_str("service"),
            Self::Route => f.write_str("route"),
        }
    }
}

impl KeyPart {
    /// Reads a part as the document spells it, e.g. `ip`, `claim.sub`, `header.x-tenant`. Claims
    /// that a principal has fields for are read as these.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "ip" => Self::Ip,
            "claim.sub" => Self::Subject,
            "claim.client_id" => Self::Client,
            "claim.tier" => Self::Tier,
            "api_key" => Self::ApiKey,
            "method" => Self::Method,
            "host" => Self::Host,
            "service" => Self::Service,
            "route" => Self::Route,
            _ => match text.split_once('.')? {
                ("claim", name) if !name.is_empty() => Self::Claim(name.to_owned()),
                ("header", name) if !name.is_empty() => Self::Header(name.to_owned()),
                ("path", name) if !name.is_empty() => Self::PathParam(name.to_owned()),
                _ => return None,
            },
        })
    }

    /// Whether the part is known only once a credential was checked.
    #[must_use]
    pub const fn needs_principal(&self) -> bool {
        matches!(self, Self::Subject | Self::Client | Self::Tier | Self::ApiKey | Self::Claim(_))
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

/// Takes apart what a [`KeyBuilder`] has put together, the limit's name first; none for a part that
/// is not there. What was not put together so ends where it makes no sense.
#[must_use]
pub fn parts(key: &str) -> Vec<Option<&str>> {
    let mut parts = Vec::new();
    let mut rest = key;
    loop {
        if let Some(after) = rest.strip_prefix('-') {
            parts.push(None);
            rest = after;
            continue;
        }
        let Some((length, after)) = rest.split_once(':') else { return parts };
        let Some(split) = length.parse().ok().and_then(|at| after.split_at_checked(at)) else {
            return parts;
        };
        parts.push(Some(split.0));
        rest = split.1;
    }
}

/// A key and its owner as stores see them, because untrusted text never becomes part of a store's
/// key: the first 8 bytes of SHA-256 of the owner, the highest first, and the first 16 of SHA-256
/// of the key. Whoever counts, lends or looks must come to the same ones.
#[must_use]
pub fn hashed(owner: &str, key: &str) -> (u64, [u8; 16]) {
    let digest = |text: &str| -> [u8; 32] { Sha256::digest(text.as_bytes()).into() };
    let owner = digest(owner).first_chunk().map_or(0, |owner| u64::from_be_bytes(*owner));
    (owner, digest(key).first_chunk().copied().unwrap_or_default())
}

/// What slices of a limit are cut from, as a number for the wire: the limit's name and one of the
/// things that it allows. It means the same wherever the limit is, whatever else a document says;
/// where the numbers differ, so does this.
#[must_use]
pub fn stamp(limit: &str, spec: Spec) -> u64 {
    let rate = spec.rate();
    let is_from_first_hit = spec.anchor() == Anchor::FirstHit;
    let mut digest = Sha256::new();
    for number in [rate.requests(), rate.period_ms(), spec.burst()] {
        digest.update(number.to_le_bytes());
    }
    digest.update([u8::from(rate.period() == Period::Month), u8::from(is_from_first_hit)]);
    // No algorithm's name has a zero in it.
    digest.update(spec.algorithm().as_str());
    digest.update([0_u8]);
    digest.update(limit);
    let digest: [u8; 32] = digest.finalize().into();
    digest.first_chunk().map_or(0, |stamp| u64::from_le_bytes(*stamp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, Rate};
    use proptest::prelude::*;

    #[test]
    fn a_stamp_tells_limits_and_their_numbers_apart() {
        let spec = |algorithm, rate, burst, anchor| {
            Spec::new(algorithm, Rate::parse(rate).unwrap(), burst, anchor).unwrap()
        };
        let window = spec(Algorithm::FixedWindow, "9/31d", None, Anchor::Clock);
        let others = [
            spec(Algorithm::FixedWindow, "9/31d", None, Anchor::FirstHit),
            spec(Algorithm::FixedWindow, "9/1mo", None, Anchor::Clock),
            spec(Algorithm::FixedWindow, "8/31d", None, Anchor::Clock),
            spec(Algorithm::SlidingWindow, "9/31d", None, Anchor::Clock),
            spec(Algorithm::Gcra, "9/1m", None, Anchor::Clock),
            spec(Algorithm::Gcra, "9/1m", Some(5), Anchor::Clock),
            spec(Algorithm::TokenBucket, "9/1m", Some(5), Anchor::Clock),
        ];
        let mut stamps = vec![stamp("a", window), stamp("b", window), stamp("", window)];
        stamps.extend(others.map(|other| stamp("a", other)));
        assert_eq!(stamps[0], stamp("a", window));
        let count = stamps.len();
        stamps.sort_unstable();
        stamps.dedup();
        assert_eq!(stamps.len(), count);
    }

    #[test]
    fn hashes_stay_what_they_are() {
        // FIPS 180-2's own example, and the empty text. What is counted in a running store must
        // be found by the next release.
        let (owner, key) = hashed("abc", "");
        assert_eq!(owner, 0xba78_16bf_8f01_cfea);
        assert_eq!(u128::from_be_bytes(key), 0xe3b0_c442_98fc_1c14_9afb_f4c8_996f_b924);
    }

    #[test]
    fn parts_are_read_as_the_document_spells_them() {
        let named = |part: fn(String) -> KeyPart, name: &str| Some(part(name.to_owned()));
        for (text, expected) in [
            ("ip", Some(KeyPart::Ip)),
            ("claim.sub", Some(KeyPart::Subject)),
            ("claim.client_id", Some(KeyPart::Client)),
            ("claim.tier", Some(KeyPart::Tier)),
            ("claim.org", named(KeyPart::Claim, "org")),
            ("claim.https://example.org/org", named(KeyPart::Claim, "https://example.org/org")),
            ("api_key", Some(KeyPart::ApiKey)),
            ("header.x-a", named(KeyPart::Header, "x-a")),
            ("path.id", named(KeyPart::PathParam, "id")),
            ("method", Some(KeyPart::Method)),
            ("host", Some(KeyPart::Host)),
            ("service", Some(KeyPart::Service)),
            ("route", Some(KeyPart::Route)),
        ] {
            assert_eq!(KeyPart::parse(text), expected, "{text}");
        }
        for bad in ["", "header.", "claim.", "claim", "IP", "path", "api-key", "host.a"] {
            assert_eq!(KeyPart::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_key_is_taken_apart_as_it_was_put_together() {
        let mut key = KeyBuilder::new("per-user token_bucket 5/60000 5");
        for part in [Some("jwt"), Some("https://i.test"), None, Some(""), Some("-3:x"), Some("é")]
        {
            key.push(part);
        }
        let key = key.finish();
        let parts_of_it = parts(&key);
        assert_eq!(parts_of_it.len(), 7);
        let rest = [Some("https://i.test"), None, Some(""), Some("-3:x"), Some("é")];
        assert_eq!(parts_of_it[2..], rest);
        assert!(parts("nonsense").is_empty());
        assert!(parts("99:short").is_empty());
    }

    #[test]
    fn a_principal_is_needed_for_what_is_known_of_it() {
        for text in ["claim.sub", "claim.client_id", "claim.tier", "claim.org", "api_key"] {
            assert!(KeyPart::parse(text).unwrap().needs_principal(), "{text}");
        }
        for text in ["ip", "header.x-a", "path.id", "method", "host", "service", "route"] {
            assert!(!KeyPart::parse(text).unwrap().needs_principal(), "{text}");
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
