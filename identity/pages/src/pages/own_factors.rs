//! The second factors of somebody: what is set up, and what is left of it.

use askama::Template;

use super::account::to_people;
use super::told;
use crate::look::Frame;
use crate::texts::Texts;
use crate::{Look, Page, Problem};

/// The page of all second factors.
#[derive(Debug, Clone, Copy)]
pub struct FactorsView<'a> {
    /// Where the forms go that take one away, with `remove`.
    pub action: &'a str,
    /// Their token.
    pub csrf: &'a str,
    /// The form that sets an application up.
    pub enrol: FormTarget<'a>,
    /// The form that makes recovery codes.
    pub recovery: FormTarget<'a>,
    /// Where passkeys are kept; none where nobody can have one.
    pub passkeys: Option<&'a str>,
    /// The factors.
    pub factors: &'a [FactorLine<'a>],
    /// How many recovery codes there are.
    pub codes_left: usize,
    /// Why something was not done.
    pub problem: Option<Problem>,
}

/// A form that has nothing to fill in.
#[derive(Debug, Clone, Copy)]
pub struct FormTarget<'a> {
    /// Where it goes.
    pub action: &'a str,
    /// Its token.
    pub csrf: &'a str,
}

/// A factor.
#[derive(Debug, Clone, Copy)]
pub struct FactorLine<'a> {
    /// What the form names it by.
    pub reference: &'a str,
    /// What its owner calls it; none for an application, which has no name.
    pub name: Option<&'a str>,
    /// When it was added, as RFC 3339 has it.
    pub added: &'a str,
    /// When it was used last, as RFC 3339 has it.
    pub used: Option<&'a str>,
}

/// A factor, in words.
pub(super) struct Row<'a> {
    pub(super) line: &'a FactorLine<'a>,
    pub(super) what: &'a str,
    pub(super) remove: String,
    pub(super) added: String,
    pub(super) used: Option<String>,
}

impl<'a> Row<'a> {
    pub(super) fn new(line: &'a FactorLine<'a>, texts: &'static Texts) -> Self {
        let what = line.name.unwrap_or(texts.factor_app);
        Self {
            line,
            what,
            remove: (texts.factor_remove_one)(what),
            added: to_people(line.added),
            used: line.used.map(to_people),
        }
    }
}

#[derive(Template)]
#[template(path = "factors.html")]
struct FactorsPage<'a> {
    frame: &'a Frame<'a>,
    view: &'a FactorsView<'a>,
    problem: Option<String>,
    rows: Vec<Row<'a>>,
    codes: String,
}

/// What is set up, and how to set up more.
#[must_use]
pub fn factors(view: &FactorsView<'_>, look: &Look<'_>) -> Page {
    let texts = look.language.texts();
    let frame = Frame::new(look, texts.factors.to_owned(), &[]);
    let (problem, status) = told(view.problem, &frame);
    let rows = view.factors.iter().map(|line| Row::new(line, texts)).collect();
    let codes = codes_left(view.codes_left, texts);
    frame.page(&FactorsPage { frame: &frame, view, problem, rows, codes }, status)
}

/// What is said of recovery codes.
pub(super) fn codes_left(count: usize, texts: &Texts) -> String {
    if count == 0 { texts.codes_none.to_owned() } else { (texts.codes_left)(count) }
}
