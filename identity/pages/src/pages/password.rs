//! A new password.

use askama::Template;

use super::{described_by, told};
use crate::look::Frame;
use crate::{Look, Page, Problem};

/// The page that asks for a new password.
#[derive(Debug, Clone, Copy)]
pub struct PasswordView<'a> {
    /// Where the form goes.
    pub action: &'a str,
    /// The form's token.
    pub csrf: &'a str,
    /// Whose it is, where that is known; managers of passwords keep it with that.
    pub email: Option<&'a str>,
    /// Whether the present one is asked for. It is not while somebody logs in, who has just given
    /// it.
    pub asks_current: bool,
    /// Whether nothing else goes on before it.
    pub is_forced: bool,
    /// Fewest characters.
    pub least: usize,
    /// Why the form is shown again.
    pub problem: Option<Problem>,
    /// Where else the form's answer may lead, as a source of a policy.
    pub targets: &'a [&'a str],
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a PasswordView<'a>,
    problem: Option<String>,
    rule: String,
    described_by: &'static str,
}

/// Asks for a new password, twice.
#[must_use]
pub fn password(view: &PasswordView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, texts.new_password.to_owned(), view.targets);
    let (problem, status) = told(view.problem, &frame);
    let rule = (texts.password_rule)(view.least);
    let described_by = described_by(problem.as_ref());
    frame.page(&PasswordPage { frame: &frame, view, problem, rule, described_by }, status)
}
