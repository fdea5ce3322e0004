//! The listener and its connection manager.

use postern_document::{CertificateSource, Document};
use serde_json::{Value, json};

use super::names::GRPC_CLUSTER;
use super::{EnvoyOptions, access_log, filters, local_reply, routes, socket_address, typed};
use crate::settlement;

/// Envoy's advice for an edge proxy: small buffers, so that many connections fit in memory.
const CONNECTION_BUFFER_BYTES: u32 = 1 << 20;

/// Leaves `x-forwarded-client-cert` as it came. What ends mutual TLS in front of a listener does
/// not speak it to the listener, and the other settings take the header from such a connection.
pub(crate) const FORWARD_AS_IT_COMES: &str = "ALWAYS_FORWARD_ONLY";

pub(super) fn render(document: &Document, options: &EnvoyOptions) -> Value {
    json!({
        "name": "postern",
        "address": socket_address(options.listen),
        "per_connection_buffer_limit_bytes": CONNECTION_BUFFER_BYTES,
        "filter_chains": [{
            "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": typed(
                    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    connection_manager(document, options),
                ),
            }],
        }],
    })
}

fn connection_manager(document: &Document, options: &EnvoyOptions) -> Value {
    json!({
        "stat_prefix": "postern",
        "codec_type": "AUTO",
        // The client's address comes from the connection and so many trusted hops before it.
        "use_remote_address": true,
        "xff_num_trusted_hops": document.trusted_proxies,
        "forward_client_cert_details": forward_client_cert(document),
        // What is left after this means the same to every reader; the bundle checks it again.
        "normalize_path": true,
        "merge_slashes": true,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {
            "idle_timeout": "300s",
            "max_headers_count": 100,
            // Some servers read `_` as `-`, and would take x_postern_subject for ours.
            "headers_with_underscores_action": "DROP_HEADER",
        },
        "http_protocol_options": {"accept_http_10": false},
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65_536,
            "initial_connection_window_size": 1_048_576,
        },
        "max_request_headers_kb": 60,
        "stream_idle_timeout": "300s",
        "request_headers_timeout": "10s",
        "always_set_request_id_in_response": true,
        // Neither Envoy's name nor an upstream's goes out; routes remove the header.
        "server_header_transformation": "PASS_THROUGH",
        "local_reply_config": local_reply::render(document.security_headers),
        "access_log": access_logs(document, options),
        "http_filters": filters::render(document, options),
        "route_config": routes::render(document),
    })
}

/// One for people, and one by which the server learns what it may give back.
fn access_logs(document: &Document, options: &EnvoyOptions) -> Vec<Value> {
    let lines = options.access_log.as_deref().map(access_log::render);
    let settlement = settlement::is_needed(document)
        .then(|| settlement::access_log(&json!({"cluster_name": GRPC_CLUSTER})));
    lines.into_iter().chain(settlement).collect()
}

/// What becomes of `x-forwarded-client-cert` from outside.
fn forward_client_cert(document: &Document) -> &'static str {
    match document.bound.certificate {
        Some(CertificateSource::Forwarded) => FORWARD_AS_IT_COMES,
        Some(CertificateSource::Connection) | None => "SANITIZE",
    }
}
