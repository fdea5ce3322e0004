//! The access log for people: one JSON line a request.

use serde_json::{Value, json};

use super::typed;

/// Who, which route, what came of it. No header that carries a credential, no query: tokens
/// travel there too, and what is refused before the bundle takes them away is logged as it came.
/// `%PATH(NQ)%` is the path without query, the one before a rewrite included;
/// `%REQ_WITHOUT_QUERY(…)%` would need an extension of the format.
///
/// A refusal is found by the id that its answer names: the bundle writes it to the request
/// before it refuses, and what is refused before the bundle sees it has at least Envoy's own.
/// `reason` is what the bundle keeps from the caller.
pub(crate) fn render(path: &str) -> Value {
    let format = json!({
        "time": "%START_TIME%",
        "route": "%ROUTE_NAME%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ)%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "reason": "%FILTER_STATE(wasm.postern.denied:PLAIN)%",
        "flags": "%RESPONSE_FLAGS%",
        "milliseconds": "%DURATION%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "subject": "%FILTER_STATE(wasm.postern.subject:PLAIN)%",
        "correlation_id": "%REQ(X-CORRELATION-ID?X-REQUEST-ID)%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "upstream": "%UPSTREAM_CLUSTER%",
    });
    json!({
        "name": "envoy.access_loggers.file",
        "typed_config": typed(
            "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            json!({"path": path, "log_format": {"json_format": format}}),
        ),
    })
}
