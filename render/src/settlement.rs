//! How the server hears of the end of requests that limits wait for: by Envoy's access log.
//!
//! A limit that counts what is under way, or only what came to a good or a bad end, has taken
//! something when the request began, and `ext_authz` has written a ticket for it into the
//! request's metadata. Every Envoy can send its access log by gRPC, and it speaks of the end of a
//! request whatever ended it; a filter on the way back would not.

use postern_document::Document;
use postern_request::evidence;
use serde_json::{Value, json};

use crate::envoy::{duration, typed};

/// Longest time that Envoy may hold an entry back. It does not, see [`access_log`]; the API wants
/// a number all the same, and its default is a second.
const FLUSH_INTERVAL_MS: u64 = 100;

/// Whether any request may have something to be given back by the server.
pub(crate) fn is_needed(document: &Document) -> bool {
    document
        .routes
        .iter()
        .flat_map(|route| &route.exact_limits)
        .any(|used| used.limit.needs_settlement())
}

/// The log, for requests with a ticket alone, to the server behind `envoy_grpc`.
pub(crate) fn access_log(envoy_grpc: &Value) -> Value {
    json!({
        "name": "envoy.access_loggers.http_grpc",
        "filter": {"metadata_filter": {
            "matcher": {
                "filter": evidence::METADATA_NAMESPACE,
                "path": [{"key": evidence::SETTLE_KEY}],
                "value": {"present_match": true},
            },
            "match_if_key_not_found": false,
        }},
        "typed_config": typed(
            "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
            json!({
                "common_config": {
                    "log_name": "postern-settlement",
                    "transport_api_version": "V3",
                    // No timeout: the stream lives as long as the worker.
                    "grpc_service": {"envoy_grpc": envoy_grpc},
                    "buffer_flush_interval": duration(FLUSH_INTERVAL_MS),
                    // Each entry at once: as long as it waits, a place that is free is not given
                    // to the next request.
                    "buffer_size_bytes": 0,
                },
                // To gRPC callers a refusal is a 200 with a status of its own.
                "additional_response_headers_to_log": ["grpc-status"],
                "additional_response_trailers_to_log": ["grpc-status"],
            }),
        ),
    })
}
