//! Forms come from our own pages, and from the browser that they were shown to.
//!
//! Two things are asked, each enough by itself in a browser that works: what the browser says of
//! where the form was sent from, and a token that only its own page could know.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::HeaderMap;
use postern_jose::base64url;
use postern_request::UnixMillis;
use postern_request::headers::Single;

use crate::http::reply::single;
use crate::random;
use crate::vault::{Purpose, Vault};

const HOUR_MS: u64 = 60 * 60 * 1000;

/// A form of ours. A token is good for one of them alone: what somebody sees of one page helps with
/// no other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormName {
    Login,
    Mfa,
    Enrol,
    Password,
    Consent,
    Device,
    DeviceConfirm,
    Sessions,
    Factors,
    Totp,
    Recovery,
    /// Both requests of the script that uses a passkey.
    UsePasskey,
    /// Both requests of the script that makes one.
    MakePasskey,
    OwnPassword,
    Consents,
    Logout,
}

impl FormName {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Mfa => "mfa",
            Self::Enrol => "enrol",
            Self::Password => "password",
            Self::Consent => "consent",
            Self::Device => "device",
            Self::DeviceConfirm => "device_confirm",
            Self::Sessions => "sessions",
            Self::Factors => "factors",
            Self::Totp => "totp",
            Self::Recovery => "recovery",
            Self::UsePasskey => "use_passkey",
            Self::MakePasskey => "make_passkey",
            Self::OwnPassword => "own_password",
            Self::Consents => "consents",
            Self::Logout => "logout",
        }
    }
}

/// The token of a form for whoever has this cookie: of a log-in that is under way, or of a session.
pub(super) fn token(vault: &Vault, cookie: &[u8], form: FormName, now: UnixMillis) -> String {
    base64url::encode(&tag(vault, cookie, form, now.0 / HOUR_MS))
}

/// Whether a token was made for this form and this cookie, in this hour or the one before it.
pub(super) fn is_good(
    vault: &Vault,
    cookie: &[u8],
    form: FormName,
    token: &str,
    now: UnixMillis,
) -> bool {
    let Some(shown) = base64url::decode(token) else { return false };
    let hour = now.0 / HOUR_MS;
    [Some(hour), hour.checked_sub(1)]
        .into_iter()
        .flatten()
        .any(|hour| verify_slices_are_equal(&tag(vault, cookie, form, hour), &shown).is_ok())
}

/// The cookie is a secret that the store keeps as a hash too: a keyed hash of its hash tells
/// nothing of it. Hash and hour have a fixed length, so that no two forms run into each other.
fn tag(vault: &Vault, cookie: &[u8], form: FormName, hour: u64) -> [u8; 32] {
    let mut data = Vec::with_capacity(64);
    data.extend_from_slice(&random::sha256(cookie).0);
    data.extend_from_slice(&hour.to_be_bytes());
    data.extend_from_slice(form.as_str().as_bytes());
    vault.tag(Purpose::Csrf, &data)
}

/// Whether the browser says that a form was sent from a page at this origin. One that says nothing
/// of it is an old one, or none: the token decides then.
pub(super) fn is_from_here(headers: &HeaderMap, origin: &str) -> bool {
    let is_ours = match single(headers, "origin") {
        Single::Absent => true,
        Single::One(value) => value == origin.as_bytes(),
        Single::Repeated => false,
    };
    let is_same = match single(headers, "sec-fetch-site") {
        Single::Absent => true,
        Single::One(value) => value == b"same-origin",
        Single::Repeated => false,
    };
    is_ours && is_same
}

/// The same of a script's request, about which every browser that knows passkeys says something.
pub(super) fn is_script_from_here(headers: &HeaderMap, origin: &str) -> bool {
    let says = headers.contains_key("origin") || headers.contains_key("sec-fetch-site");
    says && is_from_here(headers, origin)
}

/// The origin of an issuer as browsers write it: in lower case, without the scheme's own port.
pub(super) fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let scheme = scheme.to_ascii_lowercase();
    let own_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let host = authority.strip_suffix(own_port).unwrap_or(authority).to_ascii_lowercase();
    (!host.is_empty()).then(|| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyEncryptionKey;
    use axum::http::HeaderValue;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const ORIGIN: &str = "https://api.example.test";

    fn vault(digits: &str) -> Vault {
        Vault::new(KeyEncryptionKey::from_text(&digits.repeat(16)).unwrap())
    }

    #[test]
    fn a_token_is_good_for_its_form_and_its_browser() {
        let vault_here = vault("0f1e");
        let made = token(&vault_here, b"cookie", FormName::Login, NOW);
        assert_eq!(made.len(), 43);
        assert!(is_good(&vault_here, b"cookie", FormName::Login, &made, NOW));
        assert!(!is_good(&vault_here, b"cookie", FormName::Mfa, &made, NOW), "another form");
        assert!(!is_good(&vault_here, b"cookiE", FormName::Login, &made, NOW), "another browser");
        assert!(!is_good(&vault("1e0f"), b"cookie", FormName::Login, &made, NOW), "another key");
    }

    #[test]
    fn tokens_end() {
        let vault = vault("0f1e");
        let made = token(&vault, b"cookie", FormName::Consent, NOW);
        let after = |ms| UnixMillis(NOW.0 + ms);
        assert!(is_good(&vault, b"cookie", FormName::Consent, &made, after(HOUR_MS)));
        assert!(!is_good(&vault, b"cookie", FormName::Consent, &made, after(2 * HOUR_MS)));
        let early = UnixMillis(NOW.0 - HOUR_MS);
        assert!(!is_good(&vault, b"cookie", FormName::Consent, &made, early), "of the future");
        let first = token(&vault, b"cookie", FormName::Consent, UnixMillis(0));
        assert!(is_good(&vault, b"cookie", FormName::Consent, &first, UnixMillis(0)));
    }

    #[test]
    fn whatever_is_no_token_is_refused() {
        let vault = vault("0f1e");
        let made = token(&vault, b"cookie", FormName::Login, NOW);
        let mut shorter = made.clone();
        shorter.pop();
        for bad in ["", "x", "====", shorter.as_str(), &format!("{made}A"), &"A".repeat(43)] {
            assert!(!is_good(&vault, b"cookie", FormName::Login, bad, NOW), "{bad}");
        }
    }

    #[test]
    fn forms_of_other_sites_are_told_by_the_browser() {
        for (origin, site, expected) in [
            (None, None, true),
            (Some(ORIGIN), None, true),
            (Some(ORIGIN), Some("same-origin"), true),
            (None, Some("same-origin"), true),
            (Some("https://api.example.test.evil.test"), None, false),
            (Some("http://api.example.test"), None, false),
            (Some("https://api.example.test:8443"), None, false),
            (Some("null"), None, false),
            (Some(""), None, false),
            (Some(ORIGIN), Some("cross-site"), false),
            (Some(ORIGIN), Some("same-site"), false),
            (None, Some("none"), false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            assert_eq!(is_from_here(&headers, ORIGIN), expected, "{origin:?} {site:?}");
        }
        let mut twice = HeaderMap::new();
        twice.append("origin", HeaderValue::from_static(ORIGIN));
        twice.append("origin", HeaderValue::from_static(ORIGIN));
        assert!(!is_from_here(&twice, ORIGIN));
    }

    #[test]
    fn origins_are_as_browsers_write_them() {
        for (issuer, expected) in [
            ("https://api.example.test", Some("https://api.example.test")),
            ("https://API.example.test/", Some("https://api.example.test")),
            ("https://api.example.test:443/x", Some("https://api.example.test")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("http://localhost:80?x", Some("http://localhost")),
            ("com.example.app:/x", None),
            ("https://", None),
            ("", None),
        ] {
            assert_eq!(origin_of(issuer).as_deref(), expected, "{issuer}");
        }
    }
}
