//! Where an application would have a browser sent that nobody has looked at: a link, and no
//! redirect (RFC 9700 §4.11.2).

use askama::Template;

use crate::look::{Frame, app_url};
use crate::{Look, Page};

/// The way on to an application that has registered itself.
#[derive(Debug, Clone, Copy)]
pub struct OnwardView<'a> {
    /// Where the link leads.
    pub href: &'a str,
    /// What people are shown of that: its origin or scheme.
    pub place: &'a str,
}

#[derive(Template)]
#[template(path = "onward.html")]
struct OnwardPage<'a> {
    frame: &'a Frame<'a>,
    text: &'a str,
    reference: Option<&'a str>,
    href: Option<&'a str>,
    link: String,
}

/// Says that such an application does not get what it asked for. `correlation_id` is what operators
/// find it in the log by.
#[must_use]
pub fn refused_stranger(view: &OnwardView<'_>, correlation_id: &str, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let told = (texts.error, texts.error_stranger);
    onward(view, told, Some(correlation_id), look, 400)
}

/// Says that nobody is signed in any more, where such an application has asked for that.
#[must_use]
pub fn logged_out_by_stranger(view: &OnwardView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    onward(view, (texts.signed_out, texts.signed_out_text), None, look, 200)
}

fn onward(
    view: &OnwardView<'_>,
    (heading, text): (&str, &str),
    reference: Option<&str>,
    look: &Look<'_>,
    status: u16,
) -> Page {
    let frame = Frame::new(look, heading.to_owned(), &[]);
    let link = (frame.texts.onward)(view.place);
    let href = app_url(view.href);
    frame.page(&OnwardPage { frame: &frame, text, reference, href, link }, status)
}
