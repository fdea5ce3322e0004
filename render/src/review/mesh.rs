//! What the mesh's own policies make of the document's services, and what they leave open.

mod addresses;
mod allowance;
mod around;
mod beside;
mod callers;
mod concerns;
mod config;
mod destinations;
mod draft;
mod enforced;
mod examples;
mod few;
mod identity;
mod kept;
mod kinds;
mod known;
mod maker;
mod patches;
mod plugins;
mod principals;
mod providers;
mod reach;
mod rendering;
mod rules;
mod spellings;
mod token;
mod version;
mod view;

use super::Input;
use super::model::{Finding, MeshRow, Place, Row};

pub(super) use allowance::Allowance;
pub(super) use examples::{Each, Example, Judged};
pub(super) use known::Known;
pub(super) use view::View;

/// The line of a resource; none where it was read from nowhere.
fn at(file: &str, line: usize) -> Option<Place> {
    (!file.is_empty()).then(|| Place { file: file.to_owned(), line })
}

/// What came of looking at the mesh.
pub(super) struct Looked {
    pub(super) rows: Vec<MeshRow>,
    pub(super) findings: Vec<Finding>,
    pub(super) unknown: Vec<String>,
}

/// Looks at the mesh, and says in the matrix whom it lets come with the requests of each route.
pub(super) fn look(input: &Input<'_>, view: &View<'_>, matrix: &mut [Row]) -> Looked {
    let mut findings = Vec::new();
    let mut unknown = view.unknown();
    concerns::look(view, &mut findings, &mut unknown);
    rules::look(view, &mut findings);
    spellings::look(view, &mut findings);
    providers::look(view, &mut findings);
    plugins::look(view, &mut findings);
    enforced::look(view, &mut findings);
    beside::look(view, input, &mut findings);
    destinations::look(view, &mut findings);
    identity::look(view, &mut findings);
    config::look(view, &mut findings);
    rendering::look(view, input, &mut findings, &mut unknown);
    let reached = reach::ask(view);
    reach::look(view, &reached, &mut findings, &mut unknown);
    principals::tell(view, &reached, matrix, &mut unknown);
    kept::look(view, &mut findings);
    unknown.extend(view.budget.unknown());
    Looked { rows: reach::rows(view, &reached), findings: few::fold(findings), unknown }
}
