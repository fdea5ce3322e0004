//! A log-in that is under way at a provider.
//!
//! `state` is a secret of one browser for a few minutes. What is kept under its hash says whose it
//! is; `nonce` and the verifier of PKCE are not kept at all. They are made of `state` and of the
//! browser's cookie, neither of which the store knows, so that it yields nothing to whoever reads
//! it, and a code that somebody brings from elsewhere meets another verifier.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use postern_jose::base64url;
use postern_oauth::Secret;
use postern_request::UnixMillis;
use postern_request::json::{self, Value};
use postern_store::{FlowKey, FlowKind};

use super::OutsideError;
use crate::claims::Claims;
use crate::random;

/// How long somebody may take at the provider: less than the log-in that it is a part of.
pub(super) const LIFE_MS: u64 = 10 * 60 * 1000;
/// `state` has so many characters; what has another number is not looked up.
const STATE_BYTES: usize = 43;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    /// The provider's name.
    pub(super) provider: String,
    /// The hash of the cookie of the browser's log-in.
    pub(super) browser: [u8; 32],
    /// How long ago somebody may have authenticated there, in seconds.
    pub(super) max_age_secs: Option<u64>,
    /// When it began.
    pub(super) started_at: UnixMillis,
}

impl Pending {
    pub(super) fn new(
        provider: &str,
        cookie: &[u8],
        max_age_secs: Option<u64>,
        now: UnixMillis,
    ) -> Self {
        let browser = random::sha256(cookie).0;
        Self { provider: provider.to_owned(), browser, max_age_secs, started_at: now }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let text = Claims::new()
            .text("provider", &self.provider)
            .text("browser", &base64url::encode(&self.browser))
            .number_if("max_age", self.max_age_secs)
            .number("started_at", self.started_at.0)
            .finish();
        text.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let value = json::parse(bytes).ok()?;
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let number = |name: &str| match value.get(name) {
            Some(Value::Integer(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        Some(Self {
            provider: text("provider")?.to_owned(),
            browser: base64url::decode(text("browser")?)?.try_into().ok()?,
            max_age_secs: match value.get("max_age") {
                Some(_) => Some(number("max_age")?),
                None => None,
            },
            started_at: UnixMillis(number("started_at")?),
        })
    }

    /// When somebody can have authenticated at the earliest who does as they were asked; at any
    /// time where they were not.
    pub(super) fn earliest(&self) -> UnixMillis {
        let most_ms = self.max_age_secs.map_or(u64::MAX, |secs| secs.saturating_mul(1000));
        UnixMillis(self.started_at.0.saturating_sub(most_ms))
    }

    /// Whether an answer that came on this provider's path, in the browser with this cookie,
    /// belongs to it (RFC 9700 §4.4.2.2, §4.7.1).
    pub(super) fn belongs_to(
        &self,
        provider: &str,
        cookie: &[u8],
        now: UnixMillis,
    ) -> Result<(), OutsideError> {
        if now.millis_since(self.started_at) >= LIFE_MS {
            return Err(OutsideError::State("it took too long"));
        }
        if self.provider != provider {
            return Err(OutsideError::State("it is another provider's"));
        }
        let shown = random::sha256(cookie).0;
        verify_slices_are_equal(&shown, &self.browser)
            .map_err(|_| OutsideError::State("it is another browser's"))
    }
}

/// Where a `state` is kept; none where it cannot be one.
pub(super) fn key(state: &str) -> Option<FlowKey> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_one = state.len() == STATE_BYTES && state.bytes().all(fits);
    is_one.then(|| FlowKey::of(FlowKind::Outside, state.as_bytes()))
}

/// `nonce` of the log-in with this `state` in this browser.
pub(super) fn nonce(state: &str, cookie: &[u8]) -> Secret {
    derived(b"nonce", state, cookie)
}

/// `code_verifier`, likewise: 43 characters (RFC 7636 §4.1).
pub(super) fn verifier(state: &str, cookie: &[u8]) -> Secret {
    derived(b"verifier", state, cookie)
}

/// `code_challenge` of a verifier (RFC 7636 §4.2).
pub(super) fn challenge(verifier: &Secret) -> String {
    base64url::encode(&random::sha256(verifier.expose().as_bytes()).0)
}

/// Both are random and secret. The label ends with a zero byte, and `state` has one length.
fn derived(label: &[u8], state: &str, cookie: &[u8]) -> Secret {
    let data = [&b"postern:outside:1:"[..], label, b"\0", state.as_bytes(), cookie].concat();
    Secret::new(base64url::encode(&random::sha256(&data).0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    #[test]
    fn what_is_kept_is_read_as_it_was_written() {
        for max_age in [None, Some(900)] {
            let pending = Pending::new("corp", b"cookie", max_age, NOW);
            assert_eq!(Pending::decode(&pending.encode()), Some(pending));
        }
        for bad in [
            &b""[..],
            b"{}",
            br#"{"provider":"corp","browser":"AAAA","started_at":1}"#,
            br#"{"provider":"corp","browser":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","max_age":"1","started_at":1}"#,
        ] {
            assert_eq!(Pending::decode(bad), None);
        }
    }

    #[test]
    fn an_answer_belongs_to_one_browser_and_one_provider_for_a_while() {
        let pending = Pending::new("corp", b"cookie", None, NOW);
        let late = UnixMillis(NOW.0 + LIFE_MS);
        assert_eq!(pending.belongs_to("corp", b"cookie", NOW), Ok(()));
        for (provider, cookie, at) in [
            ("corp", &b"cookiE"[..], NOW),
            ("corp", b"", NOW),
            ("other", b"cookie", NOW),
            ("corp", b"cookie", late),
        ] {
            let judged = pending.belongs_to(provider, cookie, at);
            assert!(matches!(judged, Err(OutsideError::State(_))), "{provider}");
        }
    }

    #[test]
    fn each_log_in_has_a_nonce_and_a_verifier_of_its_own() {
        let (one, other) = ("A".repeat(43), "B".repeat(43));
        let made = verifier(&one, b"cookie");
        assert_eq!(made.expose().len(), 43);
        assert_eq!(made, verifier(&one, b"cookie"));
        assert_ne!(made, verifier(&other, b"cookie"));
        assert_ne!(made, verifier(&one, b"cookiE"));
        assert_ne!(made, nonce(&one, b"cookie"));
        assert_eq!(challenge(&made).len(), 43);
    }

    #[test]
    fn what_is_no_state_is_not_looked_up() {
        assert!(key(&"A".repeat(43)).is_some());
        for bad in ["", "A", &"A".repeat(44), &"=".repeat(43), &"ä".repeat(43)] {
            assert_eq!(key(bad), None, "{bad}");
        }
    }
}
