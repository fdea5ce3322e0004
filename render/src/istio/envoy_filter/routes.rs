//! What holds for all routes: answers carry the security headers, and at the gateway hosts are
//! compared as the document's matcher compares them.

use postern_document::Document;
use serde_json::{Value, json};

use super::super::Context;
use super::super::resource::set;
use crate::envoy::routes;
use crate::security_headers;

pub(super) fn for_all(document: &Document, context: Context) -> Value {
    let of_all = security_headers::of(document.security_headers);
    let mut settings = json!({
        "response_headers_to_remove": ["server", "x-powered-by"],
        "response_headers_to_add": routes::overwriting(&of_all),
    });
    // A sidecar's own routes are for all hosts, and set no headers.
    if context == Context::Gateway {
        set(&mut settings, "ignore_port_in_host_matching", json!(true));
        set(&mut settings, "most_specific_header_mutations_wins", json!(true));
    }
    settings
}
