//! When a browser is sent to log in instead of being refused, where to, and how it comes back.
//!
//! `ext_authz` sends it, the server's pages send it back, and `explain` says both: with these
//! functions, so that all of them mean the same places. Whoever writes a link to the log-in pages
//! chooses where they lead afterwards, so [`ReturnTo`] takes places of ours and nothing else.

use crate::headers::{HeaderView, MAX_VALUE_BYTES, Single};
use crate::token_places::is_unreserved;

/// The log-in pages begin here.
pub const LOGIN_PATH: &str = "/login";
/// Where a browser goes after log-in that came from nowhere.
pub const ACCOUNT_PATH: &str = "/login/account";
/// Log-in at an outside provider begins here, with its name behind it.
pub const OUTSIDE_PATH: &str = "/login/outside/";
/// `acr` of an authentication by one factor.
pub const ONE_FACTOR: &str = "urn:postern:acr:1";
/// `acr` of an authentication by several factors.
pub const SEVERAL_FACTORS: &str = "urn:postern:acr:2";
/// Longest place to come back to, in bytes.
pub const MAX_RETURN_TO_BYTES: usize = 4096;

/// Where a browser is sent to log in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LoginAt {
    /// The suite's own pages.
    Pages,
    /// An outside provider at once, by its name in the document.
    Outside(String),
}

/// Another authentication for somebody who is known already (RFC 9470): by several factors, and
/// where a time is named, not longer ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StepUp {
    /// How long ago it may have been, in seconds.
    pub max_age_secs: Option<u64>,
}

/// Whether a request is a browser's that wants a page to show. Others could do nothing with a
/// redirect: a script gets an answer that it cannot read, a form loses what was filled in.
///
/// That is a GET or HEAD that says so by Fetch Metadata, or where there is none of it, one whose
/// `accept` names `text/html` first. A page in a frame is none: nothing of ours is shown in one.
#[must_use]
pub fn is_navigation(method: &str, headers: &dyn HeaderView) -> bool {
    if !matches!(method, "GET" | "HEAD") {
        return false;
    }
    match (headers.single("sec-fetch-mode"), headers.single("sec-fetch-dest")) {
        (Single::Absent, Single::Absent) => {
            headers.single("accept").one().is_some_and(names_html_first)
        }
        (mode, destination) => {
            mode == Single::One(b"navigate") && destination == Single::One(b"document")
        }
    }
}

fn names_html_first(accept: &[u8]) -> bool {
    let first = accept.split(|byte| matches!(byte, b',' | b';')).next().unwrap_or_default();
    first.trim_ascii().eq_ignore_ascii_case(b"text/html")
}

/// Where to send the browser: the pages of the issuer, or one of its outside providers.
///
/// It comes back to what it asked for: `target` at `authority`, whose host the gateway was reached
/// under. What does not fit into a header is left out, and log-in ends on the account's page.
#[must_use]
pub fn location(
    issuer: &str,
    at: &LoginAt,
    scheme: &str,
    authority: &str,
    target: &str,
    step_up: Option<StepUp>,
) -> String {
    let mut to = issuer.trim_end_matches('/').to_owned();
    match at {
        LoginAt::Pages => to.push_str(LOGIN_PATH),
        LoginAt::Outside(name) => {
            to.push_str(OUTSIDE_PATH);
            escape(&mut to, name);
        }
    }
    let mut query = String::new();
    if let Some(step_up) = step_up {
        pair(&mut query, "acr_values", SEVERAL_FACTORS);
        if let Some(seconds) = step_up.max_age_secs {
            pair(&mut query, "max_age", &seconds.to_string());
        }
    }
    let is_ours = Origin::of(issuer).is_some_and(|ours| ours.host == host_of(scheme, authority));
    let return_to = match is_ours {
        true => target.to_owned(),
        false => [scheme, "://", authority, target].concat(),
    };
    let mut with_return = String::new();
    pair(&mut with_return, "return_to", &return_to);
    with_return.push_str(&query);
    let fits =
        return_to.len() <= MAX_RETURN_TO_BYTES && to.len() + with_return.len() <= MAX_VALUE_BYTES;
    let query = if fits { with_return } else { query };
    // Each pair was written with a separator before it.
    if let Some(query) = query.strip_prefix('&') {
        to.push('?');
        to.push_str(query);
    }
    to
}

fn pair(query: &mut String, name: &str, value: &str) {
    query.push('&');
    query.push_str(name);
    query.push('=');
    escape(query, value);
}

/// Everything but unreserved characters (RFC 3986 §2.3): what was a value stays one.
fn escape(out: &mut String, text: &str) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
}

/// Where a browser goes after it has logged in: a path at the issuer, or a URL at the issuer or
/// at a host that the document names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReturnTo(String);

impl ReturnTo {
    /// Reads what a link asks for; none for every place that is not ours. `hosts` are those of the
    /// document besides the issuer's, with a port where it is not the scheme's own; they are
    /// reached by the issuer's scheme.
    #[must_use]
    pub fn parse(text: &str, issuer: &str, hosts: &[String]) -> Option<Self> {
        // Browsers read `\` as `/`, and take tabs and line breaks out wherever they are.
        let is_visible = |byte: u8| matches!(byte, 0x21..=0x7e) && byte != b'\\';
        if text.len() > MAX_RETURN_TO_BYTES || !text.bytes().all(is_visible) {
            return None;
        }
        let is_ours = match text.strip_prefix('/') {
            // `//host/` is a URL of another host.
            Some(rest) => !rest.starts_with('/'),
            None => is_one_of_ours(text, issuer, hosts),
        };
        is_ours.then(|| Self(text.to_owned()))
    }

    /// As it was read: what `location` may say.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The account's page.
impl Default for ReturnTo {
    fn default() -> Self {
        Self(ACCOUNT_PATH.to_owned())
    }
}

fn is_one_of_ours(url: &str, issuer: &str, hosts: &[String]) -> bool {
    let (Some(asked), Some(ours)) = (Origin::of(url), Origin::of(issuer)) else {
        return false;
    };
    let is_named = |host: &String| host_of(asked.scheme, host) == asked.host;
    asked.scheme == ours.scheme && (asked.host == ours.host || hosts.iter().any(is_named))
}

/// Scheme and host of a URL.
struct Origin<'a> {
    scheme: &'a str,
    /// In lower case, without the scheme's own port.
    host: String,
}

impl<'a> Origin<'a> {
    /// Of an http or https URL whose authority is a host and no more: whoever is named before an
    /// `@` looks like one.
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]_".contains(&byte);
        let is_host = !authority.is_empty() && authority.bytes().all(fits);
        (matches!(scheme, "http" | "https") && is_host)
            .then(|| Self { scheme, host: host_of(scheme, authority) })
    }
}

/// In lower case, without the scheme's own port.
pub(crate) fn host_of(scheme: &str, authority: &str) -> String {
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    authority.strip_suffix(own_port).unwrap_or(authority).to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
