//! What holds for all routes of the gateway: hosts are compared as the document's matcher compares
//! them, and answers carry the security headers.

use postern_document::Document;
use serde_json::{Value, json};

use crate::envoy::routes;

pub(super) fn for_all(document: &Document) -> Value {
    json!({
        "ignore_port_in_host_matching": true,
        "most_specific_header_mutations_wins": true,
        "response_headers_to_remove": ["server", "x-powered-by"],
        "response_headers_to_add": routes::security_headers(document.security_headers),
    })
}
