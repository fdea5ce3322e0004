//! What somebody lets applications do.

use askama::Template;

use super::ScopeLine;
use super::account::to_people;
use crate::look::Frame;
use crate::texts::Texts;
use crate::{Look, Page};

/// The applications that somebody lets do something.
#[derive(Debug, Clone, Copy)]
pub struct ConsentsView<'a> {
    /// Where the forms go that take a consent back, with `client`.
    pub action: &'a str,
    /// Their token.
    pub csrf: &'a str,
    /// The consents.
    pub consents: &'a [ConsentLine<'a>],
}

/// A consent.
#[derive(Debug, Clone, Copy)]
pub struct ConsentLine<'a> {
    /// The client, as the form names it.
    pub client_id: &'a str,
    /// What people call it.
    pub client_name: &'a str,
    /// What it may do.
    pub scopes: &'a [ScopeLine<'a>],
    /// When that was said, as RFC 3339 has it.
    pub since: &'a str,
}

/// A consent, in words.
struct Row<'a> {
    line: &'a ConsentLine<'a>,
    scopes: Vec<ScopeLine<'a>>,
    end: String,
    since: String,
}

impl<'a> Row<'a> {
    fn new(line: &'a ConsentLine<'a>, texts: &Texts) -> Self {
        Self {
            line,
            scopes: line.scopes.iter().map(|scope| scope.to_people(texts)).collect(),
            end: (texts.consent_end_one)(line.client_name),
            since: to_people(line.since),
        }
    }
}

#[derive(Template)]
#[template(path = "consents.html")]
struct ConsentsPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a ConsentsView<'a>,
    rows: Vec<Row<'a>>,
}

/// What applications may do, and how to take it back.
#[must_use]
pub fn consents(view: &ConsentsView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, texts.consents.to_owned(), &[]);
    let rows = view.consents.iter().map(|line| Row::new(line, texts)).collect();
    frame.page(&ConsentsPage { frame: &frame, view, rows }, 200)
}
