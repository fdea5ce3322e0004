//! Envoy's own answers (413, 431, 502, 503, 504, RBAC's 403 …) in the form of every other denial.

use postern_document::Document;
use postern_request::ErrorCode;
use postern_request::local_reply::REPLIES;
use serde_json::{Value, json};

use super::{routes, typed};
use crate::security_headers;

/// Answers that the stages have written themselves, by the marker they carry: left as they are.
/// Everything else that Envoy answers gets the contract's JSON for its status.
pub(crate) fn render(document: &Document) -> Value {
    let of_all = security_headers::of(document.security_headers);
    let of_all = routes::overwriting(&of_all);
    let mappers = REPLIES.into_iter().map(|(from, to, code)| mapper(from, to, code, &of_all));
    json!({"mappers": mappers.collect::<Vec<_>>()})
}

/// Statuses of requests that Envoy could not read: their answers belong to no route, whose
/// headers they would get otherwise. `x-correlation-id` is not among these: where the bundle has
/// seen the request, it adds one.
const UNREAD: [u16; 5] = [400, 408, 413, 426, 431];

fn mapper(from: u16, to: u16, code: ErrorCode, of_all: &[Value]) -> Value {
    let mut headers = vec![set("cache-control", "no-store")];
    if UNREAD.contains(&from) {
        headers.extend_from_slice(of_all);
    }
    if to == 503 {
        headers.push(set("retry-after", "1"));
    }
    json!({
        "filter": {"and_filter": {"filters": [
            {"status_code_filter": {"comparison": {
                "op": "EQ", "value": {"default_value": from, "runtime_key": "postern.local_reply"},
            }}},
            not_ours(),
        ]}},
        "status_code": to,
        "headers_to_add": headers,
        "body_format_override": {
            "json_format": {
                "error": code.as_str(),
                "error_description": code.description(),
                "correlation_id": "%REQ(X-CORRELATION-ID?X-REQUEST-ID)%",
                "timestamp": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
            },
        },
    })
}

/// The stages' own answers go through the same mappers; their details tell them apart.
fn not_ours() -> Value {
    let expression = "!(response.code_details in ['', 'ext_authz_denied'])";
    json!({"extension_filter": {
        "name": "envoy.access_loggers.extension_filters.cel",
        "typed_config": typed(
            "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
            json!({"expression": expression}),
        ),
    }})
}

fn set(name: &str, value: &str) -> Value {
    json!({
        "header": {"key": name, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    })
}
