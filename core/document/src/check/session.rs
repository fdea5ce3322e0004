//! The cookie of browsers' sessions, and what routes ask of how somebody has logged in.

use postern_limits::rate::parse_duration_ms;
use postern_request::principal::Credential;
use postern_request::session_cookie;
use postern_request::token_places::is_token;

use crate::model::{Mfa, SessionCookie, TokenPlace};
use crate::problem::{Problems, told};
use crate::raw::{RawAuthRules, RawDocument, RawSession};

#[cfg(feature = "messages")]
mod login_at;

#[cfg(feature = "messages")]
pub(super) use login_at::check as check_login_at;

const PATH: &str = "credentials.session";
const MAX_NAME_BYTES: usize = 128;
/// Cookies of the log-in pages, behind whatever prefix.
#[cfg(feature = "messages")]
const OF_THE_PAGES: [&str; 2] = session_cookie::of_pages(false);

/// The cookie; none where no route can take a session. Filters are told its name, whatever it is
/// made of.
pub(super) fn cookie(
    raw: &RawDocument,
    places: &[TokenPlace],
    problems: &mut Problems,
) -> Option<SessionCookie> {
    let session = raw.credentials.as_ref()?.session.as_ref()?;
    let name = session.cookie.as_ref().map_or_else(|| default_name(raw), |name| name.value.clone());
    let path = told!("{PATH}.cookie");
    if !is_token(name.as_bytes()) || name.len() > MAX_NAME_BYTES {
        let message = "a cookie's name is 1 to 128 letters, digits and a few signs such as `-`, `.` \
                       and `_`";
        problems.report_as(at(session), &path, message);
    }
    let is_it = |place: &TokenPlace| matches!(place, TokenPlace::Cookie(cookie) if *cookie == name);
    if places.iter().any(is_it) {
        let message = told!("tokens stand in the cookie `{name}` (`jwt.from`): name another one");
        problems.report_as(at(session), &path, message);
    }
    #[cfg(feature = "messages")]
    check_prefix(raw, session, &name, &path, problems);
    Some(SessionCookie { name })
}

fn at(session: &RawSession) -> crate::problem::Position {
    session.cookie.as_ref().map_or(session.at, |cookie| cookie.at)
}

fn default_name(raw: &RawDocument) -> String {
    let is_https = raw.issuer.as_ref().is_some_and(|issuer| issuer.starts_with("https://"));
    session_cookie::default_name(is_https, cookie_domain(raw)).to_owned()
}

/// Whether hosts besides the issuer's get the cookie.
fn cookie_domain(raw: &RawDocument) -> bool {
    let session = raw.login.get().and_then(|login| login.session.as_ref());
    session.is_some_and(|session| session.cookie_domain.is_some())
}

/// Browsers drop what its own name forbids, and nobody could log in.
#[cfg(feature = "messages")]
fn check_prefix(
    raw: &RawDocument,
    session: &RawSession,
    name: &str,
    path: &str,
    problems: &mut Problems,
) {
    let lower = name.to_ascii_lowercase();
    let is_https = raw.issuer.as_ref().is_some_and(|issuer| issuer.starts_with("https://"));
    let prefix = ["__host-", "__secure-"].into_iter().find(|prefix| lower.starts_with(prefix));
    let bare = lower.get(prefix.map_or(0, str::len)..).unwrap_or_default();
    let message = if OF_THE_PAGES.contains(&bare) {
        "the log-in pages have a cookie of this name: choose another one"
    } else if prefix.is_some() && !is_https {
        "browsers take a cookie of such a name from an https `issuer` alone"
    } else if prefix == Some("__host-") && cookie_domain(raw) {
        "browsers keep a `__Host-` cookie for one host: begin its name with `__Secure-`, or leave \
         `login.session.cookie_domain` out"
    } else {
        return;
    };
    problems.report_as(at(session), path, message);
}

/// Sessions begin at log-in and nowhere else.
#[cfg(feature = "messages")]
pub(super) fn check_origin(raw: &RawDocument, problems: &mut Problems) {
    let session = raw.credentials.as_ref().and_then(|credentials| credentials.session.as_ref());
    let Some(session) = session else { return };
    if raw.login.get().is_none() && !problems.any_below("login") {
        let message = "nobody could begin a session: say in `login` how people log in";
        problems.report_as(session.at, PATH, message);
    }
}

/// What a route asks of how its callers have authenticated.
pub(super) fn check_mfa(
    raw: &RawAuthRules,
    any: &[Credential],
    path: &str,
    problems: &mut Problems,
) -> Option<Mfa> {
    const LONGEST_MS: u64 = 86_400_000;
    let text = raw.mfa.as_ref()?;
    let path = told!("{path}.mfa");
    let within_ms = text.strip_prefix("within ").map(|time| parse_duration_ms(time.trim()));
    let within_ms = match within_ms {
        None if text.as_str() == "required" => None,
        Some(Some(millis @ 60_000..=LONGEST_MS)) => Some(millis),
        _ => {
            let message = "expected `required`, or `within 15m`: 1m to 24h";
            problems.report_as(text.at, &path, message);
            None
        }
    };
    if any.contains(&Credential::ApiKey) {
        let message = "nobody shows a second factor with an API key: take `api_key` out of `any`";
        problems.report_as(text.at, &path, message);
    }
    if raw.optional == Some(true) {
        let message = "nothing can be asked of callers without a credential: drop `optional` or \
                       `mfa`";
        problems.report_as(text.at, &path, message);
    }
    Some(Mfa { within_secs: within_ms.map(|millis| millis / 1000) })
}
