//! The account, and the sessions of whom it belongs to.

use askama::Template;

use crate::look::Frame;
use crate::texts::Texts;
use crate::{Look, Page};

/// The account's first page.
#[derive(Debug, Clone, Copy)]
pub struct AccountView<'a> {
    /// Who is signed in.
    pub who: &'a str,
    /// Whether it is somebody with an account here, and not only at a provider elsewhere.
    pub has_account: bool,
    /// Whether anybody can have a passkey.
    pub has_passkeys: bool,
    /// Whether the password was changed a moment ago.
    pub password_saved: bool,
}

/// The sessions of somebody.
#[derive(Debug, Clone, Copy)]
pub struct SessionsView<'a> {
    /// Where the forms go: one session's with `end`, that of all others with `others`, and
    /// everything's with `all`.
    pub action: &'a str,
    /// The forms' token.
    pub csrf: &'a str,
    /// The sessions.
    pub sessions: &'a [SessionLine<'a>],
}

/// A session.
#[derive(Debug, Clone, Copy)]
pub struct SessionLine<'a> {
    /// What the form names it by.
    pub reference: &'a str,
    /// The client that it was granted to; none for a browser's.
    pub client: Option<&'a str>,
    /// Whether it is this one.
    pub is_this: bool,
    /// The browser that it began in, where that is known.
    pub browser: Option<&'a str>,
    /// What that runs on, where that is known.
    pub system: Option<&'a str>,
    /// When it began, as RFC 3339 has it.
    pub began: &'a str,
    /// When it was used last, as RFC 3339 has it.
    pub used: &'a str,
}

/// A session, in words.
struct Row<'a> {
    line: &'a SessionLine<'a>,
    what: String,
    end: String,
    began: String,
    used: String,
}

impl<'a> Row<'a> {
    fn new(line: &'a SessionLine<'a>, texts: &Texts) -> Self {
        let browser = match (line.browser, line.system) {
            (Some(browser), Some(system)) => Some((texts.browser_on)(browser, system)),
            (known, other) => known.or(other).map(str::to_owned),
        };
        let what = match (line.client, browser) {
            (_, Some(browser)) if line.is_this => format!("{} ({browser})", texts.session_here),
            _ if line.is_this => texts.session_here.to_owned(),
            (Some(client), _) => (texts.session_client)(client),
            (None, Some(browser)) => browser,
            (None, None) => texts.session_browser.to_owned(),
        };
        Self {
            line,
            end: (texts.session_end_one)(&what),
            what,
            began: to_people(line.began),
            used: to_people(line.used),
        }
    }
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a AccountView<'a>,
    signed_in_as: String,
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a SessionsView<'a>,
    rows: Vec<Row<'a>>,
    has_others: bool,
}

/// The account's first page.
#[must_use]
pub fn account(view: &AccountView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, texts.account.to_owned(), &[]);
    let signed_in_as = (texts.signed_in_as)(view.who);
    frame.page(&AccountPage { frame: &frame, view, signed_in_as }, 200)
}

/// Where somebody is signed in.
#[must_use]
pub fn sessions(view: &SessionsView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, texts.sessions.to_owned(), &[]);
    let rows = view.sessions.iter().map(|line| Row::new(line, texts)).collect();
    let has_others = view.sessions.iter().any(|line| !line.is_this);
    frame.page(&SessionsPage { frame: &frame, view, rows, has_others }, 200)
}

/// `2026-01-31T23:59:59.000Z` as `2026-01-31 23:59 UTC`: the server does not know where its reader
/// is, and says which clock it means.
pub(super) fn to_people(rfc3339: &str) -> String {
    match rfc3339.split_once('T') {
        Some((date, time)) => {
            let minutes: String = time.chars().take(5).collect();
            format!("{date} {minutes} UTC")
        }
        None => rfc3339.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_told_by_its_browser() {
        let texts = crate::Language::En.texts();
        let bare = SessionLine {
            reference: "r",
            client: None,
            is_this: false,
            browser: None,
            system: None,
            began: "",
            used: "",
        };
        let known = SessionLine { browser: Some("Firefox"), system: Some("Linux"), ..bare };
        for (line, expected) in [
            (bare, "A browser"),
            (known, "Firefox on Linux"),
            (SessionLine { browser: None, ..known }, "Linux"),
            (SessionLine { is_this: true, ..known }, "This browser (Firefox on Linux)"),
            (SessionLine { is_this: true, ..bare }, "This browser"),
            (SessionLine { client: Some("app"), ..known }, "Application app"),
        ] {
            assert_eq!(Row::new(&line, texts).what, expected);
        }
    }

    #[test]
    fn moments_are_told_to_the_minute_with_their_clock() {
        assert_eq!(to_people("2026-01-31T23:59:59.000Z"), "2026-01-31 23:59 UTC");
        assert_eq!(to_people("unknown"), "unknown");
    }
}
