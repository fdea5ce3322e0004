//! Where a subject of the document stands.

use postern_document::Document;

use super::model::Place;

/// The place of a path such as `routes.payments.auth`; of what has none of its own, that of what
/// it belongs to.
pub(super) fn of(document: &Document, path: &str) -> Option<Place> {
    let mut path = path;
    loop {
        if let Some(place) = document.place_of(path) {
            return Some(Place { file: place.file, line: place.line });
        }
        path = path.rsplit_once('.')?.0;
    }
}
