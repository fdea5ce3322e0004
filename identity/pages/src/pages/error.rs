//! Pages of what did not work.

use super::login::Link;
use super::message::{Message, message};
use crate::texts::Texts;
use crate::{Look, Page, Problem};

/// What did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The client of an authorization request is not known.
    UnknownClient,
    /// Its redirect URI is not registered.
    RedirectUri,
    /// The place to go to after log-out is none of the client's.
    LogoutUri,
    /// A request cannot be read.
    Unreadable,
    /// A request is too large.
    TooLarge,
    /// A pushed request is over.
    RequestExpired,
    /// A form did not come from a page of ours, or too late.
    Form,
    /// There is no such page.
    NotFound,
    /// The page is not used by this method.
    Method,
    /// Ours.
    Internal,
    /// Logging in elsewhere came to nothing.
    Elsewhere(Elsewhere),
    /// What a form would say, where there is none to say it.
    Problem(Problem),
}

/// Why logging in at an outside provider came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// The provider has not signed them in, or they did not want it to.
    Denied,
    /// The provider cannot be reached.
    Away,
    /// What it has answered is not to be believed.
    Answer,
    /// It does not vouch for an e-mail, or for none that may sign in here.
    Email,
    /// They are nobody here, and whoever brings them makes no users.
    Nobody,
    /// Somebody here has their e-mail already.
    Taken,
    /// Its word is one factor, and two are asked for.
    SecondFactor,
}

impl ErrorKind {
    const fn status(self) -> u16 {
        match self {
            Self::UnknownClient
            | Self::RedirectUri
            | Self::LogoutUri
            | Self::Unreadable
            | Self::RequestExpired => 400,
            Self::TooLarge => 413,
            Self::Form => 403,
            Self::NotFound => 404,
            Self::Method => 405,
            Self::Internal => 500,
            Self::Elsewhere(Elsewhere::Away) => 503,
            Self::Elsewhere(_) | Self::Problem(Problem::Blocked) => 403,
            Self::Problem(Problem::Limited(_)) => 429,
            Self::Problem(Problem::Busy | Problem::Unavailable) => 503,
            Self::Problem(_) => 400,
        }
    }

    /// Whether starting again helps.
    const fn starts_again(self) -> bool {
        use Problem::{Cookies, Exhausted, Expired, NoLogIn};
        matches!(
            self,
            Self::Form
                | Self::Elsewhere(_)
                | Self::Problem(Expired | Exhausted | Cookies | NoLogIn)
        )
    }
}

/// A page of an error.
#[derive(Debug, Clone, Copy)]
pub struct ErrorView<'a> {
    /// What did not work.
    pub kind: ErrorKind,
    /// By which operators find it in the log.
    pub correlation_id: &'a str,
    /// Where somebody signs in again, at this server; it leads to where they were going.
    pub sign_in: &'a str,
}

/// Says what did not work.
#[must_use]
pub fn error(view: &ErrorView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let text = match view.kind {
        ErrorKind::UnknownClient => texts.error_unknown_client.to_owned(),
        ErrorKind::RedirectUri => texts.error_redirect.to_owned(),
        ErrorKind::LogoutUri => texts.error_logout_uri.to_owned(),
        ErrorKind::Unreadable => texts.error_unreadable.to_owned(),
        ErrorKind::TooLarge => texts.error_too_large.to_owned(),
        ErrorKind::RequestExpired => texts.error_request_expired.to_owned(),
        ErrorKind::Form => texts.error_form.to_owned(),
        ErrorKind::NotFound => texts.error_not_found.to_owned(),
        ErrorKind::Method => texts.error_method.to_owned(),
        ErrorKind::Internal => texts.error_internal.to_owned(),
        ErrorKind::Elsewhere(why) => elsewhere(why, texts).to_owned(),
        ErrorKind::Problem(problem) => problem.text(texts),
    };
    let link = view
        .kind
        .starts_again()
        .then(|| Link { href: view.sign_in, text: texts.sign_in_again.to_owned() });
    let reference = Some(view.correlation_id);
    let told = Message { heading: texts.error, text, reference, link };
    message(told, look, view.kind.status())
}

const fn elsewhere(why: Elsewhere, texts: &Texts) -> &'static str {
    match why {
        Elsewhere::Denied => texts.elsewhere_denied,
        Elsewhere::Away => texts.elsewhere_away,
        Elsewhere::Answer => texts.elsewhere_answer,
        Elsewhere::Email => texts.elsewhere_email,
        Elsewhere::Nobody => texts.elsewhere_nobody,
        Elsewhere::Taken => texts.elsewhere_taken,
        Elsewhere::SecondFactor => texts.elsewhere_second_factor,
    }
}
