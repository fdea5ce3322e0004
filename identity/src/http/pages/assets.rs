//! The files that pages load. Their paths hold a digest of what they hold: a browser may keep them
//! for a year, and gets another path when they change.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use postern_identity_pages::{ErrorKind, SCRIPT};
use postern_request::headers::CORRELATION_ID;

use super::Pages;
use super::config::{SCRIPT_FILE, STYLE_FILE};
use super::visit::Visit;
use crate::http::reply::{correlation_id, respond};

/// For those whose digest is the one of now.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// While replicas have different documents, a page of one may ask another for its style: it gets
/// the other one's, and asks again the next time.
const NOT_KEPT: &str = "no-store";

/// A file.
pub(super) async fn file(
    State(pages): State<Arc<Pages>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let visit = Visit::new(&pages, &headers);
    let (kind, content) = match uri.path().rsplit('/').next() {
        Some(STYLE_FILE) => ("text/css; charset=utf-8", visit.config.style.clone()),
        Some(SCRIPT_FILE) => ("text/javascript; charset=utf-8", SCRIPT.to_owned()),
        _ => return visit.error(ErrorKind::NotFound),
    };
    let kept = if visit.config.is_current(uri.path()) { FOR_EVER } else { NOT_KEPT };
    let out = vec![
        ("content-type", kind.to_owned()),
        ("cache-control", kept.to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        (CORRELATION_ID, correlation_id(&headers)),
    ];
    respond(200, out, content)
}
