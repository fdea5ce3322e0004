//! What the document alone leaves open: PR101 to PR125, and PR234 as far as it is about descriptors.

mod identity;
mod paths;
mod rules;
mod settings;

use postern_document::Document;

use super::ask::Oracle;
use super::model::Finding;

pub(super) use rules::{asks_less, writes};

/// All findings about a document.
pub(super) fn findings(document: &Document, oracle: &Oracle<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for route in &document.routes {
        rules::look(document, route, oracle, &mut found);
    }
    settings::look(document, &mut found);
    identity::look(document, &mut found);
    paths::look(document, oracle, &mut found);
    found
}
