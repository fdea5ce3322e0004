//! A page that says something, and asks nothing.

use askama::Template;

use super::login::Link;
use crate::look::Frame;
use crate::{Look, Page};

/// What it says.
pub(super) struct Message<'a> {
    pub(super) heading: &'a str,
    pub(super) text: String,
    /// What somebody may name who asks about it.
    pub(super) reference: Option<&'a str>,
    pub(super) link: Option<Link<'a>>,
}

impl<'a> Message<'a> {
    pub(super) fn new(heading: &'a str, text: &str) -> Self {
        Self { heading, text: text.to_owned(), reference: None, link: None }
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    frame: &'a Frame<'a>,
    text: String,
    reference: Option<&'a str>,
    link: Option<Link<'a>>,
}

pub(super) fn message(message: Message<'_>, look: &Look<'_>, status: u16) -> Page {
    let frame = Frame::new(look, message.heading.to_owned(), &[]);
    let Message { text, reference, link, .. } = message;
    frame.page(&MessagePage { frame: &frame, text, reference, link }, status)
}
