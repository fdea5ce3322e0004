//! Passkeys: what the script is told, and the page on which somebody keeps theirs.

use askama::Template;

use super::own_factors::{FactorLine, Row, codes_left};
use super::told;
use crate::look::Frame;
use crate::{Look, Page, Problem};

/// What the script does on a page, and where it asks.
#[derive(Debug, Clone, Copy)]
pub struct Ceremony<'a> {
    /// Where the browser's options come from.
    pub options: &'a str,
    /// Where its answer goes.
    pub finish: &'a str,
    /// The token of both requests.
    pub csrf: &'a str,
}

/// The passkeys of somebody.
#[derive(Debug, Clone, Copy)]
pub struct PasskeysView<'a> {
    /// Where the forms go that take one away, with `remove`.
    pub action: &'a str,
    /// Their token.
    pub csrf: &'a str,
    /// The passkeys.
    pub passkeys: &'a [FactorLine<'a>],
    /// How the script makes another one.
    pub ceremony: Ceremony<'a>,
    /// How many recovery codes there are, where any factor needs them.
    pub codes_left: Option<usize>,
    /// Where the page of all factors is.
    pub factors: &'a str,
    /// Why one was not taken away.
    pub problem: Option<Problem>,
}

#[derive(Template)]
#[template(path = "passkeys.html")]
struct PasskeysPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a PasskeysView<'a>,
    problem: Option<String>,
    rows: Vec<Row<'a>>,
    codes: Option<String>,
}

/// The passkeys of somebody, and how to get another one.
#[must_use]
pub fn passkeys(view: &PasskeysView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, texts.passkeys.to_owned(), &[]).with_script(true);
    let (problem, status) = told(view.problem, &frame);
    let rows = view.passkeys.iter().map(|line| Row::new(line, texts)).collect();
    let codes = view.codes_left.map(|count| codes_left(count, texts));
    frame.page(&PasskeysPage { frame: &frame, view, problem, rows, codes }, status)
}
