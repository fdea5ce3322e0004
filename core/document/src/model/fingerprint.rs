//! What a browser shows of itself, and the keyed hash by which a session knows it again.
//!
//! Whoever keeps a session's record must not be able to say what was shown, and whoever decides on
//! requests has no key of the suite's. Both have what the browser's cookie says: its secret half is
//! the key, and nobody keeps that.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use postern_request::address;
use sha2::{Digest as _, Sha256};

use super::{Fingerprint, FingerprintPart};

/// Bits of an address that stay while somebody moves about in a network.
const NETWORK_V4: u32 = 24;
const NETWORK_V6: u8 = 56;
/// Most of a header that counts, in bytes.
const MAX_SHOWN: usize = 512;
/// Keeps these hashes apart from all others.
const PURPOSE: &[u8] = b"postern-fingerprint-1\0";

/// What a browser shows of itself; headers as [`Browser::text`] reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Browser<'a> {
    /// `user-agent`
    pub user_agent: &'a str,
    /// `accept-language`
    pub accept_language: &'a str,
    /// `sec-ch-ua-platform`
    pub platform: &'a str,
    /// Its address, behind trusted proxies.
    pub ip: Option<IpAddr>,
}

impl Browser<'_> {
    /// A header's value as it counts: nothing of one that is no printable text, and no more than
    /// its first 512 bytes.
    #[must_use]
    pub fn text(value: &[u8]) -> &str {
        if !value.iter().all(|byte| matches!(*byte, b'\t' | 0x20..=0x7e)) {
            return "";
        }
        // Every byte is a character.
        let start = value.get(..value.len().min(MAX_SHOWN)).unwrap_or_default();
        core::str::from_utf8(start).unwrap_or_default()
    }
}

impl Fingerprint {
    /// What of a browser is looked at, in one text; none where nothing is.
    #[must_use]
    pub fn text(&self, browser: &Browser<'_>) -> Option<String> {
        if self.parts.is_empty() {
            return None;
        }
        let mut text = String::new();
        for part in &self.parts {
            let shown = match part {
                FingerprintPart::UserAgent => Cow::Borrowed(browser.user_agent),
                FingerprintPart::AcceptLanguage => Cow::Borrowed(browser.accept_language),
                FingerprintPart::ClientHint => Cow::Borrowed(browser.platform),
                FingerprintPart::IpPrefix => {
                    Cow::Owned(browser.ip.map(network_of).unwrap_or_default())
                }
            };
            // With its length before it, no part can pass for another one's end.
            text.push_str(&shown.len().to_string());
            text.push(':');
            text.push_str(&shown);
        }
        Some(text)
    }

    /// What a session keeps of its browser; none where nothing is looked at. `secret` is the secret
    /// half of the session's cookie, which has one length.
    #[must_use]
    pub fn of(&self, secret: &str, browser: &Browser<'_>) -> Option<[u8; 16]> {
        let text = self.text(browser)?;
        let mut hasher = Sha256::new();
        hasher.update(PURPOSE);
        hasher.update(secret.as_bytes());
        hasher.update(b"\0");
        hasher.update(text.as_bytes());
        hasher.finalize().first_chunk().copied()
    }
}

fn network_of(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - NETWORK_V4).unwrap_or(0);
            Ipv4Addr::from(u32::from(ip) & mask).to_string()
        }
        ip @ IpAddr::V6(_) => address::limit_key(ip, NETWORK_V6).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OnChange;

    const SECRET: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO-_";

    fn looks_at(parts: &[FingerprintPart]) -> Fingerprint {
        Fingerprint { parts: parts.to_vec(), on_change: OnChange::Log }
    }

    const BROWSER: Browser<'static> = Browser {
        user_agent: "Browser/1",
        accept_language: "de",
        platform: "\"Linux\"",
        ip: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
    };

    #[test]
    fn a_browser_is_known_by_what_the_document_looks_at() {
        assert_eq!(looks_at(&[]).of(SECRET, &BROWSER), None);
        let agent = Browser { user_agent: "Browser/2", ..BROWSER };
        let near = Browser { ip: Some([192, 0, 2, 200].into()), ..BROWSER };
        let mapped = "::ffff:192.0.2.9".parse().ok();
        let far = Browser { ip: Some([192, 0, 3, 1].into()), ..BROWSER };
        for (part, other, is_same) in [
            (FingerprintPart::UserAgent, agent, false),
            (FingerprintPart::UserAgent, far, true),
            (FingerprintPart::AcceptLanguage, agent, true),
            (FingerprintPart::AcceptLanguage, Browser { accept_language: "", ..BROWSER }, false),
            (FingerprintPart::ClientHint, Browser { platform: "", ..BROWSER }, false),
            (FingerprintPart::IpPrefix, near, true),
            (FingerprintPart::IpPrefix, Browser { ip: mapped, ..BROWSER }, true),
            (FingerprintPart::IpPrefix, far, false),
            (FingerprintPart::IpPrefix, Browser { ip: None, ..BROWSER }, false),
        ] {
            let rules = looks_at(&[part]);
            let same = rules.of(SECRET, &BROWSER) == rules.of(SECRET, &other);
            assert_eq!(same, is_same, "{part:?} {other:?}");
        }
    }

    #[test]
    fn what_is_kept_says_nothing_without_the_cookie() {
        let rules = looks_at(&[FingerprintPart::UserAgent]);
        let other = SECRET.replace('a', "b");
        assert_ne!(rules.of(SECRET, &BROWSER), rules.of(&other, &BROWSER));
    }

    #[test]
    fn no_part_runs_into_the_next_one() {
        let rules = looks_at(&[FingerprintPart::UserAgent, FingerprintPart::AcceptLanguage]);
        let left = Browser { user_agent: "ab", accept_language: "c", ..BROWSER };
        let right = Browser { user_agent: "a", accept_language: "bc", ..BROWSER };
        assert_ne!(rules.of(SECRET, &left), rules.of(SECRET, &right));
    }

    #[test]
    fn a_header_is_text_of_some_length_or_nothing() {
        let long = "x".repeat(600);
        assert_eq!(Browser::text(long.as_bytes()).len(), MAX_SHOWN);
        assert_eq!(Browser::text(b"a\tb"), "a\tb");
        for nothing in [&b""[..], b"\xff", "\u{e9}".as_bytes(), b"a\0"] {
            assert_eq!(Browser::text(nothing), "");
        }
    }
}
