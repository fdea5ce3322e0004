//! The cookie of a browser's session: `ID.SECRET`. The id finds the session and opens nothing, the
//! secret proves it. Whoever begins sessions, decides on requests or tells what is decided reads it
//! here. And the names of what the suite sets besides, which nobody behind it has any business to
//! see.

use core::fmt;

use crate::correlation;
use crate::headers::{self, HeaderView};
use crate::token_places::{self, Find};
use crate::tokens::{Carrier as _, WholeRequest};

/// Bytes of a session's id, a UUID.
const ID_BYTES: usize = 36;
/// Bytes of the secret half.
const SECRET_BYTES: usize = 43;

/// What the session's cookie is called where the document says nothing: with the narrowest prefix
/// that browsers hold it to, which depends on whether other hosts than the issuer's get it.
#[must_use]
pub const fn default_name(is_https: bool, is_shared: bool) -> &'static str {
    match (is_https, is_shared) {
        // A cookie for https alone would not come back.
        (false, _) => "postern",
        (true, false) => "__Host-postern",
        (true, true) => "__Secure-postern",
    }
}

/// The cookies of the log-in pages: of a log-in that is under way, and of a device. Over plain
/// http, which is for trying things out on one machine, browsers take neither `Secure` nor the
/// prefix that needs it.
#[must_use]
pub const fn of_pages(is_https: bool) -> [&'static str; 2] {
    match is_https {
        true => ["__Host-postern-login", "__Host-postern-device"],
        false => ["postern-login", "postern-device"],
    }
}

/// What a request shows of a session. No `Debug` tells the cookie.
#[derive(Clone, PartialEq, Eq)]
pub enum ShownSession {
    /// There is no such cookie.
    Nothing,
    /// One that can be no session's, or several: whoever has put another one beside it must not
    /// choose which one counts.
    Unusable,
    /// The value of one that may be.
    Value(Vec<u8>),
}

impl ShownSession {
    /// Looks for the cookie of this name.
    #[must_use]
    pub fn of(headers: &dyn HeaderView, name: &str) -> Self {
        let request = WholeRequest { target: "", headers };
        let Some(list) = request.list(headers::COOKIE, b"; ") else { return Self::Nothing };
        match token_places::from_cookie(&list, name) {
            Find::Absent => Self::Nothing,
            Find::One(value) if parse(value).is_some() => Self::Value(value.to_vec()),
            Find::One(_) | Find::Repeated | Find::Unusable => Self::Unusable,
        }
    }
}

impl fmt::Debug for ShownSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Unusable => "Unusable",
            Self::Value(_) => "Value(…)",
        })
    }
}

/// Takes a cookie's value apart, id and secret; none where it cannot be one. The id is looked up in
/// a store, so it has to look like one.
#[must_use]
pub fn parse(value: &[u8]) -> Option<(&str, &str)> {
    let (id, secret) = core::str::from_utf8(value).ok()?.split_once('.')?;
    let fits = id.len() == ID_BYTES
        && correlation::is_uuid(id.as_bytes())
        && secret.len() == SECRET_BYTES
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    fits.then_some((id, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "f47ac10b-58cc-4372-a567-0e02b2c3d479.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO-_";

    fn shown(cookies: &[&str]) -> ShownSession {
        let header = |value: &&str| ("cookie".to_owned(), value.as_bytes().to_vec());
        let headers: Vec<(String, Vec<u8>)> = cookies.iter().map(header).collect();
        ShownSession::of(&headers, "__Host-postern")
    }

    #[test]
    fn one_cookie_that_can_be_a_sessions_is_taken() {
        let own = format!("__Host-postern={GOOD}");
        let among = format!("a=1; {own};");
        let value = ShownSession::Value(GOOD.as_bytes().to_vec());
        let found: [&[&str]; 3] = [&[&own], &["a=1", &own, "b=2"], &[&among]];
        for cookies in found {
            assert_eq!(shown(cookies), value, "{cookies:?}");
        }
        let absent: [&[&str]; 3] = [&[], &["a=1"], &["postern=x; __host-postern=x"]];
        for cookies in absent {
            assert_eq!(shown(cookies), ShownSession::Nothing, "{cookies:?}");
        }
    }

    #[test]
    fn of_several_none_is_chosen_and_what_is_none_is_looked_up_nowhere() {
        let own = format!("__Host-postern={GOOD}");
        let twice: [&[&str]; 3] =
            [&[&own, &own], &[&own, "__Host-postern="], &[&own, "__Host-postern"]];
        for cookies in twice {
            assert_eq!(shown(cookies), ShownSession::Unusable, "{cookies:?}");
        }
        for cookie in [
            format!("__Host-postern=x; {own}"),
            "__Host-postern=".to_owned(),
            "__Host-postern".to_owned(),
            format!("{own}{}", "x".repeat(60_000)),
            own.replace('.', ""),
            own.replace("c10b-", "c10b_"),
            format!("__Host-postern={}", GOOD.replace('_', "%")),
            format!("{own} x"),
            format!("{own}\0"),
        ] {
            assert_eq!(shown(&[&cookie]), ShownSession::Unusable, "{cookie:.100}");
        }
    }
}
