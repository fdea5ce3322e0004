//! Logging out.

use askama::Template;

use super::login::Link;
use super::message::{Message, message};
use crate::look::Frame;
use crate::{Look, Page};

/// The page that asks whether to log out: a link alone must not do it.
#[derive(Debug, Clone, Copy)]
pub struct LogoutView<'a> {
    /// Where the form goes.
    pub action: &'a str,
    /// The form's token.
    pub csrf: &'a str,
    /// Who is signed in.
    pub who: &'a str,
    /// Where else the form's answer may lead, as a source of a policy.
    pub targets: &'a [&'a str],
}

#[derive(Template)]
#[template(path = "logout.html")]
struct LogoutPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a LogoutView<'a>,
    signed_in_as: String,
}

/// Asks whether to log out.
#[must_use]
pub fn ask_logout(view: &LogoutView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, texts.ask_sign_out.to_owned(), view.targets);
    let signed_in_as = (texts.signed_in_as)(view.who);
    frame.page(&LogoutPage { frame: &frame, view, signed_in_as }, 200)
}

/// Says that nobody is signed in any more.
#[must_use]
pub fn logged_out(look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let told = Message {
        link: Some(Link { href: "/login", text: texts.sign_in_again.to_owned() }),
        ..Message::new(texts.signed_out, texts.signed_out_text)
    };
    message(told, look, 200)
}
