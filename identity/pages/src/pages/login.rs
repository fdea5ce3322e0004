//! Logging in: e-mail and password, then a second factor.

use askama::Template;

use super::{Ceremony, described_by, told};
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
    /// How the script uses a passkey; none where nobody can have one.
    pub passkey: Option<Ceremony<'a>>,
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
    /// Whether the code of an application may be entered.
    pub totp: bool,
    /// Whether a recovery code may be entered.
    pub recovery: bool,
    /// How the script uses a passkey; none where the user has none.
    pub passkey: Option<Ceremony<'a>>,
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
    passkey_label: &'static str,
    elsewhere: Vec<Link<'a>>,
}

#[derive(Template)]
#[template(path = "mfa.html")]
struct MfaPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a MfaView<'a>,
    problem: Option<String>,
    has_code: bool,
    passkey_label: &'static str,
    hint: &'static str,
    input_mode: &'static str,
    described_by: &'static str,
}

/// Asks for e-mail and password.
#[must_use]
pub fn login(view: &LoginView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, texts.sign_in.to_owned(), view.targets)
        .with_script(view.passkey.is_some());
    let (problem, status) = told(view.problem, &frame);
    let elsewhere = view
        .outside
        .iter()
        .map(|one| Link { href: one.href, text: (texts.sign_in_at)(one.title) })
        .collect();
    let passkey_label = texts.sign_in_passkey;
    frame.page(&LoginPage { frame: &frame, view, problem, passkey_label, elsewhere }, status)
}

/// Asks for a code of an application, or a recovery code.
#[must_use]
pub fn mfa(view: &MfaView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, texts.second_factor.to_owned(), view.targets)
        .with_script(view.passkey.is_some());
    let (problem, status) = told(view.problem, &frame);
    // Recovery codes have letters, which a keypad of digits lacks.
    let (hint, input_mode) = match (view.totp, view.recovery) {
        (true, true) => (texts.code_of_app_or_recovery, "text"),
        (false, true) => (texts.code_of_recovery, "text"),
        (_, false) => (texts.code_of_app, "numeric"),
    };
    let described_by = described_by(problem.as_ref());
    let page = MfaPage {
        frame: &frame,
        view,
        problem,
        // Whoever has nothing but passkeys has no code to enter.
        has_code: view.totp || view.recovery,
        passkey_label: texts.second_passkey,
        hint,
        input_mode,
        described_by,
    };
    frame.page(&page, status)
}
