//! Logging in: e-mail and password, then a second factor.

use askama::Template;

use super::{described_by, told};
use crate::look::Frame;
use crate::{Look, Page, Problem};

/// The first page of logging in.
#[derive(Debug, Clone, Copy)]
pub struct LoginView<'a> {
    /// Where the form goes.
    pub action: &'a str,
    /// The form's token.
    pub csrf: &'a str,
    /// The e-mail that is there already: as it was typed, or as a client has hinted.
    pub email: &'a str,
    /// Whether staying signed in is chosen.
    pub remember: bool,
    /// Why the form is shown again.
    pub problem: Option<Problem>,
    /// Providers elsewhere.
    pub outside: &'a [OutsideLink<'a>],
    /// Where else the form's answer may lead, as a source of a policy.
    pub targets: &'a [&'a str],
}

/// A way to log in elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct OutsideLink<'a> {
    /// What people call the provider.
    pub title: &'a str,
    /// Where it begins, at this server.
    pub href: &'a str,
}

/// The page that asks for a second factor.
#[derive(Debug, Clone, Copy)]
pub struct MfaView<'a> {
    /// Where the form goes.
    pub action: &'a str,
    /// The form's token.
    pub csrf: &'a str,
    /// Whether a recovery code may be entered as well.
    pub recovery: bool,
    /// Why the form is shown again.
    pub problem: Option<Problem>,
    /// Where else the form's answer may lead, as a source of a policy.
    pub targets: &'a [&'a str],
}

/// A link and what it says.
pub(super) struct Link<'a> {
    pub(super) href: &'a str,
    pub(super) text: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a LoginView<'a>,
    problem: Option<String>,
    elsewhere: Vec<Link<'a>>,
}

#[derive(Template)]
#[template(path = "mfa.html")]
struct MfaPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a MfaView<'a>,
    problem: Option<String>,
    hint: &'static str,
    input_mode: &'static str,
    described_by: &'static str,
}

/// Asks for e-mail and password.
#[must_use]
pub fn login(view: &LoginView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, texts.sign_in.to_owned(), view.targets);
    let (problem, status) = told(view.problem, &frame);
    let elsewhere = view
        .outside
        .iter()
        .map(|one| Link { href: one.href, text: (texts.sign_in_at)(one.title) })
        .collect();
    frame.page(&LoginPage { frame: &frame, view, problem, elsewhere }, status)
}

/// Asks for a code of an application, or a recovery code.
#[must_use]
pub fn mfa(view: &MfaView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, texts.second_factor.to_owned(), view.targets);
    let (problem, status) = told(view.problem, &frame);
    // Recovery codes have letters, which a keypad of digits lacks.
    let (hint, input_mode) = match view.recovery {
        true => (texts.code_of_app_or_recovery, "text"),
        false => (texts.code_of_app, "numeric"),
    };
    let described_by = described_by(problem.as_ref());
    let page = MfaPage { frame: &frame, view, problem, hint, input_mode, described_by };
    frame.page(&page, status)
}
