//! Connecting a device that has no browser (RFC 8628 §3.3).

use askama::Template;

use super::message::{Message, message};
use super::{ScopeLine, described_by};
use crate::look::Frame;
use crate::{Look, Page};

/// The page that asks for the code on the device.
#[derive(Debug, Clone, Copy)]
pub struct DeviceView<'a> {
    /// Where the form goes.
    pub action: &'a str,
    /// The form's token.
    pub csrf: &'a str,
    /// The code that is there already.
    pub user_code: &'a str,
    /// Whether there is no such code.
    pub is_unknown: bool,
}

/// The page that shows whom a code would let in, and asks. Without it, whoever sends others a link
/// with a code of their own would be let in by them (RFC 8628 §5.4).
#[derive(Debug, Clone, Copy)]
pub struct DeviceConfirmView<'a> {
    /// Where the form goes.
    pub action: &'a str,
    /// The form's token.
    pub csrf: &'a str,
    /// The code, as the device shows it.
    pub user_code: &'a str,
    /// What people call the client.
    pub client_name: &'a str,
    /// Who is signed in.
    pub who: &'a str,
    /// What it asks for.
    pub scopes: &'a [ScopeLine<'a>],
    /// Where it would use that.
    pub resources: &'a [&'a str],
}

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage<'a> {
    frame: &'a Frame<'a>,
    view: &'a DeviceView<'a>,
    problem: Option<String>,
    described_by: &'static str,
}

#[derive(Template)]
#[template(path = "device_confirm.html")]
struct DeviceConfirmPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a DeviceConfirmView<'a>,
    signed_in_as: String,
    scopes: Vec<ScopeLine<'a>>,
}

/// Asks for the code on the device.
#[must_use]
pub fn device(view: &DeviceView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, texts.device.to_owned(), &[]);
    let problem = view.is_unknown.then(|| texts.device_unknown.to_owned());
    let described_by = described_by(problem.as_ref());
    let status = if view.is_unknown { 400 } else { 200 };
    frame.page(&DevicePage { frame: &frame, view, problem, described_by }, status)
}

/// Shows the code, and asks.
#[must_use]
pub fn device_confirm(view: &DeviceConfirmView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, (texts.consent_title)(view.client_name), &[]);
    let page = DeviceConfirmPage {
        frame: &frame,
        view,
        signed_in_as: (texts.signed_in_as)(view.who),
        scopes: view.scopes.iter().map(|scope| scope.to_people(texts)).collect(),
    };
    frame.page(&page, 200)
}

/// Says what became of the device.
#[must_use]
pub fn device_done(is_allowed: bool, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let (heading, text) = match is_allowed {
        true => (texts.device_allowed, texts.device_return),
        false => (texts.device_denied, texts.device_return),
    };
    message(Message::new(heading, text), look, 200)
}
